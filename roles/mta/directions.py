"""Directions: what hosts of the house may send out, by which way, and how long mail waits; plain data of any MTA."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Final

from msgspec import Meta, Struct

from roles.forms import HIGHEST_PORT, SMTP_PORT, is_fqdn, is_next_hop, next_hop_host, next_hop_port, next_hops

# RFC 6648 or not: fields by which software tells the world about the inside. A signed one stays (RFC 6376 5.4).
HIDDEN: Final = (
    "X-Originating-IP",
    "X-Original-To",
    "X-Originating-Client",
    "X-Source-IP",
    "X-ClientProxiedBy",
    "X-Sender-IP",
    "X-MS-Exchange-Organization-AuthSource",
    "X-MS-Exchange-Organization-AuthAs",
    "X-MS-Exchange-Organization-OriginalClientIPAddress",
    "X-MS-Exchange-Organization-OriginalServerIPAddress",
    "X-PHP-Originating-Script",
    "X-Authenticated-Sender",
)
# RFC 5322 2.2
_FIELD: Final = re.compile(r"[!-9;-~]{1,100}")
# Without them a message is none, or is not found again.
_NEVER_HIDDEN: Final = ("received", "from", "to", "cc", "date", "subject", "message-id", "mime-version")

Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Outbound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mail that hosts of `relay_networks` send out. It is scanned as mail from outside is."""

    smarthost: Annotated[
        str,
        Meta(
            description="Next hops of all mail that goes out, as in `relay_domains`; empty: the MX of each recipient's domain."
        ),
    ] = ""
    any_sender: Annotated[
        bool,
        Meta(
            description="Whether hosts inside may name any sender. Else only those at `relay_domains` and `sender_domains`, and "
            "the null sender of bounces; forwarding of mail from outside then needs SRS inside."
        ),
    ] = False
    sender_domains: Annotated[
        tuple[str, ...],
        Meta(description="Domains that hosts inside may send as, beside `relay_domains`."),
    ] = ()
    sender_messages: Annotated[
        Count,
        Meta(
            description="Messages an hour of one sender; what is beyond goes into quarantine and raises an alert. 0: no limit."
        ),
    ] = 200
    sender_recipients: Annotated[Count, Meta(description="The same of recipients. 0: no limit.")] = 1000
    client_messages: Annotated[
        Count,
        Meta(
            description="Messages an hour of one host inside, whoever it says is sending; your own mail server's may be all "
            "the mail of the house. 0: no limit."
        ),
    ] = 5000
    hide_trace: Annotated[
        bool,
        Meta(
            description="Whether Received lines that hosts inside wrote, and their addresses in the gateway's own, are kept from "
            "the world."
        ),
    ] = True
    hide_headers: Annotated[
        tuple[str, ...],
        Meta(description="Header fields that do not leave the house, unless a signature covers them."),
    ] = HIDDEN


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long mail waits for its next hop. One time for all domains: neither MTA has one for each."""

    lifetime_hours: Annotated[
        int, Meta(ge=1, le=720, description="Hours until a message that cannot be handed on is given up.")
    ] = 120
    bounce_lifetime_hours: Annotated[
        int, Meta(ge=0, le=720, description="The same of bounces; 0: they are tried once.")
    ] = 24
    warn_after_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=720,
            description="Hours after which the sender is told that his message still waits; 0: never.",
        ),
    ] = 4
    retry_minutes: Annotated[
        int, Meta(ge=1, le=240, description="Minutes between the first tries; later ones are further apart.")
    ] = 5


def direction_problems(
    outbound: Outbound, queue: Queue, domains: Mapping[str, str], hostname: str
) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what goes out, and for the queue."""
    if outbound.smarthost and (
        problem := hops_problem(outbound.smarthost, "what goes out", domains, hostname)
    ):
        yield "outbound.smarthost", problem
    for domain in outbound.sender_domains:
        if not is_fqdn(domain) or domain != domain.lower():
            yield (
                "outbound.sender_domains",
                f"{domain!r} is not a domain name in lower case; write it like example.org",
            )
        elif domain in domains:
            yield "outbound.sender_domains", f"{domain!r} is a relayed domain already; leave it out"
    for name in outbound.hide_headers:
        if not _FIELD.fullmatch(name):
            yield (
                "outbound.hide_headers",
                f"{name!r} is no name of a header field; write it without the colon",
            )
        elif name.lower() in _NEVER_HIDDEN:
            yield "outbound.hide_headers", f"{name!r} cannot be left out of a message; take it away"
    if queue.bounce_lifetime_hours > queue.lifetime_hours:
        yield (
            "queue.bounce_lifetime_hours",
            f"bounces would wait longer ({queue.bounce_lifetime_hours}) than mail ({queue.lifetime_hours}); lower it",
        )
    if queue.warn_after_hours >= queue.lifetime_hours:
        yield (
            "queue.warn_after_hours",
            f"after {queue.warn_after_hours} hours the message has been given up; set it below `lifetime_hours`, or to 0",
        )


def hops_problem(text: str, of: str, domains: Mapping[str, str], hostname: str) -> str:
    """Return what is wrong with the next hops of something, and the remedy, or an empty text."""
    hops = next_hops(text)
    if not hops or text != text.strip():
        return f"{of} has no next hop; write it as transport(5) does, like [198.51.100.7]:25"
    for hop in hops:
        if problem := _hop_problem(hop, of, domains, hostname):
            return problem
    if len(set(hops)) < len(hops):
        return f"a next hop of {of} stands there twice; leave one of them out"
    return ""


def _hop_problem(hop: str, of: str, domains: Mapping[str, str], hostname: str) -> str:
    if not is_next_hop(hop):
        return (
            f"next hop {hop!r} of {of} is not of transport(5)'s form; write it like [198.51.100.7]:25, several of them "
            "behind each other with commas"
        )
    if not hop.startswith("[") and next_hop_host(hop) in domains:
        return f"the next hop of {of} is {hop!r}, whose MX is this gateway; name the mail server itself"
    if _is_this_host(hop, hostname):
        return f"the next hop of {of} is {hop!r}, which is this gateway; name the mail server itself"
    if not 1 <= next_hop_port(hop) <= HIGHEST_PORT:
        return f"next hop {hop!r} of {of} names a port that does not exist"
    return ""


def _is_this_host(hop: str, hostname: str) -> bool:
    """Say whether a next hop is where the gateway itself takes mail; on another port something else may be."""
    host = next_hop_host(hop)
    try:
        own = ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        own = host in ("localhost", hostname.lower())
    return own and next_hop_port(hop) == SMTP_PORT
