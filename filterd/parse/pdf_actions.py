"""What a PDF does by itself when it is opened, told from what ordinary forms and reports do then. Pure."""

import re
from typing import Final

from .documents import SHARED


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Whatever these words and literals can say is: print, choose a page or a size, fill in a date, ask, count.
_HARMLESS: Final = _words(
    "this print true false null undefined app alert getField value valueAsString zoom zoomType zoomtype fitW fitH fitP"
    " fitV fitB pref pageNum numPages printd new Date var if else return function event rc calculateNow dirty display"
    " hidden visible noPrint bUI bSilent bShrinkToFit bPrintAsImage bAnnotations nStart nEnd bReverse printParams"
    " getPrintParams interactive constants interactionLevel silent automatic full pageHandling fit shrink none"
    " viewerVersion viewerType setFocus readonly required cMsg nIcon nType cTitle layout util toString length"
)
_LONGEST: Final = 10_000
_LITERAL: Final = re.compile(
    r"\"[^\"\\\r\n]*+(?:\\.[^\"\\\r\n]*+)*+\"|'[^'\\\r\n]*+(?:\\.[^'\\\r\n]*+)*+'|//[^\r\n]*+|/\*.*?\*/",
    re.DOTALL,
)
_DECLARED: Final = re.compile(r"\b(?:var|function)\s+([A-Za-z_$][\w$]*)")
_WORD: Final = re.compile(r"(\.\s*)?(?<![\w$])([A-Za-z_$][\w$]*)")
# A file beside the PDF that shows something and does nothing.
_NEIGHBOUR: Final = re.compile(
    r"(?![\\/])[^:\\]*?\.(?:docx?|xlsx?|pptx?|od[tsp]|pdf|rtf|txt|csv|jpe?g|png|gif|tiff?|mp4|dwg)",
    re.IGNORECASE,
)


def is_harmless(script: str) -> bool:
    """Return whether a script consists of harmless words alone. Brackets and escapes could spell any other."""
    if len(script) > _LONGEST:
        return False
    code = _LITERAL.sub(" 0 ", script)
    if set(code) & set("[]\\`\"'@#"):
        return False
    own = set(_DECLARED.findall(code))
    return all(word in _HARMLESS or (word in own and not dot) for dot, word in _WORD.findall(code))


def is_neighbour(target: str) -> bool:
    """Return whether a launched file is a document in the same folder or below."""
    return "//" not in target and ".." not in target and _NEIGHBOUR.fullmatch(target) is not None


def opening_action(head: bytes) -> bytes:
    """Return what stands behind the words for what happens on opening (ISO 32000-1 12.6.3), as far as it is there."""
    pieces: list[bytes] = []
    end = 0
    for found in _OPENING.finditer(head):
        if found.end() >= end:
            end = _end_of_dictionary(head, found.end())
            pieces.append(head[found.end() : end])
    return b" ".join(pieces)


def _end_of_dictionary(head: bytes, start: int) -> int:
    depth = 0
    for sign in _NESTING.finditer(head, start):
        depth += 1 if sign[0] == b"<<" else -1
        if depth <= 0:
            return sign.end()
    return len(head)


def call_of(action: bytes, targets: list[str]) -> str:
    """Return the rule for what an action on opening does with its targets; "" for a jump within the file or beside it."""
    if any(_RUNS.match(target) for target in targets):
        return "document.pdf-javascript-auto"
    if any(SHARED.match(target.strip()) for target in targets) or any(map(_SERVER.match, targets)):
        return "document.external-share"
    return "document.pdf-call" if _CALLS.search(action) else ""


_OPENING: Final = re.compile(rb"/(?:OpenAction|AA)\b[\0\t\n\f\r ]*+(?=<<)")
_NESTING: Final = re.compile(rb"<<|>>")
_CALLS: Final = re.compile(rb"/S[\0\t\n\f\r ]*+/(?:SubmitForm|ImportData|URI)\b")
_RUNS: Final = re.compile(r"\s*(?:javascript|vbscript|data)\s*:", re.IGNORECASE)
_SERVER: Final = re.compile(r"\s*[\\/]{2}[\w.-]")
