"""Each disguise really hides the file: some lenient reader, of those gathered here, gets it out again."""

import contextlib
import hashlib
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from tests.corpus.payload import HARMLESS
from tests.corpus.table import BY_ID, VARIANTS
from tests.unit.corpus import lenient_codes as codes
from tests.unit.corpus import lenient_files as files
from tests.unit.corpus import lenient_mail as mail
from tests.unit.corpus import lenient_seals as seals
from tests.unit.corpus.lenient_pages import pages
from tests.unit.corpus.lenient_scripts import saved

_READERS: tuple[Callable[[bytes], Iterator[bytes]], ...] = (
    mail.parts, mail.begun, mail.yenc, mail.binhex, mail.charsets, mail.unfolded, pages, saved,
    files.zips, files.archives, files.streams, files.tar, files.arj, files.macintosh, files.compound, files.rich_text,
    files.pdf, files.tnef, files.cms, files.pgp, seals.seven_zip, seals.rar_5, seals.pdf, seals.office, mail.base64_run,
)  # fmt: skip
# These undo one trick each, and make much of everything: they are asked only when the others have found nothing.
_CODES: tuple[Callable[[bytes], Iterator[bytes]], ...] = (
    codes.fields, codes.loose_lines, codes.xx_lines, codes.texts, codes.open_pgp, codes.packed, codes.xml, codes.pdf_streams,
    codes.scripts, codes.numbers,
)  # fmt: skip
_FAILS = (ValueError, OSError, EOFError, RecursionError, zlib.error)
_MOST = 3000  # contents looked into


def _recovered(raw: bytes, readers: tuple[Callable[[bytes], Iterator[bytes]], ...]) -> str | None:
    """The readers that led to the whole file, or to a content that holds it; None when none did."""
    queue, known, holding = deque([(raw, "mail")]), set[bytes](), None
    while queue and len(known) < _MOST:
        blob, way = queue.popleft()
        digest = hashlib.sha256(blob).digest()
        if digest in known or not blob:
            continue
        known.add(digest)
        if blob.strip(b"\0 \r\n") == HARMLESS:
            return way
        if HARMLESS in blob:
            holding = holding or f"{way}, within"
        for reader in readers:
            with contextlib.suppress(*_FAILS):
                queue.extend((found, f"{way} > {reader.__name__}") for found in reader(blob))
    return holding


@pytest.mark.parametrize("name", [one.id for one in VARIANTS if one.recoverable])
def test_some_reader_gets_the_file_out(name: str) -> None:
    with warnings.catch_warnings():
        # The standard library warns of what is odd in a zip; that is what the zips are for.
        warnings.simplefilter("ignore")
        raw = BY_ID[name].build(HARMLESS)
        assert _recovered(raw, _READERS) or _recovered(raw, (*_READERS, *_CODES))
