"""Where a host's history stands, and what its layer is called."""

from typing import Final

# Beside no data of ours: those go when a host is reverted, and this is what tells how.
HISTORY: Final = "/var/lib/bastide-history"
TITLE: Final = "History"
# What of its operations is counted among a deploy's changes and is drift: the programs that record and revert, whoever changed them. The
# others keep books and change nothing of what the host does.
PROGRAMS_WRITTEN: Final = "Write what records the host and takes it back"
