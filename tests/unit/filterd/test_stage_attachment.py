"""The attachment policy: names, kinds, claims, numbers; with the part, path and name that an action needs."""

import pytest

from filterd.anatomy import Anatomy, Leaf
from filterd.config.inspection import AttachmentSettings, Inspection
from filterd.stages.attachment import STAGE, judge

from .reading import mixed, read, rules_of


def judged(*leaves: Leaf, settings: AttachmentSettings | None = None) -> set[str]:
    found = judge(Anatomy(leaves=leaves), Inspection(attachments=settings or AttachmentSettings()))
    return {one.rule.removeprefix("attachment.") for one in found}


def leaf(*names: str, kind: str = "unknown", claimed: str = "", path: str = "1.2", size: int = 10) -> Leaf:
    return Leaf(path=path, names=names, kind=kind, claimed=claimed, size=size)


@pytest.mark.parametrize(
    ("one", "rules"),
    [
        (leaf("a.exe"), {"extension"}),
        (leaf("a.txt", "a.txt.JS "), {"extension"}),
        (leaf("a.pdf.scr..."), {"extension"}),
        (leaf("C:\\temp\\a.exe\\"), {"extension"}),
        (leaf("a.exe//"), {"extension"}),
        (leaf("made.of.js/", path="1.2!3", size=0), set()),
        (leaf("a.exe/", path="1.2!3"), {"extension"}),
        (leaf("folder/a.vbs", path="1.2!3"), {"extension"}),
        (leaf("a.com"), set()),
        (leaf("a.txt", kind="pe"), {"kind", "disguised", "type-mismatch"}),
        (leaf(kind="pe", claimed="image/png"), {"kind", "disguised", "type-mismatch"}),
        (leaf("a.bin", kind="elf", claimed="application/octet-stream"), {"kind"}),
        (leaf("a.exe", kind="pe", claimed="application/x-msdownload"), {"extension", "kind", "type"}),
        (leaf("a.jpg", kind="zip", claimed="image/jpeg"), {"type-mismatch"}),
        (leaf("a.jpg", kind="png", claimed="image/jpeg"), set()),
        (leaf("a.docx", kind="zip", claimed="application/zip"), set()),
        (leaf("a.doc", kind="rtf", claimed="application/msword"), set()),
        (leaf("a.doc", kind="ooxml", claimed="application/msword"), set()),
        (leaf("a.csv", kind="html", claimed="text/csv"), set()),
        (leaf("a.iso", kind="iso"), {"disk-image"}),
        (leaf(kind="text", claimed="text/plain"), set()),
        (leaf("a.patch", kind="script", claimed="text/x-diff"), set()),
    ],
)
def test_rules(one: Leaf, rules: set[str]) -> None:
    assert judged(one) == rules


PROGRAM = b"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQF"


@pytest.mark.parametrize(
    "fields",
    [
        b'Content-Type: application/octet-stream; name="C:\\temp\\a.exe\\"\r\n',
        b'Content-Disposition: attachment; filename="C:\\temp\\a.exe\\"; size=9\r\n',
        b'Content-Disposition: attachment; filename="C:\\\\temp\\\\a.exe\\\\"\r\n',
        b"Content-Disposition: attachment; filename=/tmp/a.exe/\r\n",
        b"Content-Type: application/octet-stream\r\nContent-Description: a.exe\r\n",
        b"Content-Type: application/octet-stream\r\nContent-Description: =?utf-8?q?your_invoice=2Eexe?=\r\n",
    ],
)
def test_a_name_reaches_the_policy_wherever_it_stands(fields: bytes) -> None:
    found = rules_of(mixed(b"Content-Type: text/plain\r\n\r\nGood morning.", fields + PROGRAM))
    assert "attachment.extension" in found


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Description: OpenPGP digital signature\r\n",
        b"Content-Description: Delivery report. exe\r\n",
        b"Content-Disposition: attachment; filename=a.txt\r\nContent-Description: made by a.exe\r\n",
        b'Content-Disposition: attachment; filename="the \\"new\\" report.pdf"\r\n',
        b'Content-Disposition: attachment; filename="C:\\docs\\report.pdf"\r\n',
    ],
)
def test_a_description_is_no_name_where_it_does_not_end_like_one_or_another_stands(fields: bytes) -> None:
    found = read(mixed(b"Content-Type: text/plain\r\n\r\nGood morning.", fields + PROGRAM))[0].findings
    assert found == ()


def test_members_of_archives_can_be_left_out() -> None:
    assert judged(leaf("a.exe", path="1.2!1"), settings=AttachmentSettings(inside_archives=False)) == set()


def test_number_and_size() -> None:
    three = (
        leaf("a", path="1.1"),
        leaf("b", path="1.2"),
        leaf("c", path="1.3", size=2000),
        leaf("d", path="1.3!1"),
    )
    assert judged(*three, settings=AttachmentSettings(max_count=3, max_bytes=2000)) == set()
    assert judged(*three, settings=AttachmentSettings(max_count=2, max_bytes=1999)) == {"count", "size"}


def test_a_finding_says_where() -> None:
    (found,) = judge(Anatomy(leaves=(leaf("shown.txt", "b.exe", path="1.2!7"),)), Inspection())
    assert (found.part, found.path, found.name, found.detail) == ("1.2", "1.2!7", "shown.txt", "b.exe")


def test_a_thousand_programs_give_a_few_findings() -> None:
    leaves = tuple(leaf("a.exe", path=f"1.2!{number}") for number in range(1000))
    assert len(judge(Anatomy(leaves=leaves), Inspection())) < 50


def test_every_rule_is_of_this_stage() -> None:
    assert all(rule.id.startswith("attachment.") for rule in STAGE.rules)
