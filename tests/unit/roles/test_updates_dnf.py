"""What updates on a host with dnf: versions, names, what is barred, and what a killed installation leaves."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roles.platforms import DEBIAN_12, EL_9
from roles.updates import deploy
from roles.updates.defences import PROGRAMS
from roles.updates.host import apt, dnf, manager
from roles.updates.host.machine import TOO_LONG
from roles.updates.host.packages import Change, NotBegunError, Package, as_before
from tests.unit.roles.examples import gateway


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("3-1", "2:3-1"),
        ("1.9-1", "1.10-1"),
        ("1~rc1-1", "1-1"),
        ("1-1", "1^git-1"),
        ("1^git-1", "1.1-1"),
        ("1.0-1", "1.0a-1"),
        ("1.a-1", "1.1-1"),
        ("3.4.6-1.el9", "3.4.6-1.el9+bastide1"),
        ("5.14.0-427.el9", "5.14.0-503.el9"),
    ],
)
def test_versions_are_compared_as_rpm_does(older: str, newer: str) -> None:
    assert dnf.newer_than(newer, older)
    assert not dnf.newer_than(older, newer)
    assert not dnf.newer_than(newer, newer)


def test_a_guilty_version_is_barred_beside_an_administrators_own_lines() -> None:
    theirs = "# mine\nkernel-core-0:5.14.0-427.el9.*\n"
    first = dnf.barred(theirs, {"postfix": "2:3.5.25-2.el9"}, {"postfix": "2:3.5.25-1.el9"}, dnf.newer_than)
    assert first.startswith(theirs)
    assert "\n!postfix-2:3.5.25-2.el9.*\n" in first
    assert dnf.pinned(first) == [("postfix", "2:3.5.25-2.el9")]
    # Also one whose name has hyphens, and a foreign architecture's with it.
    both = dnf.barred(first, {"glibc-all-langpacks.i686": "2.34-9"}, {}, dnf.newer_than)
    assert dnf.pinned(both) == [("glibc-all-langpacks", "2.34-9"), ("postfix", "2:3.5.25-2.el9")]
    gone = dnf.barred(
        both, {}, {"postfix": "2:3.5.25-3.el9", "glibc-all-langpacks": "2.34-10"}, dnf.newer_than
    )
    assert gone == theirs
    # Nothing of a package may write lines of its own there.
    assert "evil" not in dnf.barred("", {"x": "1-1.*\n!evil-1-1"}, {}, dnf.newer_than)


def _answers(monkeypatch: pytest.MonkeyPatch, said: Callable[[tuple[str, ...]], tuple[int, str]]) -> None:
    monkeypatch.setattr(dnf, "ran", lambda *words, **_more: said(words))
    monkeypatch.setattr(os, "uname", lambda: type("Here", (), {"machine": "x86_64"}))
    dnf._several.cache_clear()


def test_what_is_here_twice_is_not_whole_and_kernels_are_called_by_their_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = (
        *(
            "a\t1-1\tx86_64\ta-1-1.src.rpm",
            "a\t1-10\tx86_64\ta-1-10.src.rpm",
            "glibc\t2-1\ti686\tglibc-2-1.src.rpm",
        ),
        *("kernel-core\t5-1\tx86_64\tkernel-5-1.src.rpm", "kernel-core\t5-2\tx86_64\tkernel-5-2.src.rpm"),
        *("b-lib\t2:1-1\tnoarch\tb-1-1.src.rpm", "gpg-pubkey\t1-1\t(none)\t(none)"),
    )
    _answers(monkeypatch, lambda words: (0, "kernel-core\n" if "-q" in words else "\n".join(rows)))
    assert dnf.installed() == {
        "a": Package("1-10", "x86_64", "a", whole=False),
        "b-lib": Package("2:1-1", "noarch", "b", whole=True),
        "glibc.i686": Package("2-1", "i686", "glibc", whole=True),
        "kernel-core(5-1)": Package("5-1", "x86_64", "kernel", whole=True),
        "kernel-core(5-2)": Package("5-2", "x86_64", "kernel", whole=True),
    }
    dnf._several.cache_clear()


def test_a_package_is_kept_under_the_name_of_its_file() -> None:
    assert (
        dnf._file_name("glibc.i686", Package("2:2.34-1", "i686", "g", whole=True)) == "glibc-2.34-1.i686.rpm"
    )


# As dnf 4.14 shows one that was killed.
HISTORY = (
    "Transaction ID : 8\nBegin time     : Tue Nov 24 13:03:06 2026\n"
    "End time       : Thu Jan  1 00:00:00 1970 (-1795529813 seconds)\nReturn-Code    : Failure: 1\n"
)
ENDED = HISTORY.replace(
    "Thu Jan  1 00:00:00 1970 (-1795529813 seconds)", "Tue Nov 24 13:03:07 2026 (1 seconds)"
)


def test_a_transaction_that_did_not_end_is_named_until_it_is_dealt_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dnf, "_DEALT_WITH", tmp_path / "dealt-with.json")
    _answers(monkeypatch, lambda words: (0, HISTORY if "history" in words else ""))
    assert "transaction 8 did not end" in dnf.complaint()
    dnf._dealt_with()
    assert dnf.complaint() == ""
    _answers(monkeypatch, lambda words: (0, ENDED if "history" in words else ""))
    assert not dnf.unclean()


def test_a_repair_finishes_the_transaction_and_says_what_hangs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def said(words: tuple[str, ...]) -> tuple[int, str]:
        asked.append(" ".join(words))
        if "redo" in words:
            return TOO_LONG, "dnf did not end"
        return 0, HISTORY if "history" in words else ""

    monkeypatch.setattr(dnf, "_DEALT_WITH", tmp_path / "dealt-with.json")
    _answers(monkeypatch, said)
    assert dnf.repaired(9) == "dnf did not end"
    assert any("history redo 8" in one for one in asked)
    # It would hang again.
    assert dnf.repaired(9) == ""


def test_what_cannot_be_installed_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer = {
        "wanted": [["a", "x86_64", "2-1"], ["b", "noarch", "2-1"]],
        "installs": [["a", "x86_64", "2-1"], ["new", "x86_64", "1-1"]],
    }
    monkeypatch.setattr(dnf, "_resolved", lambda *_words, **_given: answer)
    monkeypatch.setattr(dnf, "_TONIGHT", tmp_path / "tonight.json")
    monkeypatch.setattr(
        dnf, "installed", lambda: dict.fromkeys("ab", Package("1-1", "x86_64", "s", whole=True))
    )
    _answers(monkeypatch, lambda _words: (0, ""))
    left: dict[str, str] = {}
    assert dnf.let_in({"which": "security", "repositories": []}, left) == ["a"]
    assert (tmp_path / "tonight.json").read_text() == '{"a": "a-2-1.x86_64"}'
    assert left == {"b": "dnf finds no way to install 2-1 beside what is here"}
    dnf._several.cache_clear()


def test_a_resolver_that_does_not_answer_is_no_night_without_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnf, "_RESOLVING", ("sh", "-c", "echo no repository >&2; exit 1"))
    with pytest.raises(NotBegunError, match="cannot be looked for"):
        dnf._resolved("candidates")


def test_what_is_not_as_before_is_named() -> None:
    left = {"a": Package("1", "x", "s", whole=True), "b": Package("1", "x", "s", whole=False)}
    what = {"a": Change("1", "2"), "b": Change("1", "2"), "c": Change("", "1"), "d": Change("1", "2")}
    assert [one.split()[0] for one in as_before(what, left)] == ["b", "d"]


def test_both_package_managers_have_all_that_is_asked_of_one() -> None:
    names = [name for name in vars(manager) if name in vars(apt) and not name.startswith("_")]
    assert {"taken_back", "barred", "let_in", "wants_reboot", "PINS"} <= set(names)
    assert all(hasattr(dnf, name) for name in names)


def test_a_host_gets_its_own_package_managers_part_alone() -> None:
    mine = gateway(platform="el9", updates={"origins": ["origin=Example", "repo=epel"]})
    on_el = {file.path: file.content for file in deploy._files(mine, EL_9)}
    names = {Path(path).name for path in on_el if path.startswith(deploy.LIBRARY)}
    assert {"dnf.py", "resolving.py"} <= names
    assert "apt.py" not in names
    assert deploy.APT_FILE not in on_el
    assert on_el[f"{PROGRAMS}/bastide-update"].startswith("#!/usr/bin/python3.11 -I\n")
    declared = deploy.declared(mine, EL_9)
    assert (declared["manager"], declared["repositories"]) == ("dnf", ["epel"])
    assert "clamd@scan.service" in str(declared["units"])
    assert deploy.origins(mine, DEBIAN_12)[-1] == "origin=Example"
