"""Ask each host of an inventory one shell command, by pyinfra: `pyinfra INVENTORY roles/history/asked.py -y`; see asking.py."""

import json
import os
from pathlib import Path

from pyinfra import host

from roles.connection import quietly
from roles.history.asking import ANSWERS, COMMAND
from roles.operations import ShellAnswer

quietly(host)
# The fact leaves the exit code out, so it stands behind what was said.
_said = host.get_fact(ShellAnswer, command=f"( {os.environ[COMMAND]} ) 2>&1; echo $?")
Path(os.environ[ANSWERS], f"{host.name.replace('/', '_')}.json").write_text(
    json.dumps({"host": host.name, "said": _said})
)
