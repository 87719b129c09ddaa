"""Rules: what an operator declares about clients, senders, recipients, HELO names and content; plain data of any MTA.

A rule's whole id (``mta.client.foo``) stands in the reply to the sender and in the log, so that either finds the rule.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import Meta, Struct

from filterd.domains import in_unicode
from roles.mta import literals
from roles.mta.literals import address_of

Network = IPv4Network | IPv6Network

RuleId = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\Z",
        description="Name of the rule, unique in its list; the reply and the log name it behind `mta.` and the list's word.",
    ),
]
# RFC 5321 4.5.3.1.5: a reply line has at most 512 octets; Postfix puts the address, and the id, beside this text.
Text = Annotated[
    str,
    Meta(
        pattern=r"\A[ -~]{0,160}\Z",
        description="What the sender is told, in front of the rule's id; empty: a general text.",
    ),
]
Expiry = Annotated[
    date,
    Meta(description="Last day (UTC) on which the rule holds; after it the rule is left out, which is said."),
]
Mode = Annotated[
    Literal["on", "warn"],
    Meta(description="`warn`: nothing is refused, what would have been is counted in the log."),
]
Reason = Annotated[
    str, Meta(min_length=1, max_length=400, description="Why the rule is there; for its readers.")
]
AccessVerb = Annotated[
    Literal["accept", "reject", "defer", "discard", "hold"],
    Meta(
        description="`accept` ends the checks of its side (a client's, HELO's and sender's, or the recipient's), and is no way "
        "around relay control or filterd; `reject` is 554, `defer` 450; `discard` takes the message and drops it; "
        "`hold` lets it wait in the queue for a person."
    ),
]


class _Declared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all rules have in common."""

    id: RuleId
    text: Text = ""
    mode: Mode = "on"
    expires: Expiry = date.max
    reason: Reason


class AccessRule(_Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rules about an envelope have in common."""

    word: ClassVar[str]
    match: str
    verb: AccessVerb

    @property
    def name(self) -> str:
        """The rule's whole id."""
        return f"mta.{self.word}.{self.id}"


class ClientRule(AccessRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule about the client, looked at in the order in which the rules stand; the first that matches decides."""

    word: ClassVar[str] = "client"
    match: Annotated[
        str,
        Meta(
            description="Address, network (CIDR), host name in which `*` stands for anything (the name that the client's address "
            "has in DNS, confirmed by the name's own address; `unknown` where there is none), or `/regular expression/` over it."
        ),
    ]


class HeloRule(AccessRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule about the name that a client gives itself by HELO or EHLO."""

    word: ClassVar[str] = "helo"
    match: Annotated[
        str,
        Meta(
            description="Host name in which `*` stands for anything, with a dot at its end or without, `[address]` in any "
            "spelling, or `/regular expression/` over what the client wrote."
        ),
    ]


class SenderRule(AccessRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule about the envelope's sender. It is easily forged: to accept by it skips the sender's own checks only."""

    word: ClassVar[str] = "sender"
    match: Annotated[
        str,
        Meta(
            description="Address (`*` in front of the @ stands for anything), `@domain`, `@.domain` (all below it), `<>` (the null sender "
            "of bounces), or `/regular expression/` over the address."
        ),
    ]


class RecipientRule(AccessRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule about the envelope's recipient."""

    word: ClassVar[str] = "recipient"
    match: Annotated[
        str,
        Meta(
            description="Address (`*` in front of the @ stands for anything), `@domain`, `@.domain` (all below it), or `/regular "
            "expression/` over the address."
        ),
    ]


class ContentRule(_Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule about lines of the message as they come, undecoded: quick, and easily evaded by an encoding.

    What counts on decoded text or on the names of attachments is filterd's (docs/policy.md). The first rule that
    matches a line decides for it; those that only warn are looked at where no other does.
    """

    part: Annotated[
        Literal["header", "mime", "body"],
        Meta(
            description="`header`: the message's own headers, one whole header at a time; `mime`: headers of its parts "
            "and its own MIME headers; `body`: lines of the body, of each part the first 50 KiB."
        ),
    ]
    match: Annotated[str, Meta(description="`/regular expression/` over the header or line.")]
    verb: Annotated[
        Literal["reject", "ignore", "warn", "hold", "discard"],
        Meta(
            description="`reject` is 550; `ignore` takes the header or line out of the message; `warn` counts it in the log; "
            "`hold` lets the message wait in the queue for a person; `discard` takes the message and drops it."
        ),
    ]

    @property
    def name(self) -> str:
        """The rule's whole id."""
        return f"mta.{self.part}.{self.id}"


Rule = AccessRule | ContentRule
R = TypeVar("R", AccessRule, ContentRule)


def today() -> date:
    """Return the day by which rules run out (UTC, so that control host and gateway agree)."""
    return datetime.now(UTC).date()


def in_force(rules: Iterable[R], on: date) -> tuple[R, ...]:
    """Return the rules that have not run out on a day, in their order."""
    return tuple(rule for rule in rules if on <= rule.expires)


def expired(rules: Iterable[Rule], on: date) -> Iterator[str]:
    """Give one sentence for each rule that has run out."""
    for rule in rules:
        if rule.expires < on:
            yield f"rule {rule.name} has run out on {rule.expires} and is left out; remove it, or give it a later day"


def network_of(match: str) -> Network | None:
    """Return the network that a client rule names; None if it names none."""
    try:
        return ip_network(match)
    except ValueError:
        return None


def is_regexp(match: str) -> bool:
    """Say whether a match is a regular expression between slashes."""
    return len(match) > 1 and match.startswith("/") and match.endswith("/")


def pattern(rule: AccessRule, *, international: bool = False) -> str:
    """Return the regular expression of a rule that names no network: searched for, without case, in name or address.

    ``international``: a domain in A-labels is found in U-labels too.
    """
    match = rule.match
    if is_regexp(match):
        return match[1:-1]
    if isinstance(rule, SenderRule | RecipientRule):
        if match == "<>":
            return "^<>$"
        local, _, domain = match.rpartition("@")
        # `@.example.org` is all below example.org; `@example.org` that domain alone.
        other = in_unicode(domain)
        quoted = _quoted(domain)
        if international and other != domain:
            quoted = f"({quoted}|{_either_case(other)})"
        if not local:
            return f"{'@.+' if domain.startswith('.') else '@'}{quoted}$"
        return f"^{_globbed(local)}\\@{quoted}$"
    if isinstance(rule, HeloRule) and (address := address_of(match)):
        return literals.expression(address)
    # A name with a dot at its end is the same name (RFC 1034 3.1). DNS's answer about a client comes without.
    end = r"\.*$" if isinstance(rule, HeloRule) else "$"
    return f"^{_globbed(match.rstrip('.'))}{end}"


def _globbed(text: str) -> str:
    """Return a text as a regular expression in which `*` stands for anything."""
    return ".*".join(_quoted(piece) for piece in text.split("*"))


def _quoted(text: str) -> str:
    """Return a text as a regular expression for itself; letters, digits and blanks mean the same in each dialect."""
    return re.sub(r"([^A-Za-z0-9_ -])", r"\\\1", text)


def _either_case(domain: str) -> str:
    """Return the expression of a domain in U-labels: Postfix's tables of expressions know the case of ASCII's letters alone."""
    return "".join(
        _quoted(each) if each.isascii() else f"({'|'.join(dict.fromkeys((each, each.upper())))})"
        for each in domain
    )


class MtaRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the MTA refuses or lets in by name; docs/mta-rules.md has worked examples."""

    client: tuple[ClientRule, ...] = ()
    helo: tuple[HeloRule, ...] = ()
    sender: tuple[SenderRule, ...] = ()
    recipient: tuple[RecipientRule, ...] = ()
    content: tuple[ContentRule, ...] = ()
    warn_only: Annotated[
        tuple[str, ...],
        Meta(
            description="Ids of defences (docs/defences.md) whose refusals are only counted in the log. None of those that close "
            "the relay can be named."
        ),
    ] = ()
    helo_form: Annotated[
        Literal["any", "syntax", "fqdn", "known"],
        Meta(
            description="What a stranger's HELO name must be: `syntax` a host name or address, `fqdn` fully qualified too, `known` "
            "in DNS too (450 if not). Many honest servers fail the last."
        ),
    ] = "syntax"
    headers_7bit: Annotated[
        bool,
        Meta(
            description="Refuse headers with bytes beyond ASCII; not together with `smtputf8`, which is made of them."
        ),
    ] = False

    smtputf8: Annotated[
        bool,
        Meta(
            description="Under Postfix: offer SMTPUTF8 (RFC 6531), for addresses beyond ASCII. Only where every next hop offers it as "
            "well: what one does not take comes back, and a sender outside is told nothing of that. Sendmail never offers it."
        ),
    ] = False

    def every(self) -> tuple[Rule, ...]:
        """Return all rules, in the order of the settings."""
        return (*self.client, *self.helo, *self.sender, *self.recipient, *self.content)
