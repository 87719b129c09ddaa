"""Run or write the disguise corpus: ``python -m tests.corpus [--family F] [--id ID] [--write DIR] [--json]``.

Exit codes: 0 good; 1 something was missed, or a twin refused that may not be; 2 usage.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .payload import EICAR, HARMLESS
from .runner import Examine, failed, report, run
from .table import BY_ID, VARIANTS
from .variant import FAMILIES, Variant


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, help="this family alone")
    parser.add_argument("--id", help="this variant alone")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write ID.eml and ID.twin.eml and examine nothing"
    )
    parser.add_argument("--list", action="store_true", help="list ids and titles and examine nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object a variant")
    parser.add_argument(
        "--live", type=Path, metavar="CONFIG", help="by `filterd scan` with this configuration's engines"
    )
    return parser


def _chosen(options: argparse.Namespace) -> list[Variant]:
    if options.id is not None:
        return [BY_ID[options.id]]
    return [one for one in VARIANTS if options.family in (None, one.family)]


def _write(folder: Path, variants: list[Variant]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in variants:
        (folder / f"{one.id}.eml").write_bytes(one.build(EICAR))
        (folder / f"{one.id}.twin.eml").write_bytes(one.build(HARMLESS))
    print(f"{2 * len(variants)} mails in {folder}")


def _frozen(one: Variant) -> Variant:
    """Build once: what draws a salt would not be found again among the scanned mails."""
    built = {payload: one.build(payload) for payload in (EICAR, HARMLESS)}
    return Variant(
        id=one.id,
        title=one.title,
        build=built.__getitem__,
        twin_may_be=one.twin_may_be,
        recoverable=one.recoverable,
    )


def _examination(options: argparse.Namespace, variants: list[Variant]) -> Examine:
    # The product is imported only when it is asked: writing the corpus needs none of it.
    from .examine import in_process, live  # noqa: PLC0415

    if options.live is None:
        return in_process()
    return live(
        options.live, ((one.build(payload), payload) for one in variants for payload in (EICAR, HARMLESS))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.id is not None and options.id not in BY_ID:
        parser.error(f"there is no variant {options.id!r}; --list names them")
    variants = _chosen(options)
    if options.list:
        print("\n".join(f"{one.id:45} {one.title}" for one in variants))
        return 0
    if options.write is not None:
        _write(options.write, variants)
        return 0
    frozen = [_frozen(one) for one in variants]
    results = list(run(frozen, _examination(options, frozen)))
    lines = (json.dumps(one.as_data()) for one in results) if options.json else report(results)
    print("\n".join(lines))
    return 1 if failed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
