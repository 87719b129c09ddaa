"""Damaged mail, damaged archives and invented mail into `anatomise`: it always returns, and soon."""

import email
import time
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from filterd.config.inspection import Bounds, Inspection
from filterd.parse.anatomise import anatomise
from tests.corpus.mail import file_part, mixed, text_part
from tests.corpus.payload import HARMLESS
from tests.corpus.table import VARIANTS
from tests.fuzz.driver import SECONDS, hammer, rng
from tests.fuzz.invention import invent
from tests.fuzz.mutation import mutated

_INSPECTION = Inspection(parse=Bounds(seconds=2))
# Of processor time: what the bound on the clock is meant to hold it to, and room for one uninterruptible step.
_MOST_S = 4.0
_FILES = ("archive", "container", "document", "encryption")


def _examine(raw: bytes) -> None:
    started = time.process_time()
    anatomy, leaves = anatomise(raw, _INSPECTION)
    spent = time.process_time() - started
    assert spent < _MOST_S, f"took {spent:.1f} s"
    assert len(leaves) == len(anatomy.contents)
    assert all(0 <= number < len(anatomy.leaves) for number in anatomy.contents)


def _mails() -> Iterator[bytes]:
    generator = rng("mails")
    mails = [one.build(HARMLESS) for one in VARIANTS]
    while True:
        yield mutated(generator.choice(mails), generator, mails)


def _attached(mail: bytes) -> bytes:
    """The decoded last part."""
    *_, last = email.message_from_bytes(mail).walk()
    content = last.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _files() -> Iterator[bytes]:
    generator = rng("files")
    files = [_attached(one.build(HARMLESS)) for one in VARIANTS if one.family in _FILES]
    while True:
        file = mutated(generator.choice(files), generator, files)
        yield mixed(
            "a damaged file", text_part(), file_part(file, generator.choice((b"a.dat", b"a.zip", b"a.doc")))
        )


@pytest.mark.parametrize("cases", [_mails, _files], ids=["mails", "archives"])
def test_damaged_corpus(cases: object) -> None:
    assert callable(cases)
    assert hammer(cases(), _examine) > SECONDS


_WORDS = st.sampled_from(
    (
        b"multipart/mixed", b"multipart/alternative", b"message/rfc822", b"text/plain", b"text/html", b"application/zip",
        b"base64", b"quoted-printable", b"x-uuencode", b"; boundary=", b"; name=", b"; filename*0*=utf-8''", b'"', b"(", b")",
        b"a", b"\r\n ", b"\t", b"\0", b"\r", b"\n", b"=?utf-8?Q?", b"?=", b"\xff", b";", b"=", b"--a", b"--a--", b"\r\n--a\r\n",
        b"\r\n--a--\r\n", b"begin 644 a\r\n", b"<a href=", b"<script>atob('", b"data:,", b"{\\rtf1", b"%PDF-1.4",
    )
)  # fmt: skip
_VALUE = st.lists(_WORDS | st.binary(max_size=8), max_size=12).map(b"".join)
_FIELD = st.tuples(
    st.sampled_from(
        (b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition", b"From", b"Subject", b"X")
    ),
    st.sampled_from((b":", b": ", b" :", b"")),
    _VALUE,
).map(b"".join)
_ENTITY = st.tuples(
    st.lists(_FIELD, max_size=6).map(b"\r\n".join),
    st.sampled_from((b"\r\n\r\n", b"\n\n", b"\r\n", b"")),
    st.lists(_WORDS | st.binary(max_size=40), max_size=20).map(b"".join),
).map(b"".join)


def test_invented_mail() -> None:
    assert invent(_ENTITY, _examine, bytes) > SECONDS
