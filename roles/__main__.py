"""Provisioning with exit codes: `python -m roles apply|drift|revert|integrity INVENTORY`.

pyinfra succeeds with an empty inventory, with hosts that it dropped, and whatever a dry run found. This says what
happened. Exit codes: apply 0 every host deployed, 1 not, 2 the inventory cannot be used; drift 0 in sync, 2 drift, 1 cannot
tell; revert 0 every host is what it was, 1 not, 2 the inventory cannot be used; integrity 0 every change of the hosts is
explained, 2 not, 1 cannot tell. A wrong command line is 2.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roles.errors import SettingError
from roles.filterd.wheelhouse import release, wheelhouse
from roles.history.asking import AskError, answers
from roles.history.baseline import BaselineError, differences, loaded, read, saved
from roles.history.paths import PROGRAMS_WRITTEN, TITLE
from roles.history.programs import run_there, shown
from roles.history.reverting import planned, reverted
from roles.integrity import copies
from roles.integrity.copies import CopyError
from roles.integrity.replaying import ReplayError, replayed, told
from roles.inventory import hosts_of, typed
from roles.locking import LOCK
from roles.mta.rules import expired, today
from roles.platforms import row

_DEPLOY = "deploy.py"


class ProvisionError(Exception):
    """The run did not do what was asked, or nothing can be told of it; the text is for the administrator."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        hosts = hosts_of(options.inventory)
        if options.command == "revert":
            return _revert(parser, options, hosts)
        if options.command == "integrity":
            return _integrity(options, hosts)
        if options.command == "drift" and (options.save_baseline or options.from_baseline):
            return _baseline(options, hosts)
        for name, data in hosts.items():
            # Before any host is touched.
            gateway = typed(name, data)
            release(wheelhouse(row(gateway).python))
            for words in expired(gateway.mta_rules.every(), today()):
                print(f"{name}: {words}", file=sys.stderr)
        return (_apply if options.command == "apply" else _drift)(options, hosts)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 1 if options.command in ("drift", "integrity") else 2
    except (ProvisionError, AskError, BaselineError, CopyError, ReplayError) as error:
        print(f"{options.inventory}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m roles", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    apply = commands.add_parser("apply", help="deploy")
    drift = commands.add_parser(
        "drift", help="only say what a deploy would change, or what has changed since a baseline"
    )
    revert = commands.add_parser("revert", help="take back what deploys have changed of the hosts")
    integrity = commands.add_parser(
        "integrity", help="look at the hosts by this host's own copies of their baselines"
    )
    for command in (apply, drift, revert, integrity):
        command.add_argument("inventory", help="inventory file, for instance inventory/lab.py")
    for command in (apply, drift, integrity):
        command.add_argument(
            "--json", action="store_true", help="print the result as JSON instead of a summary"
        )
    baseline = drift.add_mutually_exclusive_group()
    baseline.add_argument("--save-baseline", metavar="FILE", help="write down what the hosts are like now")
    baseline.add_argument(
        "--from-baseline", metavar="FILE", help="compare the hosts with what was written down"
    )
    integrity.add_argument(
        "--keep",
        action="store_true",
        help="where all is explained, make what was seen the copy from now on",
    )
    revert.add_argument("--host", help="of the inventory's hosts only this one")
    revert.add_argument(
        "--yes", action="store_true", help="do it; without it only what would be done is said"
    )
    revert.add_argument(
        "--even-with-mail",
        action="store_true",
        help="also where mail waits or is kept: it is moved, none is deleted",
    )
    return parser


def _pyinfra(*arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pyinfra")), *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE, text=True, check=False
    )


def _apply(options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    # Without --json pyinfra's progress goes to its standard error as well, so both forms show it.
    done = _pyinfra(options.inventory, _DEPLOY, "-y", "--json", shown=True)
    if done.returncode or not done.stdout.strip():
        _filed(options.inventory, list(hosts))
        raise ProvisionError("the deploy failed; what failed stands above")
    result = json.loads(done.stdout)
    failed = result["results"].get("failed_hosts", [])
    last = result["results"]["operations"][-1:]
    reached = {host for operation in last for how in ("success", "no_change") for host in operation[how]}
    if failed or reached != set(hosts):
        lacking = ", ".join(sorted(set(failed) | (set(hosts) - reached)))
        _filed(options.inventory, sorted(set(failed) | (set(hosts) - reached)))
        raise ProvisionError(f"not deployed: {lacking}")
    for name, data in hosts.items():
        gateway = typed(name, data)
        if gateway.integrity.engine != "none" and (
            count := copies.unexplained(copies.place(gateway.integrity.copies, name))
        ):
            said = f"{count} changes were explained by nobody at the last deploy that changed something"
            print(f"{name}: {said}; `bastide-integrity findings` names them there", file=sys.stderr)
    changed = sum(len(each["success"]) for each in result["results"]["operations"] if not _keeps_books(each))
    print(
        done.stdout
        if options.json
        else f"{len(hosts)} hosts deployed, {changed} operations changed something"
    )
    return 0


def _filed(inventory: str, hosts: Sequence[str]) -> None:
    """Have hosts file what a failed run has changed, so that nothing that people do from now on is taken for its doing.

    One that cannot be reached is left to the next run's beginning, which tells both apart by their times.
    """
    for name in hosts:
        with suppress(AskError):
            # Not where the run was refused for the sake of another one that is at work: that one has not died.
            answers(inventory, f"flock -w 5 {LOCK} true || exit 0; {run_there('record', 'died')}", [name])


def _drift(options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    # Never with -y: that switches the search for changes off, and everything looks in sync.
    done = _pyinfra(options.inventory, _DEPLOY, "--dry", "--json")
    if done.returncode or not done.stdout.strip():
        raise ProvisionError(f"pyinfra could not compare:\n{done.stderr.strip()}")
    plan = json.loads(done.stdout)["plan"]
    if not plan:
        raise ProvisionError("the plan is empty; that cannot be called in sync")
    changes = [
        (host, item["name"]) for item in plan if not _keeps_books(item) for host in item["hosts_with_change"]
    ]
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


def _keeps_books(operation: dict[str, Any]) -> bool:
    name = str(operation["name"])
    return name.startswith(f"{TITLE} | ") and name != f"{TITLE} | {PROGRAMS_WRITTEN}"


def _revert(parser: argparse.ArgumentParser, options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    if options.host and options.host not in hosts:
        parser.error(f"{options.inventory} has no host {options.host}; it has {', '.join(hosts)}")
    names = [options.host] if options.host else list(hosts)
    if not options.yes:
        return planned(options.inventory, names)
    code = reverted(options.inventory, names, even_with_mail=options.even_with_mail)
    for name in names if code == 0 else ():
        copies.forget(copies.place(typed(name, hosts[name]).integrity.copies, name))
    return code


def _baseline(options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    """Save what the hosts are like, or say what of it is different from a baseline."""
    # Before hosts are asked, which takes its time.
    base = loaded(Path(options.from_baseline)) if options.from_baseline else {}
    if base and set(base) != set(hosts):
        unlike = ", ".join(sorted(set(base) ^ set(hosts)))
        raise BaselineError(f"{options.from_baseline} and the inventory do not have the same hosts: {unlike}")
    since = min((each.taken for each in base.values()), default=0)
    managers = {name: row(typed(name, data)).manager.name for name, data in hosts.items()}
    asked = {
        name: answer
        for manager in sorted(set(managers.values()))
        for name, answer in answers(
            options.inventory, shown(manager, since), [each for each in hosts if managers[each] == manager]
        ).items()
    }
    if silent := [f"{name}: {answer.text}" for name, answer in asked.items() if answer.code]:
        raise BaselineError("; ".join(silent))
    pictures = {name: read(answer.text) for name, answer in asked.items()}
    if options.save_baseline:
        saved(Path(options.save_baseline), pictures)
        print(f"{options.save_baseline}: what {len(pictures)} hosts are like")
        return 0
    found = [(name, each) for name in hosts for each in differences(base[name], pictures[name])]
    if options.json:
        print(
            json.dumps(
                {
                    "in_sync": not found,
                    "differences": [{"host": name, **asdict(each)} for name, each in found],
                }
            )
        )
    else:
        for name, each in found:
            why = f"by {each.by}" if each.by else "by no deploy"
            print(f"{name}: {each.section} {each.key}: {each.was} -> {each.now}, {why}")
        print(
            f"{len(found)} differences on {len(hosts)} hosts, {sum(not each.by for _, each in found)} by no deploy"
        )
    return 2 if found else 0


def _integrity(options: argparse.Namespace, hosts: dict[str, Any]) -> int:
    """Look at hosts by the copies that are kept here, and say what nobody explains."""
    gateways = {name: typed(name, data) for name, data in hosts.items()}
    asked = {name: each for name, each in gateways.items() if each.integrity.engine != "none"}
    if not asked:
        raise ProvisionError("`integrity.engine` is none on all hosts: nothing is compared")
    seen = replayed(options.inventory, asked)
    unexplained = sum(len(each.found["unexplained"]) for each in seen.values())
    if options.json:
        print(
            json.dumps(
                {"hosts": {name: each.found for name, each in seen.items()}, "unexplained": unexplained}
            )
        )
    else:
        for name, each in seen.items():
            print("\n".join((*told(name, each.found), f"{name}: {each.found['watched']} paths watched")))
        print(f"{len(seen)} hosts looked at by their copies, {unexplained} changes unexplained")
    for name, each in seen.items():
        if options.keep and not each.found["unexplained"]:
            copies.keep(copies.place(asked[name].integrity.copies, name), each.files)
    return 2 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
