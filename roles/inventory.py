"""The inventory as pyinfra resolves it: the same file for the deploy, for drift and for the audit."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roles.errors import SettingError
from roles.settings import Gateway

ROOT = Path(__file__).resolve().parent.parent
# An inventory is a Python file that reads a state file or asks a cloud; a minute is far beyond either.
_SECONDS = 60


def typed(name: str, data: Mapping[str, Any]) -> Gateway:
    """Return the settings of one host; SettingError names the host, the setting and the remedy."""
    try:
        return Gateway.of(data)
    except SettingError as error:
        raise SettingError(f"{name}: {error}") from error


def hosts_of(inventory: str) -> dict[str, dict[str, Any]]:
    """Return each host of an inventory, in its order, with its data.

    Resolved in a child process: importing pyinfra's command line replaces this one's sockets. Raises SettingError for
    an inventory that cannot be read or holds no host: to have done nothing must never look like success.
    """
    if inventory.endswith(".py") and not Path(inventory).is_file():
        raise SettingError(f"{inventory}: no such inventory file; copy inventory/example.py and fill it in")
    command = [sys.executable, "-m", "pyinfra", inventory, "debug-inventory", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SettingError(f"{inventory}: not resolved within {_SECONDS} s") from error
    try:
        listed = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        said = done.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise SettingError(f"{inventory}: pyinfra cannot resolve the inventory: {said[0].strip()}")
    if not listed:
        raise SettingError(f"{inventory}: the inventory holds no host; name at least one gateway in it")
    # pyinfra lists a host once for each of its groups.
    return {str(host["name"]): host["data"] for host in listed}
