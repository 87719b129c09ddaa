"""The stage about documents: what honest documents have is reported, what hostile ones do counts."""

from filterd.findings import Verdict
from filterd.stages import document


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
