"""A message taken apart, as a milter worker sees it: the anatomy, and the leaves' bytes in memory files.

The worker never looks into those bytes: it hands them to the virus engines.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Self

from filterd.anatomy import Anatomy
from filterd.errors import ScannerAnswerError

from . import border
from .border import Place

_PIECE: Final = 64 * 1024


class LeafContent:
    """The bytes of one leaf: what clamd and command scanners take. Owned by its Dissection."""

    def __init__(self, descriptor: int, place: Place, *, own: bool) -> None:
        self._descriptor = descriptor
        self._offset = place.offset
        self._own = own
        self.size = place.size

    def descriptor(self) -> int | None:
        """Return a descriptor of exactly these bytes, or None where they lie among others."""
        return self._descriptor if self._own else None

    def blank(self) -> int:
        """Return a new empty descriptor of the same kind. The caller closes it."""
        return border.memory_file("blank")

    def pieces(self, limit: int | None = None) -> Iterator[bytes]:
        """Return the content from its start, at most ``limit`` bytes, in pieces of 64 KiB."""
        offset = self._offset
        end = offset + (self.size if limit is None else min(limit, self.size))
        while offset < end and (data := os.pread(self._descriptor, min(_PIECE, end - offset), offset)):
            offset += len(data)
            yield data


class Dissection:
    """``anatomy``, and ``contents``: number of the leaf to its bytes. Use in ``with``: it owns descriptors."""

    def __init__(
        self, anatomy: Anatomy, descriptors: Sequence[int] = (), places: Sequence[Place] = ()
    ) -> None:
        """Take the descriptors over, also when this raises ScannerAnswerError: the places do not fit them."""
        self.anatomy = anatomy
        self._descriptors = list(descriptors)
        try:
            self.contents: Mapping[int, LeafContent] = dict(
                zip(anatomy.contents, self._contents(places), strict=True)
            )
        except ValueError as error:
            self.close()
            raise ScannerAnswerError("the parse worker sent more or fewer contents than it named") from error
        except BaseException:
            self.close()
            raise

    def _contents(self, places: Sequence[Place]) -> list[LeafContent]:
        if not all(0 <= number < len(self.anatomy.leaves) for number in self.anatomy.contents):
            raise ScannerAnswerError("the parse worker sent contents of leaves that it did not name")
        sizes = [border.sealed_size(descriptor) for descriptor in self._descriptors]
        return [
            LeafContent(self._descriptors[good.descriptor], good, own=good.descriptor > 0)
            for good in (within(place, sizes) for place in places)
        ]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the descriptors back; a second call does nothing."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


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
