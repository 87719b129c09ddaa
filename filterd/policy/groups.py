"""Whom a message is from and for: its direction, and the groups that fit a recipient."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal

from filterd.config import Config, Group
from filterd.config.conditions import NULL_SENDER, bare, client, fits, network, span
from filterd.message import Envelope

Direction = Literal["in", "out"]


@lru_cache(maxsize=1024)
def within(address: bytes, networks: tuple[str, ...]) -> bool:
    """Whether a client's address lies in one of the networks; a client without an address lies in none."""
    found = client(address)
    return found is not None and any(found in network(one) for one in networks)


def direction(envelope: Envelope, config: Config) -> Direction:
    """Return "out" for mail from a logged-in user or an internal network, else "in"."""
    inside = bool(envelope.user) or within(envelope.client_address, config.policy.internal_networks)
    return "out" if inside else "in"


def is_null_sender(envelope: Envelope) -> bool:
    """Whether the message comes from the null sender, as notices about mail do (RFC 5321 4.5.5)."""
    return bare(envelope.sender) == NULL_SENDER


def meeting(envelope: Envelope, config: Config, now: datetime) -> tuple[Group, ...]:
    """Return the groups whose conditions a message meets now, those about recipients left aside, in their order."""
    sender = bare(envelope.sender)
    way = direction(envelope, config)
    return tuple(
        group
        for group in config.group
        if group.direction in {"any", way}
        and (not group.senders or any(fits(one, sender) for one in group.senders))
        and (not group.clients or within(envelope.client_address, group.clients))
        and (not group.times or any(span(one).holds(now) for one in group.times))
    )


def meaning(recipient: bytes, groups: Sequence[Group]) -> tuple[Group, ...]:
    """Return those of the groups that mean a recipient, in their order."""
    address = bare(recipient)
    return tuple(
        group
        for group in groups
        if not group.recipients or any(fits(one, address) for one in group.recipients)
    )
