"""The commands that pyinfra would run, found in a process of its own: `python -m tests.unit.roles.planner`.

pyinfra's runs live on gevent, whose monkey patching has to come before every other import and would reach every
other test of the process that it is done in. Cases come as JSON on standard input, plans go to standard output;
see ``plans.py`` for both shapes.
"""

# ruff: noqa: E402 - the patching comes first, or sockets and locks made before it would block the hub
from gevent import monkey  # type: ignore[import-untyped]  # it ships no types

monkey.patch_all()

import importlib
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyinfra.api import (
    Config,
    FileDownloadCommand,
    FileUploadCommand,
    FunctionCommand,
    Inventory,
    State,
    StringCommand,
)
from pyinfra.api.connect import connect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.host import Host
from pyinfra.api.operation import add_op
from pyinfra.api.state import StateStage
from pyinfra.connectors.fake import FakeConnector
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
    state = _state(case["data"])
    host = state.inventory.get_host(NAME)
    assert isinstance(host.connector, FakeConnector)
    # Not by inventory data: Gateway.of would refuse it, as it refuses every name that is no setting.
    host.connector.data["fake_responses"] = case["responses"]
    result: dict[str, Any] = {"commands": [], "operations": [], "error": ""}
    try:
        _add(state, host, case)
        result["operations"] = [", ".join(state.op_meta[found].names) for found in _order(state)]
        result["commands"] = list(_commands(state, host))
    except Exception as error:  # noqa: BLE001 - whatever it was, the test that sent the case compares it
        result["error"] = f"{type(error).__name__}: {error}"
    result["asked"] = host.connector.executed_commands
    return result


def _state(data: dict[str, Any]) -> State:
    """Return a run's state, connected and about to prepare."""
    inventory = Inventory(([NAME], {}), gateways=([NAME], data))  # type: ignore[no-untyped-call] # pyinfra's
    state = State(inventory, Config())  # type: ignore[no-untyped-call] # pyinfra leaves it untyped
    state.cwd = str(ROOT)
    state.set_stage(StateStage.Connect)
    connect_all(state)
    state.set_stage(StateStage.Prepare)
    return state


def _order(state: State) -> list[str]:
    found: list[str] = state.get_op_order()  # type: ignore[no-untyped-call] # pyinfra leaves it untyped
    return found


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
        for found in _order(state):
            for command in state.ops[host][found].command_generator():
                if isinstance(command, FileUploadCommand):
                    source: Any = command.src
                    source.seek(0)
                    content = source.read()
                    text = content if isinstance(content, str) else content.decode("latin-1")
                    yield "upload", command.dest, text
                elif isinstance(command, FileDownloadCommand):
                    yield "download", command.src
                elif isinstance(command, FunctionCommand):
                    yield "call", command.function.__name__
                elif isinstance(command, StringCommand):
                    yield "run", command.get_raw_value()
                else:
                    raise TypeError(f"a command of a kind that no test expects: {command!r}")


if __name__ == "__main__":
    json.dump([planned(case) for case in json.load(sys.stdin)], sys.stdout)
