"""inventory/vagrant.py through pyinfra's own connector, with a stand-in for the `vagrant` command."""

import os
from pathlib import Path
from typing import Any

import pytest

from audit.inventory import targets

ROOT = Path(__file__).parents[3]
STAND_IN = """#!/bin/sh
echo "$VAGRANT_CWD" >>{calls}
case "$1" in
status) printf '1,gateway,state,{state}\\n1,mailhost,state,running\\n' ;;
ssh-config) printf 'Host gateway\\n  HostName 192.168.121.7\\n  User vagrant\\n  Port 2222\\n  StrictHostKeyChecking no\\n' ;;
esac
"""


def resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str) -> Any:
    program = tmp_path / "vagrant"
    program.write_text(STAND_IN.format(calls=tmp_path / "calls", state=state))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("VAGRANT_CWD", raising=False)
    monkeypatch.chdir(ROOT)
    return targets("inventory/vagrant.py")


def test_gateway_is_reached_as_vagrant_says_but_with_strict_host_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (target,) = resolved(monkeypatch, tmp_path, "running")
    assert target.ssh_address == "192.168.121.7"
    assert target.data["ssh_port"] == 2222
    assert target.data["ssh_user"] == "vagrant"
    assert target.data["_sudo"] is True
    assert target.data["ssh_strict_host_key_checking"] == "yes"
    assert target.data["ssh_known_hosts_file"] == str(ROOT / "vagrant" / ".vagrant" / "known_hosts")
    assert target.gateway.hostname == "mx1.bastide.example"
    assert set((tmp_path / "calls").read_text().split()) == {str(ROOT / "vagrant")}


def test_a_machine_that_is_not_up_is_an_error_and_not_an_empty_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="gateway"):
        resolved(monkeypatch, tmp_path, "poweroff")
