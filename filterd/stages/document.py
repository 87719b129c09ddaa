"""Documents that do more than show text: macros, scripts, remote templates, programs inside. Noted by the openers."""

from typing import Final

from filterd.findings import Mode

from .stage import Rule, Stage, Verdict

_ON: Final[Mode] = "on"
_WARN: Final[Mode] = "warn"
_S: Final = Verdict.SUSPICIOUS
_E: Final = Verdict.ENCRYPTED

STAGE: Final = Stage(
    id="document",
    title="Documents carry no code that runs by itself and nothing that cannot be seen",
    why="An office document or PDF is the envelope in which people expect mail, and so the one that malware is put in.",
    cost=4,
    rules=tuple(
        Rule(id=f"document.{name}", verdict=verdict, title=title, mode=mode)
        for name, verdict, mode, title in (
            ("macro", _S, _WARN, "An office document with macros"),
            (
                "macro-autorun",
                _S,
                "on",
                "A macro that runs by itself and starts programs, writes files or fetches code",
            ),
            (
                "macro-stomped",
                _S,
                "on",
                "A macro that is there compiled, and whose source was taken out",
            ),
            ("dde", _S, _ON, "A field that starts a program when the document is opened (DDE)"),
            (
                "external-template",
                _S,
                "on",
                "A document that fetches its template or an object from the Internet",
            ),
            (
                "external-share",
                _S,
                "warn",
                "A document that fetches its template or an object from a file share",
            ),
            ("embedded-object", _S, _WARN, "A document with a file or object embedded"),
            ("equation", _S, _WARN, "An object of the old equation editor, which has known holes"),
            ("pdf-javascript", _S, _WARN, "A PDF with JavaScript"),
            ("pdf-javascript-auto", _S, _ON, "A PDF whose JavaScript runs when it is opened"),
            ("pdf-launch", _S, _ON, "A PDF that starts a program"),
            ("pdf-call", _S, _WARN, "A PDF that calls an address or sends a form when it is opened"),
            ("pdf-embedded", _S, _WARN, "A PDF with files attached, rich media or XFA forms"),
            ("encrypted", _E, _ON, "A document that no password in the message opens"),
            (
                "owner-password",
                _E,
                "warn",
                "A document that opens without a password, but is encrypted against changes",
            ),
            ("password-in-body", _S, _WARN, "An encrypted document whose password stands in the message"),
            ("broken", Verdict.MALFORMED, _WARN, "A document of which some part could not be read"),
        )
    ),
)
