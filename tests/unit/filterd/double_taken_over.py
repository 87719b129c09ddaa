"""A nursery whose parse workers a message may take over: run as a script, as double_parsers is.

After "take-over DEED" the deed is done, and then all that code within a parse worker can do to be used again.
"""

import struct
import sys
from pathlib import Path

from msgspec import structs

from filterd.anatomy import Anatomy, RewriteOrder, Rewritten
from filterd.config.inspection import Inspection
from filterd.parse import border, child, native
from filterd.parse.nursery import run

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.unit.filterd import double_parsers

_OWNED: list[bytes] = []


class _GoesOn(struct.Struct):
    """In place of border.LOCATION: whatever the parse worker thinks of it, another job may follow."""

    def pack(self, *values: object) -> bytes:
        return super().pack(*values[:-1], 1)


def _anatomise(raw: bytes, inspection: Inspection) -> tuple[Anatomy, list[bytes]]:
    head, blank, body = raw.partition(b"\r\n\r\n")
    told = body.removeprefix(b"take-over ")
    anatomy, contents = double_parsers.anatomise(head + blank + told, inspection)
    if _OWNED:
        leaves = tuple(structs.replace(leaf, names=("owned",)) for leaf in anatomy.leaves)
        anatomy = structs.replace(anatomy, leaves=leaves)
    if told != body:
        _OWNED.append(raw)
        native.tell_by(lambda: None)
        vars(border)["LOCATION"] = _GoesOn(border.LOCATION.format)
        type.__setattr__(child.Worker, "_is_as_it_was", lambda *_: True)
    return anatomy, contents


def _rewrite(raw: bytes, order: RewriteOrder) -> tuple[Rewritten, bytes]:
    made, data = double_parsers.rewrite(raw, order)
    return made, b"pay to this account" if _OWNED else data


if __name__ == "__main__":
    sys.exit(run(lambda: child.Tasks(anatomise=_anatomise, rewrite=_rewrite)))
