"""Dispositions become a plan: what is stored, which variant the milter's message carries, what is injected. Pure.

One milter message can carry one variant of a message to those of its recipients that are left. The untouched one is
preferred, so that nothing is done to most mail; else the one with the most recipients. All others are injected.

The attack it stops: a recipient who gets what was to be kept from him. The MTA takes a recipient off by comparing
spellings, and passes over one that it does not find (Postfix strips a source route, which milters see). So an address
that can be spelt in two ways is never taken off: the milter's message is dropped then, and every variant injected.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from filterd.anatomy import HeaderEdit, RewriteOrder
from filterd.config import Config
from filterd.config.actions import is_address, step
from filterd.disposition import Disposition
from filterd.ledger.records import Kind
from filterd.milter.negotiation import Action

from .heading import Marks

_KIND_OF_SIDE: Final[dict[str, Kind]] = {"copy": "copy", "archive": "archive"}
_KIND_OF_FATE: Final[dict[str, Kind]] = {"move": "quarantine", "discard": "discarded"}

_HEADERS: Final = Action.ADD_HEADERS | Action.CHANGE_HEADERS
# What each action of a chain may need of the MTA.
_NEEDS: Final[dict[str, Action]] = {
    "tag": _HEADERS,
    "stamp": _HEADERS | Action.CHANGE_BODY,
    "clean": _HEADERS | Action.CHANGE_BODY,
    "delete": _HEADERS | Action.CHANGE_BODY,
    "rename": _HEADERS | Action.CHANGE_BODY,
    "disarm": _HEADERS | Action.CHANGE_BODY,
    "forward": Action.ADD_RECIPIENTS_WITH_PARAMETERS,
}


class Variant(Struct, frozen=True, kw_only=True):
    """One form of the message: changed by ``order``, marked in its header."""

    order: RewriteOrder = RewriteOrder()
    marks: Marks = Marks()

    @property
    def rewritten(self) -> bool:
        """Return whether a parse worker has to make it."""
        return bool(self.order.edits or self.order.stamp)

    @property
    def untouched(self) -> bool:
        """Return whether it is the message as it came."""
        return not self.rewritten and not self.marks


class Share(Struct, frozen=True, kw_only=True):
    """A variant and its recipients, as the MTA wrote them. ``forwarded``: they are none of the message's own."""

    variant: Variant
    recipients: tuple[bytes, ...]
    forwarded: bool = False


class ToKeep(Struct, frozen=True, kw_only=True):
    """One entry of the store."""

    kind: Kind
    disposition: Disposition
    reason: str


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done. ``carried`` None: the milter's message is dropped, as nobody is left who gets it.

    ``deleted`` are recipients that the milter's message loses, ``added`` those that it gains.
    """

    carried: Share | None
    injected: tuple[Share, ...] = ()
    deleted: tuple[bytes, ...] = ()
    added: tuple[bytes, ...] = ()
    kept: tuple[ToKeep, ...] = ()


def variant(
    one: Disposition, order: RewriteOrder, *, add_header: bool, hidden: tuple[HeaderEdit, ...] = ()
) -> Variant:
    """Return the form in which these recipients get the message. ``order``: with the texts of its edits."""
    verdict = str(one.verdict) if add_header else ""
    return Variant(
        order=order, marks=Marks(verdict=verdict, tags=one.tags, subject=one.subject, hidden=hidden)
    )


def planned(shares: Sequence[Share], dispositions: Sequence[Disposition]) -> Plan:
    """Return the plan. ``shares``: for each delivering disposition its variant."""
    merged: dict[Variant, dict[bytes, None]] = {}
    for share in shares:
        merged.setdefault(share.variant, {}).update(dict.fromkeys(share.recipients))
    delivered = [Share(variant=one, recipients=tuple(who)) for one, who in merged.items()]
    # max takes the first of equal ones: the order is that of the envelope.
    carried = max(delivered, key=lambda one: (one.variant.untouched, len(one.recipients)), default=None)
    every = dict.fromkeys(who for one in dispositions for who in one.recipients)
    if carried and not all(_is_certain(who) for who in every if who not in carried.recipients):
        carried = None
    injected = [one for one in delivered if one is not carried]
    staying = frozenset(carried.recipients if carried else ())
    forwards = tuple(
        dict.fromkeys(
            b"<" + side.argument.encode("ascii") + b">"
            for one in dispositions
            for side in one.sides
            if side.action == "forward"
        )
    )
    added: tuple[bytes, ...] = ()
    if forwards and carried is not None and carried.variant.untouched:
        added = tuple(one for one in forwards if one not in staying)
    elif forwards:
        injected.append(Share(variant=Variant(), recipients=forwards, forwarded=True))
    return Plan(
        carried=carried,
        injected=tuple(injected),
        deleted=tuple(who for who in every if who not in staying) if carried else (),
        added=added,
        kept=tuple(kept for one in dispositions for kept in _kept(one)),
    )


def _is_certain(recipient: bytes) -> bool:
    """Return whether an address has one spelling only: no quoting, source route, comment or closing dot."""
    text = recipient.decode("ascii", "replace")
    return text.startswith("<") and text.endswith(">") and is_address(text[1:-1])


def _kept(one: Disposition) -> list[ToKeep]:
    found = [
        ToKeep(kind=_KIND_OF_SIDE[side.action], disposition=one, reason=f"{side.action}: {side.verdict}")
        for side in one.sides
        if side.action in _KIND_OF_SIDE
    ]
    if one.fate in _KIND_OF_FATE:
        reason = f"{one.fate}: {one.verdict}"
        if one.wanted != one.fate:
            reason += f" ({one.wanted}, but others get the message)"
        found.append(ToKeep(kind=_KIND_OF_FATE[one.fate], disposition=one, reason=reason))
    return found


def needed(config: Config) -> Action:
    """Return what the MTA must let us do for every chain of the configuration to be carried out.

    Only what may be needed is asked for, so that what is not configured cannot happen to mail.
    """
    policy = config.policy
    # Lists of senders make recipients of one message meet different fates; the ledger's may come at any time.
    needs = Action.DELETE_RECIPIENTS
    if policy.add_header:
        needs |= _HEADERS
    if config.outbound.hide_trace or config.outbound.hide_headers:
        needs |= Action.CHANGE_HEADERS
    chains = [policy.chains, *(group.chains for group in config.group)]
    for chain in chains:
        for name in chain.__struct_fields__:
            for one in getattr(chain, name):
                needs |= _NEEDS.get(step(one).name, Action(0))
    html = config.html
    if any(getattr(html, name) != "allow" for name in html.__struct_fields__):
        needs |= _HEADERS | Action.CHANGE_BODY
    return needs
