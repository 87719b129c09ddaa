"""Hand what carry.py wrote down to an MTA; it runs on the gateway, with Python's own library alone.

handin.py SOCKET DIRECTORY   hand it to the MTA that listens there
"""

import json
import smtplib
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_START: Final = 30  # seconds
_LONG: Final = 300  # seconds that an MTA may take for an answer


def _connected(to: socket.socket, path: str) -> None:
    """Connect to an MTA that has just been started: it may need a moment."""
    for _ in range(_START):
        try:
            to.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(1)
        else:
            return
    to.connect(path)


class UnixSMTP(smtplib.SMTP):
    """SMTP on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__(timeout=_LONG)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_LONG)
        _connected(self.sock, path)
        self.command_encoding = "utf-8"
        code, said = self.getreply()
        if code // 100 != 2:  # noqa: PLR2004 - RFC 5321 4.2
            raise smtplib.SMTPConnectError(code, said)


def into(path: str, directory: Path) -> tuple[int, list[str]]:
    """Hand over what was written down; a message goes when the MTA has taken it. Return how many, and what it refused."""
    count, refused = 0, list[str]()
    for note in sorted(directory.glob("*.json")):
        envelope = json.loads(note.read_bytes())
        body = note.with_suffix(".eml")
        said = _handed(path, envelope, body.read_bytes())
        if said:
            refused.append(f"{note.stem}: {said}; it stays in {directory}")
            continue
        note.unlink()
        body.unlink()
        count += 1
    for leftover in (*directory.glob("*.new"), *directory.glob("*.eml")):
        # Of a run that died: its message is still in the old queue, or was taken.
        if not leftover.with_suffix(".json").exists():
            leftover.unlink()
    return count, refused


def _handed(path: str, envelope: Mapping[str, Any], content: bytes) -> str:
    """Hand over one message; return what the MTA refused it with, or ""."""
    with UnixSMTP(path) as server:
        server.ehlo("localhost")
        options = ["BODY=8BITMIME"] if server.has_extn("8bitmime") else []
        dsn = server.has_extn("dsn")
        if dsn:
            options += [f"{name.upper()}={envelope[name]}" for name in ("ret", "envid") if envelope[name]]
        recipients: list[dict[str, str]] = envelope["recipients"]
        addresses = [envelope["sender"], *(one["address"] for one in recipients)]
        if server.has_extn("smtputf8") and not all(address.isascii() for address in addresses):
            options.append("SMTPUTF8")
        steps = [f"MAIL FROM:<{envelope['sender']}>{''.join(f' {word}' for word in options)}"]
        for one in recipients:
            asked = [name for name in ("notify", "orcpt") if dsn and one[name]]
            words = "".join(f" {name.upper()}={one[name]}" for name in asked)
            steps.append(f"RCPT TO:<{one['address']}>{words}")
        for step in steps:
            code, said = server.docmd(step)
            if code // 100 != 2:  # noqa: PLR2004
                return f"{step!r} was answered {code} {said.decode('ascii', 'replace')}"
        code, said = server.data(content)
        return "" if code // 100 == 2 else f"{code} {said.decode('ascii', 'replace')}"  # noqa: PLR2004


def main(words: list[str]) -> int:
    """Do what the command line says; 0: all is done, 1: something stands in the way, and it is said."""
    path, directory = words
    try:
        count, refused = into(path, Path(directory))
    except (OSError, ValueError, smtplib.SMTPException) as error:
        print(f"what is written down in {directory} cannot be handed in: {error}", file=sys.stderr)
        return 1
    print(f"{count} messages handed over")
    for line in refused:
        print(line, file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
