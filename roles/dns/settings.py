"""Settings of the resolver, and of the block lists that it is asked for."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta, Struct

from roles.dns.lists import (
    DEAD,
    PUBLIC_RESOLVERS,
    known_answers,
    octets,
    takes,
)
from roles.forms import internet_problem, is_fqdn, network_problem

# A zone's own name, not only a host's: labels may begin with an underscore, and `.` is the root.
_ZONE = re.compile(
    r"\.|([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.?"
)
# RFC 4034 5.3: owner, DS, key tag, algorithm, digest type, digest.
_ANCHOR = re.compile(r"(\S+)\s+(?:IN\s+)?DS\s+\d{1,5}\s+\d{1,3}\s+[1-4]\s+[0-9A-Fa-f]{40,96}")
# Postfix and Sendmail both write it into a reply line, between other words.
_REASON = re.compile(r"[A-Za-z0-9 ,.:/_-]{0,120}")


class Dns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the local resolver judges answers; whom it asks is the setting ``resolvers``."""

    trust_anchors: Annotated[
        tuple[str, ...],
        Meta(
            description="DS records of zones whose signatures are trusted beside the Internet's root, written "
            "`zone. DS keytag algorithm digesttype digest`; one for `.` stands in the place of the Internet's root."
        ),
    ] = ()
    insecure_domains: Annotated[
        tuple[str, ...],
        Meta(
            description="Domains below which nothing is validated: internal ones that a signed parent does not know of."
        ),
    ] = ()
    private_domains: Annotated[
        tuple[str, ...],
        Meta(
            description="Domains whose names may have private addresses. Next hops and block lists may without being named."
        ),
    ] = ()


class BlockList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One list of addresses that is asked by DNS (RFC 5782): of clients to refuse, or, with a negative score, to trust.

    A zone may stand here several times, with other ``answers`` and another ``score`` each time.
    """

    id: Annotated[
        str,
        Meta(
            pattern=r"\A[a-z0-9][a-z0-9-]{0,30}\Z",
            description="Name of this entry; a refused client reads `dnsbl.` and this. A vendor's key never stands in it.",
        ),
    ]
    zone: Annotated[str, Meta(description="Zone that is asked, a vendor's key included where there is one.")]
    score: Annotated[
        int,
        Meta(
            ge=-100,
            le=100,
            description="Points of a client that is listed; at `dnsbl_threshold` it is refused. Negative: an allow list.",
        ),
    ] = 3
    answers: Annotated[
        str,
        Meta(
            description="Which answers count, as four numbers, each one or `[2..11;20]`. Empty: what the list is known to "
            "answer with, else `127.0.0.[2..254]`. Error codes (127.255.255.x) can never count."
        ),
    ] = ""
    reason: Annotated[str, Meta(description="What a refused client reads behind the rule's name.")] = ""
    mode: Annotated[
        Literal["on", "warn"],
        Meta(description="`warn`: the list is asked and each hit logged, but it counts nothing."),
    ] = "on"
    test: Annotated[
        str,
        Meta(
            description="Address that the list must hold when it works, with an answer that this entry counts. RFC 5782 5 "
            "wants 127.0.0.2; empty: that one, and where a zone stands here several times, with an answer that one of them counts."
        ),
    ] = ""

    @property
    def rule(self) -> str:
        """The rule's name in replies and logs."""
        return f"dnsbl.{self.id}"

    @property
    def filter(self) -> str:
        """Which answers count, in Postfix's notation."""
        return self.answers or known_answers(self.zone)

    @property
    def counts(self) -> int:
        """The score that counts: none in warn mode."""
        return self.score if self.mode == "on" else 0

    @property
    def text(self) -> str:
        """What a refused client reads: the rule, and the reason where one was given."""
        return f"{self.rule} ({self.reason})" if self.reason else self.rule


def refusals(lists: tuple[BlockList, ...]) -> dict[str, str]:
    """Return what a refused client reads, by the zone: its entry of most weight speaks for it."""
    return {entry.zone: entry.text for entry in sorted(lists, key=lambda entry: entry.counts)}


def dns_problems(settings: Dns) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used."""
    for anchor in settings.trust_anchors:
        match = _ANCHOR.fullmatch(anchor)
        if match is None or _ZONE.fullmatch(match[1]) is None:
            yield (
                "dns.trust_anchors",
                f"{anchor!r} is no DS record; write it like `example.org. DS 12345 15 2 <64 hexadecimal digits>`",
            )
    for name in ("insecure_domains", "private_domains"):
        for domain in getattr(settings, name):
            if _ZONE.fullmatch(domain) is None or domain == ".":
                yield f"dns.{name}", f"{domain!r} is not a domain; write it like internal.example.org"


def list_problems(
    lists: tuple[BlockList, ...], threshold: int, allow: tuple[str, ...], resolvers: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used of the block lists."""
    ids = [each.id for each in lists]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield "dnsbl", f"the id {name!r} is given twice; a refused client could not say which list it was"
    zones = dict.fromkeys(entry.zone for entry in lists)
    for name in sorted(
        {zone.lower() for zone in zones if [each.lower() for each in zones].count(zone.lower()) > 1}
    ):
        yield (
            "dnsbl",
            f"the zone {name!r} is written with small letters here and with capitals there; write it in one way",
        )
    for entry in lists:
        yield from (("dnsbl", f"{entry.id}: {problem}") for problem in _list_problems(entry))
    best = sum(entry.score for entry in lists if entry.score > 0)
    if 0 < best < threshold:
        yield (
            "dnsbl_threshold",
            f"all scores together are {best}, below {threshold}: no client is ever refused; lower it or raise scores",
        )
    for network in allow:
        if problem := network_problem(network):
            yield "dnsbl_allow", problem
    if problem := internet_problem(allow):
        yield "dnsbl_allow", problem
    for address in resolvers:
        if lists and _is_public(address):
            problem = f"{address} is a public resolver, which block lists refuse or answer with error codes"
            yield "resolvers", f"{problem}; leave it empty, so that the gateway asks the name servers itself"


def _list_problems(entry: BlockList) -> Iterator[str]:
    zone = entry.zone.rstrip(".").lower()
    if not is_fqdn(zone):
        yield f"{entry.zone!r} is not a zone; write it like dnsbl.example.org"
    if entry.zone.endswith("."):
        # Sendmail puts one there itself, and a name with two finds nothing.
        yield f"{entry.zone!r} ends with a dot; write it without"
    for dead, why in DEAD.items():
        if zone == dead or zone.endswith(f".{dead}"):
            yield f"{entry.zone} is dead: {why}; take it out"
    if entry.score == 0:
        yield "a score of 0 decides nothing; give it one, or mode = warn"
    if _REASON.fullmatch(entry.reason) is None:
        yield "the reason must be up to 120 letters, digits, blanks and ,.:/_- as it goes into a reply line"
    if entry.test and not _is_ipv4(entry.test):
        yield f"test {entry.test!r} is not an IPv4 address"
    yield from _answer_problems(entry.filter)


def _answer_problems(answers: str) -> Iterator[str]:
    try:
        counted = octets(answers)
    except ValueError as error:
        yield f"answers: {error}"
        return
    if counted[0] != {127}:
        yield "answers must be within 127.0.0.0/8 (RFC 5782 2.1); else whoever buys the zone's name refuses all mail"
    if any(takes(counted, f"127.255.255.{last}") for last in range(256)):
        yield f"answers {answers} take 127.255.255.x, the codes for errors, for listings; narrow them"
    if takes(counted, "127.0.0.1"):
        yield f"answers {answers} take 127.0.0.1, which no list may answer with (RFC 5782 2.1); narrow them"


def _is_public(address: str) -> bool:
    try:
        return ip_address(address) in PUBLIC_RESOLVERS
    except ValueError:
        return False  # another problem, told where addresses are judged


def _is_ipv4(text: str) -> bool:
    try:
        return ip_address(text).version == 4  # noqa: PLR2004 - the protocol's own number
    except ValueError:
        return False
