"""Exit codes; filterd.cli says what each means."""

import signal
from typing import Final

GOOD: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
# What a shell shows of a program that writes into a pipe which nobody reads any more (`| head`): signal(7).
NOBODY_READS: Final = 128 + signal.SIGPIPE
