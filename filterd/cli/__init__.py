"""The command line: ``filterd COMMAND …``; each prints tables for a person, and with ``--json`` records (docs/ledger.md).

Exit codes: 0 good: done, found, all messages would be delivered, nothing is unexplained. 1 no: not found, refused, not
yet approved, a message would be refused, moved or discarded for someone, something is unexplained. 2 usage or
configuration. 3 an engine, the ledger or the daemon cannot be reached or used, a message could not be inspected.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, cast

from filterd.errors import ConfigError, FilterdError
from filterd.ledger.roles import RefusedError

from .codes import NOBODY_READS, REFUSED, UNREACHABLE, USAGE
from .parser import parser

__all__ = ["main"]

_FLUSHES_ITSELF: Final = frozenset({"serve"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    options = parser().parse_args(arguments)
    # One module a group, so that `check`, which runs before each start, loads neither database nor engines.
    module = importlib.import_module(f"filterd.cli.{options.module}")
    run = cast("Callable[[object], int]", module.run)
    try:
        if options.command in _FLUSHES_ITSELF:
            return run(options)
        code = run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it ends, and would say then what nobody wants to hear.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
        return NOBODY_READS
    except ConfigError as error:
        return _said(error, USAGE)
    except RefusedError as error:
        return _said(error, REFUSED)
    except FilterdError as error:
        return _said(error, UNREACHABLE)
    return code


def _said(error: FilterdError, code: int) -> int:
    print(f"filterd: {error}", file=sys.stderr)
    return code
