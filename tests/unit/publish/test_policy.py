"""Whether an MTA-STS policy is there: by real HTTPS where the transport matters, by what came where the text does."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from lab import ca
from lab.plan import LabState, plan_lab
from publish import live
from publish.live import AskError, Finding, Found, policy_findings

DOMAIN: Final = "example.org"
NAME: Final = f"mta-sts.{DOMAIN}"
POLICY: Final = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmax_age: 604800\r\n"


def here(_name: str, kind: str) -> Found:
    return Found(("127.0.0.1",) if kind == "A" else ())


def judged(status: int, kind: str, text: str) -> Finding:
    (finding,) = policy_findings({DOMAIN: POLICY}, here, lambda *_: (status, kind, text.encode()))
    return finding


@pytest.mark.parametrize(
    ("status", "kind", "text", "state"),
    [
        (200, "text/plain", POLICY, "live"),
        # RFC 8461 3.2: LF alone is taken too, and the order of the keys is free.
        (200, "text/plain", "\n".join(reversed(POLICY.split("\r\n"))), "live"),
        (200, "text/plain", POLICY.replace("enforce", "testing"), "wrong"),
        (200, "text/plain", POLICY.replace("mx1", "old"), "wrong"),
        (200, "text/html", POLICY, "wrong"),
        (301, "text/plain", POLICY, "wrong"),
        (404, "text/plain", "", "wrong"),
    ],
)
def test_a_policy_is_what_was_to_be_served(status: int, kind: str, text: str, state: str) -> None:
    assert judged(status, kind, text).state == state


def test_a_name_without_an_address_serves_nothing() -> None:
    (finding,) = policy_findings({DOMAIN: POLICY}, lambda *_: Found(), _never)
    assert (finding.owner, finding.state, finding.seen) == (
        f"{NAME}.",
        "missing",
        "the name has no address",
    )


def test_a_resolver_without_an_answer_says_nothing_of_a_policy() -> None:
    def silent(_name: str, _kind: str) -> Found:
        raise AskError("no answer came")

    (finding,) = policy_findings({DOMAIN: POLICY}, silent, _never)
    assert finding.state == "not asked"


def _never(*_: str) -> tuple[int, str, bytes]:
    raise AssertionError("nothing was to be fetched")


@pytest.fixture
def authority(tmp_path: Path) -> LabState:
    made = plan_lab(name="u1", index=0, gateways=1, directory=tmp_path)
    ca.make(made)
    return made


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        there = self.path == "/.well-known/mta-sts.txt" and self.headers["Host"] == NAME
        self.send_response(200 if there else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(POLICY.encode() if there else b"")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(lab: LabState, name: str) -> Iterator[int]:
    """Serve by HTTPS with a certificate for a name; gives the port."""
    pair = lab.directory / f"{name}.pem"
    pair.write_bytes(b"".join(ca.issued(lab, [name])))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("named", "signer", "state"),
    [(NAME, "known", "live"), ("other.example.org", "known", "missing"), (NAME, "unknown", "missing")],
)
def test_the_web_server_must_prove_its_name(
    monkeypatch: pytest.MonkeyPatch,
    authority: LabState,
    named: str,
    signer: str,
    state: str,
) -> None:
    if signer == "known":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "authority" / "authority.pem"))
    with served(authority, named) as port:
        monkeypatch.setattr(live, "HTTPS", port)
        (finding,) = policy_findings({DOMAIN: POLICY}, here)
    assert finding.state == state, finding.seen
    assert ("certificate" in finding.seen) == (state == "missing")
