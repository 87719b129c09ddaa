"""The commands that pyinfra would run, found in a process of its own: `python -m tests.unit.roles.planner`.

pyinfra's runs live on gevent, whose monkey patching has to come before every other import and would reach every
other test of the process that it is done in. Cases come as JSON on standard input, plans go to standard output;
see ``plans.py`` for both shapes.
"""

# ruff: noqa: E402, I001 - the patching comes first, or sockets and locks made before it would block the hub
from gevent import monkey

monkey.patch_all()

import importlib
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyinfra.api import Config, FileUploadCommand, FunctionCommand, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.host import Host
from pyinfra.api.operation import add_op
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host, ctx_inventory, ctx_state

from roles.platforms import DEBIAN_12
from roles.rendering import OwnedFile
from roles.session import prepared
from roles.settings import Gateway

ROOT = Path(__file__).parents[3]
NAME = "@fake/gateway"
# How an argument's JSON becomes what the operation takes, by the argument's name.
DECODERS: dict[str, Callable[[Any], Any]] = {
    "files": lambda values: [OwnedFile(**value) if isinstance(value, dict) else value for value in values],
    "wheels": lambda values: [Path(value) for value in values],
    "gateway": Gateway.of,
    "platform": lambda _title: DEBIAN_12,
}


def planned(case: dict[str, Any]) -> dict[str, Any]:
    """Return one case's plan; an exception becomes its text, for the test to look at."""
    for context in (ctx_host, ctx_state, ctx_inventory):
        context.reset()
    inventory = Inventory(([NAME], {}), gateways=([NAME], case["data"]))
    state = State(inventory, Config())
    state.cwd = str(ROOT)
    state.set_stage(StateStage.Connect)
    connect_all(state)
    state.set_stage(StateStage.Prepare)
    host = inventory.get_host(NAME)
    # Not by inventory data: Gateway.of would refuse it, as it refuses every name that is no setting.
    host.connector.data["fake_responses"] = case["responses"]
    result: dict[str, Any] = {"commands": [], "operations": [], "error": ""}
    try:
        _add(state, host, case)
        result["operations"] = [", ".join(state.op_meta[found].names) for found in state.get_op_order()]
        result["commands"] = list(_commands(state, host))
    except Exception as error:  # noqa: BLE001 - whatever it was, the test that sent the case compares it
        result["error"] = f"{type(error).__name__}: {error}"
    result["asked"] = host.connector.executed_commands
    return result


def _add(state: State, host: Host, case: dict[str, Any]) -> None:
    target = case["target"]
    if target == "deploy.py":
        with ctx_state.use(state), ctx_host.use(host):
            runpy.run_path(str(ROOT / "deploy.py"))
        return
    if target == "prepared":
        prepared(host)
        return
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    arguments = {key: DECODERS.get(key, lambda same: same)(value) for key, value in case["arguments"].items()}
    if name == "apply":
        add_deploy(state, function, **arguments)
    else:
        add_op(state, function, **arguments)


def _commands(state: State, host: Host) -> Iterator[tuple[str, ...]]:
    with ctx_state.use(state), ctx_host.use(host):
        for found in state.get_op_order():
            for command in state.ops[host][found].command_generator():
                if isinstance(command, FileUploadCommand):
                    command.src.seek(0)
                    content = command.src.read()
                    text = content if isinstance(content, str) else content.decode("latin-1")
                    yield "upload", command.dest, text
                elif isinstance(command, FunctionCommand):
                    yield "call", command.function.__name__
                else:
                    yield "run", command.get_raw_value()


if __name__ == "__main__":
    json.dump([planned(case) for case in json.load(sys.stdin)], sys.stdout)
