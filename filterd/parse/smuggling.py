"""The constants of a script: every text and list of numbers that it holds, put together as the script would.

No script is run. Literals are unescaped, sums and lists of them are joined, variables that only ever hold constants
are followed. A script that computes its text in another way is left with a long text that nothing decodes, which is
a finding of its own where the script builds a file.
"""

import itertools
import re
from typing import Final

from msgspec import Struct, field

from .script_numbers import char_codes, lists_of, rows_of, value_of
from .script_residue import is_outline, is_readable, is_words
from .script_sinks import SINKS, builds, name_of, short_codes
from .script_tokens import Literal, without
from .script_tokens import literals as literals_of
from .script_watch import UNBOUND, ScriptTooLongError, Watch

_NAME: Final = r"[A-Za-z_$][\w$]*+(?:\.[A-Za-z_$][\w$]*+|\[\w{1,10}\])*+"
# What stands between two literals that are one text, or two entries of one list. "&" and "_" are VBScript's.
_PLUS: Final = re.compile(rf"[\s)]*+(?:\+|&|\.concat\s*\()[\s(_]*+((?:{_NAME}\s*+[+&][\s(_]*+)*+)")
_COMMA: Final = re.compile(r"\s*+,\s*+")
_ASSIGNED: Final = re.compile(
    rf"(?:^|[^\w$.])({_NAME})\s*+(\+?=|:|\.push\()(?!=)[\s(\[]*+((?:{_NAME}\s*+\+\s*+)*+)\Z"
)
_BEFORE: Final = re.compile(rf"(?<![\w$.])((?:{_NAME}\s*+\+\s*+)++)\Z")
_AFTER: Final = re.compile(rf"((?:\s*+\+\s*+{_NAME}(?!\())++)")
_SUM: Final = re.compile(rf"(?<![\w$.])({_NAME}(?:\s*+\+\s*+{_NAME})++)")
_IN_TEMPLATE: Final = re.compile(r"\$\{\s*([\w$.]{1,60})\s*\}")
_KEY: Final = re.compile(r"\^=?\s*\(?\s*(0[xX][0-9a-fA-F]{1,2}|\d{1,3})(?![\w.])")
_WORDS: Final = re.compile(r"[A-Za-z0-9+/=_-]{64,}")
_LETTERS: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_COLOURS: Final = re.compile(r"[0-9a-f]+")
_CODED: Final = re.compile(r"[A-Za-z0-9+/=_\s,%\\-]*+")
_PIECE: Final = re.compile(r"(?!\Z)[A-Za-z0-9+/_-]{0,200}={0,2}")
_COMMENTS: Final = re.compile(r"//[^\n]*+|/\*.*?\*/", re.DOTALL)
# A text from which a script takes out, or in which it replaces, what was put in to conceal it.
_REPLACED: Final = re.compile(
    r"\.replace(?:All)?\(\s*(?:/((?:[^/\\\n]|\\.){1,20})/[a-z]{0,3}|([\"'])(.{1,20}?)\2)\s*,\s*([\"'`])(.{0,8}?)\4"
)
_REJOINED: Final = re.compile(r"\.split\(\s*([\"'])(.{1,20}?)\1\s*\)\s*\.join\(\s*([\"'`])(.{0,8}?)\3")
_NO_DIGITS: Final = dict.fromkeys(map(ord, "0123456789-/"))
_ECHOED: Final = re.compile(r"^[ \t]*@?echo[ .]+([A-Za-z0-9+/=]{4,})[ \t]*>", re.MULTILINE | re.IGNORECASE)
_ADDED: Final = re.compile(r"[\w)\]]\s*([+-])\s*(\d{1,3})\s*[);,}]")
_PACKS: Final = re.compile(
    r"inflate|pako|DecompressionStream|decompress|GZipStream|DeflateStream", re.IGNORECASE
)
_INDEX: Final = re.compile(r"[\[\].\d'\"]+\Z")
_TAIL: Final = 1000  # characters before a literal in which the name that it is given stands
_SHORT: Final = 4
_FEW: Final = 2
_MANY: Final = 8  # single characters that make a text
_LEAST_ESCAPED: Final = 40  # characters, escapes written out
_BYTE: Final = 255
_MAX_SEARCHED: Final = 1 << 30  # characters that are searched for what a script replaces
LIBRARY: Final = 256 * 1024  # characters of a script that others wrote for the greater part
_MAX_HINTS: Final = 40  # keys and shifts of a library; a page that names its key names few
_LEAST_REPLACED: Final = 64  # characters of a text of such a one in which what is replaced is sought
_THIRD: Final = 32 * 1024  # characters by which a text of any length is known
_MAX_NAME: Final = 200  # characters of what may be the name of something when it is joined
_MAX_KEY: Final = 64  # characters of a text that may be a key


class Constants(Struct):
    """What a script holds. ``texts``: its literals as far as they can be put together. ``lists``: lists of bytes.

    ``escaped``: those of its literals that are mostly escapes, which nobody writes who has nothing to conceal.
    ``keys``: byte values that something is combined with by exclusive or; ``key_texts``: texts that may be keys.
    ``builds``: it makes a file. ``reverses``: it turns texts round. ``shifts``: what it adds to bytes. ``unpacks``: it
    has a decompressor. ``pieces``: its literals as they stand, and long words of its code. ``numbers``: its lists of
    numbers; ``rows``: those of texts. ``named``: the name that it gives a file. ``cut``: the bound that was met, if any.
    ``is_part``: the time for scripts was spent before it was read to its end.
    """

    texts: list[str] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)
    lists: list[bytes] = field(default_factory=list)
    key_texts: list[str] = field(default_factory=list)
    keys_by_two: dict[bytes, list[bytes]] = field(default_factory=dict)
    keys: tuple[int, ...] = ()
    builds: bool = False
    reverses: bool = False
    shifts: tuple[int, ...] = ()
    unpacks: bool = False
    pieces: list[str] = field(default_factory=list)
    numbers: list[list[int]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    named: str = ""
    cut: str = ""
    code: str = ""
    is_part: bool = False


def constants(code: str, watch: Watch = UNBOUND) -> Constants:
    """Return the constants of JavaScript (of VBScript, as far as its literals are alike). Linear in its length.

    Whether it builds a file is seen first, before the time of ``watch`` may be spent.
    """
    found = Constants(code=code, builds=builds(code), named=name_of(code, []))
    try:
        _fill(found, watch)
    except ScriptTooLongError:
        found.is_part = True
    return found


def _fill(found: Constants, watch: Watch) -> None:
    code = found.code
    # Before the first look at the time: a program in numbers is the commonest of large files.
    found.lists = [*lists_of(code), *char_codes(code)]
    literals = list(watch.over(literals_of(code)))
    reading = _Reading(len(code), watch)
    found.texts, found.rows = reading.texts, reading.rows
    found.escaped = [
        one.text for one in literals if _LEAST_ESCAPED <= 2 * len(one.text) < one.end - one.start
    ]
    found.unpacks = bool(_PACKS.search(code))
    found.pieces = [one.text for one in literals]
    reading.read(code, literals)
    bare = without(code, literals)
    found.pieces += _WORDS.findall(bare)
    watch.look()
    reading.read_sums(bare)
    reading.read_held()
    _fill_hints(found, literals, bare)
    watch.look()
    replacements = _replacements(code)
    if len(replacements) * sum(map(len, reading.texts)) > _MAX_SEARCHED:
        reading.cut = f"{len(replacements)} replacements in its texts"
    else:
        reading.replace_all(replacements, _LEAST_REPLACED if len(code) > LIBRARY else 1)
    if len(echoed := _ECHOED.findall(code)) > 1:
        reading.take("".join(echoed))
    watch.look()
    found.numbers = [list(row) for row in watch.over(rows_of(code))]
    found.cut = reading.cut
    found.texts = [text for text in dict.fromkeys(reading.texts) if len(text) >= _SHORT]
    words = " ".join(found.texts)
    hidden = " ".join(short_codes(code))
    found.builds = found.builds or builds(words) or builds(hidden) or not SINKS.isdisjoint(found.texts)
    found.reverses = "reverse" in code or "reverse" in words
    found.named = name_of(code, found.texts)


def _fill_hints(found: Constants, literals: list[Literal], bare: str) -> None:
    """Set the keys and shifts that a script names."""
    ciphers = "^" in bare or "Xor" in bare
    found.key_texts = list(
        dict.fromkeys(one.text for one in literals if ciphers and 1 < len(one.text) <= _MAX_KEY)
    )
    found.keys_by_two = _by_two(found.key_texts)
    keys = [value_of(key) for key in _KEY.findall(bare)]
    keys = list(dict.fromkeys([*(key for key in keys if 0 < key <= _BYTE), *([255] if "~" in bare else [])]))
    shifts = _shifts(bare)
    if len(found.code) > LIBRARY and len(keys) + len(shifts) > _MAX_HINTS:
        keys, shifts = [], ()  # so many are no hint; by the starts of files every key is tried anyway
    found.keys, found.shifts = tuple(keys), shifts


def _by_two(texts: list[str]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for text in texts:
        key = text.encode("latin-1", "replace")
        found.setdefault(key[:2], []).append(key)
    return found


def _shifts(bare: str) -> tuple[int, ...]:
    """Return what is added to the bytes of a list or text, if anything is."""
    if not re.search(r"\.map\(|charCodeAt|fromCharCode|\bord\(|\bAsc\(", bare):
        return ()
    found = (int(f"{sign}{number}") for sign, number in _ADDED.findall(bare))
    return tuple(dict.fromkeys(one % 256 for one in found if one % 256))


def _replacements(code: str) -> list[tuple[str, str]]:
    """Return (what, by what) of the replacements that a script makes in texts."""
    found = []
    for pattern, _, text, _, other in _REPLACED.findall(code):
        inner = re.sub(r"\\(.)", r"\1", pattern)
        each = inner[1:-1] if inner[:1] == "[" and inner[-1:] == "]" else ""
        found += [(one, other) for one in each] or [(inner or text, other)]
    found += [(text, other) for _, text, _, other in _REJOINED.findall(code)]
    return list(dict.fromkeys(found))


class _Reading:
    """Literals put together: what a sum or a list of them is, and what the variables then hold."""

    def __init__(self, size: int, watch: Watch) -> None:
        self._watch = watch
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.cut = ""
        self._room = 16 * size + 65536  # characters that may be made: a sum can name itself
        self._held: dict[str, list[str]] = {}
        self._owner = ""
        self._sum: list[str] = []
        self._list: list[str] = []

    def read(self, code: str, literals: list[Literal]) -> None:
        """Go through the literals in order."""
        end = 0
        for one in self._watch.over(literals):
            gap = code[end : one.start]
            gap = _COMMENTS.sub("", gap) if "/" in gap else gap
            if not (self._sum and self._goes_on(gap)):
                self._finish(code, end)
                self._begin(gap[-_TAIL:])
            end = one.end
            self._sum.append(self._filled(one.text) if "${" in one.text else one.text)
        self._finish(code, end)
        # Dates and numbers are no letters.
        letters = [
            one.text for one in literals if one.text.strip("0123456789-/") and _LETTERS.fullmatch(one.text)
        ]
        self._watch.look()
        letters = _without_names(letters, self._watch) if len(code) > LIBRARY else letters
        self._watch.look()
        if len(letters) > 1 and not is_readable(_sample(" ".join(letters))):
            self.take("".join(letters))
        for is_piece, run in itertools.groupby(
            self._watch.over(literals), lambda one: _PIECE.fullmatch(one.text) is not None
        ):
            pieces = [one.text for one in run] if is_piece else []
            self._watch.look()
            if len(pieces) > _FEW and not _is_plain(" ".join(pieces)):
                self.take("".join(pieces))
                self.take("".join(reversed(pieces)))

    def read_sums(self, bare: str) -> None:
        """Put together sums of variables alone."""
        for found in self._watch.over(_SUM.finditer(bare)):
            if text := self._values(found[1]):
                self.take(text)

    def read_held(self) -> None:
        """Put together what variables got piece by piece, and what stands in variables of one name and a number."""
        groups: dict[str, list[str]] = {}
        for name, pieces in self._held.items():
            if len(pieces) > 1:
                self.take("".join(pieces))
            if (base := _INDEX.sub("", name)) != name:
                groups.setdefault(base, []).extend(pieces)
        for pieces in groups.values():
            if len(pieces) > 1:
                self.take("".join(pieces))

    def replace_all(self, pairs: list[tuple[str, str]], least: int) -> None:
        """Take the texts in which something is replaced, of ``least`` characters: by each alone, and by all in turn."""
        texts = dict.fromkeys(one for one in self.texts if len(one) >= least)
        for text in self._watch.over(
            one for one in texts if not is_readable(_sample(one)) and not is_outline(one)
        ):
            changed = text
            for original, other in pairs:
                if original and original in text:
                    alone = text.replace(original, other)
                    # Of all that a library replaces somewhere, only what leaves mere letters of a code makes a file.
                    if least == 1 or _CODED.fullmatch(alone):
                        self.take(alone)
                if original and original in changed and len(changed) < self._room:
                    changed = changed.replace(original, other)
            if changed != text:
                self.take(changed)

    def take(self, text: str) -> None:
        if len(text) <= self._room:
            self._room -= len(text)
            self.texts.append(text)
        else:
            self.cut = "texts that grow beyond all measure when they are put together"

    def _goes_on(self, gap: str) -> bool:
        """Return whether the literal behind ``gap`` belongs to the one before it."""
        if plus := _PLUS.fullmatch(gap):
            if plus[1]:
                self._sum.append(self._values(plus[1]))
            return True
        if _COMMA.fullmatch(gap):
            self._list.append("".join(self._sum))
            self._sum = []
            return True
        return False

    def _begin(self, tail: str) -> None:
        self._owner = ""
        before = ""
        if found := _ASSIGNED.search(tail):
            self._owner, before = found[1], found[3]
            if found[2] in {"=", ":"}:
                self._held[self._owner] = []
        elif found := _BEFORE.search(tail):
            before = found[1]
        if before:
            self._sum.append(self._values(before))

    def _finish(self, code: str, end: int) -> None:
        if not self._sum and not self._list:
            return
        if found := _AFTER.match(code, end, end + _TAIL):
            self._sum.append(self._values(found[1]))
        self._list.append("".join(self._sum))
        if len(self._list) >= _MANY:
            self.rows.append(self._list)
        whole = "".join(self._list)
        is_list_of_words = (
            len(whole) > _MAX_NAME and len(self._list) > _FEW and _is_plain(" ".join(self._list))
        )
        if self._owner:
            self._held.setdefault(self._owner, []).append(whole)
            for number, item in enumerate(self._list if len(self._list) > 1 else ()):
                self._held[f"{self._owner}[{number}]"] = [item]
        for text in (
            *(() if is_list_of_words else (whole,)),
            *(item for item in self._list if len(self._list) > 1 and len(item) > _SHORT),
        ):
            self.take(text)
        self._sum, self._list = [], []

    def _values(self, names: str) -> str:
        text = "".join(self._value_of(name.strip(" \t\r\n(_")) for name in re.split(r"[+&]", names))
        if len(text) > self._room:
            self.cut = "texts that grow beyond all measure when they are put together"
            return ""
        self._room -= len(text)
        return text

    def _value_of(self, name: str) -> str:
        pieces = self._held.get(name) or self._held.get(name.rpartition(".")[2]) or ()
        return "".join(pieces) if sum(map(len, pieces)) <= self._room else ""

    def _filled(self, template: str) -> str:
        return _IN_TEMPLATE.sub(lambda found: self._value_of(found[1]), template)


def _without_names(letters: list[str], watch: Watch) -> list[str]:
    """Return what is left of a library's texts of letters without its names and its palettes of colours."""
    rest = [one for one in watch.over(letters) if not (is_words(one) and is_readable(one))]
    colours = [one for one in rest if len(one) % 6 == 0 and _COLOURS.fullmatch(one)]
    triples = [one[at : at + 6] for one in colours for at in range(0, len(one), 6)]
    if len(set(triples)) * 10 < len(triples) * 9:
        # Palettes share many colours; of ciphered bytes no three come twice.
        return [one for one in rest if len(one) % 6 or not _COLOURS.fullmatch(one)]
    return rest


def _sample(text: str) -> str:
    """Return the start, the middle and the end of a text: what is no language is none anywhere."""
    half = len(text) // 2
    return text if len(text) <= 3 * _THIRD else text[:_THIRD] + text[half : half + _THIRD] + text[-_THIRD:]


def _is_plain(joined: str) -> bool:
    """Return whether pieces are words, or dates and numbers, when they stand together."""
    return is_readable(_sample(joined)) or len(joined.translate(_NO_DIGITS)) * 8 < len(joined)
