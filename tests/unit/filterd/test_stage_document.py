"""The stage about documents: what honest documents have is reported, what hostile ones do counts."""

import struct

import pytest

from filterd.config.inspection import Inspection
from filterd.findings import Finding, Verdict
from filterd.parse.anatomise import anatomise
from filterd.stages import document
from tests.corpus.mail import file_part, mixed, text_part
from tests.corpus.writers.ole import compound, object_1


def _rich(kind: bytes) -> bytes:
    """Return an RTF document with an object of a class ([MS-OLEDS] 2.2.4)."""
    package = struct.pack("<I", 8) + b"Package\0"
    made = object_1(bytes(60)).replace(package, struct.pack("<I", len(kind) + 1) + kind + b"\0", 1)
    return b"{\\rtf1{\\object\\objemb{\\*\\objdata %b}}}" % made.hex().encode()


def _findings(content: bytes, name: bytes) -> tuple[Finding, ...]:
    return anatomise(mixed("test", text_part(), file_part(content, name)), Inspection())[0].findings


def test_only_what_runs_by_itself_counts() -> None:
    counting = {rule.id for rule in document.STAGE.rules if rule.mode == "on"}
    assert counting == {
        "document.macro-autorun",
        "document.macro-stomped",
        "document.dde",
        "document.external-template",
        "document.pdf-javascript-auto",
        "document.pdf-launch",
        "document.encrypted",
    }


def test_encryption_has_its_own_class() -> None:
    assert {rule.id for rule in document.STAGE.rules if rule.verdict is Verdict.ENCRYPTED} == {
        "document.encrypted",
        "document.owner-password",
    }


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (compound({"WordDocument": bytes(600), "Equation Native": bytes(100)}), b"a.doc"),
        (
            compound({"WordDocument": bytes(600), "ObjectPool": {"_1": {"Equation Native": bytes(9)}}}),
            b"a.doc",
        ),
        (_rich(b"Equation.3"), b"a.rtf"),
        (_rich(b"equation.DSMT4"), b"a.rtf"),
    ],
)
def test_an_object_of_the_old_equation_editor_is_reported(content: bytes, name: bytes) -> None:
    """CVE-2017-11882, CVE-2018-0802."""
    found = {one.rule: one.verdict for one in _findings(content, name)}
    assert found.get("document.equation") is Verdict.SUSPICIOUS


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (compound({"WordDocument": bytes(600)}), b"a.doc"),
        (_rich(b"Package"), b"a.rtf"),
        (b"{\\rtf1 An equation of the old sort.}", b"a.rtf"),
    ],
)
def test_other_documents_have_no_equation(content: bytes, name: bytes) -> None:
    assert "document.equation" not in {one.rule for one in _findings(content, name)}
