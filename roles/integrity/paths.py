"""Where the integrity layer's files stand on a gateway."""

from typing import Final

HOME: Final = "/var/lib/aide"
CONFIG: Final = "/etc/aide/aide.conf"
PROGRAMS: Final = "/usr/local/lib/bastide/integrity"
COMMAND: Final = "/usr/local/sbin/bastide-integrity"
SERVICE: Final = "bastide-integrity.service"
TIMER: Final = "bastide-integrity.timer"
UNITS: Final = "/etc/systemd/system"
# What a baseline is made of; the chain, which names the others by their digests, comes last.
FILES: Final = ("aide.db.gz", "aide.conf", "special", "owners", "chain")
