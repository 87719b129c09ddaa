"""Networks in Sendmail's words: as regular expressions over a client's address, and as keys of its access database."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Final

from roles.mta.rules import Network

_OCTET: Final = 8
_GROUP: Final = 16
_NIBBLE: Final = 4


def expression(network: Network) -> str:
    """Return a POSIX regular expression of the addresses in a network, as ${client_addr} writes them.

    That is 192.0.2.1, or IPv6:2001:db8:0:0:0:0:0:1: no group is left out, and no zeros lead one (op.me, UseCompressedIPv6Addresses).
    """
    if network.version == 4:  # noqa: PLR2004 - the family
        fixed, rest = divmod(network.prefixlen, _OCTET)
        octets = list(network.network_address.packed)
        parts = [str(octet) for octet in octets[:fixed]]
        if rest:
            first = octets[fixed]
            parts.append(f"({'|'.join(str(first + each) for each in range(2 ** (_OCTET - rest)))})")
        parts += ["[0-9]+"] * (4 - len(parts))
        return f"^{'[.]'.join(parts)}$"
    fixed, rest = divmod(network.prefixlen, _GROUP)
    groups = [int(group, 16) for group in network.network_address.exploded.split(":")]
    parts = [f"{group:x}" for group in groups[:fixed]]
    if rest:
        parts.append(_group(groups[fixed], _GROUP - rest))
    parts += ["[0-9a-f]+"] * (8 - len(parts))
    return f"^IPv6:{':'.join(parts)}$"


def _group(first: int, free: int) -> str:
    """Return the expression of the 2^``free`` groups from ``first`` on, without leading zeros."""
    whole, partial = divmod(free, _NIBBLE)
    above = first >> _NIBBLE * (whole + (1 if partial else 0))
    digits = (
        "".join(f"{(first >> _NIBBLE * whole & 0xF) + each:x}" for each in range(2**partial))
        if partial
        else ""
    )
    tail = f"[0-9a-f]{{{whole}}}" if whole else ""
    if above:
        return f"{above:x}{f'[{digits}]' if digits else ''}{tail}"
    if not digits:
        return f"[0-9a-f]{{1,{whole}}}"
    some = digits.replace("0", "")
    led = f"[{some}]{tail}" if some else ""
    short = (f"[0-9a-f]{{1,{whole}}}" if whole else "0") if "0" in digits else ""
    return f"({'|'.join(each for each in (led, short) if each)})"


def access_keys(network: Network) -> Iterator[str]:
    """Give the keys by which the access database finds each address of a network: they end at an octet or a group."""
    unit = _OCTET if network.version == 4 else _GROUP  # noqa: PLR2004 - the family
    whole = max(unit, -(-network.prefixlen // unit) * unit)
    for part in network.subnets(new_prefix=whole):
        address = part.network_address
        if address.version == 4:  # noqa: PLR2004 - the family
            yield ".".join(str(octet) for octet in address.packed[: whole // unit])
        else:
            groups = address.exploded.split(":")[: whole // unit]
            yield "IPv6:" + ":".join(f"{int(group, 16):x}" for group in groups)


def declared(word: str, networks: Iterable[str]) -> dict[str, str]:
    """Return the entries by which the ruleset Declared finds the addresses of networks that are declared for something."""
    return {f"{word}:{key}": "MATCH" for text in networks for key in access_keys(ip_network(text))}
