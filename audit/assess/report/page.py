"""The assessment as one HTML file: no script, nothing from elsewhere, and all that a host said escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from audit.assess.report import words
from audit.assess.report.document import Document

_TEMPLATE = "page.html.j2"


def rendered(document: Document) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    return environment.get_template(_TEMPLATE).render(document=document, words=words)
