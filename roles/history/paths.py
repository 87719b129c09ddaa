"""Where a host's history stands, and what its layer is called."""

from typing import Final

# Beside no data of ours: those go when a host is reverted, and this is what tells how.
HISTORY: Final = "/var/lib/bastide-history"
# Its operations keep books and change nothing of what the host does: they are not counted among a deploy's changes.
TITLE: Final = "History"
