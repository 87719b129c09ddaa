"""What a report shows of a wish and a sight: one bounded line, harmless to a terminal."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from roles.claims import (
    Answers,
    Arrival,
    Claim,
    Delivered,
    DnsSilence,
    FalseEnds,
    Greeting,
    Handshake,
    Reply,
    Scan,
    SshAlgorithms,
    SshMethods,
    SshVersion,
    StarttlsInjection,
    TlsHandshake,
    TlsRenegotiation,
    TlsSuites,
    TlsVersions,
    Verdict,
)
from roles.defence import Lacking
from roles.kinds import FirewallRule, Kind, Standing
from roles.settings import Gateway

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # in typing from Python 3.13

# Long enough for an SMTP reply (RFC 5321 4.5.3.1.5: 512 octets) to be recognised, short enough for a table.
LINE_LIMIT = 200
# So many ports are named, the rest is counted.
PORTS_SHOWN = 12


def line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return ``text`` as one line of at most about ``limit`` characters, control characters escaped."""
    cut = text[: limit + 1]
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)
    if len(shown) <= limit and len(text) <= limit:
        return shown
    return f"{shown[:limit]}… ({len(text)} characters)"


def wanted(check: Kind | Claim | Lacking, gateway: Gateway) -> str:
    """Return in words what a check wants to see."""
    if isinstance(check, Lacking):
        return f"what the setting {check.setting} takes out" if check.setting else "what this MTA cannot have"
    if is_kind(check):
        return check.wanted(gateway) or "nothing"
    return _WANTED[type(check)](check)


def seen(sight: object) -> str:
    """Return in words what a probe saw."""
    if isinstance(sight, Answers):
        return f"answered: {_ports(sight.answered)}; declared: {_ports(sight.declared)}"
    if isinstance(sight, Arrival):
        return _difference(sight)
    if isinstance(sight, Handshake):
        return _handshake(sight)
    if isinstance(sight, frozenset):
        return ", ".join(sorted(sight)) or "none"
    return str(sight) if sight else "an empty answer"


def answered(kind: Kind, answer: str, gateway: Gateway) -> str:
    """Return what is worth showing of a host's answer to a ``sets`` question."""
    if isinstance(kind, FirewallRule):
        return _missing_rule(kind, answer, gateway)
    if isinstance(kind, Standing):
        return ", ".join(kind.strays(answer, gateway)) or "none"
    return answer.strip() or "an empty answer"


def is_kind(check: Kind | Claim | Lacking) -> "TypeIs[Kind]":
    """Say whether a check is a setting to ask the host for."""
    return hasattr(check, "question")


def is_claim(check: Kind | Claim | Lacking) -> "TypeIs[Claim]":
    """Say whether a check is a claim to look at from outside."""
    return hasattr(check, "vantage")


def _missing_rule(kind: FirewallRule, answer: str, gateway: Gateway) -> str:
    """Name the first rule that the kernel lacks; the whole ruleset would not fit a line."""
    live = {re.sub(r" -m comment --comment \S+", "", rule) for rule in answer.splitlines()}
    for rule in kind.rules(gateway):
        if f"-A {kind.chain} {rule}" not in live:
            return f"not in the kernel: -A {kind.chain} {rule}"
    return "all rules are in the kernel, in order" if kind.holds(answer, gateway) else "in another order"


def _ports(ports: Iterable[int]) -> str:
    ordered = sorted(ports)
    shown = ", ".join(str(port) for port in ordered[:PORTS_SHOWN])
    more = len(ordered) - PORTS_SHOWN
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"


def _difference(sight: Arrival) -> str:
    """Say where what arrived departs from what was sent, counted from the end: trace headers are set before it."""
    if sight.arrived is None:
        return "nothing arrived"
    if sight.arrived.endswith(sight.sent):
        trace = sight.arrived.removesuffix(sight.sent)
        return f"{len(sight.sent)} bytes unchanged, behind {trace.decode('ascii', 'replace')!r}"
    pairs = zip(reversed(sight.sent), reversed(sight.arrived), strict=False)
    same = next((index for index, (a, b) in enumerate(pairs) if a != b), len(sight.arrived))
    at = len(sight.sent) - same
    was = sight.sent[max(at - 20, 0) : at + 5]
    end = len(sight.arrived) - same
    now = sight.arrived[max(end - 20, 0) : end + 5]
    return f"changed before byte {at} of {len(sight.sent)}: sent …{was!r}, arrived …{now!r}"


def _handshake(sight: Handshake) -> str:
    facts = {
        "asks the client for a certificate": sight.asks_for_certificate,
        "compresses": sight.compresses,
        "renegotiates without RFC 5746": not sight.binds_renegotiation,
    }
    return "; ".join(
        [f"{sight.hostname} shows {sight.text}", *(what for what, is_so in facts.items() if is_so)]
    )


def _reply(claim: Greeting | Reply | Verdict) -> str:
    return f"a reply that matches {claim.matches}"


_WANTED: Mapping[type, Callable[[Any], str]] = {
    Greeting: _reply,
    Reply: _reply,
    Verdict: _reply,
    SshVersion: lambda claim: f"a version that matches {claim.matches}",
    Scan: lambda claim: (
        "exactly the declared ports answer" if claim.expects == "declared" else "no port answers"
    ),
    Delivered: lambda _claim: "arrives at the next hop unchanged but for trace headers",
    DnsSilence: lambda _claim: "no answer on port 53",
    TlsVersions: lambda claim: f"exactly {', '.join(sorted(claim.exactly))}",
    TlsSuites: lambda claim: f"none of {', '.join(sorted(claim.asked))}",
    TlsHandshake: lambda _claim: (
        "a certificate for the gateway's name that names no product, and no more asked or offered"
    ),
    TlsRenegotiation: lambda _claim: "refused",
    StarttlsInjection: lambda _claim: "nothing, or refused",
    FalseEnds: lambda _claim: "no other line end around a dot ends a message",
    SshMethods: lambda claim: f"exactly {', '.join(sorted(claim.exactly))}",
    SshAlgorithms: lambda claim: f"nothing beside {', '.join(sorted(claim.within))}",
}
