"""Probes: one observer a claim type. An observer looks, the claim itself says whether what was seen holds."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from audit import evidence
from audit.errors import NoSightError, UnseenError
from audit.place import Place
from audit.probes import dns, mail, smtp, ssh, tcp, tls
from roles.claims import (
    Claim,
    Delivered,
    DnsSilence,
    FalseEnds,
    Greeting,
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

State = Literal["held", "broken", "not seen", "not seen: container", "not available"]
# The states in which nothing was looked at, for a reason that the result gives.
UNLOOKED: frozenset[State] = frozenset({"not seen", "not seen: container", "not available"})

OBSERVERS: Mapping[type, Callable[[Any, Place], Awaitable[object]]] = {
    Greeting: smtp.greeting,
    Reply: smtp.reply,
    Verdict: mail.verdict,
    FalseEnds: mail.false_ends,
    Delivered: mail.delivered,
    Scan: tcp.scan,
    DnsSilence: dns.silence,
    TlsVersions: tls.versions,
    TlsSuites: tls.suites,
    TlsHandshake: tls.handshake,
    TlsRenegotiation: tls.renegotiation,
    StarttlsInjection: tls.injection,
    SshMethods: ssh.methods,
    SshVersion: ssh.version,
    SshAlgorithms: ssh.algorithms,
}


class Observation(Struct, frozen=True, kw_only=True):
    """What came of looking: ``seen`` in words, and ``why`` when it could not be looked at."""

    state: State
    seen: str = ""
    why: str = ""


async def observe(claim: Claim, place: Place) -> Observation:
    """Look at one claim from one place. Never raises for what a peer does: no sight is a broken claim."""
    observer = OBSERVERS[type(claim)]
    try:
        sight = await observer(claim, place)
    except UnseenError as error:
        return Observation(state="not seen", why=str(error))
    except (NoSightError, OSError, TimeoutError, EOFError) as error:
        return Observation(state="broken", seen=evidence.line(str(error) or type(error).__name__))
    # Each claim's `holds` takes what its own observer returns; the table above pairs them.
    held: bool = claim.holds(sight)  # type: ignore[attr-defined]
    asked = f" ({tcp.extent(claim, place)} asked)" if isinstance(claim, Scan) else ""
    return Observation(state="held" if held else "broken", seen=evidence.line(evidence.seen(sight)) + asked)
