"""What an HTML document would do when it is opened: scripts, forms, frames, beacons, and files that it builds."""

from typing import Final

from .stage import Rule, Stage, Verdict

_WARNED: Final = (
    ("script", "A script, or a reference to one"),
    ("event-handler", "An attribute that runs a script (onload, onerror and others)"),
    ("script-url", "An address that is a script (`javascript:`, `vbscript:`)"),
    ("css-expression", "A style that runs a script (`expression()`, `behavior`, `-moz-binding`)"),
    ("form", "A form or an input field"),
    ("iframe", "A frame that shows another document"),
    ("object", "`object`, `embed` or `applet`"),
    ("meta-refresh", "The document leads elsewhere by itself (`meta http-equiv=refresh`)"),
    ("base-href", "`base` changes where all links lead"),
    ("webbug", "A remote image that nobody is meant to see: it reports that the mail was read"),
    ("remote-content", "Images, styles or other content from elsewhere"),
    ("data-uri", "An address that holds its content itself (`data:`), other than an image"),
    ("data-document", "A link or frame to a `data:` address that is a document with a script"),
    ("script-long", "A script that takes so long to be read that it is read in part"),
    ("builds-file", "A script or link that builds a file at the reader's, here a harmless one"),
)

STAGE: Final = Stage(
    id="html",
    title="HTML does nothing but show text and pictures",
    why="A page that assembles its malware at the reader's, or asks for a password, passes every scanner of files.",
    cost=2,
    rules=(
        *(
            Rule(id=f"html.{name}", verdict=Verdict.SUSPICIOUS, title=title, mode="warn")
            for name, title in _WARNED
        ),
        Rule(
            id="html.smuggling",
            verdict=Verdict.SUSPICIOUS,
            title="HTML that builds a dangerous file at the reader's, or one whose content it conceals",
        ),
        Rule(
            id="html.cost",
            verdict=Verdict.OVER_LIMIT,
            title="Elements nested so deep, or so many attributes, that no parser may be let at them",
        ),
        Rule(
            id="html.payloads",
            verdict=Verdict.OVER_LIMIT,
            title="More embedded contents in one document than are decoded",
        ),
    ),
)
