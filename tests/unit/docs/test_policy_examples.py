"""The examples of docs/policy.md do what stands beside them; the page has one for each thing that it promises."""

import re
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Final

import pytest
from msgspec import convert, structs

from filterd.anatomy import Anatomy, Leaf
from filterd.carry.notices import Facts, Notices
from filterd.carry.templates import PLACEHOLDERS, problems
from filterd.config import Config, taken
from filterd.disposition import Attempt, Disposition, Side
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.pipeline import Report, StageResult
from filterd.policy import decide
from filterd.stages import ORDER

PAGE: Final = Path(__file__).parents[3] / "docs" / "policy.md"
_EXAMPLE: Final = re.compile(
    r"^### (.*?)$.*?^```toml\n(.*?)^```\n+^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
EXAMPLES: Final = _EXAMPLE.findall(PAGE.read_text())
LINES: Final = [
    (name, toml, line) for name, toml, text in EXAMPLES for line in text.splitlines() if line.strip()
]


def finding(text: str) -> Finding:
    verdict, rule, place = text.split()
    if rule == "spam.score":
        return Finding(stage="spam", verdict=Verdict.SPAM, rule=rule, score=float(place))
    return Finding(
        stage=rule.partition(".")[0],
        verdict=Verdict(verdict),
        rule=rule,
        part="" if place == "message" else place,
    )


def outcome(made: Disposition) -> str:
    items = [f"{edit.part} {edit.action}" for edit in made.order.edits]
    items += [f"{side.action} {side.argument}".strip() for side in made.sides]
    items += [f"tag {tag}" for tag in made.tags]
    items += [f"subject {made.subject.strip()}"] if made.subject else []
    items += ["stamped"] if made.order.stamp else []
    return "; ".join([made.fate, *items])


def reported(found: tuple[Finding, ...], symbols: str, anatomy: Anatomy) -> Report:
    """Return a report in which every stage ran; ``symbols`` stand beside the spam score."""
    told = tuple(structs.replace(one, detail=symbols) if one.rule == "spam.score" else one for one in found)
    results = tuple(
        StageResult(stage=stage.id, milliseconds=0.0, findings=told if number == 0 else ())
        for number, stage in enumerate(ORDER)
    )
    return Report(results=results, anatomy=anatomy)


def decided(config: Config, line: str) -> str:
    """Return what becomes of the mail that a line of an example describes."""
    what, *conditions = (piece.strip() for piece in line.split("|"))
    found = () if what == "nothing" else tuple(finding(each) for each in what.split(", "))
    envelope = Envelope(
        recipients=[b"<joe@example.org>"], sender=b"<s@sender.example>", client_address=b"198.51.100.9"
    )
    symbols, author = [], ""
    now, protected, failed = datetime(2026, 3, 2, 10, 30), "", set()  # noqa: DTZ001 - the gateway's own clock
    for condition in conditions:
        match condition.split(maxsplit=1):
            case ["to", who]:
                envelope.recipients = [f"<{each}>".encode() for each in who.split(", ")]
            case ["from", who]:
                envelope.sender = who.encode()
            case ["by", symbol]:
                symbols.append(symbol)
            case ["author", who]:
                author = who
            case ["client", address]:
                envelope.client_address = address.encode()
            case ["at", moment]:
                now = datetime.fromisoformat(moment)
            case ["signed"]:
                protected = "signed"
            case [chain, rest] if rest.endswith(" failed"):
                parts = tuple(dict.fromkeys(each.part for each in found))
                action = rest.removesuffix(" failed")
                failed.add(Attempt(chain=chain, action=action, parts=parts))  # type: ignore[arg-type]  # of the page
            case _:
                raise AssertionError(condition)
    report = reported(found, ",".join(symbols), Anatomy(protected=protected, author=author))
    made = decide(report, envelope, config, now=now, failed=frozenset(failed))
    by_recipient = {who: each for each in made for who in each.recipients}
    return " / ".join(outcome(by_recipient[who]) for who in envelope.recipients)


@pytest.mark.parametrize(("name", "toml", "line"), LINES, ids=[f"{name}: {line}" for name, _, line in LINES])
def test_each_example_does_what_stands_beside_it(name: str, toml: str, line: str) -> None:
    given, _, wanted = line.partition("=>")
    assert decided(taken(toml.encode(), name), given) == " ".join(wanted.split())


def test_there_is_an_example_for_each_thing_that_the_page_promises() -> None:
    assert [name for name, _, _ in EXAMPLES] == [
        "Clean, delete, discard",
        "Different fates by group",
        "Outbound mail",
        "Try a rule before it bites",
        "By the clock",
        "Copies, notices, rename and HTML",
        "Lists of senders",
    ]
    assert PAGE.read_text().count("```toml") == len(EXAMPLES)


def test_examples_name_rules_that_exist() -> None:
    known = {rule.id for stage in ORDER for rule in stage.rules}
    named = {
        word
        for _, _, line in LINES
        for word in re.findall(r"\b[a-z]+\.[a-z-]+\b", line.partition("|")[0].partition("=>")[0])
        if not word.startswith("content.")
    }
    assert named <= known


def test_the_template_of_the_page_makes_the_notice_beside_it(tmp_path: Path) -> None:
    # R22
    blocks = dict(
        re.findall(r"^```(template|notice)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    )
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "admin.txt").write_text(blocks["template"])
    notify = {"templates": str(tmp_path), "admin": "root@example.org"}
    config = convert({"notify": notify}, Config)
    assert not list(problems(config))
    infected = Finding(
        stage="virus",
        verdict=Verdict.INFECTED,
        rule="virus.signature",
        detail="Eicar-Test-Signature",
        part="1.2",
        path="1.2",
        name="invoice.com",
    )
    made = Disposition(
        recipients=(b"<ann@example.org>", b"<bob@example.org>"),
        verdict=Verdict.INFECTED,
        fate="move",
        wanted="move",
        rule=infected.rule,
        findings=(infected,),
        sides=(Side(action="notify", argument="admin", verdict=Verdict.INFECTED, rule=infected.rule),),
    )
    facts = Facts(
        envelope=Envelope(sender=b"<joe@sender.example>", recipients=list(made.recipients)),
        anatomy=Anatomy(leaves=(Leaf(path="1.2", names=("invoice.com",)),)),
        findings=(infected,),
        host="mx.example.org",
        queue_id="4XyZ",
    )
    (letter,), _ = Notices(config).letters([made], facts)
    notice = message_from_bytes(b"".join(letter.content), policy=default)
    body = notice.get_content().replace("\r\n", "\n")
    assert f"Subject: {notice['subject']}\n\n{body}" == blocks["notice"]


def test_every_placeholder_is_on_the_page() -> None:
    assert all(f"`${{{name}}}`" in PAGE.read_text() for name in PLACEHOLDERS)
