"""Brings the tables up to date in a process of its own: Alembic's 10 MB go with it, and the ledger's process has none of them.

Run as ``python -m filterd.ledger.migrating PARENT`` with the ledger's settings in MessagePack on standard input. Exit 1, and why on
standard output, if that cannot be done. It ends with its parent, which is started again and tries anew.
"""

import ctypes
import os
import signal
import subprocess
import sys
from typing import Final

import msgspec

from filterd.config.ledger import LedgerSettings
from filterd.errors import FilterdError

from . import database

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_COMMAND: Final = (sys.executable, "-I", "-B", "-m", "filterd.ledger.migrating")


def elsewhere(settings: LedgerSettings) -> None:
    """Have another process bring the tables up to date. Raises LedgerError."""
    given = msgspec.msgpack.encode(settings)
    try:
        done = subprocess.run([*_COMMAND, str(os.getpid())], input=given, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise database.LedgerError(f"the ledger's tables cannot be made: {error}") from error
    if done.returncode:
        why = done.stdout.decode("utf-8", "replace").strip()
        raise database.LedgerError(why or f"the ledger's tables were not made: {done.returncode}")


def main(parent: int) -> int:
    """Do it. Returns the exit code."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:
        return 1
    settings = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=LedgerSettings)
    try:
        database.migrate(settings, database.NEWEST)
    except FilterdError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
