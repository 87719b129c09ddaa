"""Address literals of HELO (RFC 5321 4.1.3) as regular expressions that find every spelling of one address.

They are written so that PCRE and POSIX read them alike.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby
from typing import Final

_ZERO: Final = "0{1,4}"
_TAG: Final = "ipv6:"
# Of a number and of a group, at most.
_DIGITS: Final = 3
_HEX_DIGITS: Final = 4


def address_of(literal: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a literal between brackets; None if it is none."""
    if not (literal.startswith("[") and literal.endswith("]")):
        return None
    inner = literal[1:-1]
    tagged = inner.lower().startswith(_TAG)
    try:
        address = ip_address(inner[len(_TAG) :] if tagged else inner)
    except ValueError:
        return None
    if address.version == 6:  # noqa: PLR2004 - the family
        return address if address.scope_id is None else None
    return None if tagged else address


def expression(address: IPv4Address | IPv6Address) -> str:
    """Return a regular expression, to be read without case, of all literals that name an address."""
    if isinstance(address, IPv6Address):
        if mapped := address.ipv4_mapped:
            return expression(mapped)
        return rf"^\[(IPv6:)?({_six(address)})\]$"
    as_six = IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    return rf"^\[({_four(address.packed)}|(IPv6:)?({_six(as_six)}))\]$"


def _four(octets: bytes) -> str:
    """Return an expression of four numbers with dots between them; a number may begin with zeros (RFC 5321, Snum)."""
    return r"\.".join(_padded(str(octet), _DIGITS) for octet in octets)


def _six(address: IPv6Address) -> str:
    """Return an expression of an IPv6 address: zeros in front of a group, groups left out for `::`, the end as IPv4 writes it."""
    groups = [int.from_bytes(address.packed[at : at + 2]) for at in range(0, 16, 2)]
    texts = [_padded(f"{group:x}", _HEX_DIGITS) if group else "" for group in groups]
    return f"{_joined(texts)}|{_joined([*texts[:6], _four(address.packed[12:])])}"


def _padded(digits: str, length: int) -> str:
    """Return an expression of a number with any zeros in front, up to a length."""
    return digits if len(digits) == length else f"0{{0,{length - len(digits)}}}{digits}"


def _joined(parts: Sequence[str]) -> str:
    """Return an expression of groups in their order; an empty one is zero.

    Each run of zeros is written out or holds the `::`; two of these would be no address, and match nothing that is one.
    """
    flat: list[tuple[bool, str | int]] = []
    for zero, run in groupby(parts, lambda part: part == ""):
        own = list(run)
        flat += [(True, len(own))] if zero else [(False, part) for part in own]
    made = ""
    for place, (zero, what) in enumerate(flat):
        first, last = place == 0, place == len(flat) - 1
        if zero:
            made += _zeros(int(what), first=first, last=last)
        else:
            follows_group = not first and not flat[place - 1][0]
            made += f"{':' if follows_group else ''}{what}"
    return made


def _zeros(count: int, *, first: bool, last: bool) -> str:
    """Return an expression of a run of zero groups with the colons at those of its sides where something stands."""
    if first and last:
        whole = f"({_ZERO}:){{{count - 1}}}{_ZERO}" if count > 1 else _ZERO
        return f"({whole}|({_ZERO}(:{_ZERO})*)?::({_ZERO}(:{_ZERO})*)?)"
    if first:
        return f"(({_ZERO}:){{{count}}}|({_ZERO}(:{_ZERO})*)?::({_ZERO}:)*)"
    if last:
        return f"((:{_ZERO}){{{count}}}|(:{_ZERO})*::({_ZERO}(:{_ZERO})*)?)"
    return f"((:{_ZERO}){{{count}}}:|(:{_ZERO})*::({_ZERO}:)*)"
