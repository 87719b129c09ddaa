"""What a PDF does by itself when it is opened, told from what ordinary forms and reports do then. Pure."""

import re
from typing import Final


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
