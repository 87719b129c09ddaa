"""What every archive reader does with a member: number it, offer it once, keep within bounds, say what is broken."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from .archive_library import LibraryError
from .harvest import Content, Harvest, LimitReachedError

_OUTSIDE: Final = re.compile(r"(?:^|[\\/])\.\.(?:[\\/]|$)")
_ABSOLUTE: Final = re.compile(r"[\\/]|[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f]")
_MAC_ICON: Final = re.compile(r"(?:^|[/_])Icon\r$")  # every folder of a Mac that has a picture of its own
# Decoded from text where no field says that there is a file: a key, a token, what a bounce has left of an attachment.
_GUESSED: Final = frozenset({"base64", "quoted-printable", "passage", "html", "script", "macro"})
_OF_WHOLE: Final = frozenset({"archive.broken", "archive.unreadable"})
_ENCRYPTED: Final = re.compile(r"ncrypt|assphrase|assword", re.ASCII)
_UNKNOWN: Final = re.compile(
    r"nsupported|not supported|navailable|not implemented|nknown|nrecognized compression|olume|can't be|cannot be",
    re.ASCII,
)


class Members:
    """The members of one container as they are offered; ``via`` is the kind of the container."""

    def __init__(self, content: Content, harvest: Harvest, via: str) -> None:
        self.content = content
        self.harvest = harvest
        self.via = via
        self.count = 0
        # A reader has said that it cannot find the members that follow.
        self.ended = False
        self._seen: set[tuple[tuple[str, ...], int, int]] = set()
        self._data: set[tuple[int, int]] = set()

    def offer(self, names: Iterable[str], data: bytes) -> Iterator[Content]:
        """Yield one member, unless another reading gave the same. Raises LimitReachedError.

        ``names`` are all readings of its name. A member that is the container again would be opened for ever.
        """
        known = tuple(dict.fromkeys(name for name in names if name))
        key = (known, len(data), hash(data))
        if key in self._seen:
            return
        self._seen.add(key)
        self._data.add(key[1:])
        if data and data == self.content.data:
            raise LimitReachedError("limit.depth", "an archive that holds itself")
        self.count += 1
        member = self.content.inner(self.count, data, self.via)
        member.names = known
        yield member

    def has(self, data: bytes) -> bool:
        """Return whether a member with these bytes was offered, under whatever name."""
        return (len(data), hash(data)) in self._data

    def pieces(self, pieces: Iterable[bytes], packed: int = 0) -> bytes:
        """Return a member's bytes, as far as they can be read; what stops it is noted. Raises LimitReachedError."""
        return self.harvest.budget.read_all(self._until_broken(pieces), packed or len(self.content.data))

    def _until_broken(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except LibraryError as error:
            self.note_error(str(error))
            if error.fatal:
                self.ended = True

    def note_error(self, text: str) -> None:
        """Report why a reader could not go on, by what it said."""
        if _ENCRYPTED.search(text):
            rule = "archive.encrypted"
        elif _UNKNOWN.search(text):
            rule = "archive.unreadable"
        else:
            rule = "archive.broken"
        if rule == "archive.broken" and self.content.via == "carved" and not self.count:
            # A signature inside other bytes, and no archive behind it.
            return
        self.note(rule, text)

    def note(self, rule: str, detail: str = "") -> None:
        """Report ``rule`` for the container; not that a thing is broken which is perhaps no archive at all."""
        if rule in _OF_WHOLE and is_guess(self.content):
            return
        self.harvest.note(rule, self.content, detail)

    def check_declared(self, size: int, packed: int = 0) -> None:
        """Raise LimitReachedError where the declared size (bytes, -1: none) alone passes a bound."""
        bounds = self.harvest.budget.bounds
        packed = packed or len(self.content.data)
        if size > bounds.leaf_bytes:
            raise LimitReachedError("limit.leaf", f"a member of {size} bytes")
        if size > bounds.ratio_from and size > packed * bounds.ratio:
            raise LimitReachedError("limit.ratio", f"a member that says it grows {size // packed}-fold")


def is_guess(content: Content) -> bool:
    """Return whether a content was found where nothing says that there is one: most of these are none."""
    return (
        content.via in _GUESSED
        or content.via.startswith("charset ")
        or (content.via == "mime" and "!" in content.path)
    )


def look_at_names(member: Content, harvest: Harvest) -> None:
    """Report names that lead out of the folder into which an archive is unpacked, or that hide their end."""
    for name in member.names:
        if _OUTSIDE.search(name) or _CONTROL.search(_MAC_ICON.sub("", name)):
            harvest.note("archive.name", member, repr(name))
        elif _ABSOLUTE.match(name):
            harvest.note("archive.absolute-name", member, repr(name))


Opener = Callable[[Content, Harvest], Iterator[Content]]
