"""What filterd itself costs: processor time of all of its processes a message, engines stubbed, all stages on.

The floor is the standard library's parser on the same message, in the same run. PSS is that of all processes while the
messages come.
"""

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from email import message_from_bytes
from pathlib import Path

from filterd.milter import commands as c
from filterd.milter import mta
from filterd.processes import spent, tree
from tests.bench.parts import attached, mix
from tests.unit.filterd.daemon import Daemon, running
from tests.unit.filterd.dialogue import Client, content

# Header fields and body.
Parts = tuple[tuple[tuple[bytes, bytes], ...], bytes]
_SEED = 20261122  # the same mail every time
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


def plain(number: int, size: int) -> Parts:
    """Return header fields and body of a message of text."""
    unique = (b"Message-ID", b" <%d@sender.example>" % number)
    return (*HEADERS, unique, (b"Content-Type", b" text/plain; charset=us-ascii")), prose(size, number)


def apart(raw: bytes) -> Parts:
    """Return header fields and body of a message without folded fields."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return tuple(
        (name, value) for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
    ), body


def _mixed(count: int) -> list[Parts]:
    chance = random.Random(_SEED)  # noqa: S311 - a benchmark
    twenties = [mix(chance) for _ in range(-(-count // 20))]
    for twenty in twenties:
        chance.shuffle(twenty)
    return [apart(raw) for twenty in twenties for raw in twenty][:count]


def _great(count: int) -> list[Parts]:
    chance = random.Random(_SEED)  # noqa: S311 - a benchmark
    return [apart(attached(chance, 1_000_000)) for _ in range(count)]


# How many messages, and what makes them: no two of them alike.
LOADS: Mapping[str, tuple[int, Callable[[int], list[Parts]]]] = {
    "2 kB text": (1000, lambda count: [plain(number, 1700) for number in range(count)]),
    "20 kB text": (400, lambda count: [plain(number, 20_000) for number in range(count)]),
    "mix": (400, _mixed),
    "1 MB multipart": (120, _great),
}
SESSIONS = (1, 10)


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


def send(daemon: Daemon, messages: Sequence[Parts]) -> None:
    """Send messages over one connection."""
    with Client(daemon.socket) as client:
        for headers, body in messages:
            client.begin()
            client.send(mta.plain(c.Data) + content(headers, body) + mta.plain(c.EndOfMessage))
            assert client.verdict().code == b"c"


def send_all(daemon: Daemon, messages: Sequence[Parts], sessions: int) -> None:
    """Send messages over so many connections at a time."""
    threads = [
        threading.Thread(target=send, args=(daemon, messages[first::sessions])) for first in range(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def floor(messages: Sequence[Parts]) -> float:
    """Return what the standard library's parser takes for a message, in ms."""
    mails = [
        b"".join(name + b":" + value + b"\r\n" for name, value in headers) + b"\r\n" + body
        for headers, body in messages
    ]
    begun = time.process_time()
    for mail in mails:
        message_from_bytes(mail)
    return (time.process_time() - begun) / len(mails) * 1000


def costs(daemon: Daemon) -> None:
    """Print what a message of each load costs, for each number of sessions."""
    print(f"{'ms of processor':20}{'sessions':>10}{'own':>10}{'floor':>10}{'ratio':>8}")
    for name, (count, make) in LOADS.items():
        messages = make(20 + count * len(SESSIONS))
        send(daemon, messages[:20])
        base = floor(messages[:50])
        for at, sessions in enumerate(SESSIONS):
            part = messages[20 + at * count :][:count]
            before = spent([daemon.process.pid])
            send_all(daemon, part, sessions)
            own = (spent([daemon.process.pid]) - before) / count * 1000
            print(f"{name:20}{sessions:10}{own:10.2f}{base:10.2f}{own / base:8.1f}")


def memory(daemon: Daemon) -> None:
    """Print the memory of all processes, idle and with 50 sessions of 1 MB."""
    print(f"PSS idle: {pss(daemon.process.pid):.0f} MB")
    thread = threading.Thread(target=send_all, args=(daemon, _great(150), 50))
    thread.start()
    most = 0.0
    while thread.is_alive():
        most = max(most, pss(daemon.process.pid))
        time.sleep(0.2)
    print(f"PSS at 50 sessions of 1 MB: {most:.0f} MB")


def main() -> None:
    """Print both."""
    room = {"max_message_bytes": 4_000_000, "spool_memory_bytes": 4_000_000, "workers": 2}
    with tempfile.TemporaryDirectory() as home, running(Path(home), milter=room) as daemon:
        costs(daemon)
        memory(daemon)


if __name__ == "__main__":
    main()
