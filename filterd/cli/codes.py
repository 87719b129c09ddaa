"""Exit codes. An error is one sentence on standard error, also where JSON was asked for."""

import signal
from typing import Final

# Done; a listing, also an empty one; all messages would be delivered; nothing is unexplained.
GOOD: Final = 0
# What an id names is not there; refused; not yet approved; a message would not be delivered to someone; unexplained.
REFUSED: Final = 1
# An argument, a file that one names, or the configuration.
USAGE: Final = 2
# An engine, the ledger, the MTA, the daemon or standard output; a message could not be inspected.
UNREACHABLE: Final = 3
# As a shell shows a program that Control-C ended.
INTERRUPTED: Final = 128 + signal.SIGINT
# What a shell shows of a program that writes into a pipe which nobody reads any more (`| head`): signal(7).
NOBODY_READS: Final = 128 + signal.SIGPIPE
