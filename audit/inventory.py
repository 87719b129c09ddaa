"""The audit's way to the inventory: the same file that pyinfra deploys from, resolved by pyinfra."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from audit.errors import AuditError
from audit.target import Target

ROOT = Path(__file__).resolve().parent.parent
# An inventory is a Python file that reads a state file or asks a cloud; a minute is far beyond either.
RESOLVE_SECONDS = 60


def targets(inventory: str, only: frozenset[str] = frozenset()) -> list[Target]:
    """Return the hosts of an inventory, all or those named in ``only``.

    Raises AuditError for an inventory that cannot be read, holds no host, or lacks a host of ``only``: to audit
    nothing must never look like success.
    """
    hosts = {str(host["name"]): host["data"] for host in _resolved(inventory)}
    if not hosts:
        raise AuditError(f"{inventory}: the inventory holds no host; name at least one gateway in it")
    for name in sorted(only - hosts.keys()):
        raise AuditError(f"{inventory}: no host {name!r}; it holds: {', '.join(hosts)}")
    return [Target.of(name, data) for name, data in hosts.items() if not only or name in only]


def _resolved(inventory: str) -> list[dict[str, Any]]:
    """Let pyinfra resolve the inventory, in a child process: importing pyinfra_cli patches this one's sockets."""
    if inventory.endswith(".py") and not Path(inventory).is_file():
        raise AuditError(f"{inventory}: no such inventory file")
    command = [sys.executable, "-m", "pyinfra", inventory, "debug-inventory", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=RESOLVE_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AuditError(f"{inventory}: not resolved within {RESOLVE_SECONDS} s") from error
    try:
        hosts = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        hosts = None
    if not isinstance(hosts, list):
        said = done.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise AuditError(f"{inventory}: pyinfra cannot resolve the inventory: {said[0].strip()}")
    return hosts
