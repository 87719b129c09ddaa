"""A message taken apart, as a milter worker sees it: the anatomy, and the leaves' bytes in memory files.

The worker never looks into those bytes: it hands them to the virus engines.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Self

from filterd.anatomy import Anatomy
from filterd.errors import ScannerAnswerError

from . import border
from .border import Place, Source

_PIECE: Final = 64 * 1024


class LeafContent:
    """The bytes of one leaf: what clamd and command scanners take. Owned by its Dissection.

    ``own``: the place is all of a descriptor.
    """

    def __init__(self, source: Source, place: Place, *, own: bool) -> None:
        self._source = source
        self._offset = place.offset
        self._own = own
        self.size = place.size

    def descriptor(self) -> int | None:
        """Return a descriptor of exactly these bytes, or None where they lie among others."""
        return self._source if self._own and isinstance(self._source, int) else None

    def blank(self) -> int:
        """Return a new empty descriptor of the same kind. The caller closes it."""
        return border.memory_file("blank")

    def pieces(self, limit: int | None = None) -> Iterator[bytes]:
        """Return the content from its start, at most ``limit`` bytes, in pieces of 64 KiB."""
        offset = self._offset
        end = offset + (self.size if limit is None else min(limit, self.size))
        while offset < end and (data := border.part_of(self._source, offset, min(_PIECE, end - offset))):
            offset += len(data)
            yield data


class Dissection:
    """``anatomy``, and ``contents``: number of the leaf to its bytes. Use in ``with``: it owns descriptors.

    ``sources``: where the contents lie, sealed memory files or bytes.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        sources: Sequence[Source] = (),
        places: Sequence[Place] = (),
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the descriptors over, also when this raises ScannerAnswerError: the places do not fit them.

        ``on_close`` is called once, when they have been given back.
        """
        self.anatomy = anatomy
        self._sources = list(sources)
        self._on_close: Callable[[], None] | None = on_close
        try:
            self.contents: Mapping[int, LeafContent] = self._checked(places)
        except BaseException:
            self.close()
            raise

    def _checked(self, places: Sequence[Place]) -> dict[int, LeafContent]:
        """Return the contents by number of leaf. Raises ScannerAnswerError where a leaf has none, or another's."""
        leaves, numbers = self.anatomy.leaves, self.anatomy.contents
        if len(numbers) != len(places) or len(set(numbers)) != len(numbers):
            raise ScannerAnswerError("the parse worker sent more or fewer contents than it named")
        if not all(0 <= number < len(leaves) for number in numbers):
            raise ScannerAnswerError("the parse worker sent contents of leaves that it did not name")
        there = {leaves[number].digest for number in numbers}
        if len(there) != len(numbers):
            raise ScannerAnswerError("the parse worker sent the same content twice, or two under one digest")
        if not all(leaf.digest in there for leaf in leaves if leaf.size):
            raise ScannerAnswerError("the parse worker named leaves of which it sent no content")
        sizes = [border.size_of(source) for source in self._sources]
        contents = {}
        for number, place in zip(numbers, places, strict=True):
            if within(place, sizes).size != leaves[number].size:
                raise ScannerAnswerError("the parse worker sent a content of another size than it named")
            contents[number] = LeafContent(self._sources[place.descriptor], place, own=place.descriptor > 0)
        return contents

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the descriptors back: there are no contents any more. A second call does nothing."""
        self.contents = {}
        border.let_go(self._sources)
        self._sources.clear()
        if self._on_close is not None:
            self._on_close()
            self._on_close = None


def within(place: Place, sizes: Sequence[int]) -> Place:
    """Return ``place`` if it lies in files of these sizes, in bytes. Raises ScannerAnswerError else.

    A file of its own (any but the first) must be all the content: it is scanned as a whole.
    """
    if not 0 <= place.descriptor < len(sizes):
        raise ScannerAnswerError("the parse worker named a descriptor that it did not send")
    size = sizes[place.descriptor]
    fits = min(place.offset, place.size) >= 0 and place.offset + place.size <= size
    if not fits or (place.descriptor > 0 and (place.offset, place.size) != (0, size)):
        raise ScannerAnswerError("the parse worker named bytes that it did not send")
    return place
