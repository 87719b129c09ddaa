"""TLS on a live gateway, in both directions; what an outsider sees of it, mta.tls-* of the registry looks at."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.samples import build
from lab import ca
from lab.plan import LabState
from roles.registry import DEFENCES
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.hops import hasty, hop
from tests.acceptance.lacking import lacks, wants
from tests.acceptance.outside import HELO, Outside, Step, line
from tests.acceptance.secured import Secured
from tests.acceptance.test_mail import letter, mark

WAIT_SECONDS = 60.0
# What the MTAs say when a server offers no TLS, shows the certificate of another, or is not the one that was promised.
WORDS = {
    "postfix": {
        "none": "TLS is required, but was not offered",
        "wrong": "Server certificate not verified",
        "stray": "not verified",
    },
    "sendmail": {
        "none": "encryption too weak|does not support STARTTLS",
        "wrong": "does not match|not listed in SANs",
        "stray": "not found in",
    },
}[SETTINGS.mta]
pytestmark = pytest.mark.usefixtures("without_leftovers")


@pytest.fixture
def without_leftovers(gateway: GatewayHost) -> Iterator[None]:
    """Leave no message in the queue that a test wanted to see wait there."""
    yield
    gateway.run(gateway.mta.dropped)


class Spool:
    """What the next hop on wan received."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def records(self, mark: str) -> list[dict[str, object]]:
        return [
            json.loads(path.read_bytes())
            for path in self.path.glob("*.json")
            if mark.encode() in path.with_suffix(".eml").read_bytes()
        ]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def wrong(lab: LabState, tmp_path: Path) -> Path:
    """Return the pair of a server that is not the one that was asked for."""
    return paired(tmp_path / "wrong.pem", *ca.issued(lab, ["mx.elsewhere.example"]))


def paired(path: Path, chain: bytes, key: bytes) -> Path:
    path.write_bytes(chain + key)
    return path


def sent(gateway: GatewayHost, recipient: str) -> str:
    """Hand in a message on the gateway itself, and return its mark."""
    unique = mark()
    text = f"From: alice@sender.example\\nSubject: {unique}\\n\\n{unique}\\n"
    gateway.run(f"printf '{text}' | sendmail -f alice@sender.example {recipient}")
    return unique


def waiting(gateway: GatewayHost, recipient: str) -> str:
    """Wait until the gateway has tried to send to a recipient, and return why the message waits."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for text in gateway.run(gateway.mta.reasons, check=False).split("\n\n"):
            if recipient in text and any(sign in text for sign in ("(", "Deferred")):
                return text
        time.sleep(0.2)
    raise AssertionError(f"no message to {recipient} waits: {gateway.run(gateway.mta.reasons)}")


def arrived(spool: Spool, unique: str) -> dict[str, object]:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := spool.records(unique)):
        assert time.monotonic() < deadline, "the message did not arrive"
        time.sleep(0.2)
    assert len(found) == 1
    return found[0]


def recipient(domain: str) -> str:
    """Return an address that no other test sends to."""
    return f"u{uuid.uuid4().hex[:8]}@{domain}"


def reachable(gateway: GatewayHost) -> None:
    """Have the MTA forget that the next hop did not answer a while ago."""
    gateway.run(gateway.mta.awake)


def test_mail_within_tls_arrives_and_its_trace_names_no_software(
    wan: Outside, lab: LabState, gateway: GatewayHost
) -> None:
    unique = mark()
    content = build("clean", letter(unique))
    with Secured(wan, lab) as client:
        assert client.version == "TLSv1.3"
        client.begun(content)
        assert client.ended(b"").startswith("250 ")
    (record,) = gateway.awaited(unique)
    trace = record.content.removesuffix(content).decode()
    assert "TLSv1.3" in trace
    for word in ("Postfix", "Sendmail", "Debian", "8.1"):
        assert word.lower() not in trace.lower()


@pytest.mark.parametrize("packets", [1, 2], ids=["one-packet", "two-packets"])
def test_mail_injected_before_tls_is_not_taken(packets: int, wan: Outside, gateway: GatewayHost) -> None:
    # CVE-2011-0411; the gateway may answer in clear that this is not how it is done, but must not obey.
    unique = mark()
    envelope = f"MAIL FROM:<{unique}@sender.example>\r\nRCPT TO:<bob@bastide.example>\r\nDATA\r\n"
    text = f"STARTTLS\r\nEHLO {HELO}\r\n{envelope}Subject: {unique}\r\n\r\n{unique}\r\n.\r\nQUIT\r\n"
    half = len(text) if packets == 1 else len("STARTTLS\r\n")
    steps = [line(f"EHLO {HELO}"), Step(send=text[:half])]
    if packets == 2:
        steps.append(Step(send=text[half:]))
    wan.dialogue(*steps)
    probe = mark()
    assert wan.sent(build("clean", letter(probe))).startswith("250 ")
    gateway.awaited(probe)
    assert not gateway.received(unique)


def test_next_hop_is_spoken_to_in_tls_where_it_offers_it(
    wan: Outside, lab: LabState, gateway: GatewayHost
) -> None:
    unique = mark()
    assert wan.sent(build("clean", letter(unique))).startswith("250 ")
    gateway.awaited(unique)
    assert [tls_of(lab, unique)] == ["TLSv1.3"]


def tls_of(lab: LabState, unique: str) -> str | None:
    """Return how the message with that mark came to the mail server of the lab."""
    (path,) = [
        path for path in lab.sink.glob("*.json") if unique.encode() in path.with_suffix(".eml").read_bytes()
    ]
    version: str | None = json.loads(path.read_bytes())["tls"]
    return version


def test_mandatory_tls_is_used_where_it_can_be(wan: Outside, lab: LabState, gateway: GatewayHost) -> None:
    unique = mark()
    address = recipient("sealed.bastide.example")
    assert wan.sent(build("clean", letter(unique, address)), address).startswith("250 ")
    gateway.awaited(unique)
    assert tls_of(lab, unique) == "TLSv1.3"


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("plain.bastide.example", "none"),
        ("wrong.bastide.example", "wrong"),
    ],
)
def test_mail_waits_where_mandatory_tls_cannot_be(
    domain: str, why: str, wan: Outside, gateway: GatewayHost
) -> None:
    address = recipient(domain)
    # The question whether the mailbox exists goes the same way as mail: nothing of either is told in clear.
    steps = (line(f"EHLO {HELO}"), line("MAIL FROM:<alice@sender.example>"), line(f"RCPT TO:<{address}>"))
    assert wan.dialogue(*steps)[-1].startswith("450 " if SETTINGS.mta == "postfix" else "250 ")
    unique = sent(gateway, address)
    assert re.search(WORDS[why], waiting(gateway, address))
    assert not gateway.received(unique)


def test_mail_to_a_stranger_goes_in_tls_if_offered_and_else_in_clear(
    lab: LabState, gateway: GatewayHost, spool: Spool, wrong: Path
) -> None:
    # RFC 7435: whose certificate it is does not matter where nothing says whose it should be.
    for pair, version in ((wrong, "TLSv1.3"), (None, None)):
        reachable(gateway)
        with hop(lab, spool.path, pair):
            unique = sent(gateway, recipient("open.example"))
            assert arrived(spool, unique)["tls"] == version


def test_replies_injected_before_tls_are_not_believed(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    # The response half of NO STARTTLS (USENIX Security 2021); a client of the same kind that falls for it: below.
    log = tmp_path / "log"
    reachable(gateway)
    with hasty(lab, log, ca.partners_pair(lab)):
        address = recipient("open.example")
        sent(gateway, address)
        waiting(gateway, address)
    sessions = [json.loads(text) for text in log.read_text().splitlines()]
    assert sessions
    assert not [each for each in sessions if each["obeyed"]], sessions


@wants("tls.mta_sts")
def test_policy_by_mta_sts_is_held_to(lab: LabState, gateway: GatewayHost, spool: Spool, wrong: Path) -> None:
    # RFC 8461 4: with no TLS, and with the certificate of another, mail waits; with the right one it goes.
    for pair, why in (
        (None, "none"),
        (wrong, "wrong"),
    ):
        reachable(gateway)
        with hop(lab, spool.path, pair):
            address = recipient("sts.example")
            unique = sent(gateway, address)
            assert re.search(WORDS[why], waiting(gateway, address))
            assert not spool.records(unique)
    reachable(gateway)
    with hop(lab, spool.path, ca.partners_pair(lab)):
        unique = sent(gateway, recipient("sts.example"))
        assert arrived(spool, unique)["tls"] == "TLSv1.3"


@wants("tls.mta_sts")
def test_mail_server_that_its_mta_sts_policy_does_not_name_gets_nothing(
    lab: LabState, gateway: GatewayHost, spool: Spool
) -> None:
    reachable(gateway)
    with hop(lab, spool.path, ca.partners_pair(lab)):
        address = recipient("stray.example")
        unique = sent(gateway, address)
        assert re.search(WORDS["stray"], waiting(gateway, address))
        assert not spool.records(unique)


@wants("tls.mta_sts")
def test_policy_outlives_its_daemon_and_its_web_server(
    lab: LabState, gateway: GatewayHost, spool: Spool
) -> None:
    # The cache is on disk: who blocks HTTPS after a restart of the gateway gains nothing (RFC 8461 5.1).
    reachable(gateway)
    with hop(lab, spool.path, None):
        first = recipient("sts.example")
        sent(gateway, first)
        waiting(gateway, first)
        block = "-p tcp --dport 443 -j REJECT"
        with gateway.altered(f"iptables -I OUTPUT {block}", f"iptables -D OUTPUT {block}"):
            gateway.run("systemctl restart postfix-mta-sts-resolver; " + gateway.mta.awake)
            address = recipient("sts.example")
            unique = sent(gateway, address)
            assert re.search(WORDS["none"], waiting(gateway, address))
            assert not spool.records(unique)


# Whether the first resolver answers that it has proved what it says (RFC 4035 3.2.3: AD), asked by bytes of our own.
PROVED = """
import re, socket, struct
server = re.search(r"(?m)^nameserver (\\S+)", open("/etc/resolv.conf").read())[1]
question = b"".join(bytes([len(part)]) + part for part in b"dane.example".split(b".")) + struct.pack("!BHH", 0, 15, 1)
query = struct.pack("!HHHHHH", 7, 0x0120, 1, 0, 0, 0) + question
asking = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(10)
asking.sendto(query, (server, 53))
print(bool(struct.unpack("!H", asking.recv(4096)[2:4])[0] & 0x20))
"""


def test_mail_goes_to_the_server_that_dnssec_names_and_to_no_other(
    lab: LabState, gateway: GatewayHost, spool: Spool, wrong: Path
) -> None:
    # RFC 7672: by the key, whoever signed the certificate; no TLS is no way either.
    if SETTINGS.mta in dict(next(each for each in DEFENCES if each.id == "mta.dane").lacks):
        pytest.skip("this MTA has no DANE (mta.dane says what stands in its place)")
    if gateway.run(f"python3 - <<'END'\n{PROVED}END").strip() != "True":
        lacks("the gateway's resolver proves nothing by DNSSEC")
    for domain, pair, why in (
        ("dane.example", wrong, "not trusted|not verified|Untrusted"),
        ("dane.example", None, "TLS is required"),
        ("forged.example", ca.partners_pair(lab), "not trusted|not verified|Untrusted"),
    ):
        reachable(gateway)
        with hop(lab, spool.path, pair):
            address = recipient(domain)
            unique = sent(gateway, address)
            assert re.search(why, waiting(gateway, address)), why
            assert not spool.records(unique)
    reachable(gateway)
    with hop(lab, spool.path, ca.partners_pair(lab)):
        unique = sent(gateway, recipient("dane.example"))
        assert arrived(spool, unique)["tls"] == "TLSv1.3"
