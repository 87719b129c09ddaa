"""The search by memmem(3) finds what `bytes.find` finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.parse.archives import _SIGNATURES
from filterd.parse.search import find
from filterd.parse.zip_records import LOCAL

FAR = 20_000


@pytest.mark.parametrize("signature", [*_SIGNATURES, LOCAL, b"--", b"aaab"])
@pytest.mark.parametrize(
    "fill", [b"\0", b"x", b"R", b"Rar", b"MSCF\0", b"\xd0\xcf\x11", b"PK\x03", b"-", b"a"]
)
def test_it_finds_what_find_finds(signature: bytes, fill: bytes) -> None:
    data = fill * (FAR // len(fill)) + signature + fill * 3 + signature
    for text in (data, data[:-1], data[:FAR], signature + data, signature):
        for start in (0, 1, FAR - 3, FAR, FAR + 5, len(text) - 1, len(text), len(text) + 1):
            assert find(text, signature, start) == text.find(signature, start)


@given(
    data=st.lists(st.sampled_from([b"P", b"K", b"\x03", b"\x04", b"\0" * 5000]), max_size=40).map(b"".join),
    start=st.integers(0, 50_000),
)
def test_it_finds_what_find_finds_anywhere(data: bytes, start: int) -> None:
    assert find(data, LOCAL, start) == data.find(LOCAL, start)


def test_many_beginnings_are_no_matter() -> None:
    data = b"Rar!" * FAR + _SIGNATURES[0]
    assert find(data, _SIGNATURES[0]) == len(data) - len(_SIGNATURES[0])
    assert find(data[:-1], _SIGNATURES[0]) == -1
