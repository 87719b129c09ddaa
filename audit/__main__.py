"""The command ``python -m audit INVENTORY``: says of every defence of every host whether it holds."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from audit import engine, inventory, unseen
from audit.assess import command as assess
from audit.engine import Item, Result, Session
from audit.errors import AuditError
from audit.probes import State
from audit.report import document, junit, table, writable
from audit.target import Target
from roles.defence import Defence
from roles.mta.rules import expired, today

HELD, FINDINGS, COULD_NOT_RUN = 0, 2, 3
EPILOG = """`python -m audit assess INVENTORY` is another command: it changes and sends nothing, and says what a host has of every defence,
its score, its level, and what stays for the administrator (python -m audit assess --help).

exit codes:
  0  nothing is broken, and of each host something was seen from outside (or no claim was chosen)
  2  findings, whatever was not seen beside them; also a wrong command line
  3  the audit could not run, or could not reach a host, or saw nothing of a host from outside,
     or, with --strict, did not see every claim
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the audit and return its exit code, as EPILOG tells them; ``assess`` as the first word is another command."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == [assess.NAME]:
        return assess.main(words[1:])
    options = _parser().parse_args(words)
    try:
        # Imported here: a record that cannot be constructed is a fault to report like any other.
        from roles.registry import DEFENCES  # noqa: PLC0415 - see above

        targets = inventory.targets(options.inventory, frozenset(options.host))
        chosen = {
            target.name: engine.chosen(engine.items(DEFENCES, target.gateway), options.only, options.layer)
            for target in targets
        }
        writable(options.json, options.junit)
    except (AuditError, ImportError, ValueError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    results, problems = _audited(targets, DEFENCES, chosen, fast=options.fast)
    lacking = [sentence for items in chosen.values() for sentence in unseen.blind(items, results)]
    if results:
        table.printed(results, Console())
    if options.json:
        document.written(results, [*problems, *lacking], options.json)
    if options.junit:
        junit.written(results, [*problems, *lacking], options.junit)
    for target in targets:
        for words in expired(target.gateway.mta_rules.every(), today()):
            print(f"audit: {target.name}: {words}", file=sys.stderr)
    for problem in [*problems, *lacking]:
        print(f"audit: {problem}", file=sys.stderr)
    if problems:
        return COULD_NOT_RUN
    states = {result.state for result in results}
    incomplete = bool(lacking) or (options.strict and "not seen" in states)
    return _code(states, incomplete=incomplete)


def _code(states: set[State], *, incomplete: bool) -> int:
    """Return the exit code of an audit that ran; a finding is certain, whatever else was not seen."""
    if "broken" in states:
        return FINDINGS
    return COULD_NOT_RUN if incomplete else HELD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m audit",
        description="Ask every host of an inventory whether each defence holds, and look at it from outside.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inventory", metavar="INVENTORY", help="pyinfra inventory file, the one that is deployed from")
    add(
        "--only",
        nargs="+",
        default=[],
        metavar="ID",
        help="only defences whose id begins so, e.g. mta.banner",
    )
    add("--layer", help="only one layer, e.g. firewall")
    add(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="only this host of the inventory; repeatable",
    )
    add("--json", type=Path, metavar="FILE", help="write the results as JSON, too")
    add("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML, too")
    add("--strict", action="store_true", help="end with 3 if any claim was not seen")
    add("--fast", action="store_true", help="SYN scans ask a sample of ports instead of all 65,535")
    return parser


def _audited(
    targets: Sequence[Target],
    defences: Sequence[Defence],
    chosen: Mapping[str, Sequence[Item]],
    *,
    fast: bool,
) -> tuple[list[Result], list[str]]:
    """Return the results of all hosts, and one sentence for each host that could not be audited."""
    results: list[Result] = []
    problems: list[str] = []
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for target in targets:
            wanted = chosen[target.name]
            kept = {item.defence.id for item in wanted}
            task = progress.add_task(target.name, total=len(wanted))
            try:
                with Session(target, [each for each in defences if each.id in kept], fast=fast) as session:
                    results += session.run(wanted, _advance(progress, task))
            except AuditError as error:
                problems.append(str(error))
    return results, problems


def _advance(progress: Progress, task: TaskID) -> Callable[[Result], None]:
    def done(result: Result) -> None:
        progress.update(task, advance=1, description=f"{result.host} {result.item}")

    return done


if __name__ == "__main__":
    sys.exit(main())
