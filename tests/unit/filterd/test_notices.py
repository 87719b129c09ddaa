"""Notices: to whom, how many, and that nothing of a message becomes a header of one."""

import base64
import email
import quopri
import re
from email.header import decode_header
from email.policy import SMTP
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.anatomy import Anatomy, Edit, RewriteOrder
from filterd.carry.letter import quoted, unstructured
from filterd.carry.notices import Facts, Notices, Rate, line
from filterd.carry.templates import PLACEHOLDERS, WHICH, languages, load, problems
from filterd.config import Config, NotifySettings
from filterd.disposition import Disposition, Side
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from tests.unit.filterd.carrying import BANNED, VIRUS

OTHER = msgspec.structs.replace(VIRUS, part="1.3", name="y.zip")


def config(**notify: Any) -> Config:
    values = {"admin": "soc@gw.example", "templates": "/nonexistent", **notify}
    return Config(notify=NotifySettings(**values))


def disposition(*who: str, findings: tuple[Finding, ...] = (BANNED,), **more: Any) -> Disposition:
    values: dict[str, Any] = {
        "recipients": (b"<b@rcpt.example>", b"<c@rcpt.example>"), "verdict": Verdict.ENCRYPTED, "fate": "move",
        "wanted": "move", "rule": "archive.encrypted", "findings": findings,
        "sides": tuple(Side(action="notify", argument=one, verdict=Verdict.ENCRYPTED, rule="archive.encrypted") for one in who),
        **more,
    }  # fmt: skip
    return Disposition(**values)


def facts(sender: bytes = b"<a@sender.example>", headers: dict[str, str] | None = None) -> Facts:
    return Facts(
        envelope=Envelope(sender=sender, recipients=[b"<b@rcpt.example>"]),
        anatomy=Anatomy(headers=tuple((headers or {"subject": "Hallo Wörld"}).items())),
        findings=(),
        host="mx.gw.example",
        queue_id="4XyZ",
    )


def written(one: Disposition, about: Facts | None = None, **notify: Any) -> list[tuple[bytes, Any]]:
    letters, _ = Notices(config(**notify)).letters([one], about or facts())
    assert all(letter.sender == b"<>" for letter in letters)
    return [
        (letter.recipients[0], email.message_from_bytes(b"".join(letter.content), policy=SMTP))
        for letter in letters
    ]


def test_admin_and_each_recipient_are_told() -> None:
    notices = written(disposition("admin", "recipient"))
    assert [to for to, _ in notices] == [b"<soc@gw.example>", b"<b@rcpt.example>", b"<c@rcpt.example>"]
    admin, first, _ = (message for _, message in notices)
    assert admin["auto-submitted"] == "auto-generated"
    assert admin["subject"] == "[mx.gw.example] encrypted: quarantined (4XyZ)"
    text = admin.get_content()
    for word in (
        "a@sender.example",
        "b@rcpt.example, c@rcpt.example",
        "Hallo Wörld",
        "x.exe",
        "archive.encrypted",
        "4XyZ",
    ):
        assert word in text
    # Nobody learns of the others.
    assert "c@rcpt.example" not in first.as_string()
    assert str(first["from"]) == "Mail gateway <postmaster@mx.gw.example>"


def test_language_and_sender_address_are_settings() -> None:
    ((_, message),) = written(disposition("admin"), language="de", sender_address="gw@org.example")
    assert "Maßnahme" in message.get_content()
    assert message["from"].addresses[0].addr_spec == "gw@org.example"


def test_sender_of_what_is_not_malware_is_answered() -> None:
    about = facts(headers={"subject": "x", "message-id": " <1@sender.example> "})
    ((to, message),) = written(disposition("sender", findings=()), about)
    assert to == b"<a@sender.example>"
    assert message["auto-submitted"] == "auto-replied"
    assert message["in-reply-to"] == message["references"] == "<1@sender.example>"


@pytest.mark.parametrize(
    ("sender", "headers"),
    [
        (b"<>", {}), (b"<owner-list@x.example>", {}), (b"<list-owner@x.example>", {}), (b"<list-request@x.example>", {}),
        (b"<MAILER-DAEMON@x.example>", {}), (b"<mailer-daemon(x)@x.example>", {}), (b"<(x)>", {}),
        (b"<bounces+b=rcpt.example@x.example>", {}), (b"<no-reply@x.example>", {}),
        (b"<list-bounces@x.example>", {}), (b"<a@x.example>", {"auto-submitted": "auto-replied"}),
        (b"<a@x.example>", {"list-id": "<x>"}), (b"<a@x.example>", {"precedence": "bulk"}),
        (b'<"a b"@x.example>', {}), (b"<a@x.example\xff>", {}),
    ],
)  # fmt: skip
def test_machines_are_not_answered(sender: bytes, headers: dict[str, str]) -> None:
    assert written(disposition("sender", findings=()), facts(sender, headers)) == []


@pytest.mark.parametrize("verdict", [Verdict.INFECTED, Verdict.SUSPICIOUS, Verdict.BANNED, Verdict.SPAM])
def test_sender_of_malware_is_never_told(verdict: Verdict) -> None:
    assert written(disposition("sender", findings=(), verdict=verdict)) == []
    found = Finding(stage="x", verdict=verdict, rule="x.y")
    assert written(disposition("sender", findings=(found,))) == []


def test_score_that_every_message_has_convicts_no_sender() -> None:
    # The spam stage reports its score whatever it is: in the lab no sender was ever told anything.
    score = Finding(stage="spam", verdict=Verdict.SPAM, rule="spam.score", score=4.6)
    bug = Finding(stage="html", verdict=Verdict.SUSPICIOUS, rule="html.webbug")
    about = msgspec.structs.replace(facts(), findings=(score, bug))
    assert len(written(disposition("sender", findings=()), about)) == 1
    about = msgspec.structs.replace(facts(), findings=(score, VIRUS))
    assert written(disposition("sender", findings=()), about) == []


def test_refused_sender_is_told_by_his_own_server() -> None:
    assert written(disposition("sender", findings=(), fate="reject")) == []


def test_notices_to_one_address_are_bounded_in_an_hour() -> None:
    rate = Rate(2)
    assert [
        rate.take("A@x.example", 10.0),
        rate.take("a@x.example", 11.0),
        rate.take("a@x.example", 12.0),
    ] == [True, True, False]
    assert rate.take("b@x.example", 12.0)
    assert rate.take("a@x.example", 3610.5)
    assert not rate.take("a@x.example", 3610.7)


def test_rate_remembers_a_bounded_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.carry.notices._MAX_ADDRESSES", 3)
    rate = Rate(1)
    assert all(rate.take(f"{number}@x.example", 1.0) for number in range(10))
    assert len(rate._times) == 3
    assert not rate.take("9@x.example", 1.0)


def test_what_is_left_out_is_told_to_the_log() -> None:
    one = disposition("recipient", recipients=(b"<b@rcpt.example>",) * 60 + (b"<no address>",))
    letters, left_out = Notices(config(per_hour=5)).letters([one], facts())
    assert len(letters) <= 5
    assert "recipient: too many notices in an hour" in left_out


ANY = (
    st.text(max_size=400)
    | st.just("x\r\nBcc: victim@x.example\r\n\r\nbody")
    | st.just("${VIRUS_NAME}%SUBJECT%")
)


@given(ANY, ANY, ANY, ANY)
def test_no_value_becomes_a_header(subject: str, name: str, detail: str, host: str) -> None:
    found = Finding(stage="virus", verdict=Verdict.INFECTED, rule="virus.signature", name=name, detail=detail)
    about = Facts(
        envelope=Envelope(sender=subject.encode("utf-8", "surrogatepass"), recipients=[]),
        anatomy=Anatomy(headers=(("subject", subject), ("message-id", name))),
        findings=(), host=host, queue_id="4X",
    )  # fmt: skip
    letters, _ = Notices(config()).letters([disposition("admin", "recipient", findings=(found,))], about)
    plain, _ = Notices(config()).letters([disposition("admin", "recipient")], facts())
    names = [message.keys() for message in map(parsed, plain)]
    assert [message.keys() for message in map(parsed, letters)] == names
    for letter in letters:
        content = b"".join(letter.content)
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) <= 998
        assert b"\nBcc" not in content.partition(b"\r\n\r\n")[0]


def parsed(letter: Any) -> Any:
    return email.message_from_bytes(b"".join(letter.content), policy=SMTP)


@pytest.mark.parametrize(
    "encoded",
    ["=?utf-8?Q?=0D=0ABcc:_x@y.example?=", "=?utf-8?B?DQpCY2M6IHhAeS5leGFtcGxl?=", "=?=?utf-8?q?=0Ax?="],
)
def test_cve_2024_6923_encoded_word_stays_text(encoded: str, tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "admin.txt").write_text("Subject: About ${SUBJECT}\n\nx\n")
    about = facts(headers={"subject": encoded})
    (one,), _ = Notices(config(templates=str(tmp_path))).letters([disposition("admin")], about)
    head = b"".join(one.content).partition(b"\r\n\r\n")[0]
    assert [row.split(b":")[0] for row in head.split(b"\r\n") if not row.startswith(b" ")][:4] == [
        b"From", b"To", b"Subject", b"Date",
    ]  # fmt: skip
    row = re.search(rb"Subject: (.*?)\r\n(?! )", head, re.DOTALL)
    assert row is not None
    shown = b"".join(
        piece if isinstance(piece, bytes) else piece.encode() for piece, _ in decode_header(row[1].decode())
    )
    assert shown.decode() == f"About {encoded}"


@given(st.text(max_size=600))
def test_unstructured_value_is_read_as_it_was(text: str) -> None:
    value = line(text)
    written_value = unstructured(value)
    assert all(len(row) <= 998 for row in written_value.split(b"\r\n"))
    assert all(row.startswith(b" ") for row in written_value.split(b"\r\n")[1:])
    if written_value.startswith(b"=?"):
        words = re.findall(rb"=\?utf-8\?B\?([^?]*)\?=", written_value)
        assert b"".join(map(base64.b64decode, words)).decode() == value
        assert max(map(len, written_value.split())) <= 75
    else:
        assert written_value.replace(b"\r\n", b"").decode() == value


@given(st.text(max_size=300))
def test_quoted_body_is_read_as_it_was(text: str) -> None:
    content = quoted(text)
    assert (
        quopri.decodestring(content).decode()
        == "\r\n".join([*text.encode("utf-8", "replace").decode().splitlines(), ""])
        or not text
    )
    assert max(map(len, content.split(b"\r\n"))) <= 76


@given(st.text(max_size=500))
def test_value_is_one_bounded_line(text: str) -> None:
    value = line(text)
    assert len(value) <= 201
    assert value.isprintable()
    value.encode("utf-8")


def test_values_are_not_looked_at_for_placeholders() -> None:
    about = facts(headers={"subject": "${FROM_USER} %TO_USERS%"})
    ((_, message),) = written(disposition("admin"), about)
    assert "${FROM_USER} %TO_USERS%" in message.get_content()


def test_deleted_part_is_named_by_what_was_found_in_it() -> None:
    one = disposition(findings=(BANNED, OTHER), order=RewriteOrder(edits=(Edit(part="1.3", action="warn"),)))
    text = Notices(config()).deleted(one, ("1.3",), facts())
    assert "y.zip" in text
    assert VIRUS.detail in text
    assert "infected (virus.signature)" in text
    assert "x.exe" not in text


def test_built_in_templates_are_complete_and_right() -> None:
    assert languages() == ("de", "en")
    for language in languages():
        settings = NotifySettings(language=language, templates="/nonexistent")
        assert list(problems(Config(notify=settings))) == []
        for which, template in load(settings).items():
            assert bool(template.subject) is (which != "deleted")
            subject, body = template.filled(dict.fromkeys(PLACEHOLDERS, "VALUE"))
            assert "${" not in subject + body
    own = Path("filterd/templates")
    for language in languages():
        settings = NotifySettings(language="en", templates=str((own / language).resolve().parent))
        assert list(problems(Config(notify=settings))) == []


def test_own_template_in_both_spellings(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "admin.txt").write_text(
        "Subject: Ü %CLASS%\r\n\r\n${QUEUE_ID} %QUEUE_ID% 100% of $5 {x}\r\n"
    )
    assert list(problems(config(templates=str(tmp_path)))) == []
    ((_, message),) = written(disposition("admin"), templates=str(tmp_path))
    assert message["subject"] == "Ü encrypted"
    assert message.get_content().strip() == "4XyZ 4XyZ 100% of $5 {x}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"no subject\n\nx", "the first line is not `Subject: …`"), (b"Subject: x\nno blank\n", "the second line is not empty"),
        (b"Subject: x\n\n${NAME}", "${NAME} is no placeholder"), (b"Subject: x\n\n%WRONG%", "%WRONG% is no placeholder"),
        (b"\xff", "this is not UTF-8"), (b"Subject: x\n\n" + b"y" * 70_000, "it is longer than 65536 bytes"), (None, "cannot be read"),
    ],
)  # fmt: skip
def test_bad_template_is_a_problem_and_the_built_in_one_is_used(
    tmp_path: Path, text: bytes | None, problem: str
) -> None:
    (tmp_path / "en").mkdir()
    file = tmp_path / "en" / "admin.txt"
    if text is None:
        file.mkdir()
    else:
        file.write_bytes(text)
    said = list(problems(config(templates=str(tmp_path))))
    assert said[0].startswith(f"{file}: ")
    assert problem in said[0]
    ((_, message),) = written(disposition("admin"), templates=str(tmp_path))
    assert message["subject"].startswith("[mx.gw.example]")


def test_language_without_texts_is_a_problem(tmp_path: Path) -> None:
    (said,) = problems(config(language="fr", templates=str(tmp_path)))
    assert said.startswith("[notify] language = 'fr' has no built-in texts (there are de, en): write ")
    (tmp_path / "fr").mkdir()
    for which in WHICH:
        (tmp_path / "fr" / f"{which}.txt").write_text("Subject: x\n\ny")
    assert list(problems(config(language="fr", templates=str(tmp_path)))) == []
