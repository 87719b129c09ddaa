"""Who one is at the command line: root, the owner of the ledger, an operator, or nobody."""

import argparse
import grp
import os
import pwd
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from filterd.cli import desk
from filterd.config import Config, StoreSettings
from filterd.errors import ConfigError, UsageError
from filterd.ledger import database
from filterd.ledger.roles import Actor, RefusedError
from tests.unit.filterd import databases
from tests.unit.filterd.daemon import ROOT, configuration
from tests.unit.filterd.entries import quarantined, write


def configured(operators: str = "") -> Config:
    return Config(store=StoreSettings(operators=operators))


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int, login: str = "", **environment: str) -> None:
    monkeypatch.setattr("os.getuid", lambda: uid)
    monkeypatch.setattr(desk, "_logged_in", lambda: login)
    monkeypatch.delenv("SUDO_USER", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_root_is_whom_it_says_sudo_says_or_who_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 0, SUDO_USER="alice", login="bob")
    assert desk._actor("carol", configured(), 1000).name == "carol"
    assert desk._actor("", configured(), 1000).name == "alice"
    as_user(monkeypatch, 0, login="bob")
    assert desk._actor("", configured(), 1000) == msgspec.structs.replace(desk._actor("bob", configured(), 0))
    as_user(monkeypatch, 0)
    assert desk._actor("", configured(), 1000).name == "root"
    with pytest.raises(UsageError, match="printable"):
        desk._actor("a\x1bb", configured(), 1000)


def test_the_owner_is_an_administrator_and_cannot_take_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    as_user(monkeypatch, nobody.pw_uid, SUDO_USER="mallory")
    assert desk._actor("", configured(), nobody.pw_uid) == Actor(name="nobody", role="admin")
    with pytest.raises(RefusedError, match="for root alone"):
        desk._actor("alice", configured(), nobody.pw_uid)
    with pytest.raises(RefusedError, match="has no business here"):
        desk._actor("", configured(), 0)


def test_operators_are_the_members_of_their_group(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    as_user(monkeypatch, nobody.pw_uid)
    assert desk._actor("", configured(group), 0) == Actor(name="nobody", role="operator")
    as_user(monkeypatch, 0, SUDO_USER="nobody")
    assert desk._actor("", configured(group), 0) == Actor(name="nobody", role="operator")
    with pytest.raises(RefusedError, match="for root alone"):
        desk._actor("alice", configured(group), 0)
    assert desk._actor("", configured("no-such-group"), 0).role == "admin"


def test_an_operator_brings_no_configuration_of_his_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By one he would be an administrator, and run commands as virus engines: sudo allows him any argument."""
    nobody = pwd.getpwnam("nobody")
    gateways, own = tmp_path / "filterd.toml", tmp_path / "own.toml"
    gateways.write_text(f'[store]\noperators = "{grp.getgrgid(nobody.pw_gid).gr_name}"\n')
    own.write_text("no TOML, but somebody's secret")
    monkeypatch.setattr(desk, "DEFAULT_PATH", gateways)
    as_user(monkeypatch, 0, SUDO_USER="nobody")
    opening = desk.desk(argparse.Namespace(config=own))
    with pytest.raises(RefusedError, match="and may give no other --config"), opening:
        pass
    # Who may do everything anyway, may do this.
    as_user(monkeypatch, 0, SUDO_USER="daemon")
    opening = desk.desk(argparse.Namespace(config=own))
    with pytest.raises(ConfigError, match="own"), opening:
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_root_becomes_the_owner_and_leaves_no_file_of_its_own(tmp_path: Path) -> None:
    home = tmp_path
    for directory in (home, *list(home.parents)[:-1]):
        if directory.name.startswith(("pytest-", "popen-", "test_")):
            directory.chmod(0o755)
    settings = databases.settings(home)
    engine = database.prepared(settings)
    write(engine, quarantined(home))
    engine.dispose()
    for path in (home / "ledger", *(home / "ledger").iterdir(), *(home / "store").rglob("*"), home / "store"):
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    config = configuration(home, ledger={"url": settings.url}, store={"directory": str(home / "store")})
    (home / "filterd.toml").write_text(config)
    (home / "filterd.toml").chmod(0o600)
    command = [
        sys.executable,
        "-m",
        "filterd.cli",
        "lists",
        "add",
        "reject",
        "@x.example",
        "--config",
        str(home / "filterd.toml"),
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    owners = {path.stat().st_uid for path in (home / "ledger").iterdir()}
    assert owners == {pwd.getpwnam("nobody").pw_uid}


# --- the whole way
