"""The command ``python -m audit assess INVENTORY``: says what each host is like, and changes nothing on it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from audit import inventory
from audit.assess import assessment
from audit.assess.assessment import Assessment, Scope
from audit.assess.report import document, page, text
from audit.assess.report.text import Line
from audit.assess.score import FORMULA
from audit.errors import AuditError
from audit.report import writable
from audit.target import Target
from publish.live import AskError, Finding, asking, published
from publish.records import ContradictionError, plan
from roles.defence import Defence
from roles.forms import address_argument
from roles.hardening.settings import LEVELS

NAME = "assess"
RAN, BELOW, COULD_NOT_RUN = 0, 2, 3
EPILOG = """It changes nothing, sends no mail and tries no port, so it also does for a host that Bastide never deployed: there it
says what is missing. What an outsider sees is the audit's to look at (python -m audit INVENTORY).

exit codes:
  0  every host was assessed, whatever its score
  2  with --at-least: the score of a host is below it; also a wrong command line
  3  a host could not be reached or asked as root, or nothing of it could be seen
"""


def main(arguments: Sequence[str]) -> int:
    """Run the assessment and return its exit code, as EPILOG tells them."""
    options = _parser().parse_args(arguments)
    try:
        # Imported here: a record that cannot be constructed is a fault to report like any other.
        from roles.registry import DEFENCES  # noqa: PLC0415 - see above
        from roles.tasks import TASKS  # noqa: PLC0415 - see above

        wanted = _of_layer(DEFENCES, options.layer)
        scope = Scope(defences=() if _tasks_alone(options) else wanted, level=options.level, tasks=TASKS)
        targets = inventory.targets(options.inventory, frozenset(options.host))
        writable(options.json, options.html, options.text)
        found = _published(targets, options.resolver)
    except (AuditError, ImportError, ValueError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    hosts, problems = _assessed(targets, scope, found)
    _reported(hosts, problems, options)
    for problem in problems:
        print(f"audit: {problem}", file=sys.stderr)
    return _code(hosts, problems, options.at_least)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m audit {NAME}",
        description="Ask every host of an inventory for each defence up to the highest level: what it has, what it lacks, the "
        "score of it all, the level that it matches, and what stays for the administrator.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inventory", metavar="INVENTORY", help="pyinfra inventory file, the one that is deployed from")
    add("--host", action="append", default=[], metavar="NAME", help="only this host; repeatable")
    add("--layer", help="only one layer, e.g. firewall")
    add("--level", choices=LEVELS, default=LEVELS[-1], help="up to this level (default: %(default)s)")
    add("--todo", action="store_true", help="print the administrator's tasks alone")
    add(
        "--resolver",
        type=address_argument,
        metavar="ADDRESS",
        help="ask this resolver which DNS records are live",
    )
    add("--text", type=Path, metavar="FILE", help="write the text there, not to standard output")
    add("--html", type=Path, metavar="FILE", help="write one HTML page, too")
    add("--json", type=Path, metavar="FILE", help="write JSON, too")
    add(
        "--at-least",
        type=_percent,
        metavar="N",
        help="end with 2 if the score of a host is below N (0 to 100)",
    )
    return parser


def _percent(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:  # noqa: PLR2004 - per cent
        raise argparse.ArgumentTypeError(f"{given!r} is not a number from 0 to 100")
    return value


def _of_layer(defences: Sequence[Defence], layer: str | None) -> tuple[Defence, ...]:
    layers = dict.fromkeys(each.layer for each in defences)
    if layer is not None and layer not in layers:
        raise AuditError(f"no layer {layer!r}; the layers are: {', '.join(layers)}")
    return tuple(each for each in defences if layer in (None, each.layer))


def _tasks_alone(options: argparse.Namespace) -> bool:
    """Say whether nobody is to see anything of the defences, so that they need not be asked for."""
    return options.todo and not (options.json or options.html) and options.at_least is None


def _published(targets: Sequence[Target], resolver: str | None) -> dict[str, list[Finding]]:
    """Return by host what a resolver says of the records that it is to have; nothing where none is to be asked."""
    if resolver is None:
        return {}
    ask = asking(resolver)
    try:
        ask(".", "NS")
    except AskError as error:
        raise AuditError(f"the resolver {resolver} gives no answer: {error}") from error
    gateways = [target.gateway for target in targets]
    # A domain's MX records are those of all gateways together, so they are judged together too.
    try:
        every = published(plan(gateways, {}), ask)
    except ContradictionError as error:
        raise AuditError(str(error)) from error
    return {
        target.name: [each for each in every if (each.owner, each.type) in _own(target)] for target in targets
    }


def _own(target: Target) -> set[tuple[str, str]]:
    """Return the names and types of what is published that concerns one host."""
    made = plan([target.gateway], {})
    return {
        *((each.owner, each.type) for each in made.records),
        *((f"mta-sts.{domain}.", "HTTPS") for domain in made.policies),
    }


def _assessed(
    targets: Sequence[Target], scope: Scope, found: dict[str, list[Finding]]
) -> tuple[list[Assessment], list[str]]:
    """Return what each host is like, and a sentence for each that could not be asked or showed nothing."""
    hosts: list[Assessment] = []
    problems: list[str] = []
    for target in targets:
        try:
            answers = assessment.asked(target, scope)
        except AuditError as error:
            problems.append(str(error))
            continue
        made = assessment.assessed(target.name, target.gateway, scope, answers, found.get(target.name, ()))
        hosts.append(made)
        if scope.defences and made.score.percent is None:
            problems.append(f"{target.name}: nothing that was asked for could be seen")
    return hosts, problems


def _reported(hosts: Sequence[Assessment], problems: Sequence[str], options: argparse.Namespace) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    made = document.made(hosts, problems, at, FORMULA)
    if options.json:
        options.json.write_bytes(document.encoded(made))
    if options.html:
        options.html.write_text(page.rendered(made), encoding="utf-8")
    if not options.text:
        text.printed(_lines(hosts, todo=options.todo), Console())
        return
    with options.text.open("w", encoding="utf-8") as file:
        text.printed(_lines(hosts, todo=options.todo), Console(file=file))


def _lines(hosts: Sequence[Assessment], *, todo: bool) -> Iterator[Line]:
    for host in hosts:
        yield from text.todo(host) if todo else text.lines(host)
        yield Line("")


def _code(hosts: Sequence[Assessment], problems: Sequence[str], at_least: float | None) -> int:
    """Return the exit code; a score below the bound is certain, whatever became of other hosts."""
    scores = [host.score.percent for host in hosts if host.score.percent is not None]
    if at_least is not None and any(each < at_least for each in scores):
        return BELOW
    return COULD_NOT_RUN if problems else RAN
