"""What pages say that Sendmail lacks is what the records say."""

import re
from pathlib import Path

from roles.registry import DEFENCES

DOCS = Path(__file__).parents[3] / "docs"
LACKING = {defence.id for defence in DEFENCES if "sendmail" in defence.lacks}


def test_the_page_names_each_record_that_sendmail_lacks() -> None:
    text = (DOCS / "mta.md").read_text()
    own = text[text.index("## What Sendmail lacks") : text.index("## Switching")]
    assert set(re.findall(r"`((?:mta|reports)\.[a-z0-9-]+)`", own)) - {"mta.backscatter"} == LACKING


def test_no_page_says_not_available_of_what_is() -> None:
    for page in DOCS.glob("*.md"):
        for found in re.finditer(r'"not available" for ((?:[^.]|\.(?=[a-z]))*)', page.read_text()):
            assert set(re.findall(r"`([a-z]+\.[a-z0-9-]+)`", found[1])) <= LACKING, page.name


def test_what_the_requirements_name_and_is_not_there_is_said_by_the_record() -> None:
    """A15 names the verb `filter`, A25 pflogsumm."""
    by_id = {defence.id: defence for defence in DEFENCES}
    assert "verb `filter`" in by_id["mta.content-rules"].why
    assert "pflogsumm" in by_id["reports.summary"].lacks["sendmail"]
