"""UDF images: their files are seen, also those that are in no ISO 9660 view; what cannot be read is over limit."""

import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
from tests.corpus.mail import file_part, mixed, text_part

PAYLOAD: Final = b"The quick brown fox jumps over the lazy dog." * 60
SECTOR: Final = 2048
START: Final = 300  # the partition's first sector


def opened(data: bytes) -> tuple[Anatomy, list[bytes]]:
    return anatomise(mixed("test", text_part(), file_part(data, b"a.iso")), Inspection())


def rules(anatomy: Anatomy) -> set[str]:
    return {found.rule for found in anatomy.findings if found.rule.startswith(("archive.", "limit."))}


def tagged(kind: int, body: bytes, block: int = 0) -> bytes:
    """Return a descriptor: its tag with a right checksum (ECMA-167 3/7.2), and what follows."""
    tag = bytearray(struct.pack("<HHBBHHHI", kind, 3, 0, 0, 1, 0, 0, block))
    tag[4] = sum(tag) & 255
    return bytes(tag) + body


def entry(kind: int, block: int, size: int, places: bytes, *, form: int = 0, wide: bool = False) -> bytes:
    head = (
        bytes(11) + bytes((kind,)) + bytes(6) + struct.pack("<H", form) + bytes(20) + struct.pack("<Q", size)
    )
    fill = bytes((208 if wide else 168) - 64)
    return tagged(266 if wide else 261, head + fill + struct.pack("<II", 0, len(places)) + places, block)


def name(text: str, block: int) -> bytes:
    raw = b"\x08" + text.encode("latin-1")
    head = struct.pack("<HBB", 1, 0, len(raw)) + struct.pack("<IIH", SECTOR, block, 0)
    body = tagged(257, head + bytes(8) + raw)
    return body + bytes(-len(body) % 4)


def image(entries: dict[int, bytes], *, iso: bytes = b"") -> bytes:
    """Return an image with these blocks of its partition; of ISO 9660 too where that is given."""
    made = bytearray(iso.ljust((START + 64) * SECTOR, b"\0"))
    at = next(at for at in range(17, 60) if not made[at * SECTOR + 1 : at * SECTOR + 6].startswith(b"CD001"))
    for number, mark in enumerate((b"BEA01", b"NSR02", b"TEA01")):
        made[(at + number) * SECTOR : (at + number) * SECTOR + 7] = b"\0" + mark + b"\1"
    partition = tagged(5, bytes(172) + struct.pack("<I", START))
    made[257 * SECTOR : 257 * SECTOR + len(partition)] = partition
    for block, data in entries.items():
        place = (START + block) * SECTOR
        made[place : place + len(data)] = data
    return bytes(made)


def place(size: int, block: int) -> bytes:
    return struct.pack("<II", size, block)


LISTING: Final = name("notes.txt", 3)
DIRECTORY: Final = {1: entry(4, 1, len(LISTING), place(len(LISTING), 2)), 2: LISTING}
FILE: Final = {3: entry(5, 3, len(PAYLOAD), place(len(PAYLOAD), 4)), 4: PAYLOAD}


@pytest.mark.parametrize(
    "blocks",
    [
        DIRECTORY | FILE,
        DIRECTORY | FILE | {3: entry(5, 3, len(PAYLOAD), place(len(PAYLOAD), 4), wide=True)},
        DIRECTORY | FILE | {3: entry(5, 3, len(PAYLOAD), place(2000, 4) + place(640, 8)), 4: PAYLOAD[:2000], 8: PAYLOAD[2000:]},
        DIRECTORY | FILE | {3: entry(5, 3, len(PAYLOAD), place(len(PAYLOAD), 4) + bytes(8), form=1)},
    ],
    ids=["one extent", "extended entry", "two extents", "long descriptors"],
)  # fmt: skip
def test_files_come_out_with_their_names(blocks: dict[int, bytes]) -> None:
    anatomy, contents = opened(image(blocks))
    assert PAYLOAD in contents
    assert "notes.txt" in {leaf.name for leaf in anatomy.leaves}
    assert rules(anatomy) == set()


def test_a_small_file_stands_in_its_entry() -> None:
    _, contents = opened(image({3: entry(5, 3, 44, PAYLOAD[:44], form=3)}))
    assert PAYLOAD[:44] in contents


@pytest.mark.parametrize(
    ("blocks", "rule"),
    [
        ({}, "archive.unreadable"),
        ({3: entry(5, 3, len(PAYLOAD), place(len(PAYLOAD), 9_999_999))}, "archive.broken"),
        ({3: entry(5, 3, 1 << 29, place(1 << 30 | 1 << 29, 4))}, "limit.leaf"),
        ({3: entry(5, 3, 5 << 20, place(1 << 30 | 5 << 20, 4))}, "limit.leaf"),
    ],
)
def test_what_cannot_be_read(blocks: dict[int, bytes], rule: str) -> None:
    anatomy, _ = opened(image(blocks))
    assert rule in rules(anatomy)


@pytest.fixture(scope="module")
def iso() -> bytes:
    with tempfile.TemporaryDirectory(prefix="udf-") as folder:
        Path(folder, "readme.txt").write_bytes(b"What the other view shows." * 9)
        command = ("bsdtar", "--format", "iso9660", "-C", folder, "-cf", "-", "readme.txt")
        try:
            return subprocess.run(command, check=True, capture_output=True).stdout
        except (FileNotFoundError, subprocess.CalledProcessError):
            pytest.skip("bsdtar is not installed")


def test_both_views_of_a_bridge_are_seen(iso: bytes) -> None:
    anatomy, contents = opened(image(DIRECTORY | FILE, iso=iso))
    assert PAYLOAD in contents
    assert b"What the other view shows." * 9 in contents
    assert rules(anatomy) == set()


def test_many_entries_of_one_file_are_bounded() -> None:
    size = 4000 * SECTOR
    entries = {block: entry(5, block, size - block, place(size - block, 0)) for block in range(60)}
    anatomy, _ = opened(image(entries) + bytes(size))
    assert "limit.bytes" in rules(anatomy)
