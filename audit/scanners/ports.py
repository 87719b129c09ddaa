"""nmap: every TCP port of the gateway, from each side, over both families; and what it takes the services for."""

import re
from collections.abc import Iterator
from typing import Final

from audit.errors import UnseenError
from audit.place import V4, V6
from audit.scanners.figures import Figure, judged
from audit.scanners.outside import seen
from audit.target import Target

# A port that drops is asked twice, and 65,535 of them at this rate take a minute; the firewall's own limits are on connections that
# were made, and on scanners, which the audit's addresses never are (setting firewall.never_banned).
_HASTE: Final = ("-Pn", "-n", "--min-rate", "3000", "--max-retries", "2", "-T4")
_OPEN: Final = re.compile(r"(\d+)/open/tcp/")
_SERVICE: Final = re.compile(r"^(\d+)/tcp +open +(.*)$", re.MULTILINE)
_FAMILIES: Final = {V4: "IPv4", V6: "IPv6"}


def scanned(target: Target) -> Iterator[Figure]:
    """Scan from wan, lan and where administrators come from."""
    for vantage in ("wan", "lan", "control"):
        place = target.place(vantage)
        for family, address in sorted(place.addresses.items()):
            declared = place.declared.get(family) if vantage != "control" else _for_administrators(target)
            if declared is None:
                continue
            try:
                yield _figure(target, vantage, family, address, declared)
            except UnseenError as error:
                yield Figure(
                    scanner="nmap",
                    about=f"open to {vantage}, {_FAMILIES[family]}",
                    value=f"not seen: {error}",
                    judged="told",
                )


def _for_administrators(target: Target) -> tuple[int, ...]:
    """Return the ports that are declared for the networks of administrators."""
    networks = target.gateway.admin_networks
    source = networks[0].partition("/")[0]
    return tuple(sorted(target.gateway.declared_ports(source)))


def _figure(target: Target, vantage: str, family: int, address: str, declared: tuple[int, ...]) -> Figure:
    words = ["nmap", *(("-6",) if family == V6 else ()), *_HASTE]
    found = opened(seen(target, vantage, [*words, "-p-", "-oG", "-", address]))
    ports = ",".join(str(port) for port in found)
    told = services(seen(target, vantage, [*words, "-sV", "-p", ports, address])) if found else ()
    wanted = ", ".join(map(str, declared))
    return Figure(
        scanner="nmap",
        about=f"open to {vantage}, {_FAMILIES[family]}",
        value=", ".join(map(str, found)) or "none",
        limit=f"exactly what is declared: {wanted}",
        judged=judged(good=found == declared),
        details=told,
    )


def opened(text: str) -> tuple[int, ...]:
    """Return the ports that are open by the greppable output of nmap, sorted."""
    return tuple(sorted(int(port) for port in _OPEN.findall(text)))


def services(text: str) -> tuple[str, ...]:
    """Return what nmap takes each open port for, a line each."""
    return tuple(f"{port}: {' '.join(what.split())}" for port, what in _SERVICE.findall(text))
