"""The stage about archives is a record that the docs draw from."""

from filterd.findings import Verdict
from filterd.stages import archive


def test_what_was_not_looked_into_is_never_clean_by_default() -> None:
    modes = {rule.id: (rule.mode, rule.verdict) for rule in archive.STAGE.rules}
    assert modes["archive.unreadable"] == ("on", Verdict.OVER_LIMIT)
    assert modes["archive.encrypted"] == ("on", Verdict.ENCRYPTED)
    assert modes["archive.broken"] == ("on", Verdict.MALFORMED)


def test_what_was_read_all_the_same_is_only_reported() -> None:
    modes = {rule.id: rule.mode for rule in archive.STAGE.rules}
    assert {modes["archive.checksum"], modes["archive.absolute-name"], modes["archive.password-in-body"]} == {
        "warn"
    }
