"""`python -m publish` against the lab's name server: what lacks is named, what it prints is what it then finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from lab import ca, dns
from lab.plan import DOMAIN, WAN4, WORLD, LabState, Record
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.test_dnsbl import answering

LIVE, FINDINGS, COULD_NOT_RUN = 0, 2, 3


def published(
    lab: LabState, *words: str, host: str = "gw1", resolver: str = "127.0.0.1", authorities: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command in a host's network; by itself beside the gateway's own resolver, which validates."""
    command = [
        "ip",
        "netns",
        "exec",
        lab.hosts[host].netns,
        sys.executable,
        "-m",
        "publish",
        "inventory/lab.py",
    ]
    return subprocess.run(
        [*command, "--resolver", resolver, *words],
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": lab.name, "SSL_CERT_FILE": authorities or "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_what_is_published_is_found_and_what_lacks_is_named(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    gateway.run("systemctl is-active unbound")
    # The zone is signed, so a key may be published too.
    file = tmp_path / "certificate.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-subj",
        "/CN=mx1",
        "-out",
        str(file),
    ]
    subprocess.run([*request, "-keyout", os.devnull], check=True, capture_output=True)
    key = ("--certificate", str(file))
    found = published(lab, "--check", "--json", *key)
    assert found.returncode == FINDINGS, found.stderr
    document = json.loads(found.stdout)
    states = {(each["owner"], each["type"]): each["state"] for each in document["findings"]}
    assert states[f"{DOMAIN}.", "MX"] == "live"
    assert states["21.100.51.198.in-addr.arpa.", "PTR"] == "live"
    assert states[f"_dmarc.{DOMAIN}.", "TXT"] == "missing"

    # Into the zone with it, as an administrator would.
    known = next(each for each in dns.zones(1) if each.name == DOMAIN).records
    lacking = [
        (each["owner"], each["type"], each["wanted"])
        for each in document["findings"]
        if each["state"] == "missing" and each["type"] != "HTTPS"
    ]
    assert f"_25._tcp.mx1.{DOMAIN}." in {owner for owner, _, _ in lacking}
    made = [
        Record(owner=owner, type=kind, value=f'"{value}"' if kind == "TXT" else value)
        for owner, kind, value in lacking
    ]
    with answering(lab, DOMAIN, *known, *made):
        complete = published(lab, "--check", *key)
        lines = [
            line
            for line in complete.stdout.splitlines()
            if line.startswith(("missing", "wrong", "not asked"))
        ]
        # The records promise policies, and nobody serves them.
        assert lines
        assert all("HTTPS" in line and line.endswith("seen: the name has no address") for line in lines)
        assert complete.returncode == FINDINGS

    # A second MX leads past the gateway; a second SPF record undoes the first.
    others = (
        Record(owner="@", type="MX", value="20 mail"),
        Record(owner="@", type="TXT", value='"v=spf1 +all"'),
    )
    with answering(lab, DOMAIN, *known, *made, *others):
        spoilt = published(lab, "--check", "--json", *key)
        assert spoilt.returncode == FINDINGS
        seen = {
            (each["type"]): each["seen"]
            for each in json.loads(spoilt.stdout)["findings"]
            if each["state"] == "wrong"
        }
        assert "mail.bastide.example" in seen["MX"]
        assert "2 such records" in seen["TXT"]


def test_the_policy_is_looked_for_where_senders_look(lab: LabState, tmp_path: Path) -> None:
    """RFC 8461 3.3: by HTTPS, of a host that proves its name."""
    world = GatewayHost(lab=lab, host=lab.hosts["world"])
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(ca.authority(lab))
    name, address = f"mta-sts.{DOMAIN}", str(WAN4[WORLD])
    known = next(each for each in dns.zones(1) if each.name == DOMAIN).records
    text = json.loads(published(lab, "--json").stdout)["policies"][DOMAIN]
    folder = f"/srv/https/{name}/.well-known"
    pair = b"".join(ca.issued(lab, [name])).decode()

    def state() -> tuple[str, str]:
        said = published(
            lab, "--check", "--json", host="world", resolver=address, authorities=str(authorities)
        )
        found = next(
            each
            for each in json.loads(said.stdout)["findings"]
            if (each["type"], each["owner"]) == ("HTTPS", f"{name}.")
        )
        return found["state"], found["seen"]

    with answering(lab, DOMAIN, *known, Record(owner="mta-sts", type="A", value=address)):
        assert state()[0] == "missing"  # the certificate is for other domains' servers
        served = f"cp {ca.FOLDER}/web.pem /root/web.pem; cat >{ca.FOLDER}/web.pem <<'END'\n{pair}END\nsystemctl restart lab-https"
        undone = (
            f"mv /root/web.pem {ca.FOLDER}/web.pem; rm -rf /srv/https/{name}; systemctl restart lab-https"
        )
        with world.altered(served, undone):
            assert state() == ("wrong", f"{address} answers 404, text/html")
            world.run(f"mkdir -p {folder}; cat >{folder}/mta-sts.txt <<'END'\n{text}END")
            assert state() == ("live", "")
            world.run(f"sed -i s/testing/none/ {folder}/mta-sts.txt")
            assert state()[0] == "wrong"


def test_a_resolver_that_is_down_is_not_taken_for_missing_records(
    lab: LabState, gateway: GatewayHost
) -> None:
    with gateway.altered("systemctl stop unbound", "systemctl start unbound"):
        assert published(lab, "--check").returncode == COULD_NOT_RUN
