"""`python -m publish` against the lab's name server: what lacks is named, what it prints is what it then finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from lab import dns
from lab.plan import DOMAIN, LabState, Record
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.test_dnsbl import answering

LIVE, FINDINGS, COULD_NOT_RUN = 0, 2, 3


def published(lab: LabState, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside the gateway's own resolver, which validates."""
    command = [
        "ip",
        "netns",
        "exec",
        lab.hosts["gw1"].netns,
        sys.executable,
        "-m",
        "publish",
        "inventory/lab.py",
    ]
    return subprocess.run(
        [*command, "--resolver", "127.0.0.1", *words],
        cwd=ROOT,
        env={**os.environ, "BASTIDE_LAB": lab.name},
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
        if each["state"] == "missing"
    ]
    assert f"_25._tcp.mx1.{DOMAIN}." in {owner for owner, _, _ in lacking}
    made = [
        Record(owner=owner, type=kind, value=f'"{value}"' if kind == "TXT" else value)
        for owner, kind, value in lacking
    ]
    with answering(lab, DOMAIN, *known, *made):
        complete = published(lab, "--check", *key)
        assert complete.returncode == LIVE, complete.stdout
        assert "missing" not in complete.stdout

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


def test_a_resolver_that_is_down_is_not_taken_for_missing_records(
    lab: LabState, gateway: GatewayHost
) -> None:
    with gateway.altered("systemctl stop unbound", "systemctl start unbound"):
        assert published(lab, "--check").returncode == COULD_NOT_RUN
