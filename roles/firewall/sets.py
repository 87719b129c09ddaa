"""Sets: what the kernel itself notes down of scanners, and forgets again (ipset(8)). Never part of a compared ruleset."""

from typing import Final

# Bans of sources: IPv6 ones by the /64 that a host has for itself. A full set gives up old members (forceadd).
BANNED: Final = {4: "bastide-banned4", 6: "bastide-banned6"}
# Closed ports that a source has tried within the last minute.
PROBED: Final = {4: "bastide-probed4", 6: "bastide-probed6"}
MEMBERS: Final = 65_536
_FAMILY: Final = {4: "inet", 6: "inet6 netmask 64"}
_PORTS: Final = {4: "inet", 6: "inet6"}

# How each set is made; a ban's own time comes with it, so that no setting changes a set that is there.
SETS: Final = (
    *(f"create {name} hash:ip family {_FAMILY[family]}" for family, name in BANNED.items()),
    *(f"create {name} hash:ip,port family {_PORTS[family]}" for family, name in PROBED.items()),
)


def sets_file() -> str:
    """Return the file that ipset restore(8) reads, here and at boot."""
    return "".join(f"{line} hashsize 1024 maxelem {MEMBERS} timeout 60 forceadd\n" for line in SETS)
