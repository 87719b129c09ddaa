"""The actions of a chain: one table, drawn on by the strict loader, the policy and the documentation."""

import re
from typing import Final, Literal

from msgspec import Struct

from .words import hint

# side: always goes on to the next step. attempt: ends the chain if it succeeds. end: ends it.
Sort = Literal["side", "attempt", "end"]

# RFC 5321 4.1.2, dot-atoms only: what stands here is written into SMTP commands, so no quoting, blank or line end.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"(?=.{{3,254}}\Z){_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*")
_LONGEST_LOCAL_PART: Final = 64  # RFC 5321 4.5.3.1.1
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
WHO: Final = ("admin", "recipient", "sender")


class ActionKind(Struct, frozen=True, kw_only=True):
    """One action: ``takes`` is what may stand behind its name, as the documentation writes it."""

    name: str
    sort: Sort
    takes: str
    title: str


ACTIONS: Final[tuple[ActionKind, ...]] = (
    ActionKind(name="copy", sort="side", takes="", title="A copy of the message as it came is stored."),
    ActionKind(
        name="archive",
        sort="side",
        takes="",
        title="The message as it came is put into the archive, which keeps it for good.",
    ),
    ActionKind(
        name="forward",
        sort="side",
        takes="ADDRESS",
        title="The message as it came is also sent to ADDRESS; no bounce of that goes to the sender.",
    ),
    ActionKind(
        name="notify",
        sort="side",
        takes="WHO…",
        title="A notice goes to each WHO: `admin`, `recipient`, `sender`. Never to the sender of malware or of a banned "
        "content, whose address is as a rule forged, and never to a null sender.",
    ),
    ActionKind(
        name="tag",
        sort="side",
        takes="[subject]",
        title="If the message is delivered it gets a header `X-Bastide-Tag: CLASS RULE`; with `subject` also "
        "`[policy] tag_subject` before its Subject.",
    ),
    ActionKind(
        name="stamp",
        sort="side",
        takes="NAME",
        title="If the message is delivered, `[notify.stamps] NAME` is put behind its text. Left out on signed, encrypted "
        "and calendar mail, which it would break.",
    ),
    ActionKind(
        name="clean",
        sort="attempt",
        takes="",
        title="The parts that were found are removed, or disarmed where HTML or macros are all that was found in them; "
        "the rest is delivered.",
    ),
    ActionKind(
        name="delete",
        sort="attempt",
        takes="[notice]",
        title="A `warn.txt` of exactly the part's decoded size takes its place; with `notice` a short text.",
    ),
    ActionKind(
        name="rename", sort="attempt", takes="", title="The part's file name and type become harmless ones."
    ),
    ActionKind(name="disarm", sort="attempt", takes="", title="HTML is sanitised, macros are taken out."),
    ActionKind(
        name="move", sort="end", takes="", title="Into quarantine and not delivered; the sender is told 250."
    ),
    ActionKind(name="ignore", sort="end", takes="", title="Delivered as far as this class goes; logged."),
    ActionKind(name="reject", sort="end", takes="", title="Refused within the SMTP session (5xx)."),
    ActionKind(
        name="discard",
        sort="end",
        takes="",
        title="Not delivered, the sender is told 250; kept for `[store] discard_days`.",
    ),
    ActionKind(name="tempfail", sort="end", takes="", title="The sender is told to try again later (451)."),
)
_BY_NAME: Final = {kind.name: kind for kind in ACTIONS}
NAMES: Final = tuple(_BY_NAME)


class Step(Struct, frozen=True, kw_only=True):
    """One step of a chain, taken apart: its action and the words behind it."""

    name: str
    sort: Sort
    arguments: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the step as it is written in a chain."""
        return " ".join((self.name, *self.arguments))


def is_address(text: str) -> bool:
    """Whether a text is a plain mail address (RFC 5321 4.1.2 without quoting), safe within an SMTP command."""
    return _ADDRESS.fullmatch(text) is not None and len(text.rpartition("@")[0]) <= _LONGEST_LOCAL_PART


def step(text: str) -> Step:
    """Return a step taken apart. Raises ValueError that says what is wrong with it and what would be right."""
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} has characters that no action has; write it in plain ASCII")
    name, *arguments = text.split(" ")
    if name not in _BY_NAME:
        raise ValueError(f"{name!r} is no action; {hint(name, NAMES)}")
    kind = _BY_NAME[name]
    if problem := _wrong(kind, arguments):
        raise ValueError(f"{text!r}: {problem}; write `{f'{name} {kind.takes}'.strip()}`")
    return Step(name=name, sort=kind.sort, arguments=tuple(arguments))


def _wrong(kind: ActionKind, arguments: list[str]) -> str:
    """Return what is wrong with an action's arguments, or ""."""
    if kind.takes.strip("[]") and kind.takes.startswith("["):
        good = arguments in ([], [kind.takes.strip("[]")])
    else:
        good = bool(arguments) == bool(kind.takes) and (kind.name == "notify" or len(arguments) <= 1)
    if not good:
        return (
            "what stands behind the action is not what it takes" if arguments else "what it takes is missing"
        )
    return _unfit(kind.name, arguments)


def _unfit(name: str, arguments: list[str]) -> str:
    """Return which argument is unfit for its action, or ""."""
    if name == "forward" and not is_address(arguments[0]):
        return f"{arguments[0]!r} is no mail address"
    if name == "stamp" and not _NAME.fullmatch(arguments[0]):
        return f"{arguments[0]!r} is no name of a stamp"
    if name == "notify":
        strange = [one for one in arguments if one not in WHO]
        repeated = "one is named twice" if len(set(arguments)) < len(arguments) else ""
        return f"{strange[0]!r} is none of {', '.join(WHO)}" if strange else repeated
    return ""
