"""Archives that hold themselves, at once or by way of another: over limit, and no quiet end."""

import io
import tarfile
import zlib

import pytest

from filterd.config.inspection import Inspection
from filterd.findings import Verdict
from filterd.parse.anatomise import anatomise
from tests.corpus.mail import file_part, mixed, text_part
from tests.corpus.writers.zips import zip_of
from tests.unit.filterd.quines import UNIT, gzip_and_tar, gzip_quine, zip_quine

QUINES = {"gzip": gzip_quine(), "zip": zip_quine(), "gzip and tar": gzip_and_tar()}


def unpacked(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data[UNIT:])


def limits(data: bytes) -> dict[str, str]:
    anatomy, _ = anatomise(mixed("test", text_part(), file_part(data, b"a.bin")), Inspection())
    return {found.rule: found.detail for found in anatomy.findings if found.verdict is Verdict.OVER_LIMIT}


def test_the_quines_are_real() -> None:
    assert unpacked(QUINES["gzip"]) == QUINES["gzip"]
    assert unpacked(QUINES["zip"]) == QUINES["zip"]
    with tarfile.open(fileobj=io.BytesIO(unpacked(QUINES["gzip and tar"]))) as outer:
        held = outer.extractfile("a.gz")
        assert held is not None
        assert held.read() == QUINES["gzip and tar"]


@pytest.mark.parametrize("name", QUINES)
def test_an_archive_that_holds_itself_is_over_limit(name: str) -> None:
    assert limits(QUINES[name]) == {"limit.depth": "an archive that holds itself"}


def test_a_cycle_is_seen_wherever_it_begins() -> None:
    assert limits(unpacked(QUINES["gzip and tar"])) == {"limit.depth": "an archive that holds itself"}
    assert limits(zip_of(QUINES["gzip and tar"])) == {"limit.depth": "an archive that holds itself"}


def test_the_same_file_twice_is_no_cycle() -> None:
    inner = zip_of(b"one and the same")
    mail = mixed("test", file_part(inner, b"a.zip"), file_part(zip_of(inner), b"b.zip"))
    anatomy, _ = anatomise(mail, Inspection())
    assert [found for found in anatomy.findings if found.verdict is Verdict.OVER_LIMIT] == []
