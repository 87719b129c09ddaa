"""What of the header of mail that goes out stays in the house. Pure.

The attack it stops: a map of the inside, drawn from the Received lines of its mail.
"""

import re
from collections.abc import Sequence
from typing import Final

from filterd.anatomy import HeaderEdit
from filterd.config import Config
from filterd.config.conditions import bare
from filterd.message import Envelope
from filterd.policy.groups import direction, within

from .heading import Heading

# RFC 6376 3.5, RFC 8617 4.1.2: the fields that a signature covers.
_COVERED: Final = re.compile(rb"(?:\A|;)[ \t\r\n]*h[ \t\r\n]*=([^;]*)")
# RFC 5321 4.4: a comment without one in it, and the address behind `for`; then who wrote the line.
_ASIDE: Final = re.compile(rb"\([^()]*\)|<[^<>]*>")
_DEEPEST: Final = 4  # comments in one another: an MTA writes two at most
_BY: Final = re.compile(rb"(?:\A|[\s;])by\s+([^\s;]+)", re.IGNORECASE)
_LITERAL: Final = re.compile(rb"\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]")
# RFC 6376 3.5: white space may stand between the names.
_BLANKS: Final = re.compile(rb"\s+")


def hidden(heading: Heading, envelope: Envelope, config: Config) -> tuple[HeaderEdit, ...]:
    """Return the fields that do not leave the house, the last first; none of mail that stays in it.

    What a signature covers stays, or the signature would break. Of Received lines those go that hosts inside wrote, and this
    gateway about them: all above its topmost one about a client outside, which the world wrote before. What stays in the house
    keeps all of them: they are how a loop is noticed (RFC 5321 6.3).
    """
    own = config.outbound
    if (
        not (own.hide_trace or own.hide_headers)
        or direction(envelope, config) != "out"
        or _stays(envelope, config)
    ):
        return ()
    signed = {
        _BLANKS.sub(b"", name).lower()
        for value in heading.signatures
        for match in _COVERED.finditer(value)
        for name in match[1].split(b":")
    }
    counts = {name.lower(): heading.names.count(name.lower().encode("ascii")) for name in own.hide_headers}
    if own.hide_trace:
        counts["received"] = _inner(heading.traces, envelope.host, config.policy.internal_networks)
    return tuple(
        HeaderEdit(name=name, index=index, value=None)
        for name, count in counts.items()
        if name.encode("ascii") not in signed
        for index in range(count, 0, -1)
    )


def _stays(envelope: Envelope, config: Config) -> bool:
    domains = frozenset(config.outbound.inner_domains)
    return all(bare(who).rpartition("@")[2] in domains for who in envelope.recipients)


def _inner(traces: Sequence[bytes], host: bytes | None, inside: tuple[str, ...]) -> int:
    """Return how many Received lines stand above the first that this gateway wrote about a client outside.

    Mail that came from the house, stayed in it and is sent on from there has passed the gateway more than once.
    """
    written = (
        at
        for at, trace in enumerate(traces)
        if host and _writer(trace) == host.lower() and not within(_client(trace), inside)
    )
    return next(written, len(traces))


def _client(trace: bytes) -> bytes:
    """Return the client's address that a line of the gateway's own names: the last one in front of `by` (RFC 5321 4.4, TCP-info)."""
    begins = [match.start() for match in _BY.finditer(trace)]
    found = _LITERAL.findall(trace[: begins[-1]] if begins else b"")
    return found[-1] if found else b""


def _writer(trace: bytes) -> bytes:
    """Return the host that a Received line says it was written by, in lower case; nothing where it says so in no plain way.

    In front stands the client's name of itself (HELO), in which a client may write anything: blanks, another `by`, half of a
    comment. What the writer says comes last; of a line whose comments do not end, nothing is believed.
    """
    plain = trace
    for _ in range(_DEEPEST):
        plain = _ASIDE.sub(b" ", plain)
    named = _BY.findall(plain)
    return named[-1].lower() if named and not re.search(rb"[()<>]", plain) else b""
