"""Packet scans: which ports answer at all, by whatever means.

Packets go out by a raw socket that takes them whole; answers come in by raw sockets that see what the kernel sees.
Our kernel answers a SYN-ACK that it did not ask for with RST: that closes the half-open connection at the gateway,
so nothing lingers there, and no packet filter of ours is needed for it. Source ports lie above the kernel's own
range (ip_local_port_range), so no connection of this machine is ever hit.
"""

import asyncio
import errno
import random
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from typing import Self

from audit.errors import NoSightError, UnseenError
from audit.place import V4, V6, Place
from roles.claims import Answers, Scan, Scanner

ALL_PORTS = range(1, 65536)
# Ports whose services a mail gateway is likely to run by mistake: clear-text logins, scanners, databases, consoles.
KNOWN_PORTS = frozenset(
    {
        21,
        22,
        23,
        53,
        80,
        110,
        111,
        123,
        143,
        161,
        443,
        465,
        587,
        783,
        993,
        995,
        3306,
        3310,
        5432,
        6379,
        8080,
        8891,
        9100,
    }
)
RANDOM_PORTS = 12
# Packets a second. Receive queues of common hosts hold a thousand packets; this leaves them 50 ms to be emptied.
RATE = 20_000
_BURST = 64
# How long an answer may take: far above any round trip on this planet, and 1 s in the silent rounds' favour.
LINGER_SECONDS = 0.8
ROUNDS = 2
DECLARED_ROUNDS = 3
_RECEIVE_BUFFER = 16 * 1024 * 1024
_ICMP_ERRORS = {V4: frozenset({3, 11, 12}), V6: frozenset({1, 2, 3, 4})}  # RFC 792; RFC 4443 2.1
# An ICMP error carries the head of the packet that it is about behind 8 bytes of its own (RFC 792, RFC 4443 3.1).
_ICMP_HEAD = 8
_IPV6_HEAD = 40
_LEAST_HEAD = 20  # of either family
_FRAGMENT = 44  # RFC 8200 4.5: a header of 8 bytes


async def scan(claim: Scan, place: Place) -> Answers:
    """Scan the gateway from one place; UnseenError without an address of the family or without privilege.

    A silent gateway proves nothing where the way to it is dead, so a scan that wants silence first needs an answer
    to a plain SYN from a declared port; NoSightError if none comes.
    """
    for what, declared in (("audit_address", place.addresses), ("audit_source", place.sources)):
        if claim.family not in declared:
            raise UnseenError(f"no IPv{claim.family} address declared for {place.vantage} ({what})")
    return await asyncio.to_thread(_scanned, claim, place)


def extent(claim: Scan, place: Place) -> str:
    """Return how much a scan looks at, for the report: silence of a sample is less than silence of all."""
    return (
        "all ports"
        if _asks_all(claim, place)
        else f"{len(_sample(frozenset(place.declared[claim.family])))} ports"
    )


def _asks_all(claim: Scan, place: Place) -> bool:
    return claim.scanner == "syn" and place.thorough


def _scanned(claim: Scan, place: Place) -> Answers:
    declared = frozenset(place.declared[claim.family])
    with Wire(place.sources[claim.family], place.addresses[claim.family]) as wire:
        if claim.expects == "none" and not _asked(wire, "syn", declared, DECLARED_ROUNDS):
            raise NoSightError(f"no declared port answers a SYN, so silence to {claim.scanner} says nothing")
        ports = frozenset(ALL_PORTS) if _asks_all(claim, place) else _sample(declared)
        answered = _asked(wire, claim.scanner, ports, ROUNDS)
        if claim.expects == "declared":
            answered |= _asked(wire, claim.scanner, declared - answered, DECLARED_ROUNDS)
        elif answered:
            # A late packet of another conversation may look like an answer; a port that answers does so again.
            answered &= _asked(wire, claim.scanner, answered, DECLARED_ROUNDS)
    return Answers(answered=answered, declared=declared)


def _sample(declared: frozenset[int]) -> frozenset[int]:
    """Return the ports of a small scan, other ones at the high end each time."""
    high = random.SystemRandom().sample(range(1024, 65536), RANDOM_PORTS)
    return declared | KNOWN_PORTS | frozenset(high)


def _asked(wire: "Wire", scanner: Scanner, ports: frozenset[int], rounds: int) -> frozenset[int]:
    """Ask each port, the silent ones again in each further round, and return those that answered."""
    answered: set[int] = set()
    for _ in range(rounds):
        silent = sorted(ports - answered)
        if silent:
            answered |= wire.ask(scanner, silent)
    return frozenset(answered)


class Wire:
    """Raw sockets between one source and one target; a context manager that closes them.

    Raises UnseenError where this process may not make them (raw(7): CAP_NET_RAW).
    """

    def __init__(self, source: str, target: str) -> None:
        self.family = V6 if ":" in target else V4
        self.source, self.target = source, target
        kind = socket.AF_INET6 if self.family == V6 else socket.AF_INET
        icmp = socket.IPPROTO_ICMPV6 if self.family == V6 else socket.IPPROTO_ICMP
        self._sockets: list[socket.socket] = []
        # IPPROTO_RAW: the packet brings its own IP header, in both families (raw(7), ipv6(7)).
        self._out = self._opened(kind, socket.IPPROTO_RAW)
        self._ears = [
            self._opened(kind, protocol) for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP, icmp)
        ]
        for ear in self._ears:
            # A connected raw socket is given the packets of that peer only. Unbound, `connect` would bind it to
            # whichever of our addresses the kernel prefers, and it would be deaf to answers to the declared one.
            ear.bind((source, 0))
            ear.connect((target, 0))
            ear.settimeout(0)
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def _opened(self, kind: int, protocol: int) -> socket.socket:
        try:
            made = socket.socket(kind, socket.SOCK_RAW, protocol)
        except PermissionError as error:
            self.__exit__()
            # Only here is it a want of privilege: EACCES of a connection is what a router on the way made of it.
            raise UnseenError("packet scans need root (CAP_NET_RAW)") from error
        except OSError:
            self.__exit__()
            raise
        self._sockets.append(made)
        return made

    def __enter__(self) -> Self:
        """Give itself: the sockets are open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all sockets."""
        for each in self._sockets:
            each.close()

    def ask(self, scanner: Scanner, ports: list[int]) -> set[int]:
        """Ask each port once, from one source port that no other scan uses now, and return those that answered."""
        sport = random.SystemRandom().randrange(61_000, 65_536)
        answered: set[int] = set()
        started = time.monotonic()
        for count, packet in enumerate(self._packets(scanner, sport, ports), start=1):
            self._send(packet)
            if count % _BURST == 0:
                self._listen(sport, answered, 0)
                ahead = count / RATE - (time.monotonic() - started)
                if ahead > 0:
                    time.sleep(ahead)
        self._listen(sport, answered, LINGER_SECONDS)
        return answered & set(ports)

    def _packets(self, scanner: Scanner, sport: int, ports: list[int]) -> Iterable[bytes]:
        # Imported here: it takes a second, and most probes never need it.
        from audit.probes import packets  # noqa: PLC0415 - see above

        if scanner == "syn":
            return packets.syn_train(self.source, self.target, sport, ports)
        return (
            packet
            for port in ports
            for packet in packets.packets(scanner, self.source, self.target, sport, port)
        )

    def _send(self, packet: bytes) -> None:
        """Send one packet, waiting while the queue is full; NoSightError when this machine will not send it."""
        for pause in (0.001, 0.01, 0.1, 0.0):
            try:
                self._out.sendto(packet, (self.target, 0))
            except OSError as error:
                if error.errno not in {errno.ENOBUFS, errno.EAGAIN} or not pause:
                    raise NoSightError(f"cannot send to {self.target}: {error.strerror}") from error
                time.sleep(pause)
            else:
                return

    def _listen(self, sport: int, answered: set[int], seconds: float) -> None:
        """Note all answers that are there, and those of the next ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(deadline - time.monotonic(), 0)
            ready, _, _ = select.select(self._ears, [], [], left)
            if not ready:
                return
            for ear in ready:
                for packet in _received(ear):
                    port = self._answering(ear, packet, sport)
                    if port is not None:
                        answered.add(port)

    def _answering(self, ear: socket.socket, packet: bytes, sport: int) -> int | None:
        """Return the port that a packet is an answer of, None if it is no answer to this scan."""
        # IPv4 raw sockets give the IP header too, IPv6 ones do not.
        at = (packet[0] & 0x0F) * 4 if self.family == V4 else 0
        if ear is not self._ears[2]:
            if len(packet) < at + 4:
                return None
            source, destination = struct.unpack_from("!HH", packet, at)
            return source if destination == sport else None
        return self._unreachable(packet[at:], sport)

    def _unreachable(self, message: bytes, sport: int) -> int | None:
        """Return the port that an ICMP error speaks of, None if it is another's."""
        at = _ICMP_HEAD
        if len(message) < at + _LEAST_HEAD or message[0] not in _ICMP_ERRORS[self.family]:
            return None
        if self.family == V4:
            at += (message[at] & 0x0F) * 4
        else:
            at += _IPV6_HEAD + (8 if message[at + 6] == _FRAGMENT else 0)
        if len(message) < at + 4:
            return None
        source, destination = struct.unpack_from("!HH", message, at)
        return destination if source == sport else None


def _received(ear: socket.socket) -> Iterator[bytes]:
    """Give what is queued, then stop."""
    while True:
        try:
            yield ear.recv(2048)
        except BlockingIOError:
            return
        except OSError:
            # A pending ICMP error is reported as an error of the socket, once; the message itself comes by the ICMP ear.
            continue
