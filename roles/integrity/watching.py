"""What is watched and what is not, each with its reason; the engine's configuration and docs/integrity.md are drawn from it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roles.integrity.settings import Integrity


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory or file (a regular expression of the engine's, without anchors), and why it is watched or not.

    ``inside``: a directory, all below it counts as well. ``files``: of what the expression names, files alone.
    """

    path: str
    why: str
    inside: bool = True


WATCHED: Final = (
    Place(path="/boot", why="what starts before everything else"),
    Place(path="/etc", why="configuration, units, accounts, jobs, trusted authorities"),
    Place(path="/opt", why="filterd's releases, and software of others"),
    Place(path="/root", why="root's keys and what its shell reads"),
    Place(path="/usr", why="programs and libraries; /bin, /sbin and /lib are links to it"),
    Place(path="/var/lib/dpkg/info", why="by these lists and checksums a package explains a change"),
    Place(path="/var/spool/cron", why="jobs of users"),
    Place(path="/(home|srv|var/lib)/[^/]+/\\.ssh", why="who may log in as whom, daemons' homes included"),
    Place(path="/home/[^/]+/\\.config/systemd/user", why="units that run when somebody logs in"),
    Place(
        path="/home/[^/]+/\\.(profile|bash_profile|bash_login|bashrc|bash_logout|zshenv|zshrc|forward|pam_environment|rhosts|shosts)",
        why="what runs when somebody logs in, or gets mail",
        inside=False,
    ),
)
LEFT_OUT: Final = (
    Place(path="/etc/adjtime", why="the clock's own book, written at each stop", inside=False),
    Place(
        path="/root/\\.(bash_history|lesshst|viminfo|python_history|wget-hsts)",
        why="what people typed and looked at",
        inside=False,
    ),
    Place(path="/root/\\.(cache|ansible|gnupg/S\\.[^/]*)", why="of passing sessions"),
)
# What the expressions above do not name in the first place.
ELSEWHERE: Final = (
    Place(
        path="/var/log", why="logs grow; the kernel's audit and the copy of the log on another host keep them"
    ),
    Place(path="/var/spool", why="queues"),
    Place(
        path="/var/lib",
        why="databases of daemons: signatures, rules of SpamAssassin's updates, the ledger, the resolver's anchor",
    ),
    Place(path="/var/cache", why="made anew from elsewhere"),
    Place(path="/run, /tmp, /var/tmp, /dev, /proc, /sys", why="made anew at each start, or for passing use"),
    Place(path="/home, /srv, /mnt, /media", why="people's own"),
)


def lines(settings: Integrity) -> Iterator[str]:
    """Give the rules of aide.conf(5); what is left out comes first, for the first rule that matches counts."""
    for place in LEFT_OUT:
        yield f"# {place.why}"
        yield f"!{_spelt(place.path)}(/|$)" if place.inside else f"!{_spelt(place.path)}$"
    for path, why in settings.leave_out.items():
        yield f"# {why}"
        yield f"!{_spelt(re.escape(path))}(/|$)"
    own = tuple(Place(path=re.escape(path), why="named in `integrity.watch`") for path in settings.watch)
    for place in (*WATCHED, *own):
        yield f"# {place.why}"
        yield f"{_spelt(place.path)}$ d OwnerMode"
        yield f"{_spelt(place.path)}$ InodeData"
        if place.inside:
            yield f"{_spelt(place.path)}/ d OwnerMode"
            yield f"{_spelt(place.path)}/ InodeData"


def _spelt(path: str) -> str:
    """Return an expression without what re.escape(3) escapes and PCRE need not have escaped."""
    return path.replace("\\-", "-")
