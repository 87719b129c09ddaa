"""Provisioning with exit codes: `python -m roles apply INVENTORY` and `python -m roles drift INVENTORY`.

pyinfra succeeds with an empty inventory, with hosts that it dropped, and whatever a dry run found. This says what
happened. Exit codes: apply 0 every host deployed, 1 not, 2 the inventory cannot be used; drift 0 in sync, 2 drift, 1 cannot
tell. A wrong command line is 2.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roles.errors import SettingError
from roles.filterd.wheelhouse import WHEELHOUSE, release
from roles.inventory import hosts_of, typed
from roles.mta.rules import expired, today

_DEPLOY = "deploy.py"


class ProvisionError(Exception):
    """The run did not do what was asked, or nothing can be told of it; the text is for the administrator."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m roles", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "command",
        choices=("apply", "drift"),
        help="apply: deploy; drift: only say what a deploy would change",
    )
    parser.add_argument("inventory", help="inventory file, for instance inventory/lab.py")
    parser.add_argument(
        "--json", action="store_true", help="print pyinfra's result as JSON instead of a summary"
    )
    options = parser.parse_args(arguments)
    applies = options.command == "apply"
    try:
        hosts = hosts_of(options.inventory)
        release(WHEELHOUSE)
        for name, data in hosts.items():
            # Before any host is touched.
            for words in expired(typed(name, data).mta_rules.every(), today()):
                print(f"{name}: {words}", file=sys.stderr)
        return (_apply if applies else _drift)(options, hosts)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2 if applies else 1
    except ProvisionError as error:
        print(f"{options.inventory}: {error}", file=sys.stderr)
        return 1


def _pyinfra(*arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pyinfra")), *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE, text=True, check=False
    )


def _apply(options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    # Without --json pyinfra's progress goes to its standard error as well, so both forms show it.
    done = _pyinfra(options.inventory, _DEPLOY, "-y", "--json", shown=True)
    if done.returncode or not done.stdout.strip():
        raise ProvisionError("the deploy failed; what failed stands above")
    result = json.loads(done.stdout)
    failed = result["results"].get("failed_hosts", [])
    last = result["results"]["operations"][-1:]
    reached = {host for operation in last for how in ("success", "no_change") for host in operation[how]}
    if failed or reached != set(hosts):
        lacking = ", ".join(sorted(set(failed) | (set(hosts) - reached)))
        raise ProvisionError(f"not deployed: {lacking}")
    changed = sum(len(operation["success"]) for operation in result["results"]["operations"])
    print(
        done.stdout
        if options.json
        else f"{len(hosts)} hosts deployed, {changed} operations changed something"
    )
    return 0


def _drift(options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    # Never with -y: that switches the search for changes off, and everything looks in sync.
    done = _pyinfra(options.inventory, _DEPLOY, "--dry", "--json")
    if done.returncode or not done.stdout.strip():
        raise ProvisionError(f"pyinfra could not compare:\n{done.stderr.strip()}")
    plan = json.loads(done.stdout)["plan"]
    if not plan:
        raise ProvisionError("the plan is empty; that cannot be called in sync")
    changes = [(host, item["name"]) for item in plan for host in item["hosts_with_change"]]
    if options.json:
        print(
            json.dumps(
                {
                    "in_sync": not changes,
                    "changes": [{"host": host, "operation": name} for host, name in changes],
                }
            )
        )
    else:
        for host, name in changes:
            print(f"{host}: {name}")
        print(f"{len(changes)} operations would change something on {len(hosts)} hosts")
    return 2 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
