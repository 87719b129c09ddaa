"""What a stage may say about a message: classes, rules, findings. Data only; every part of filterd knows it."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

# on: it counts. warn: it is reported and counted in the log, and nothing is done. off: it is not even reported.
Mode = Literal["on", "warn", "off"]


class Verdict(StrEnum):
    """The classes of messages, and of findings. "not-inspected" is never "clean"."""

    CLEAN = "clean"
    INFECTED = "infected"
    SUSPICIOUS = "suspicious"
    BANNED = "banned"
    ENCRYPTED = "encrypted"
    MALFORMED = "malformed"
    OVER_LIMIT = "over-limit"
    NOT_INSPECTED = "not-inspected"
    SPAM = "spam"
    BURST = "burst"
    BULK = "bulk"


class Rule(Struct, frozen=True, kw_only=True):
    """One thing that a stage looks for. ``id`` is public: it stands in replies, logs and the configuration."""

    id: str
    verdict: Verdict
    title: str
    mode: Mode = "on"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that a stage has seen. ``rule`` is public (it stands in the reply); ``detail`` is for the log.

    ``part`` is the path of the MIME part that it is about ("1.2"; "" for the message), ``name`` the file name
    there; ``path`` leads on into what the part holds ("1.2!3").
    """

    stage: str
    verdict: Verdict
    rule: str
    detail: str = ""
    score: float | None = None
    part: str = ""
    path: str = ""
    name: str = ""
