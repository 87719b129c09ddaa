"""The command line: ``filterd COMMAND …``; each prints tables for a person, and with ``--json`` records (docs/ledger.md).

What each exit code means stands in ``codes``.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Final, cast

from filterd.errors import ConfigError, FilterdError, UsageError
from filterd.ledger.roles import RefusedError

from .codes import INTERRUPTED, NOBODY_READS, REFUSED, UNREACHABLE, USAGE
from .output import LeftError, descriptors_open, discard, printing
from .parser import parser
from .times import in_order

__all__ = ["main"]

# The first that fits.
_CODES: Final[tuple[tuple[type[FilterdError], int], ...]] = (
    (ConfigError, USAGE), (UsageError, USAGE), (RefusedError, REFUSED), (FilterdError, UNREACHABLE),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    descriptors_open()
    try:
        with printing():
            options = parser().parse_args(arguments)
        in_order(options)
        # One module a group, so that `check`, which runs before each start, loads neither database nor engines.
        module = importlib.import_module(f"filterd.cli.{options.module}")
        run = cast("Callable[[object], int]", module.run)
        return run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except LeftError:
        return NOBODY_READS
    except FilterdError as error:
        try:
            print(f"filterd: {error}", file=sys.stderr, flush=True)
        except OSError:
            discard(sys.stderr)
        return next(code for kind, code in _CODES if isinstance(error, kind))
