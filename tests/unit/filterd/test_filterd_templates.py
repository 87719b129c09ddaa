"""The role's templates and wheelhouse: what they render is what filterd takes, with filterd's own defaults."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from filterd.config import Config, load
from roles.errors import SettingError
from roles.filterd import wheelhouse
from roles.filterd.deploy import CONFIG_FILE, UNIT_FILE, _files
from roles.platforms import DEBIAN_12
from roles.settings import Gateway

GATEWAY = Gateway(
    hostname="mx.example.org",
    relay_domains={"example.org": "[192.0.2.1]:25"},
    admin_networks=("192.0.2.0/24",),
)


def rendered(path: str) -> str:
    (text,) = [file.content for file in _files(GATEWAY, DEBIAN_12) if file.path == path]
    return text


def test_the_rendered_file_is_taken_and_says_what_is_default(tmp_path: Path) -> None:
    path = tmp_path / "filterd.toml"
    path.write_text(rendered(CONFIG_FILE))
    config, default = load(path), Config()
    assert config.milter.max_message_bytes > GATEWAY.message_size_limit
    assert config.policy.precision == GATEWAY.spam_precision
    assert config.notify.admin == GATEWAY.notify_admin_address
    assert config.policy.own_domains == GATEWAY.domains
    own = {
        "milter": {"workers", "max_message_bytes", "max_recipients"},
        "clamd": {"max_concurrent"},
        "spamd": {"max_concurrent"},
        "policy": {"precision", "own_domains"},
        "log": set(),
    }
    # filterd's own bounds hold unless a host needs others: they go with what MTAs are known to cut. What the log quotes
    # is asked for by `filterd_policy` alone.
    left = {"max_header_bytes", "max_all_headers_bytes", "tries", "details"}
    text = path.read_text()
    for section, settings in own.items():
        for name in getattr(default, section).__struct_fields__:
            assert name in left or f"\n{name} = " in text or f"\n[{section}.{name}]\n" in text
            if name not in settings:
                assert getattr(getattr(config, section), name) == getattr(getattr(default, section), name)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_units_exposure_is_low(tmp_path: Path) -> None:
    unit = tmp_path / "filterd.service"
    unit.write_text(rendered(UNIT_FILE))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unbuilt_wheelhouse_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="make wheel"):
        wheelhouse.release(tmp_path)


def test_a_wheelhouse_is_its_wheels_and_their_lock(tmp_path: Path) -> None:
    (tmp_path / "b_c-1.0-py3-none-any.whl").write_bytes(b"b")
    (tmp_path / "a-2.0-py3-none-any.whl").write_bytes(b"a")
    lines = list(wheelhouse._lock_lines(tmp_path))
    assert lines == [
        f"a==2.0 --hash=sha256:{hashlib.sha256(b'a').hexdigest()}\n",
        f"b-c==1.0 --hash=sha256:{hashlib.sha256(b'b').hexdigest()}\n",
    ]
    (tmp_path / wheelhouse.LOCK).write_text("".join(lines))
    (tmp_path / wheelhouse.STAMP).write_text("inputs\n")
    (tmp_path / wheelhouse.RELEASE).write_text("0.1.0+12345678\n")
    assert wheelhouse._is_current(tmp_path, "inputs")
    assert wheelhouse.release(tmp_path) == "0.1.0+12345678"
    assert [path.name for path in wheelhouse.files(tmp_path)] == [
        "a-2.0-py3-none-any.whl", "b_c-1.0-py3-none-any.whl", wheelhouse.LOCK,
    ]  # fmt: skip
    assert not wheelhouse._is_current(tmp_path, "others")
    (tmp_path / "a-2.0-py3-none-any.whl").write_bytes(b"tampered")
    assert not wheelhouse._is_current(tmp_path, "inputs")


def test_the_inputs_are_the_sources_the_lock_and_the_abi() -> None:
    assert wheelhouse._inputs("a", "cp311") != wheelhouse._inputs("b", "cp311")
    assert wheelhouse._inputs("a", "cp311") != wheelhouse._inputs("a", "cp312")
    assert wheelhouse._inputs("a", "cp311") == wheelhouse._inputs("a", "cp311")


def test_a_strange_abi_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="write it like cp311"):
        wheelhouse._dependencies(tmp_path, "", "pypy3; rm")
