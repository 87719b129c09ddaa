"""The command ``python -m audit.scanners INVENTORY``: what scanners of others say of each gateway, in one table."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from audit import inventory
from audit.errors import AuditError, UnseenError
from audit.report import writable
from audit.scanners import exposure, lynis, mail, openscap, ports, report, ssh_audit, testssl
from audit.scanners.errors import ScanError
from audit.scanners.figures import Figure
from audit.scanners.host import Scanned
from audit.target import Target
from roles.platforms import row

GOOD, FINDINGS, COULD_NOT_RUN = 0, 2, 3
EPILOG: Final = """exit codes:
  0  each figure is as good as it must be, and mail flowed before and after
  2  a figure is not; also a wrong command line
  3  a scanner could not run, or mail did not flow: then no figure counts
"""
Scan = Callable[[Target, Scanned, Path | None], Iterator[Figure]]
SCANNERS: Final[Mapping[str, Scan]] = {
    "systemd": lambda _target, host, _content: exposure.scanned(host),
    "lynis": lambda _target, host, _content: lynis.scanned(host),
    "openscap": lambda _target, host, content: openscap.scanned(host, openscap.datastream(content)),
    "ssh-audit": lambda target, _host, _content: ssh_audit.scanned(target),
    "testssl": lambda target, _host, _content: testssl.scanned(target),
    "nmap": lambda target, _host, _content: ports.scanned(target),
}
# These want programs on the host, for as long as they run.
_INSTALLED: Final = frozenset({"lynis", "openscap"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scanners and return the exit code, as EPILOG tells them."""
    options = _parser().parse_args(arguments)
    chosen = options.only or list(SCANNERS)
    found: dict[str, list[Figure]] = {}
    problems: list[str] = []
    try:
        if "openscap" in chosen:
            openscap.datastream(options.datastream)
        targets = inventory.targets(options.inventory, frozenset(options.host))
        writable(options.json)
    except AuditError as error:
        print(f"audit.scanners: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    for target in targets:
        try:
            found[target.name] = _judged(target, chosen, options.datastream)
        except (AuditError, UnseenError) as error:
            problems.append(f"{target.name}: {error}")
    report.printed(found, Console(), details=options.details)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    for problem in problems:
        print(f"audit.scanners: {problem}", file=sys.stderr)
    if problems:
        return COULD_NOT_RUN
    return FINDINGS if any(each.judged == "bad" for own in found.values() for each in own) else GOOD


def _judged(target: Target, chosen: Sequence[str], content: Path | None) -> list[Figure]:
    """Return the figures of one gateway; ScanError unless mail flows before and after."""
    _flowing(target, "before")
    host = Scanned(target)
    figures: list[Figure] = []
    with ExitStack() as stack:
        # The exposures are asked before anything is installed.
        for name in (each for each in SCANNERS if each in chosen):
            if name in _INSTALLED:
                continue
            figures += SCANNERS[name](target, host, content)
        if own := [name for name in SCANNERS if name in _INSTALLED & set(chosen)]:
            if not row(target.gateway).scanners:
                raise ScanError(
                    f"{', '.join(own)}: installed for a scan on Debian alone as yet; name others with --only"
                )
            stack.enter_context(host.packages(row(target.gateway).scanners))
            for name in (each for each in SCANNERS if each in chosen and each in _INSTALLED):
                figures += SCANNERS[name](target, host, content)
    _flowing(target, "after")
    return figures


def _flowing(target: Target, when: str) -> None:
    broken = [result for result in mail.flows(target) if result.state != "held"]
    for result in broken:
        said = result.why or f"wanted {result.wanted}, saw {result.seen}"
        raise ScanError(f"mail does not flow {when} the scan, so no figure counts: {result.item}: {said}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m audit.scanners",
        description="Run scanners of others against every gateway of an inventory. docs/scanners.md says what each is asked for.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inventory", metavar="INVENTORY", help="pyinfra inventory file, the one that is deployed from")
    add("--host", action="append", default=[], metavar="NAME", help="only this host; repeatable")
    add("--only", nargs="+", choices=list(SCANNERS), metavar="SCANNER", help=f"of: {', '.join(SCANNERS)}")
    add("--datastream", type=Path, metavar="FILE", help=f"OpenSCAP's content (default {openscap.DATASTREAM})")
    add("--details", action="store_true", help="show single findings of good figures, too")
    add("--json", type=Path, metavar="FILE", help="write the figures as JSON, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
