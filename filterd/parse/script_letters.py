"""Texts in codes of the author's own, recovered by what dangerous files begin with.

No script is run. What its texts may be is tried: other alphabets and shifted ones, every other letter, halves that
changed places, numbers to any base, look-up tables, invisible characters. Only the start of a text is tried, so what
is nothing costs a millisecond at most.
"""

import binascii
import contextlib
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from .script_alphabets import Alphabets
from .script_masks import STARTS, from_numbers, is_recovered, may_be_masked, starts_like_a_file, unmasked

_LEAST: Final = 20  # letters that can be a file
_LEAST_NUMBERS: Final = 12
_HEAD: Final = 48  # letters that are tried
_BYTE: Final = 0xFF
_TWO: Final = 2
_LONGEST: Final = 10  # digits of one byte, however it is written
_MAX_VALUE: Final = 1 << 24  # a byte and what it may be multiplied by
_WIDTHS: Final = ((8, "01"), (7, "01"), (3, "0-9"), (2, "0-9a-zA-Z"), (4, "0-9a-fA-F"))
_INVISIBLE: Final = (
    re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u180e\u034f]"),
    re.compile("[\ufe00-\ufe0f]"),
    re.compile("[\U000e0100-\U000e01ef]"),
    re.compile("[\U000e0020-\U000e007f]"),
    re.compile("[ \t\u00a0\u2000-\u200a\u3000]{16,}"),
)
_MAX_DIGITS: Final = 60_000  # of one number that is no power of two's: its cost grows faster than its length
_STEPS: Final = range(2, 9)  # every so manieth letter
_UNSEEN: Final = dict.fromkeys((0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
    *range(0x2060, 0x2070), 0xFEFF))  # fmt: skip
_UPPER: Final = string.ascii_uppercase
_LOWER: Final = string.ascii_lowercase
_SHOWN: Final = "".join(map(chr, range(33, 127)))
_B64: Final = _UPPER + _LOWER + string.digits + "+/"
_B32: Final = _UPPER + "234567"
_HEX_LETTERS: Final = 16  # in one case
_HEX_SIGNS: Final = string.hexdigits.encode()
_DIGITS36: Final = string.digits + _LOWER
_NOT_B64: Final = re.compile(r"[^A-Za-z0-9+/]+")
_Z85: Final = string.digits + _LOWER + _UPPER + ".-:+=^!/*?&<>()[]{}@%$#"
_B85: Final = string.digits + _UPPER + _LOWER + "!#$%&()*+-;<=>?@^_`{|}~"
_A85: Final = "".join(map(chr, range(33, 118)))
_RADIX: Final = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 20, 24, 30, 32, 36)
_PARTING: Final = re.compile(r"[\s,;|.:_-]+")
_TOKENS: Final = (
    re.compile(r"[0-9A-Za-z]+"),
    re.compile(r"-?[0-9]+"),
    re.compile(r"[01]+"),
    re.compile(r"[0-7]+"),
    re.compile(r"[0-9a-fA-F]+"),
)
# How base64 and hexadecimal digits of files begin, wherever in a text: what stands before may belong behind.
_MARKS: Final = re.compile(
    r"TV[opqr][A-Za-z0-9+/]|UEsDB|WDVPIVAl|JVBERi0|f0VMR|0M8R4KGx|TAAAAAEUA|UmFyIRo|N3q8ryc|TVNDRg|4d5a[0-9a-f]{4}0000"
    r"|504b0304|58354f2150|255044462d|7f454c46|d0cf11e0|X5O!P%@AP|PK\x03\x04"
)
_MAX_MARKS: Final = 20


def _table(signs: str, others: str) -> bytes:
    return bytes.maketrans(signs.encode(), others.encode())


def _turned(signs: str, by: int) -> str:
    return signs[by:] + signs[:by]


def _substitutions() -> tuple[bytes, ...]:
    """Return the shifts of letters, of letters and digits, of all signs, and the alphabets turned round."""
    both = _UPPER + _LOWER
    rot13, digits = _turned(_UPPER, 13) + _turned(_LOWER, 13), string.digits
    return (
        *(_table(both, _turned(_UPPER, by) + _turned(_LOWER, by)) for by in range(1, 26)),
        _table(both + digits, rot13 + _turned(digits, 5)),
        *(_table(_SHOWN, _turned(_SHOWN, by)) for by in range(1, len(_SHOWN))),
        *(_table(_B64, _turned(_B64, by)) for by in range(1, len(_B64))),
        _table(both, both.swapcase()),
        _table(both, _UPPER[::-1] + _LOWER[::-1]),
        _table(_B64, _B64[::-1]),
    )


_SUBSTITUTIONS: Final = _substitutions()


def _by_pair() -> dict[bytes, list[bytes]]:
    """Return, by the first two letters, the substitutions under which they begin a file, in base64 or as it stands."""
    starts = {start[:2] for start in STARTS}
    starts |= {binascii.b2a_base64(start + bytes((after,)))[:2] for start in STARTS for after in (0, 255)}
    found: dict[bytes, list[bytes]] = {}
    for table in _SUBSTITUTIONS:
        inverse = bytes.maketrans(table, bytes(range(256)))
        for pair in {start.translate(inverse) for start in starts}:
            found.setdefault(pair, []).append(table)
    return found


_BY_PAIR: Final = _by_pair()


def recovered(text: str, alphabets: Alphabets) -> Iterator[bytes]:
    """Yield the files that a text is in some code; nothing that is a file by an ordinary decoding already."""
    plain = text.translate(_UNSEEN)
    if len(plain) < len(text):
        yield from _if_file(_plain_ways(plain))
    if not text.isascii() or text.isspace():
        yield from from_invisible(text)
    bare = "".join(plain.split())
    if len(bare) >= _LEAST:
        yield from _if_file(_by_order(bare))
        yield from _if_file(_by_letters(bare))
        yield from _if_file(_by_alphabets(bare, plain, alphabets))
    yield from _if_file(_by_numbers(plain, bare))


def _if_file(found: Iterable[bytes]) -> Iterator[bytes]:
    for data in found:
        if starts_like_a_file(data) and is_recovered(data):
            yield data
        yield from unmasked(data)


def base64_of(text: str) -> bytes:
    """Return what the letters of base64 in a text are, other characters left out."""
    letters = _NOT_B64.sub("", text.replace("-", "+").replace("_", "/"))
    return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + "==")


def _plain_ways(text: str) -> Iterator[bytes]:
    """Yield what a text is in the usual codes, and itself."""
    yield text.encode("latin-1", "replace")
    yield base64_of(text)
    if len(digits := "".join(text.split())) % 2 == 0 and re.fullmatch(r"[0-9a-fA-F]+", digits):
        yield bytes.fromhex(digits)


def _by_order(text: str) -> Iterator[bytes]:
    """Yield what the letters of a text are in another order, or some of them."""
    half, odd = len(text) // 2, (len(text) + 1) // 2
    riffled = [one + other for one, other in zip(text[:odd], [*text[odd:], ""], strict=False)]
    swapped = [text[at : at + 2][::-1] for at in range(0, len(text), 2)]
    for view in (text, text[::-1], text[half:] + text[:half], text[odd:] + text[:odd]):
        ways = [_may_be(data) for data in _plain_ways(view[:_HEAD])]
        if any(ways):
            yield from (data for data, worth in zip(_plain_ways(view), ways, strict=False) if worth)
    views = ["".join(riffled), "".join(swapped)]
    views += [text[at::step] for step in _STEPS for at in range(step)]
    for number, found in enumerate(_MARKS.finditer(text)):
        if number == _MAX_MARKS:
            break
        views.append(text[found.start() :] + text[: found.start()])
    for view in views:
        if any(starts_like_a_file(data) for data in _plain_ways(view[:_HEAD])):
            yield from _plain_ways(view)


def _by_letters(text: str) -> Iterator[bytes]:
    """Yield what a text is when its letters are shifted or the alphabet is turned round."""
    half = len(text) // 2
    for view in (text, text[::-1], text[half:] + text[:half]):
        letters = view.encode("latin-1", "replace").rstrip(b"=")
        head = letters[: _HEAD // 2]
        may_be_hex = len(set(head)) <= _HEX_LETTERS
        for table in _SUBSTITUTIONS if may_be_hex else _BY_PAIR.get(head[:2], ()):
            shifted = head.translate(table)
            if starts_like_a_file(_of_letters(shifted)) or starts_like_a_file(shifted):
                plain = letters.translate(table)
                yield plain
                yield base64_of(plain.decode("latin-1"))
            elif shifted[:16].isalnum() and not shifted.translate(None, _HEX_SIGNS) and len(letters) % 2 == 0:
                with contextlib.suppress(ValueError):
                    yield bytes.fromhex(letters.translate(table).decode("latin-1"))


def _of_letters(head: bytes) -> bytes:
    try:
        return binascii.a2b_base64(head)
    except binascii.Error:
        return b""


def _by_alphabets(bare: str, text: str, alphabets: Alphabets) -> Iterator[bytes]:
    for alphabet in (_B32, _Z85, _A85, _B85, *alphabets.texts):
        if bare[:_HEAD].strip(alphabet + "="):
            continue
        yield from _in_alphabet(bare.rstrip("="), alphabet)
    parted = _PARTING.split(text[: 8 * _HEAD].strip())[:8]
    for table in alphabets.tables:
        width = min(map(len, table), default=1)
        if all(bare[at : at + width] in table for at in range(0, 8 * width, width)):
            signs = [bare[at : at + width] for at in range(0, len(bare), width)]
        elif all(one in table for one in parted):
            signs = _PARTING.split(text.strip())
        else:
            continue
        if len(signs) >= _LEAST_NUMBERS:
            looked = [table.get(one, "") for one in signs]
            if all(re.fullmatch(r"-?(?:0x[0-9a-fA-F]+|0|[1-9]\d*)", one) for one in looked[:8]):
                numbers = [
                    int(one, 0) for one in looked if re.fullmatch(r"-?(?:0x[0-9a-fA-F]+|0|[1-9]\d*)", one)
                ]
                yield from numbers_as_bytes(numbers)
            yield from _plain_ways("".join(looked))


def _in_alphabet(text: str, alphabet: str) -> Iterator[bytes]:
    place = {sign: at for at, sign in enumerate(alphabet)}
    count = len(alphabet) - (len(alphabet) in {17, 33, 65})  # the last one pads
    head = [place[one] for one in text[: 4 * _HEAD] if one in place and place[one] < count]
    width = count.bit_length() - 1
    is_packed = count & (count - 1) == 0
    by_fives = alphabet in {_Z85, _A85, _B85} or count == 85
    # What the first letters are says whether the rest is worth it, unless all are one number.
    if (is_packed and not _may_be(_packed(head, width))) or (by_fives and not _may_be(_by_fives(head))):
        return
    values = [place[one] for one in text if one in place and place[one] < count]
    if is_packed:
        yield _packed(values, width)
    elif by_fives:
        yield _by_fives(values)
    else:
        if count >= 128:
            yield from numbers_as_bytes(values)
        yield from numbers_as_bytes(
            [high * count + low for high, low in zip(values[::2], values[1::2], strict=False)]
        )
        if len(values) <= _MAX_DIGITS:
            yield _bytes_of(_number(values, count))


def _packed(values: Sequence[int], bits: int) -> bytes:
    """Return the bytes that groups of ``bits`` bits are, the first ones highest."""
    text = "".join(f"{one:0{bits}b}" for one in values)
    text = text[: len(text) // 8 * 8]
    return int(text, 2).to_bytes(len(text) // 8) if text else b""


def _by_fives(values: list[int]) -> bytes:
    """Return what base 85 decodes to: five signs are four bytes."""
    short = -len(values) % 5
    values = values + [84] * short
    words = []
    for at in range(0, len(values), 5):
        word = 0
        for one in values[at : at + 5]:
            word = word * 85 + one
        words.append((word & 0xFFFFFFFF).to_bytes(4))
    data = b"".join(words)
    return data[: len(data) - short] if short else data


def _number(values: Sequence[int], base: int) -> int:
    """Return the number with these digits, by halves: linear steps would cost the square of its length."""
    if len(values) <= 64:
        total = 0
        for one in values:
            total = total * base + one
        return total
    half = len(values) // 2
    power: int = pow(base, len(values) - half)
    return _number(values[:half], base) * power + _number(values[half:], base)


def _bytes_of(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def big_number(digits: str, base: int) -> bytes:
    """Return the bytes of one long number (BigInt), highest first; b"" if it is too long to be read in short time."""
    if base & (base - 1) == 0:
        return _bytes_of(int(digits, base))
    if len(digits) > _MAX_DIGITS:
        return b""
    return _bytes_of(_number([_DIGITS36.index(one) for one in digits.lower()], base))


_LONG_NUMBER: Final = re.compile(
    r"(?<![\w.])(?:0[xX]([0-9a-fA-F]{20,}+)|0[oO]([0-7]{20,}+)|0[bB]([01]{60,}+)|(\d{24,}+))n?"
)


def big_numbers(code: str) -> Iterator[bytes]:
    """Yield the bytes of the long numbers of a script (BigInt), from either end."""
    for found in _LONG_NUMBER.finditer(code):
        base, digits = next(
            (base, digits) for base, digits in zip((16, 8, 2, 10), found.groups(), strict=True) if digits
        )
        yield from _ends(big_number(digits, base))


def _by_numbers(text: str, bare: str) -> Iterator[bytes]:
    """Yield what a text is as a list of numbers to any base, whatever stands between them, or nothing."""
    seen: list[list[str]] = []
    for pattern in _TOKENS:
        tokens = pattern.findall(text, 0, 4 * _HEAD)
        if len(tokens) >= _LEAST_NUMBERS and len(tokens[0]) <= _LONGEST and tokens not in seen:
            seen.append(tokens)
            yield from from_tokens(pattern.findall(text))
    for width, signs in _WIDTHS:
        if len(bare) >= width * _LEAST_NUMBERS and re.fullmatch(f"[{signs}]+", bare[: 4 * _HEAD]):
            yield from from_tokens([bare[at : at + width] for at in range(0, len(bare) - width + 1, width)])
    if 2 * _LEAST <= len(bare) <= _MAX_DIGITS and bare.isascii() and bare.isalnum():
        if bare.isdecimal():
            yield from _ends(big_number(bare, 10))
        if bare in {bare.lower(), bare.upper()}:
            yield from _ends(big_number(bare, 36))
    signs_of = set(bare[: 4 * _HEAD])
    if len(signs_of) == _TWO and len(bare) >= 8 * _LEAST_NUMBERS:
        for one in signs_of:
            yield from _bits(bare, one)


def from_tokens(tokens: Sequence[str]) -> Iterator[bytes]:
    """Yield what a list of numbers in letters is, to each base that its digits allow."""
    head = [one.lstrip("-") for one in tokens[:_HEAD]]
    if len(head) < _LEAST_NUMBERS or max(map(len, head)) > _LONGEST or not all(one.isalnum() for one in head):
        return
    if not "".join(head).isascii():
        return
    digits = max(map(_DIGITS36.index, "".join(head).lower()))
    for base in _RADIX:
        if base <= digits:
            continue
        values = [int(one, base) for one in tokens[:_HEAD]]
        if max(values) > _MAX_VALUE:
            break  # and with a greater base the more so
        if any(True for data in numbers_as_bytes(values) if _may_be(data)):
            with contextlib.suppress(ValueError):  # the last token of a text may be anything
                yield from numbers_as_bytes([int(one, base) for one in tokens])


def numbers_as_bytes(values: Sequence[int]) -> Iterator[bytes]:
    """Yield what numbers may be: bytes, signed ones too, nibbles, or multiples of bytes."""
    if not values:
        return
    if min(values) > -129 and max(values) <= _BYTE:
        yield bytes(one & _BYTE for one in values)
    yield from from_numbers(values)


def _may_be(data: bytes) -> bool:
    return starts_like_a_file(data) or may_be_masked(data)


def _bits(signs: str, one: str) -> Iterator[bytes]:
    """Yield what a text of two signs is, ``one`` being the set bit, the highest or the lowest bit first."""
    text = "".join("1" if sign == one else "0" for sign in signs[: len(signs) // 8 * 8])
    data = int(text, 2).to_bytes(len(text) // 8)
    yield data
    yield int(text[::-1], 2).to_bytes(len(text) // 8)[::-1]


def from_invisible(text: str) -> Iterator[bytes]:
    """Yield the files that the invisible characters of a text are: two signs are bits, sixteen nibbles, more bytes."""
    for pattern in _INVISIBLE:
        signs = "".join(pattern.findall(text))
        if len(signs) < 2 * _LEAST:
            continue
        kinds = sorted(set(signs))
        if len(kinds) == _TWO:
            for one in kinds:
                yield from _if_file(_bits(signs, one))
        elif len(kinds) > _TWO:
            # The third of three parts the letters.
            for parting in kinds if len(kinds) == _TWO + 1 else ():
                rest = [sign for sign in kinds if sign != parting]
                groups = [one for one in signs.split(parting) if one]
                for set_bit in rest:
                    yield from _if_file([_grouped(groups, set_bit)])
            values = [ord(sign) - ord(kinds[0]) for sign in signs]
            if max(values) <= _BYTE:
                yield from _if_file(numbers_as_bytes(values))
            if len(kinds) in {4, 8}:
                yield from _if_file(
                    [_packed([kinds.index(sign) for sign in signs], len(kinds).bit_length() - 1)]
                )


def _grouped(groups: list[str], one: str) -> bytes:
    return bytes(int("".join("1" if sign == one else "0" for sign in group), 2) & _BYTE for group in groups)


def _ends(data: bytes) -> Iterator[bytes]:
    yield data
    yield data[::-1]
