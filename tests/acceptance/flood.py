"""Packets that no client sends, from inside of a lab's network; `python -m tests.acceptance.flood DEED JSON`, run there.

All of it stays in the lab: the networks are namespaces without a way out, and each deed is bounded by its arguments.
"""

import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from random import SystemRandom
from typing import Any

ROOT = Path(__file__).parents[2]
_SYN, _SYN_ACK = 0x02, 0x12
_HEAD = 20
_RANDOM = SystemRandom()


def done_in(netns: str, deed: str, **arguments: Any) -> Any:
    """Do a deed in a namespace and return what it saw."""
    ran = subprocess.run(
        command(netns, deed, **arguments), cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(ran.stdout)


def command(netns: str, deed: str, **arguments: Any) -> list[str]:
    """Return the command of a deed in a namespace; an empty name is this machine's own."""
    entry = ["ip", "netns", "exec", netns] if netns else []
    return [*entry, sys.executable, "-m", "tests.acceptance.flood", deed, json.dumps(arguments)]


def segment(source: str, target: str, sport: int, port: int, flags: int = _SYN) -> bytes:
    """Return a TCP segment without content (RFC 9293 3.1), as a whole IP packet."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    seq = _RANDOM.getrandbits(32)
    head = struct.pack("!HHIIBBHHH", sport, port, seq, 0, 0x50, flags, 64240, 0, 0)
    total = sum(struct.unpack(f"!{len(ends) // 2}H", ends)) + sum(struct.unpack("!10H", head)) + 6 + len(head)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    tcp = head[:16] + struct.pack("!H", ~total & 0xFFFF) + head[18:]
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + ends + tcp
    # The kernel fills in the header's checksum (raw(7)).
    return struct.pack("!BBHHHBBH", 0x45, 0, _HEAD + len(tcp), 0, 0, 64, 6, 0) + ends + tcp


def syns(sources: Sequence[str], target: str, ports: Sequence[int], count: int, rate: int) -> dict[str, Any]:
    """Send so many SYN packets, so many a second, from the sources and to the ports in turn, each from a random port.

    A source may be a network (CIDR): then each address of it is one. Returns how many were sent, and in how many seconds.
    """
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    sources = [str(address) for one in sources for address in ip_network(one)]
    started = time.monotonic()
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
        for number in range(count):
            source, port = sources[number % len(sources)], ports[number % len(ports)]
            with suppress(OSError):  # a full queue here loses packets, as any flood does
                out.sendto(segment(source, target, _RANDOM.randrange(1024, 65536), port), (target, 0))
            if number % 64 == 0:
                time.sleep(max(0.0, number / rate - (time.monotonic() - started)))
    return {"sent": count, "seconds": time.monotonic() - started}


def answered(source: str, target: str, count: int) -> dict[str, int]:
    """Send so many SYN packets to port 25 at once and return how many SYN-ACKs came back within a second."""
    heard = 0
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as ear,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out,
    ):
        ear.bind((source, 0))
        ear.connect((target, 0))
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        ports = _RANDOM.sample(range(1024, 61_000), count)
        for port in ports:
            out.sendto(segment(source, target, port, 25), (target, 0))
        deadline = time.monotonic() + 1
        wanted = set(ports)
        while (left := deadline - time.monotonic()) > 0 and select.select([ear], [], [], left)[0]:
            packet = ear.recv(2048)
            at = (packet[0] & 0x0F) * 4
            port = struct.unpack_from("!H", packet, at + 2)[0]
            if packet[at + 13] == _SYN_ACK and port in wanted:
                wanted.discard(port)
                heard += 1
    return {"heard": heard}


def held(source: str, target: str, count: int) -> None:
    """Open so many connections to port 25, say how many of them still stand after three seconds, and hold those.

    Each line of standard input is a question: how many of them answer a NOOP now? They are held until it ends.
    """
    opened = []
    for _ in range(count):
        each = socket.socket()
        each.bind((source, 0))
        each.settimeout(0)
        with suppress(BlockingIOError):
            each.connect((target, 25))
        opened.append(each)
        time.sleep(0.001)
    time.sleep(3)
    standing = [each for each in opened if _stands(each)]
    print(json.dumps({"open": len(standing)}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"answered": sum(_answers(each) for each in standing)}), flush=True)


def _answers(each: socket.socket) -> bool:
    """Say whether the server greets and answers; it may take its time for a stranger."""
    each.settimeout(30)
    try:
        with each.makefile("rwb") as stream:
            # Who speaks before the greeting's last line is cut off (mta.screened).
            while (line := stream.readline()).startswith(b"220-"):
                pass
            stream.write(b"NOOP\r\n")
            stream.flush()
            return line.startswith(b"220 ") and stream.readline().startswith(b"250 ")
    except OSError:
        return False


def _stands(each: socket.socket) -> bool:
    try:
        each.getpeername()
        return each.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def echoes(source: str, target: str, count: int) -> dict[str, int]:
    """Send so many ICMP echo requests (RFC 792) at once and return how many replies came within a second."""
    heard = 0
    name = _RANDOM.randrange(65536)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ear:
        ear.bind((source, 0))
        ear.connect((target, 0))
        for number in range(count):
            body = struct.pack("!BBHHH", 8, 0, 0, name, number)
            total = sum(struct.unpack("!4H", body))
            total = (total & 0xFFFF) + (total >> 16)
            ear.send(body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:])
        deadline = time.monotonic() + 1
        while (left := deadline - time.monotonic()) > 0 and select.select([ear], [], [], left)[0]:
            packet = ear.recv(2048)
            at = (packet[0] & 0x0F) * 4
            heard += packet[at] == 0 and packet[at + 4 : at + 6] == struct.pack("!H", name)
    return {"heard": heard}


def reached(source: str, target: str, port: int) -> dict[str, bool]:
    """Say whether a connection is let in within two seconds."""
    with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET) as each:
        each.settimeout(2)
        each.bind((source, 0))
        try:
            each.connect((target, port))
        except OSError:
            return {"open": False}
        return {"open": True}


DEEDS: dict[str, Callable[..., Any]] = {
    "syns": syns,
    "answered": answered,
    "echoes": echoes,
    "held": held,
    "reached": reached,
}

if __name__ == "__main__":
    seen = DEEDS[sys.argv[1]](**json.loads(sys.argv[2]))
    if seen is not None:
        print(json.dumps(seen))
