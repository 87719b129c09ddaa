"""``[policy]``, ``[[group]]``, ``[notify]``, ``[html]``: what becomes of what was found, for whom."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, field

from filterd.findings import Mode

from .base import AbsolutePath, Name, RuleId, Section, SocketPath

# An action of a chain: a name, and after a blank what it takes ("forward soc@example.org", "delete notice").
Action = Annotated[str, Meta(min_length=1, max_length=320)]
Chain = Annotated[tuple[Action, ...], Meta(min_length=1, max_length=16)]
NoChain = Annotated[tuple[Action, ...], Meta(max_length=16)]
Precision = Literal["low", "medium", "high", "very_high"]
Treatment = Literal["allow", "disarm", "strip"]


class Chains(Section, frozen=True, kw_only=True):
    """``[policy.chains]``: what is tried for each class, in order.

    A chain that runs out ends in reject, that of not_inspected in tempfail.
    """

    clean: NoChain = ()  # mail against which nothing counts; only side steps and ends; it runs out in delivery
    infected: Chain = ("reject",)
    suspicious: Chain = ("reject",)
    banned: Chain = ("reject",)
    encrypted: Chain = ("tag", "ignore")
    malformed: Chain = ("reject",)
    over_limit: Chain = ("reject",)
    not_inspected: Chain = ("tempfail",)  # `ignore` here lets in what nobody has looked at
    spam: Chain = ("reject",)
    burst: Chain = ("move",)  # too much mail of one sender inside
    bulk: Chain = ("ignore",)  # a tag here marks mail that some recipients asked for


class GroupChains(Section, frozen=True, kw_only=True):
    """``[group.chains]``: the classes for which a group differs; an empty chain: as without the group."""

    clean: NoChain = ()
    infected: NoChain = ()
    suspicious: NoChain = ()
    banned: NoChain = ()
    encrypted: NoChain = ()
    malformed: NoChain = ()
    over_limit: NoChain = ()
    not_inspected: NoChain = ()
    spam: NoChain = ()
    burst: NoChain = ()
    bulk: NoChain = ()


class HtmlSettings(Section, frozen=True, kw_only=True):
    """``[html]``: what is done to active content in HTML parts of mail that is delivered."""

    scripts: Treatment = "allow"
    forms: Treatment = "allow"
    iframes: Treatment = "allow"
    objects: Treatment = "allow"
    webbugs: Treatment = "allow"


class Group(Section, frozen=True, kw_only=True):
    """``[[group]]``: mail that meets every condition that is given; of a list, one entry is enough.

    The first group that fits a recipient and has a chain for a class decides, or a mode for a rule.
    """

    name: Name  # stands in `filterd scan`
    recipients: tuple[
        str, ...
    ] = ()  # "user@example.org", "@example.org", "@.example.org" (subdomains), "user@"
    senders: tuple[str, ...] = ()  # of the envelope, as recipients; "<>" is the null sender
    clients: tuple[str, ...] = ()  # networks (CIDR) of the sending host
    direction: Literal["any", "in", "out"] = "any"
    times: tuple[str, ...] = ()  # "Mon-Fri 08:00-18:00", "Sat,Sun", "22:00-06:00"; local time of the gateway
    chains: GroupChains = GroupChains()
    rules: dict[RuleId, Mode] = field(default_factory=dict)  # modes of rules for this group


class ListEntry(Section, frozen=True, kw_only=True):
    """``[[list]]``: senders whose mail is refused, or whose spam score does not count (and nothing else of them).

    A sender is named by the envelope or by the one address in From. An entry that refuses goes before any that accepts.
    """

    name: Name  # stands in the log and in `filterd scan`
    verdict: Literal["accept", "reject"]
    senders: Annotated[tuple[str, ...], Meta(min_length=1)]  # patterns, as those of a group
    recipients: tuple[str, ...] = ()  # whose list it is; none: everybody's
    clients: tuple[str, ...] = ()  # networks (CIDR) of the sending host; none: any
    authentication: Literal["required", "none"] = (
        "required"  # of accept: SPF must pass for the envelope's sender, or DKIM for the address in From
    )
    until: date = date.max  # last day on which it holds, by the gateway's clock


class PolicySettings(Section, frozen=True, kw_only=True):
    """``[policy]``. ``internal_networks`` (and logged-in users) send outbound mail, all else is inbound."""

    precision: Precision = "medium"  # how readily a spam score makes "bulk" and "spam"
    internal_networks: tuple[str, ...] = ()  # CIDR
    # Whoever outside sends with an envelope sender of one of these must be proven: SPF for it, or DKIM for an address in
    # From of the same domain. Rule list.unproven.
    own_domains: tuple[str, ...] = ()
    add_header: bool = (
        False  # an X-Bastide-Verdict header on clean mail too, which then is no longer as it came
    )
    # How often a message that cannot be inspected is put off; then it goes into quarantine, if its chain would only put
    # it off again. 0: for ever. A sender that comes back as Postfix does has by then tried for about seven hours.
    tries: Annotated[int, Meta(ge=0, le=1000)] = 12
    tag_subject: Annotated[str, Meta(max_length=64, pattern=r"\A[ -~]*\Z")] = (
        "[{verdict}] "  # of `tag subject`; {verdict} is the class
    )
    chains: Chains = Chains()


class NotifySettings(Section, frozen=True, kw_only=True):
    """``[notify]``: who hears of it. Templates: ``<templates>/<language>/<who>.txt``; built-in ones else."""

    admin: str = ""  # address; "": nobody
    sender_address: str = ""  # the From of notices; "": postmaster at the gateway's name
    language: Annotated[str, Meta(pattern=r"\A[a-z]{2}(-[A-Z]{2})?\Z")] = "en"
    templates: AbsolutePath = "/etc/filterd/templates"
    per_hour: Annotated[int, Meta(ge=1, le=100_000)] = 60  # notices to one address
    stamps: dict[Name, str] = field(default_factory=dict)  # texts of `stamp <name>`


class InjectSettings(Section, frozen=True, kw_only=True):
    """``[inject]``: where the MTA takes mail that filterd itself sends: notices, and variants of split messages."""

    socket: SocketPath = "/var/spool/postfix/public/filterd-inject"
    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60
