"""The texts of notices, and of what stands in the place of deleted parts: our own, or the administrator's.

A template is a text file in UTF-8. A notice's first line is ``Subject: …``, the second is empty. ``${NAME}`` and
``%NAME%`` are replaced by facts about the message; the names of the papers are kept (R22).
"""

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from filterd.config import Config, NotifySettings

Which = Literal["admin", "recipient", "sender", "deleted", "alert", "burst"]
WHICH: Final[tuple[Which, ...]] = ("admin", "recipient", "sender", "deleted", "alert", "burst")

PLACEHOLDERS: Final[Mapping[str, str]] = {
    "ATTACH_NAME": "file names of the parts that were found",
    "SUBJECT": "the message's subject",
    "FROM_USER": "the envelope's sender",
    "TO_USER": "the recipient who is told, else the first one concerned",
    "TO_USERS": "the recipients concerned",
    "VIRUS_NAME": "signatures of the virus engines",
    "RULE": "the rule that decided",
    "CLASS": "the class of the message",
    "ACTION": "what became of the message",
    "QUEUE_ID": "the MTA's queue id",
    "DATE": "when that was",
    "HOST": "the gateway's name",
    "COMPONENT": "of an alert: the part of the gateway that fails",
    "PROBLEM": "of an alert: what is wrong with it",
}
_MARK: Final = re.compile(r"\$\{([A-Za-z_]+)\}|%([A-Z_]+)%")
_SUBJECT: Final = re.compile(r"Subject:[ \t]*(\S.*)", re.IGNORECASE)
_MAX_BYTES: Final = 64 * 1024
_BUILT_IN: Final = importlib.resources.files("filterd") / "templates"


class Template(Struct, frozen=True):
    """A subject ("" for what is no message) and a body, placeholders included."""

    subject: str
    body: str

    def filled(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Return subject and body. What comes in by a value is not looked at again."""
        return _filled(self.subject, values), _filled(self.body, values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _MARK.sub(lambda mark: values.get(mark[1] or mark[2], mark[0]), text)


def languages() -> tuple[str, ...]:
    """Return the languages of the built-in templates."""
    return tuple(sorted(one.name for one in _BUILT_IN.iterdir() if one.is_dir() and len(one.name) in {2, 5}))


def load(settings: NotifySettings) -> dict[Which, Template]:
    """Return all templates; where one of the administrator's cannot be used, the built-in one."""
    result: dict[Which, Template] = {}
    for which in WHICH:
        own = _own(settings, which)
        text = None if own is None or any(_mistakes(own, which)) else own
        result[which] = _parsed(text if isinstance(text, str) else _built_in(settings.language, which), which)
    return result


def problems(config: Config) -> Iterator[str]:
    """Say what is wrong with the templates that the configuration names, and how to mend it."""
    settings = config.notify
    if settings.language not in languages():
        lacking = [which for which in WHICH if _own(settings, which) is None]
        if lacking:
            yield (
                f"[notify] language = {settings.language!r} has no built-in texts (there are {', '.join(languages())}):"
                f" write {', '.join(str(_path(settings, which)) for which in lacking)}"
            )
    for which in WHICH:
        own = _own(settings, which)
        if own is not None:
            yield from (f"{_path(settings, which)}: {mistake}" for mistake in _mistakes(own, which))


def _path(settings: NotifySettings, which: Which) -> Path:
    return Path(settings.templates) / settings.language / f"{which}.txt"


def _own(settings: NotifySettings, which: Which) -> str | OSError | UnicodeError | None:
    """Return the administrator's text, why it cannot be read, or None when there is none."""
    try:
        with _path(settings, which).open("rb") as file:
            return file.read(_MAX_BYTES + 1).decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        return error


def _mistakes(text: str | OSError | UnicodeError, which: Which) -> Iterator[str]:
    if isinstance(text, UnicodeError):
        yield "this is not UTF-8: save it as UTF-8"
        return
    if isinstance(text, OSError):
        yield f"it cannot be read ({text.strerror}): let filterd's group read it, or remove it"
        return
    if len(text.encode()) > _MAX_BYTES:
        yield f"it is longer than {_MAX_BYTES} bytes: shorten it"
    if which != "deleted":
        first, _, rest = text.partition("\n")
        if not _SUBJECT.fullmatch(first.rstrip("\r")):
            yield "the first line is not `Subject: …`: put one there"
        if rest.partition("\n")[0].strip():
            yield "the second line is not empty: put an empty line behind the subject"
    for mark in _MARK.finditer(text):
        if (mark[1] or mark[2]) not in PLACEHOLDERS:
            yield f"{mark[0]} is no placeholder: known are {', '.join(PLACEHOLDERS)}"


def _built_in(language: str, which: Which) -> str:
    place = _BUILT_IN / (language if language in languages() else "en") / f"{which}.txt"
    return place.read_text("utf-8")


def _parsed(text: str, which: Which) -> Template:
    text = text.replace("\r\n", "\n")
    if which == "deleted":
        return Template("", text)
    first, _, rest = text.partition("\n")
    subject = _SUBJECT.fullmatch(first)
    return Template(subject[1] if subject else "", rest.removeprefix("\n"))
