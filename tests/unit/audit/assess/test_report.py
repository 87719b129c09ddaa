"""The reports: whatever a host says is shown, and does nothing."""

import io
import json
import re
from html.parser import HTMLParser

import msgspec
import pytest
from rich.console import Console

from audit.assess.assessment import Assessment
from audit.assess.report import document, page, text
from audit.assess.report.document import VERSION, Document
from audit.assess.score import FORMULA
from roles.kinds import HostAnswer
from roles.registry import DEFENCES
from roles.tasks import TASKS
from roles.tasks.task import Task
from tests.unit.audit.assess.samples import GATEWAY, answered, host, record
from tests.unit.roles.examples import gateway

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</code></td></table><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; & 'quoted'",
    "javascript:alert(1)",
    "\x1b[31mred\x1b]0;title\x07\u202eevil\u2066",
    "[bold red]markup[/] [link=https://evil.example]x[/link]",
    "\x00\udcff\ud800".encode("utf-8", "replace").decode(),
)
TASK = Task(
    id="machine.odd",
    title="A task for tests",
    why="It is a test.",
    how="Do it.",
    asks=HostAnswer(subject="odd", command="odd", matches="yes", refuted_by="no"),
)


def hostile(said: str) -> Assessment:
    """Return a host that answers everything with these words, one of them for being broken by them."""
    records = [record("mta.one", "a"), record("mta.two", "b", "c"), record("dns.one", "d", level="paranoid")]
    return host(records, answered({"a": said, "b": said, "c": "yes", "d": "yes", "odd": said}), tasks=[TASK])


def made(*hosts: Assessment, problems: tuple[str, ...] = ()) -> Document:
    return document.made(hosts, problems, "2026-01-02T03:04:05+00:00", FORMULA)


class Seen(HTMLParser):
    """Collects each tag with its attributes, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and (last := self.open.pop()) != tag:
            assert last in {"br", "img"}, f"{last} is not closed before {tag}"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(html: str) -> Seen:
    seen = Seen()
    seen.feed(html)
    seen.close()
    return seen


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_no_answer_of_a_host_becomes_part_of_the_page(said: str) -> None:
    harmless, odd = parsed(page.rendered(made(hostile("plain")))), parsed(page.rendered(made(hostile(said))))
    assert [tag for tag, _ in odd.tags] == [tag for tag, _ in harmless.tags]
    assert odd.tags == harmless.tags, "an answer has come into an attribute"
    assert not odd.open


def test_an_answer_is_shown_as_it_was() -> None:
    seen = parsed(page.rendered(made(hostile("<b>bold</b>"))))
    assert seen.texts.count("<b>bold</b>") == 3


def test_a_problem_is_escaped_too() -> None:
    seen = parsed(page.rendered(made(hostile("x"), problems=("<script>alert(1)</script>",))))
    assert "script" not in {tag for tag, _ in seen.tags}
    assert "<script>alert(1)</script>" in seen.texts


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("terminal", [False, True])
def test_no_answer_reaches_a_terminal_as_more_than_text(said: str, terminal: bool) -> None:  # noqa: FBT001 - a parameter
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, width=100, color_system="standard" if terminal else None
    )
    text.printed(text.lines(hostile(said)), console)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()) if terminal else out.getvalue()
    assert not [each for each in shown if not each.isprintable() and each != "\n"]
    assert "\x1b]" not in out.getvalue()
    if said.startswith(("[bold", "<script")):
        assert said in shown


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    html = page.rendered(made(host(DEFENCES, answered({}), tasks=TASKS, of=GATEWAY)))
    seen = parsed(html)
    assert {tag for tag, _ in seen.tags}.isdisjoint(
        {"script", "img", "link", "iframe", "object", "base", "form"}
    )
    for _, attributes in seen.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "action"}
            assert name != "href" or (value or "").startswith("#")
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_the_links_of_the_page_lead_somewhere() -> None:
    seen = parsed(page.rendered(made(host(DEFENCES, answered({}), tasks=TASKS))))
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(attributes["href"] or "")[1:] for tag, attributes in seen.tags if tag == "a"}
    assert links
    assert links <= set(ids)


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_the_page_explains_each_item(mta: str) -> None:
    found = host(DEFENCES, answered({}), tasks=TASKS, of=gateway(mta=mta))
    words = " ".join(" ".join(parsed(page.rendered(made(found))).texts).split())
    for item in found.items:
        for part in (item.id, item.title, item.why, item.cost, item.reason):
            assert " ".join(part.split()) in words
    for task in found.todo:
        for part in (task.id, task.title, task.why, task.how):
            assert " ".join(part.split()) in words
    assert FORMULA in words


def test_json_has_a_version_and_comes_back_as_it_was() -> None:
    given = made(hostile("<odd>"), problems=("gw2: away",))
    encoded = document.encoded(given)
    assert json.loads(encoded)["version"] == VERSION == 1
    assert msgspec.json.decode(encoded, type=Document) == given


def test_the_names_of_the_json_are_those_of_version_1() -> None:
    # A name that goes, or means something else, takes another version; see docs/assess.md.
    schema = msgspec.json.schema(Document)["$defs"]
    names = {name: set(schema[name]["properties"]) for name in schema}
    assert names["Document"] >= {"version", "at", "formula", "hosts", "problems"}
    assert names["Assessment"] >= {
        *("host", "hostname", "mta", "contained", "declared", "level", "matches"),
        *("score", "layers", "levels", "items", "todo"),
    }
    assert names["Score"] >= {"weight", "seen", "held", "percent", "at_least", "at_most"}
    assert names["LevelMatch"] >= {"level", "score", "adds", "lacking", "unseen"}
    assert names["Item"] >= {
        *("id", "layer", "title", "why", "cost", "level", "weight", "state", "reason", "looks", "settings"),
    }
    assert names["Setting"] >= {"name", "state", "wanted", "seen", "why"}
    assert names["Todo"] >= {"id", "title", "why", "how", "state", "seen", "defence"}


def test_text_names_what_is_wrong_with_its_reason_cost_and_what_was_seen() -> None:
    shown = "\n".join(line.text for line in text.lines(hostile("other")))
    assert "partly           5  lax       mta.two" in shown
    assert "partly: 1 of 2 settings. It is a test. Costs: It takes time." in shown
    assert "- b: wanted: yes; seen: other" in shown
    assert "c: wanted" not in shown
    assert "open          machine.odd" in shown
    assert FORMULA in shown
    assert "The host matches no level." in shown


def test_settings_that_one_cause_explains_share_a_line() -> None:
    found = host([record("mta.one", "a", "b", "c", "d")], answered(dict.fromkeys("abc", "no") | {"d": "0"}))
    shown = [line.text for line in text.lines(found)]
    assert "      - a, b, c: seen: no" in shown
    assert "      - d: wanted: yes; seen: 0" in shown
