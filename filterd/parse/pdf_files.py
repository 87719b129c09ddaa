"""Opens PDF files: attached files, scripts, and what else in them is more than a page."""

import re
from collections.abc import Iterator
from typing import Final

from . import passwords
from .harvest import Content, Harvest
from .html import built_by
from .kinds import kind_of
from .pdf_actions import call_of, is_harmless, is_neighbour, opening_action
from .pdf_crypt import Key, find_key
from .pdf_filters import FILTERS, differences, predicted
from .pdf_objects import Object, filters, inner_objects, objects, references, strings

_HOSTILE_SCRIPT: Final = re.compile(
    rb"\beval\s*\(|unescape\s*\(|exportDataObject|Collab\.|util\.printf\s*\(\s*[\"']%\d{3,}|newPlayer|getAnnots"
    rb"|spell\.custom|getIcon\s*\(|fromCharCode|XMLHttp|SOAP\.|ActiveXObject",
)
# What a page draws, and tables of characters: never a file.
_DRAWING: Final = re.compile(
    rb"(?:^|[\s\])>])(?:BT|ET|Tf|Tj|TJ|cm|re|BDC|BMC|gs|rg|RG|scn?|Do|begincmap)[\s]"
)
_NOT_FILES: Final = re.compile(
    rb"/Subtype\s*/(?:Image|Form|Type1C?|CIDFontType0C|OpenType)\b|/Type\s*/(?:XRef|ObjStm|Metadata|Pattern)\b"
    rb"|/Length[123]\b|/FunctionType\b|/ShadingType\b|/PatternType\b|/Alternate\b"
)
_MAX_OTHERS: Final = 200
_LEAST_PREDICTOR: Final = 2  # TIFF's; those of PNG are 10 and above
_SCRIPT: Final = re.compile(rb"/JavaScript\b|/JS\b")
_LAUNCH: Final = re.compile(rb"/S\s*/Launch\b")
_PAGE: Final = re.compile(rb"/Type\s*/(?:Catalog|Pages?)\b")
_OPENED: Final = re.compile(rb"/OpenAction[\0\t\n\f\r ]++(\d{1,10})[\0\t\n\f\r ]++\d{1,5}[\0\t\n\f\r ]++R\b")
_SYSTEM: Final = re.compile(rb"/(?:Win|Mac|Unix|P|UF)\b")
_EMBEDDED: Final = re.compile(rb"/EmbeddedFiles?\b|/RichMedia|/XFA\b|/EF\b")
_NAMED: Final = re.compile(rb"/(?:UF|F)[\0\t\n\f\r ]*(?=[(<])")


def open_pdf(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the attached files, scripts and streams of no known use; report what runs."""
    yield from _Pdf(content, harvest).read()


class _Pdf:
    """One PDF while it is read."""

    def __init__(self, content: Content, harvest: Harvest) -> None:
        self.content = content
        self.harvest = harvest
        self.number = 0
        self.key: Key | None = None
        self.locked = False
        self.heads: dict[int, bytes] = {}
        self.opening = False
        self.harmless: list[bool] = []

    def note(self, rule: str, detail: str = "") -> None:
        """Report ``rule`` for the file."""
        self.harvest.note(rule, self.content, detail)

    def read(self) -> Iterator[Content]:
        """Yield what is inside."""
        top = list(self._counted(objects(self.content.data)))
        self.heads = {one.number: one.head for one in top}
        self._unlock(top)
        every = top + [inner for outer in top for inner in self._packed(outer)]
        heads = b"\n".join(
            [one.head for one in every] + re.findall(rb"trailer[\s\S]{0,4000}", self.content.data)
        )
        scripts = {number for one in every for number in references(one.head, b"/JS")}
        files = {number for one in every for number in references(one.head, b"/EF")}
        # The dictionary of the files may be an object of its own.
        files |= {to for one in every if one.number in files for to in references(one.head, b"/U?F")}
        forms = {number for one in every for number in references(one.head, b"/XFA")}
        files |= forms
        self._look(heads, every)
        yield from self._scripts(every, scripts)
        others = 0
        yield from self._offer(
            b"".join(self._plain(one) for one in every if one.number in forms and one.stream)
        )
        for one in every:
            if one.stream is None:
                continue
            wanted = one.number in files or one.number in scripts or b"/EmbeddedFile" in one.head
            if not wanted and (others >= _MAX_OTHERS or _NOT_FILES.search(one.head)):
                continue
            data = self._plain(one)
            if not wanted:
                if not data or (_DRAWING.search(data[:2000]) and kind_of(data) in {"text", "unknown"}):
                    continue
                others += 1
            if one.number in scripts:
                self._judge_script(data)
            yield from self._offer(data, self._names(every, one.number) if one.number in files else ())
        if self.opening and not (self.harmless and all(self.harmless)):
            self.note("document.pdf-javascript-auto")

    def _counted(self, found: Iterator[Object]) -> Iterator[Object]:
        for count, one in enumerate(found):
            if count % 256 == 0:
                self.harvest.budget.take_time()
            yield one

    def _unlock(self, top: list[Object]) -> None:
        """Find the key of an encrypted file: with no password, or one from the message."""
        trailers = b"\n".join(re.findall(rb"trailer[\s\S]{0,4000}", self.content.data))
        trailers += b"\n".join(one.head for one in top if b"/XRef" in one.head)
        numbers = set(references(trailers, b"/Encrypt"))
        direct = re.search(rb"/Encrypt\s*(<<[\s\S]{0,4000})", trailers)
        heads = [one.head for one in top if one.number in numbers] + ([direct[1]] if direct else [])
        if not heads:
            return
        for password in ("", *passwords.candidates(self.harvest)):
            for head in heads:
                self.key = self.key or find_key(head, trailers, password)
            if self.key:
                self.note("document.password-in-body" if password else "document.owner-password")
                return
        self.locked = True
        self.note("document.encrypted")

    def _packed(self, one: Object) -> Iterator[Object]:
        if one.stream is not None and re.search(rb"/Type\s*/ObjStm\b|/First\b", one.head):
            yield from self._counted(inner_objects(one.head, self._plain(one)))

    def _plain(self, one: Object) -> bytes:
        """Return a stream's data, filters undone as far as they are known."""
        data = one.stream or b""
        if self.key and not re.search(rb"/Type\s*/XRef\b", one.head):
            data = self.key.decrypt(data, one.number, one.generation)
        budget = self.harvest.budget
        for name in filters(one.head):
            if name not in FILTERS:
                break
            data = budget.read_all(FILTERS[name](data), len(self.content.data))
        head = one.head
        for number in references(head, b"/(?:DecodeParms|DP)"):
            head += self.heads.get(number, b"")
        predictor = re.search(rb"/Predictor\s+(\d+)", head)
        if predictor and int(predictor[1]) >= _LEAST_PREDICTOR:
            columns, colors, bits = (self._parameter(head, key, value) for key, value in _PARAMETERS)
            rows = differences if int(predictor[1]) == _LEAST_PREDICTOR else predicted
            data = rows(data, columns, colors, bits)
        return data

    def _parameter(self, head: bytes, key: bytes, default: int) -> int:
        found = re.search(key + rb"\s+(\d{1,6})", head)
        return int(found[1]) if found else default

    def _look(self, heads: bytes, every: list[Object]) -> None:
        """Report what the dictionaries say of scripts, programs and files."""
        if _LAUNCH.search(heads) and not self._launches_neighbours(every):
            self.note("document.pdf-launch")
        if _EMBEDDED.search(heads):
            self.note("document.pdf-embedded")
        self._look_at_opening(every)
        if not _SCRIPT.search(heads):
            return
        self.note("document.pdf-javascript")
        scripted = {one.number for one in every if b"/JS" in one.head}
        for one in every:
            if b"/OpenAction" not in one.head and b"/AA" not in one.head:
                continue
            # Scripts of fields (format, calculate) are in every form; these run when the file or a page is opened.
            opening = set(references(one.head, b"/OpenAction"))
            direct = re.search(rb"/OpenAction\s*<<", one.head) and b"/JS" in one.head
            page = _PAGE.search(one.head)
            acted = set(references(one.head, b"/AA")) if page else set()
            own = page and b"/AA" in one.head and b"/JS" in one.head
            if direct or own or (opening | acted) & scripted:
                self.opening = True

    def _look_at_opening(self, every: list[Object]) -> None:
        """Report addresses and servers that are called when the file or a page is opened."""
        numbers, sets = set[int](), set[int]()
        actions: list[tuple[Object, bytes]] = []
        for one in every:
            if b"/OpenAction" in one.head or (b"/AA" in one.head and _PAGE.search(one.head)):
                # An array is no action: it names the page to begin with.
                numbers |= {int(found[1]) for found in _OPENED.finditer(one.head)}
                sets |= {*references(one.head, b"/AA")}
                actions.append((one, opening_action(one.head)))
        numbers |= sets | {
            to for one in every if one.number in sets for to in references(one.head, b"/[A-Z]{1,2}")
        }
        actions += [(one, one.head) for one in every if one.number in numbers]
        for one, action in actions:
            raw = [text for key in (b"/F", b"/UF", b"/URI") for text in strings(action, key)]
            key = self.key
            targets = [_text(key.decrypt(text, one.number, one.generation) if key else text) for text in raw]
            if rule := call_of(action, targets):
                self.note(rule, targets[0][:100] if targets else "")

    def _launches_neighbours(self, every: list[Object]) -> bool:
        """Return whether all that is launched are documents beside the file, as a table of contents links them."""
        targets: list[str] = []
        for one in every:
            if not _LAUNCH.search(one.head):
                continue
            raw = list(strings(one.head, b"/F"))
            if not raw or _SYSTEM.search(one.head):
                return False
            key = self.key
            targets += [_text(key.decrypt(text, one.number, one.generation) if key else text) for text in raw]
        return bool(targets) and all(map(is_neighbour, targets))

    def _scripts(self, every: list[Object], scripts: set[int]) -> Iterator[Content]:
        for one in every:
            own = list(strings(one.head, b"/JS"))
            if one.number in scripts and one.stream is None:
                own += strings(b"/JS " + one.head.lstrip(), b"/JS")
            for script in own:
                plain = self.key.decrypt(script, one.number, one.generation) if self.key else script
                self._judge_script(plain)
                yield from self._offer(plain)
                for data in built_by(_text(plain)):
                    yield from self._offer(data)

    def _judge_script(self, script: bytes) -> None:
        self.harmless.append(is_harmless(_text(script)))
        if _HOSTILE_SCRIPT.search(script.replace(b"\0", b"")):
            self.note("document.pdf-javascript-auto", "a script that builds code or reaches outside")

    def _names(self, every: list[Object], number: int) -> tuple[str, ...]:
        """Return the names that the file specifications referring to a stream give it."""
        names = []
        for one in every if not self.locked else ():
            if number in set(references(one.head, b"/EF")):
                for key in (b"/UF", b"/F"):
                    for raw in strings(one.head, key):
                        plain = self.key.decrypt(raw, one.number, one.generation) if self.key else raw
                        names.append(_text(plain))
        return tuple(dict.fromkeys(name for name in names if name))

    def _offer(self, data: bytes, names: tuple[str, ...] = ()) -> Iterator[Content]:
        if data:
            self.harvest.budget.take_entry()
            self.number += 1
            inner = self.content.inner(self.number, data, "pdf")
            inner.names = names
            yield inner


_PARAMETERS: Final = ((rb"/Columns", 1), (rb"/Colors", 1), (rb"/BitsPerComponent", 8))


def _text(raw: bytes) -> str:
    """Return a text string (7.9.2.2): UTF-16 or UTF-8 with a mark, else one byte a character."""
    if raw.startswith(b"\xfe\xff"):
        return raw[2:].decode("utf-16-be", "replace")
    if raw.startswith(b"\xef\xbb\xbf"):
        return raw[3:].decode("utf-8", "replace")
    return raw.decode("latin-1")
