"""Each disguise really hides the file: some lenient reader, of those gathered here, gets it out again."""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from tests.corpus.payload import HARMLESS
from tests.corpus.table import BY_ID, VARIANTS
from tests.unit.corpus import lenient_files as files
from tests.unit.corpus import lenient_mail as mail
from tests.unit.corpus import lenient_seals as seals
from tests.unit.corpus.lenient_pages import pages

_READERS: tuple[Callable[[bytes], Iterator[bytes]], ...] = (
    mail.parts, mail.begun, mail.yenc, mail.binhex, mail.charsets, mail.unfolded, pages,
    files.zips, files.archives, files.streams, files.tar, files.arj, files.macintosh, files.compound, files.rich_text,
    files.pdf, files.tnef, files.cms, files.pgp, seals.seven_zip, seals.rar_5, seals.pdf, seals.office, mail.base64_run,
)  # fmt: skip
_MOST = 3000  # contents looked into


def _recovered(raw: bytes) -> str | None:
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
        for reader in _READERS:
            queue.extend((found, f"{way} > {reader.__name__}") for found in reader(blob))
    return holding


@pytest.mark.parametrize("name", [one.id for one in VARIANTS if one.recoverable])
def test_some_reader_gets_the_file_out(name: str) -> None:
    with warnings.catch_warnings():
        # The standard library warns of what is odd in a zip; that is what the zips are for.
        warnings.simplefilter("ignore")
        assert _recovered(BY_ID[name].build(HARMLESS))
