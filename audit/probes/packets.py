"""The packets of each scan, built by scapy; the one module that touches its untyped parts."""

import struct
from collections.abc import Iterator

from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Packet

from roles.claims import Scanner

FLAGS = {"syn": "S", "fragments": "S", "null": "", "fin": "F", "xmas": "FPU", "ack": "A"}
# What a client of today sends; 20 bytes, so that a SYN can be cut behind its fixed header.
_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
# What makes a service on this UDP port speak: a DNS query for the root's name servers (RFC 1035 4.1), an NTP client's
# packet (RFC 5905 7.3), an SNMP get request of the community `public` (RFC 3416). Others get an empty datagram.
_DATAGRAMS = {
    53: bytes.fromhex("beef01000001000000000000") + b"\x00\x00\x02\x00\x01",
    123: b"\x23" + bytes(47),
    161: bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"),
}


def packets(scanner: Scanner, source: str, target: str, sport: int, port: int) -> list[bytes]:
    """Return what one port is asked by: whole IP packets, more than one only where a SYN is cut into fragments."""
    if scanner == "udp":
        return [raw(_ip(source, target) / UDP(sport=sport, dport=port) / _DATAGRAMS.get(port, b""))]
    segment = _segment(scanner, sport, port)
    if scanner != "fragments":
        return [raw(_ip(source, target) / segment)]
    if ":" in target:
        return _cut_v6(source, target, segment)
    return [raw(piece) for piece in _fragments(_ip(source, target) / segment)]


def syn_train(source: str, target: str, sport: int, ports: list[int]) -> Iterator[bytes]:
    """Give one SYN a port, all made from one packet: scapy alone would take longer than the scan.

    Only the destination port differs, and the checksum with it; it is a ones' complement sum (RFC 1071), so the port
    is added to what the packet with port 0 sums up to.
    """
    packet = bytearray(raw(_ip(source, target) / _segment("syn", sport, 0)))
    head = 40 if ":" in target else 20
    port_at, sum_at = head + 2, head + 16
    base = ~struct.unpack_from("!H", packet, sum_at)[0] & 0xFFFF
    for port in ports:
        total = base + port
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", packet, port_at, port)
        struct.pack_into("!H", packet, sum_at, ~total & 0xFFFF)
        yield bytes(packet)


def _ip(source: str, target: str) -> Packet:
    return IPv6(src=source, dst=target) if ":" in target else IP(src=source, dst=target)


def _segment(scanner: Scanner, sport: int, port: int) -> Packet:
    options = _OPTIONS if scanner in {"syn", "fragments"} else []
    # An acknowledgement number of an ACK is never one that a connection has in flight: no connection is open.
    return TCP(sport=sport, dport=port, flags=FLAGS[scanner], seq=0x0BA57DE0, ack=0, options=options)


def _fragments(packet: Packet) -> list[Packet]:
    """Cut an IPv4 packet into fragments of 8 bytes, the least that an offset can count (RFC 791 3.1)."""
    pieces: list[Packet] = fragment(packet, fragsize=8)  # type: ignore[no-untyped-call]  # scapy types it not yet
    return pieces


def _cut_v6(source: str, target: str, segment: Packet) -> list[bytes]:
    """Cut a SYN into two fragments, the first as short as IPv6 lets it be: RFC 8200 4.5 wants all headers there."""
    whole = raw(IPv6(src=source, dst=target) / segment)[40:]
    first, rest = whole[:24], whole[24:]
    head = _ip(source, target)
    return [
        raw(head / IPv6ExtHdrFragment(nh=6, id=segment.sport, offset=0, m=1) / first),
        raw(head / IPv6ExtHdrFragment(nh=6, id=segment.sport, offset=3, m=0) / rest),
    ]
