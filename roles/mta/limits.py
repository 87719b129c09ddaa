"""Limits: how much of the gateway one client may have, and which networks may relay; plain data of any MTA."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Annotated, Final

from msgspec import Meta, Struct

from roles.forms import internet_problem, network_problem

# A network that may relay, or that no limit bounds, is somebody's own; larger ones need a reason that can be read.
PLAIN_PREFIX: Final = {4: 16, 6: 48}


class RelayNetwork(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network whose hosts may send anywhere through the gateway."""

    network: Annotated[str, Meta(description="Address or network (CIDR, both families).")]
    reason: Annotated[
        str, Meta(max_length=400, description="Why; wanted of networks larger than a /16 (IPv6: /48).")
    ] = ""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one client may take of the gateway, counted by its address. 0 is no limit."""

    connections: Annotated[
        int, Meta(ge=0, le=1000, description="Connections at the same time; what is beyond gets 421.")
    ] = 20
    connections_per_minute: Annotated[
        int, Meta(ge=0, le=100_000, description="Connections a minute; what is beyond gets 421.")
    ] = 120
    messages_per_minute: Annotated[
        int, Meta(ge=0, le=100_000, description="Messages a minute; what is beyond gets 450.")
    ] = 240
    recipients_per_minute: Annotated[
        int,
        Meta(ge=0, le=1_000_000, description="Recipients a minute, good and bad; what is beyond gets 450."),
    ] = 1200
    errors_slow: Annotated[
        int,
        Meta(ge=1, le=100, description="Errors in one session after which each reply comes a second later."),
    ] = 5
    errors: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Errors in one session at which it is ended by 421; 1 while the gateway is short of processes.",
        ),
    ] = 20
    idle_commands: Annotated[
        int,
        Meta(
            ge=10,
            le=10_000,
            description="Commands without a message (NOOP, RSET, …) in one session beyond which each counts as an error; 1 while "
            "the gateway is short of processes.",
        ),
    ] = 100
    command_seconds: Annotated[
        int,
        Meta(
            ge=30,
            le=3600,
            description="Seconds in which a client must have sent a whole command, or the next part of a message; 10 while Postfix "
            "is short of processes. RFC 5321 4.5.3.2 grants five minutes.",
        ),
    ] = 300
    exempt: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) that connections, messages and recipients are not counted of, beside `relay_networks`: "
            "a partner's relay, a monitor."
        ),
    ] = ()


def limit_problems(limits: Limits, networks: Sequence[RelayNetwork]) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for limits and relaying networks."""
    for entry in networks:
        if problem := _network_problem(entry.network, entry.reason, "relay through the gateway"):
            yield "relay_networks", problem
    if problem := internet_problem(entry.network for entry in networks):
        yield "relay_networks", problem
    for text in limits.exempt:
        if problem := _network_problem(text, None, "send without limits"):
            yield "mta_limits.exempt", problem
    if problem := internet_problem(limits.exempt):
        yield "mta_limits.exempt", problem
    if limits.errors_slow > limits.errors:
        yield (
            "mta_limits.errors_slow",
            f"{limits.errors_slow} errors make replies slow, but {limits.errors} end the session; give a number below that",
        )


def _network_problem(text: str, reason: str | None, deed: str) -> str:
    """Return what is wrong with a network that is let do something, and the remedy, or an empty text.

    ``reason`` is None where none can be given.
    """
    if problem := network_problem(text):
        return problem
    network = ip_network(text)
    if network.prefixlen == 0:
        return f"{text!r} lets the whole internet {deed}; name the networks that are yours"
    plain = PLAIN_PREFIX[network.version]
    if network.prefixlen < plain and not (reason or "").strip():
        remedy = "name smaller networks" if reason is None else "give the `reason`, or name smaller networks"
        return f"{text!r} is larger than a /{plain}, and all of it may {deed}; {remedy}"
    return ""
