"""Option negotiation: what the MTA offers, what this filter wishes, what holds for the connection."""

import struct
from collections.abc import Mapping
from enum import IntEnum, IntFlag
from typing import Final

from msgspec import Struct

from filterd.errors import ProtocolError

from .commands import Offer
from .frames import frame

NEWEST: Final = 6
OLDEST: Final = 2  # libmilter refuses version 1 as well

_OPTIONS: Final = struct.Struct("!III")
_STAGE: Final = struct.Struct("!I")


class Action(IntFlag):
    """SMFIF_*: what a filter may do to a message."""

    ADD_HEADERS = 0x001
    CHANGE_BODY = 0x002
    ADD_RECIPIENTS = 0x004
    DELETE_RECIPIENTS = 0x008
    CHANGE_HEADERS = 0x010
    QUARANTINE = 0x020
    CHANGE_SENDER = 0x040
    ADD_RECIPIENTS_WITH_PARAMETERS = 0x080
    CHOOSE_MACROS = 0x100


class Step(IntFlag):
    """SMFIP_*: how the conversation may differ from the plain one."""

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_MAIL = 0x04
    NO_RCPT = 0x08
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADERS = 0x40
    QUIET_HEADER = 0x80  # the SMFIP_NR_* flags: the MTA expects no reply to that command
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    REJECTED_RECIPIENTS = 0x800
    QUIET_CONNECT = 0x1000
    QUIET_HELO = 0x2000
    QUIET_MAIL = 0x4000
    QUIET_RCPT = 0x8000
    QUIET_DATA = 0x10000
    QUIET_UNKNOWN = 0x20000
    QUIET_END_OF_HEADERS = 0x40000
    QUIET_BODY = 0x80000
    LEADING_SPACE = 0x100000


class MacroStage(IntEnum):
    """SMFIM_*: the places for which a filter may choose its macros."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADERS = 6


# What an MTA of that version can have meant; anything above it is a mistake and is not believed.
_KNOWN: Final[Mapping[int, tuple[int, int]]] = {
    2: (0x3F, 0x7F),
    3: (0x3F, 0x17F),
    4: (0x3F, 0x37F),
    5: (0x3F, 0x37F),
    6: (0x1FF, 0x1FFFFF),
}


class Wish(Struct, frozen=True, kw_only=True):
    """What this filter needs (or it does not serve), would like, and which macros it reads."""

    needs: Action = Action(0)
    steps: Step = Step(0)
    macros: Mapping[MacroStage, bytes] = {}


class Agreement(Struct, frozen=True, kw_only=True):
    """What holds on this connection; nothing in it was not offered."""

    version: int
    actions: Action
    steps: Step
    macros: Mapping[MacroStage, bytes]

    def encode(self) -> bytes:
        """Return the answering SMFIC_OPTNEG frame, with the macro lists behind the numbers."""
        lists = b"".join(_STAGE.pack(stage) + names + b"\0" for stage, names in sorted(self.macros.items()))
        return frame(Offer.code, _OPTIONS.pack(self.version, self.actions, self.steps) + lists)


def agree(offer: Offer, wish: Wish) -> Agreement:
    """Return what holds for this offer and wish.

    Raises ProtocolError for a version below 2 and for a needed action that is not offered: a filter that
    cannot do its work must not look as if it did.
    """
    if offer.version < OLDEST:
        raise ProtocolError(f"the MTA speaks milter version {offer.version}; 2 to 6 are supported")
    version = min(offer.version, NEWEST)
    known_actions, known_steps = _KNOWN[version]
    offered = Action(offer.actions & known_actions)
    if missing := wish.needs & ~offered:
        raise ProtocolError(f"the MTA does not offer what the configuration needs: {missing.name}")
    choosing = bool(wish.macros) and Action.CHOOSE_MACROS in offered
    return Agreement(
        version=version,
        actions=wish.needs | (Action.CHOOSE_MACROS if choosing else Action(0)),
        steps=wish.steps & Step(offer.steps & known_steps),
        macros=wish.macros if choosing else {},
    )
