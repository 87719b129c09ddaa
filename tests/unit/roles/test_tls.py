"""TLS as settings: what is refused, what Postfix is told of each next hop, and the program that keeps the certificate."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import ca
from lab.plan import LabState, plan_lab
from roles.errors import SettingError
from roles.mta.sendmail import _configuration
from roles.mta.tls import deploy
from roles.mta.tls.policy import CIPHERS, DIRECTORY, SCRIPT, next_hop_policies, recipient_requirements
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

PRINT = ":".join(["AB"] * 32)


def with_tls(**tls: Any) -> Gateway:
    return gateway(tls=tls)


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"certificate": "files"}, "needs `certificate_file` and `key_file`"),
        ({"certificate": "snakeoil"}, "certificate"),
        ({"key_file": "key.pem"}, "not an absolute path"),
        ({"key_file": "/etc/ssl/a b.pem"}, "not an absolute path"),
        ({"authorities": "/etc/ssl/$(id).pem"}, "not an absolute path"),
        ({"report_address": "nobody"}, "not a mail address"),
        ({"certificate": "acme", "acme": {"directory": "http://ca.example.org/"}}, "not an https URL"),
        ({"certificate": "acme", "acme": {"email": "me"}}, "not a mail address"),
        ({"certificate": "acme", "acme": {"challenge": "dns-01"}}, "`dns-01` needs the provider's code"),
        ({"acme": {"challenge": "tls-alpn-01"}}, "challenge"),
        ({"mandatory": {"example.com": {"level": "may"}}}, "level"),
        ({"mandatory": {"Example.com": {"level": "encrypt"}}}, "not a domain name in lower case"),
        ({"mandatory": {"example.com": {"level": "fingerprint"}}}, "go together"),
        (
            {"mandatory": {"example.com": {"level": "encrypt", "fingerprints": [PRINT]}}},
            "`fingerprints` and the level",
        ),
        (
            {"mandatory": {"example.com": {"level": "fingerprint", "fingerprints": ["AB:CD"]}}},
            "not a SHA-256 fingerprint",
        ),
        (
            {"mandatory": {"example.com": {"level": "encrypt", "names": ["x.example.com"]}}},
            "is for the levels",
        ),
        ({"mandatory": {"example.com": {"level": "secure", "names": ["a b"]}}}, "not a host name"),
        # [192.0.2.25]:25 has no name that its certificate could bear, nor TLSA records.
        ({"mandatory": {"example.org": {"level": "secure"}}}, "say by `names`"),
        ({"mandatory": {"example.org": {"level": "dane-only"}}}, "needs a next hop with a name"),
    ],
)
def test_what_cannot_be_meant_is_refused(tls: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said.replace("(", r"\(")):
        with_tls(**tls)


def test_two_domains_of_one_next_hop_cannot_want_different_tls() -> None:
    hops = {"a.example": "[mail.example.org]", "b.example": "[mail.example.org]"}
    with pytest.raises(SettingError, match="share the next hop"):
        gateway(relay_domains=hops, tls={"mandatory": {"b.example": {"level": "encrypt"}}})
    both = {"mandatory": {domain: {"level": "encrypt"} for domain in hops}}
    assert next_hop_policies(gateway(relay_domains=hops, tls=both)) == {"[mail.example.org]": "encrypt"}


# One of several, or written in another way: the same server, for which Postfix would find one policy of the two.
@pytest.mark.parametrize(
    "hop",
    [
        "[mail.example.org]:25, [second.example.org]:25",
        "[second.example.org]:25, [mail.example.org]:25",
        "[mail.example.org]",
        "[MAIL.example.org]:25",
    ],
)
@pytest.mark.parametrize("strict", ["a.example", "b.example"])
def test_domains_that_share_one_of_their_next_hops_cannot_want_different_tls(hop: str, strict: str) -> None:
    hops = {"a.example": hop, "b.example": "[mail.example.org]:25"}
    with pytest.raises(SettingError, match="share the next hop"):
        gateway(relay_domains=hops, tls={"mandatory": {strict: {"level": "encrypt"}}})


def test_a_next_hop_that_tls_is_asked_of_is_written_in_one_way() -> None:
    hops = {"a.example": "[mail.example.org]", "b.example": "[mail.example.org]:25"}
    with pytest.raises(SettingError, match="write it in one way"):
        gateway(relay_domains=hops, tls={"mandatory": {domain: {"level": "encrypt"} for domain in hops}})


def test_each_next_hop_needs_a_name_that_its_certificate_could_bear() -> None:
    hops = {"a.example": "[mail.example.org]:25, [192.0.2.5]:25"}
    for level in ("secure", "dane-only"):
        with pytest.raises(SettingError, match=r"192\.0\.2\.5"):
            gateway(relay_domains=hops, tls={"mandatory": {"a.example": {"level": level}}})


def test_sendmail_compares_the_certificates_of_several_next_hops_with_no_ones_name() -> None:
    hops = {"a.example": "[mail.example.org]:25, [second.example.org]:25"}
    with pytest.raises(SettingError, match="which one name"):
        gateway(mta="sendmail", relay_domains=hops, tls={"mandatory": {"a.example": {"level": "secure"}}})


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_tls_to_a_domain_is_not_promised_where_a_smarthost_takes_its_mail(mta: str) -> None:
    strict = {"partner.example": {"level": "encrypt"}, "example.org": {"level": "encrypt"}}
    with pytest.raises(SettingError, match=r"partner\.example: its mail goes to `outbound.smarthost`"):
        gateway(mta=mta, outbound={"smarthost": "[relay.example.net]:587"}, tls={"mandatory": strict})
    del strict["partner.example"]
    gateway(mta=mta, outbound={"smarthost": "[relay.example.net]:587"}, tls={"mandatory": strict})


def test_every_next_hop_has_a_policy_and_other_domains_theirs() -> None:
    found = next_hop_policies(
        with_tls(
            mandatory={
                "example.org": {"level": "verify", "names": ["mail.example.org", ".example.net"]},
                "partner.example": {"level": "dane-only"},
                "pinned.example": {"level": "fingerprint", "fingerprints": [PRINT, PRINT.lower()]},
            }
        )
    )
    assert found == {
        "[192.0.2.25]:25": "verify match=mail.example.org:.example.net",
        "mail.internal.example.net:2525": "dane",
        "partner.example": "dane-only",
        "pinned.example": f"fingerprint match={PRINT}|{PRINT.lower()}",
    }


def test_port_80_is_declared_only_for_proofs_by_http() -> None:
    assert with_tls().declared_ports("203.0.113.1") == {25}
    assert with_tls(certificate="acme").declared_ports("203.0.113.1") == {25, 80}
    by_dns = {"challenge": "dns-01", "dns_provider": "rfc2136"}
    assert with_tls(certificate="acme", acme=by_dns).declared_ports("203.0.113.1") == {25}


def test_every_suite_has_forward_secrecy_and_none_is_weak() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(CIPHERS)
    suites = [each for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert len(suites) > 10
    assert not [each for each in suites if "DSS" in each["name"] or "CCM" in each["name"]]
    assert all(each["name"].startswith(("ECDHE-", "DHE-")) for each in suites)
    assert all(int(each["strength_bits"]) >= 128 for each in suites)
    kinds = [bool(each["aead"]) for each in suites]
    assert kinds == sorted(kinds, reverse=True)


class Keeper:
    """The program, with its directory in a temporary place and without systemd."""

    def __init__(self, folder: Path, chosen: Gateway) -> None:
        self.directory = folder / "tls"
        self.pair = self.directory / "mta.pem"
        (script,) = (file for file in deploy._certificate_files(chosen) if file.path == SCRIPT)
        self.script = folder / "keeper"
        text = script.content.replace(DIRECTORY, str(self.directory))
        self.script.write_text(text.replace("systemctl --quiet is-active", "false"))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", self.script, *words], capture_output=True, text=True, check=False)


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    made = plan_lab(name="u1", index=0, gateways=1, directory=tmp_path / "lab")
    ca.make(made)
    return made


def issued(lab: LabState, folder: Path, name: str = "mx1.example.org") -> tuple[str, str]:
    paths = (folder / "chain.pem", folder / "key.pem")
    for path, content in zip(paths, ca.issued(lab, [name]), strict=True):
        path.write_bytes(content)
    return str(paths[0]), str(paths[1])


def test_a_gateway_signs_its_own_certificate_once_and_keeps_its_key(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, gateway())
    assert keeper.run("state").stdout == ""
    assert keeper.run("ensure").returncode == 0
    assert keeper.run("state").stdout == "good\n"
    assert keeper.pair.stat().st_mode & 0o777 == 0o600
    first = keeper.pair.read_text()
    assert keeper.run("ensure").stdout == ""
    assert keeper.pair.read_text() == first
    # Another name is another certificate of the same key, which TLSA records may name.
    other = Keeper(tmp_path, gateway(hostname=f"{'m' * 60}.example.org"))
    assert other.run("state").stdout == ""
    assert other.run("ensure").returncode == 0
    assert other.run("state").stdout == "good\n"
    assert other.pair.read_text().partition("-----BEGIN CERT")[0] == first.partition("-----BEGIN CERT")[0]


def test_a_pair_by_file_is_followed_and_a_bad_one_is_not(tmp_path: Path, lab: LabState) -> None:
    chain, key = issued(lab, tmp_path)
    keeper = Keeper(tmp_path, with_tls(certificate="files", certificate_file=chain, key_file=key))
    assert keeper.run("ensure").returncode == 0
    assert keeper.run("state").stdout == "good\n"
    good = keeper.pair.read_text()
    issued(lab, tmp_path, "mx2.example.org")
    assert keeper.run("state").stdout == ""
    refused = keeper.run("ensure")
    assert (refused.returncode, keeper.pair.read_text()) == (1, good)
    assert "does not name mx1.example.org" in refused.stderr
    assert list(keeper.directory.iterdir()) == [keeper.pair]


def short_lived(folder: Path, days: int, name: str = "mx1.example.org") -> tuple[str, str]:
    """Return the paths of a pair that an authority signed and that ends after some days."""
    chain, key, root = (str(folder / file) for file in ("chain.pem", "key.pem", "root.key"))
    new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = (*new, "-x509", "-keyout", root, "-out", f"{root}.pem", "-subj", "/CN=authority")
    request = (*new, "-keyout", key, "-out", f"{key}.csr", "-subj", f"/CN={name}")
    named = ("-addext", f"subjectAltName=DNS:{name}")
    sign = ("openssl", "x509", "-req", "-in", f"{key}.csr", "-copy_extensions", "copy", "-out", chain)
    signed = (*sign, "-CA", f"{root}.pem", "-CAkey", root, "-days", str(days))
    for command in (authority, (*request, *named), signed):
        subprocess.run(command, check=True, capture_output=True)
    return chain, key


def test_a_pair_in_its_last_days_is_in_use_until_it_ends(tmp_path: Path) -> None:
    chain, key = short_lived(tmp_path, 5)
    keeper = Keeper(tmp_path, with_tls(certificate="files", certificate_file=chain, key_file=key))
    # At no moment one's own stands in its place: it would be served, and be no certificate to who heeds MTA-STS.
    assert keeper.run("ensure").stdout.count("in use from now on") == 1
    assert keeper.run("state").stdout == "good\n"
    good = keeper.pair.read_text()
    assert (keeper.run("ensure").stdout, keeper.pair.read_text()) == ("", good)
    # Nor when what is to follow it is bad.
    Path(chain).write_text("nothing\n")
    assert (keeper.run("ensure").returncode, keeper.pair.read_text()) == (1, good)


def test_a_pair_of_the_other_mtas_user_is_given_to_this_ones(tmp_path: Path) -> None:
    chain, key = short_lived(tmp_path, 60)
    keeper = Keeper(tmp_path, with_tls(certificate="files", certificate_file=chain, key_file=key))
    assert keeper.run("ensure").returncode == 0
    shutil.chown(keeper.pair, "nobody")
    assert keeper.run("state").stdout == ""
    assert keeper.run("ensure").stdout.count("in use from now on") == 1
    assert keeper.run("state").stdout == "good\n"
    assert keeper.pair.owner() == "root"


def test_an_authoritys_certificate_is_in_use_until_it_ends(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, with_tls(certificate="acme"))
    assert keeper.run("take", *short_lived(tmp_path, 5)).returncode == 0
    good = keeper.pair.read_text()
    assert keeper.run("state").stdout == "good\n"
    assert (keeper.run("ensure").stdout, keeper.pair.read_text()) == ("", good)


def test_what_never_was_good_leaves_a_certificate_of_ones_own(tmp_path: Path, lab: LabState) -> None:
    chain, key = issued(lab, tmp_path, "mx2.example.org")
    keeper = Keeper(tmp_path, with_tls(certificate="files", certificate_file=chain, key_file=key))
    assert keeper.run("ensure").returncode == 1
    assert "BEGIN CERTIFICATE" in keeper.pair.read_text()
    assert keeper.run("state").stdout == ""


def test_without_an_answer_of_the_authority_there_is_a_certificate_of_ones_own(
    tmp_path: Path, lab: LabState
) -> None:
    keeper = Keeper(tmp_path, with_tls(certificate="acme"))
    assert keeper.run("ensure").returncode == 0
    assert keeper.run("state").stdout == "good\n"
    assert keeper.run("take", *issued(lab, tmp_path)).returncode == 0
    assert keeper.run("state").stdout == "good\n"


def test_the_way_of_proof_is_told_to_the_acme_client() -> None:
    by_dns = {"challenge": "dns-01", "dns_provider": "rfc2136", "dns_environment": "/etc/bastide/dns.env"}
    for acme, wanted in (({}, "--http --http.port :80"), (by_dns, "--dns rfc2136 --dns.disable-cp")):
        files = deploy._certificate_files(with_tls(certificate="acme", acme=acme))
        (unit,) = (file.content for file in files if file.path.endswith("bastide-acme.service"))
        assert wanted in unit
        assert ("CAP_NET_BIND_SERVICE" in unit) is not bool(acme)
        assert ("EnvironmentFile=/etc/bastide/dns.env" in unit) is bool(acme)


def test_b8_under_sendmail_a_domain_is_bound_alone_as_under_postfix() -> None:
    chosen = gateway(mta="sendmail", tls={"mandatory": {"partner.example": {"level": "encrypt"}}})
    # Sendmail's own tag would bind what is below the domain, too: its look-up goes on with what stands behind the first dot.
    assert recipient_requirements(chosen) == {"Mandatory:partner.example": "TEMP+ENCR:128"}
    texts = _configuration(chosen)
    for name in ("gateway.mc", "injection.mc"):
        assert "define(`_LOCAL_TLS_RCPT_')dnl" in texts[name]
        ruleset = texts[name].partition("SLocal_tls_rcpt")[2]
        assert "$(access Mandatory:$2 $: NO $)" in ruleset.partition("\nS")[0]
    assert "TLS_Rcpt" not in texts["access"]
    postfix = next_hop_policies(gateway(tls={"mandatory": {"partner.example": {"level": "encrypt"}}}))
    assert postfix["partner.example"] == "encrypt"
    assert not any(name.startswith(".") for name in postfix)
