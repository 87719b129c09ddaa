"""What filterd itself costs: processor time of all of its processes a message, engines stubbed, all stages on.

The floor is the standard library's parser on the same message, in the same run. PSS is that of all processes while the
messages come.
"""

import base64
import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from email import message_from_bytes
from pathlib import Path

from filterd.milter import commands as c
from filterd.milter import mta
from tests.bench.spent import spent, tree
from tests.unit.filterd.daemon import Daemon, running
from tests.unit.filterd.dialogue import Client, content

_WORDS = (
    "the",
    "quick",
    "report",
    "of",
    "last",
    "month",
    "was",
    "sent",
    "to",
    "all",
    "members",
    "who",
    "nobody",
)
HEADERS = (
    (b"From", b" Sender <a@sender.example>"),
    (b"To", b" b@rcpt.example"),
    (b"Subject", b" Report of last month"),
    (b"Date", b" Mon, 5 Jan 2026 10:00:00 +0000"),
    (b"MIME-Version", b" 1.0"),
)


def prose(size: int, seed: int) -> bytes:
    """Return so many bytes of text in lines of 70 characters."""
    chosen, lines, line = random.Random(seed), [], ""  # noqa: S311 - a benchmark
    total = 0
    while total < size:
        line += chosen.choice(_WORDS) + " "
        if len(line) > 70:
            lines.append(line.strip())
            total += len(line) + 1
            line = ""
    return "\r\n".join(lines).encode() + b"\r\n"


def plain(number: int, size: int) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """Return header fields and body of a message of text."""
    unique = (b"Message-ID", b" <%d@sender.example>" % number)
    return (*HEADERS, unique, (b"Content-Type", b" text/plain; charset=us-ascii")), prose(size, number)


def multipart(number: int, size: int) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """Return header fields and body of a message with text, HTML and a picture of ``size`` bytes as it is sent."""
    unique = (b"Message-ID", b" <%d@sender.example>" % number)
    picture = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + random.Random(number).randbytes(size * 37 // 50)  # noqa: S311
    text = prose(2000, number)
    body = b"\r\n".join(
        (
            b"--b", b"Content-Type: text/plain", b"", text,
            b"--b", b"Content-Type: text/html", b"", b"<html><body><p>" + text + b"</p></body></html>",
            b"--b", b"Content-Type: image/jpeg; name=picture.jpg", b"Content-Transfer-Encoding: base64", b"",
            base64.encodebytes(picture).replace(b"\n", b"\r\n") + b"--b--", b"",
        )
    )  # fmt: skip
    return (*HEADERS, unique, (b"Content-Type", b" multipart/mixed; boundary=b")), body


Make = Callable[[int], tuple[tuple[tuple[bytes, bytes], ...], bytes]]
LOADS: dict[str, tuple[Make, int]] = {
    "2 kB text": (lambda number: plain(number, 1700), 600),
    "20 kB text": (lambda number: plain(number, 20_000), 300),
    "1 MB multipart": (lambda number: multipart(number, 1_000_000), 60),
}


def pss(pid: int) -> float:
    """Return the proportional set size of a process tree in MB."""
    return pss_of(tree(pid))


def pss_of(pids: Iterable[int]) -> float:
    """Return the proportional set size of some processes in MB."""
    total = 0
    for one in pids:
        # A parse worker may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += int(rollup.partition("Pss:")[2].split()[0])
    return total / 1000


def send(daemon: Daemon, make: Make, first: int, count: int) -> None:
    """Send messages over one connection."""
    with Client(daemon.socket) as client:
        for number in range(first, first + count):
            headers, body = make(number)
            client.begin()
            client.send(mta.plain(c.Data) + content(headers, body) + mta.plain(c.EndOfMessage))
            client.verdict()


def floor(make: Make, count: int) -> float:
    """Return what the standard library's parser takes for a message, in ms."""
    mails = []
    for number in range(count):
        headers, body = make(number)
        mails.append(b"".join(name + b":" + value + b"\r\n" for name, value in headers) + b"\r\n" + body)
    begun = time.process_time()
    for mail in mails:
        message_from_bytes(mail)
    return (time.process_time() - begun) / count * 1000


def main() -> None:
    """Print the table."""
    room = {"max_message_bytes": 4_000_000, "spool_memory_bytes": 4_000_000, "workers": 2}
    print(f"{'':20}{'ms of processor':>16}{'floor ms':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as home, running(Path(home), milter=room) as daemon:
        number = 0
        for name, (make, count) in LOADS.items():
            send(daemon, make, number, 20)
            number += 20
            before = spent(daemon.process.pid)
            send(daemon, make, number, count)
            number += count
            own = (spent(daemon.process.pid) - before) / count * 1000
            base = floor(make, min(count, 50))
            print(f"{name:20}{own:16.2f}{base:10.2f}{own / base:8.1f}")
        print(f"PSS idle: {pss(daemon.process.pid):.0f} MB")
        threads = [
            threading.Thread(target=send, args=(daemon, LOADS["1 MB multipart"][0], 10_000 + 10 * at, 3))
            for at in range(50)
        ]
        for thread in threads:
            thread.start()
        most = 0.0
        while any(thread.is_alive() for thread in threads):
            most = max(most, pss(daemon.process.pid))
            time.sleep(0.2)
        print(f"PSS at 50 sessions of 1 MB: {most:.0f} MB")


if __name__ == "__main__":
    main()
