"""A password goes by the command's input, and the command that travels does not have it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from roles.becoming import by_su, by_sudo
from roles.connection import way
from roles.errors import SettingError

ROOT = Path(__file__).parents[3]
# What a file has a host asked or told while it is run, and not by a function.
ASKED = re.compile(
    r"^(?:[a-z_][^=(\"\n]*= )?[a-z_]+(?:\(host\)|\.host\b|\.data\b|\.get_fact\b).*", re.MULTILINE
)
TYPED = "s3cret 'and' \"more\" \\n $HOME"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "sh -c 'id -u'"),
        ({"_sudo": True}, "sudo -n -H sh -c 'id -u'"),
        (
            {"_sudo": True, "_sudo_user": "root", "_use_sudo_login": True},
            "sudo -n -H -i -u root sh -c 'id -u'",
        ),
        ({"_su_user": "root"}, "su root -c 'sh -c '\"'\"'id -u'\"'\"''"),
        ({"_doas": True}, "doas -n sh -c 'id -u'"),
    ],
)
def test_without_a_password_it_is_pyinfras_command(given: dict[str, Any], said: str) -> None:
    assert way(StringCommand("id -u"), given) == (said, "")


@pytest.mark.parametrize(
    ("given", "prompted"),
    [
        ({"_sudo": True, "_sudo_password": TYPED}, ""),
        ({"_sudo": True, "_sudo_password": None}, TYPED),
        (
            {
                "_sudo": True,
                "_sudo_password": TYPED,
                "_use_sudo_login": True,
                "_env": {"A": "b"},
                "_chdir": "/",
            },
            "",
        ),
        ({"_su_user": "root", "_su_password": TYPED}, ""),
    ],
)
def test_a_password_is_the_first_line_of_its_input(given: dict[str, Any], prompted: str) -> None:
    found = way(StringCommand("id -u"), given, prompted)
    assert found.first == f"{TYPED}\n".encode()
    assert "s3cret" not in found.command
    assert "id -u" in found.command


def test_who_becomes_root_by_sudo_needs_no_password_of_sus() -> None:
    given = {"_sudo": True, "_su_user": "postfix", "_su_password": TYPED}
    assert way(StringCommand("id -u"), given).first == b""


def test_what_is_given_behind_it_is_the_commands_own_input() -> None:
    """The shell takes its one line, whatever stands in it, and leaves the rest; here su is a program that shows its input."""
    found = by_su("cat; cat", TYPED)
    done = subprocess.run(
        ["sh", "-c", found.command], input=found.first + b"own\ninput", capture_output=True, check=True
    )
    assert done.stdout == f"{TYPED}\nown\ninput".encode()


@pytest.mark.parametrize("by", [by_sudo, by_su])
def test_a_password_of_two_lines_is_refused(by: Any) -> None:
    with pytest.raises(SettingError, match="is one line"):
        by("true", "one\ntwo")


def test_each_file_that_pyinfra_runs_keeps_passwords_out_of_its_commands() -> None:
    """Its first word to the host: whatever is asked before that would go by pyinfra's own connection."""
    first = {
        path.name: lines[0]
        for path in (ROOT / "deploy.py", *(ROOT / "roles").rglob("*.py"))
        if (lines := ASKED.findall(path.read_text()))
    }
    assert first == {
        "asked.py": "quietly(host)",
        "deploy.py": "gateway, platform = prepared(host)",
        "replayed.py": "quietly(host)",
    }
