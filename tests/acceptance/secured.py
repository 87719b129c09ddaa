"""A client of wan that speaks SMTP within TLS, trusts the lab's authority alone, and takes its time over a message.

``python -m tests.acceptance.secured`` is that client; it is a program of its own so that it runs in wan's namespace.
"""

import json
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.plan import DOMAIN, LabState
from tests.acceptance.gateway import ROOT
from tests.acceptance.outside import Outside

NAME = f"mx1.{DOMAIN}"
_SECONDS = 60


class Secured:
    """One session: ``version`` of TLS and ``certificate`` (DER) are what the gateway showed; ``sent`` sends in two halves."""

    def __init__(self, wan: Outside, lab: LabState) -> None:
        authority = lab.directory / "authority" / "authority.pem"
        words = [sys.executable, "-m", "tests.acceptance.secured", wan.address, wan.source, str(authority)]
        self._child = subprocess.Popen(
            ["ip", "netns", "exec", wan.netns, *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version, certificate = self._read()
        self.certificate = bytes.fromhex(certificate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._child:
            if self._child.stdin:
                self._child.stdin.close()

    def begun(self, content: bytes) -> None:
        """Send the envelope and the first part of a message's content; return when it is on its way."""
        self._write(content)
        assert self._read() == ["sent"]

    def ended(self, content: bytes) -> str:
        """Send the rest of the content and return the reply to it."""
        self._write(content)
        return str(self._read()[0])

    def _write(self, content: bytes) -> None:
        assert self._child.stdin
        self._child.stdin.write(json.dumps(content.decode()) + "\n")
        self._child.stdin.flush()

    def _read(self) -> list[str]:
        assert self._child.stdout
        line = self._child.stdout.readline()
        assert line, "the client has ended; its own words are above"
        words: list[str] = json.loads(line)
        return words


def _say(*words: str) -> None:
    print(json.dumps(words), flush=True)


def _main(address: str, source: str, authority: Path) -> None:
    client = smtplib.SMTP(source_address=(source, 0), timeout=_SECONDS)
    client.connect(address, 25)
    client._host = NAME  # type: ignore[attr-defined]  # the name to verify, which is not the one to connect to
    client.starttls(context=ssl.create_default_context(cafile=authority))
    assert isinstance(client.sock, ssl.SSLSocket)
    _say(str(client.sock.version()), (client.sock.getpeercert(binary_form=True) or b"").hex())
    for line in sys.stdin:
        client.ehlo("client.sender.example")
        client.mail("alice@sender.example")
        client.rcpt("bob@bastide.example")
        client.docmd("DATA")
        client.send(json.loads(line).encode())
        _say("sent")
        client.send(json.loads(sys.stdin.readline()).encode() + b".\r\n")
        code, text = client.getreply()
        _say(f"{code} {text.decode()}")
    client.quit()


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
