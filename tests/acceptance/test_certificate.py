"""The gateway's certificate: a new one is taken without dropping mail, a bad one is refused, ACME brings one."""

import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from audit.samples import build
from lab import ca
from lab.plan import LabState
from roles.mta.tls.policy import PAIR, SCRIPT
from roles.operations import NOTES
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.lacking import wants
from tests.acceptance.outside import Outside
from tests.acceptance.secured import NAME, Secured
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_mail import letter, mark

pytestmark = pytest.mark.usefixtures("accepted")

WAIT_SECONDS = 60.0
UNIT = "bastide-certificate"
Pair = tuple[bytes, bytes]


def renewed(gateway: GatewayHost, chain: bytes, key: bytes) -> str:
    """Put a pair where the gateway's administrator puts his, have it looked at, and return what the journal says."""
    for path, content in ((ca.CHAIN, chain), (ca.KEY, key)):
        gateway.run(f"cat >{path} <<'END'\n{content.decode()}END")
    gateway.run(f"systemctl start {UNIT}", check=False)
    return gateway.run(f"journalctl -q -o cat -n 5 -u {UNIT}")


def shown(wan: Outside, lab: LabState) -> bytes:
    """Return the certificate that the gateway shows at present."""
    with Secured(wan, lab) as client:
        return client.certificate


@pytest.fixture
def _renewable(gateway: GatewayHost, lab: LabState) -> Iterator[None]:
    """Leave the gateway with a good pair, whatever a test gave it."""
    yield
    renewed(gateway, *ca.issued(lab, [NAME]))
    assert gateway.run(f"{SCRIPT} state").strip() == "good"


@pytest.mark.usefixtures("_renewable")
def test_a_new_certificate_is_taken_without_dropping_mail(
    wan: Outside, lab: LabState, gateway: GatewayHost
) -> None:
    unique = mark()
    chain, key = ca.issued(lab, [NAME])
    first, separator, second = build("clean", letter(unique)).partition(b"\r\n\r\n")
    with Secured(wan, lab) as client:
        # A message that is under way while the certificate is changed, half of it before, half of it after.
        client.begun(first + separator)
        assert "certificate in use from now on" in renewed(gateway, chain, key)
        after = shown(wan, lab)
        assert after == ssl.PEM_cert_to_DER_cert(chain.decode()) != client.certificate
        assert client.ended(second).startswith("250 ")
    assert len(gateway.awaited(unique)) == 1
    assert gateway.run(f"stat -c '%a %U' {PAIR}").strip() == f"600 {gateway.mta.agent.tls_user}"


def _other_key(lab: LabState) -> Pair:
    return ca.issued(lab, [NAME])[0], ca.issued(lab, [NAME])[1]


def _no_certificate(lab: LabState) -> Pair:
    return b"nothing\n", ca.issued(lab, [NAME])[1]


def _cut_key(lab: LabState) -> Pair:
    chain, key = ca.issued(lab, [NAME])
    return chain, key[:60] + b"\n"


def _disordered(lab: LabState) -> Pair:
    chain, key = ca.issued(lab, [NAME])
    return chain + ca.issued(lab, ["elsewhere.bastide.example"])[0], key


def _own(*options: str) -> Pair:
    """Return a pair that openssl makes and signs by itself."""
    subject = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "60")
    command = ["openssl", "req", "-x509", "-keyout", "-", *subject, *options]
    key, begin, chain = subprocess.run(command, capture_output=True, check=True).stdout.partition(
        b"-----BEGIN CERTIFICATE-----"
    )
    return begin + chain, key


# How a pair is bad, and what is said of it.
BAD: Final[dict[str, tuple[Callable[[LabState], Pair], str]]] = {
    "other-key": (_other_key, "is not that of the certificate"),
    "other-name": (lambda lab: ca.issued(lab, ["mx2.bastide.example"]), f"does not name {NAME}"),
    "ended": (lambda lab: ca.issued(lab, [NAME], ended=True), "ends within"),
    "no-certificate": (_no_certificate, "holds no PEM certificate"),
    "cut-key": (_cut_key, "no PEM key"),
    "key-with-password": (lambda _: _own("-newkey", "rsa:2048", "-passout", "pass:x"), "without a password"),
    "short-key": (lambda _: _own("-newkey", "rsa:1024", "-nodes"), "key too weak"),
    "disordered": (_disordered, "was not signed by those behind it"),
}


@pytest.mark.usefixtures("_renewable")
def test_a_bad_pair_is_refused_and_the_old_one_stays(
    wan: Outside, lab: LabState, gateway: GatewayHost
) -> None:
    before = shown(wan, lab)
    said = {name: renewed(gateway, *made(lab)) for name, (made, _) in BAD.items()}
    assert {name: text for name, text in said.items() if BAD[name][1] not in text} == {}
    assert all("the one in use stays" in text for text in said.values())
    gateway.run(gateway.mta.awake)
    assert shown(wan, lab) == before
    # Whoever looks at the gateway's units sees it, too.
    assert gateway.run(f"systemctl is-failed {UNIT}", check=False).strip() == "failed"
    # So does who reads the daily report.
    assert gateway.run(f"cat {NOTES}/certificate").startswith("certificate refused, the one in use stays: ")
    # Nor does a deploy pass over it.
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 1
    assert "certificate refused" in done.stdout + done.stderr


@pytest.mark.usefixtures("_renewable")
def test_a_certificate_that_nobody_renews_is_told_before_it_ends(gateway: GatewayHost, lab: LabState) -> None:
    note = f"{NOTES}/certificate"
    assert "in use from now on" in renewed(gateway, *_own("-newkey", "rsa:2048", "-nodes", "-days", "10"))
    assert gateway.run(f"cat {note}").startswith("the one in use ends on ")
    assert "the one in use ends on " in gateway.run(
        "journalctl -q -o cat -p alert -t bastide-certificate -n 1"
    )
    shown_there = gateway.run("filterd report --day $(date +%F) --anew")
    assert "the one in use ends on " in shown_there
    renewed(gateway, *ca.issued(lab, [NAME]))
    assert gateway.run(f"ls {note} 2>/dev/null", check=False) == ""


ACME = (
    'data["tls"].update(certificate="acme", acme={"directory": "https://authority.bastide.example/dir", '
    f'"authorities": "{ca.AUTHORITIES}"}})'
)


@wants("tls.certificate")
def test_a_certificate_by_acme_is_asked_for_taken_and_renewed(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    issuer = f"openssl x509 -in {PAIR} -noout -issuer"
    try:
        done = deploy("apply", varied(tmp_path, ACME), lab=lab.name)
        assert done.returncode == 0, done.stderr[-2000:]
        _awaited(gateway, lambda: "Pebble" in gateway.run(issuer))
        # As if 30 days were left: a new certificate is in use without a deploy, with the key that TLSA records name.
        key, before = _parts(gateway)
        gateway.run("sed -i 's/--days 30/--days 4000/' /etc/systemd/system/bastide-acme.service")
        gateway.run("systemctl daemon-reload; systemctl start bastide-acme")
        _awaited(gateway, lambda: _parts(gateway)[1] != before)
        assert _parts(gateway)[0] == key
        assert gateway.run("stat -Lc %a /var/lib/private /var/lib/bastide-acme").split() == ["700", "700"]
        # One is the unit that was altered above, the other what runs by it.
        assert deploy("apply", varied(tmp_path, ACME), lab=lab.name).returncode == 0
        unchanged(deploy("apply", varied(tmp_path, ACME), lab=lab.name))
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    assert "Pebble" not in gateway.run(issuer)


def _parts(gateway: GatewayHost) -> tuple[str, str]:
    """Return the key and the chain in use."""
    key, _, chain = gateway.run(f"cat {PAIR}").partition("-----BEGIN CERTIFICATE-----")
    return key, chain


def _awaited(gateway: GatewayHost, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, gateway.run("journalctl -q -o cat -n 20 -u bastide-acme")
        time.sleep(1)
