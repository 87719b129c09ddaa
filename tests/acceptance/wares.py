"""What tests of updates make newer and break, by the platform's package manager: names, files, and how its books are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from roles.platforms import row
from tests.acceptance.gateway import SETTINGS

Changes = Mapping[str, str]
_BROKEN: Final = "printf '#!/bin/sh\\nexit 1\\n' >$tree"
# Not its rules: Debian 13's package copies them aside when it is first installed, and reads those.
_DEAF: Final = (
    "sed -i '/^sub get_score *{/a return 0;' $tree/usr/share/perl5/Mail/SpamAssassin/PerMsgStatus.pm"
)
_SILENT: Final = "printf '#!/bin/sh\\nexec sleep infinity\\n' >$tree/usr/sbin/clamd"
_LIBRARY: Final = "a broken shared library of filterd's Python"
_NO_ANSWER: Final = "a clamd that never answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wares:
    """One package manager's.

    ``harmless``: a package that may change; ``kept``: how the names of its files begin. ``deaf`` lets spam by. ``mtas``: what breaks
    each MTA, and what of the same source goes with it. ``faults``: of what filters, with the check of the gate that sees each.
    ``books``: a command that names what was installed last; ``offer``: one that names what would be installed of a package, ``audit``:
    one that says what is not whole.
    """

    harmless: str
    kept: str
    deaf: Changes
    mtas: Mapping[str, Changes]
    faults: Mapping[str, tuple[Changes, str]]
    books: str
    offer: str
    audit: str


_BY_MANAGER: Final[Mapping[str, Wares]] = {
    "apt": Wares(
        harmless="libmail-spf-perl",
        kept="libmail-spf-perl_",
        deaf={"spamassassin": _DEAF, "spamd": "true"},
        mtas={
            "postfix": {
                "postfix": f"{_BROKEN}/usr/lib/postfix/sbin/master",
                **dict.fromkeys(("postfix-ldap", "postfix-lmdb", "postfix-pcre"), "true"),
            },
            "sendmail": {
                "sendmail-bin": f"{_BROKEN}/usr/libexec/sendmail/sendmail",
                **dict.fromkeys(("sendmail-base", "sendmail-cf"), "true"),
            },
        },
        faults={
            _LIBRARY: ({"libsqlite3-0": ": >$(readlink -f $tree/usr/lib/*/libsqlite3.so.0)"}, "services: "),
            _NO_ANSWER: (
                {"clamav-daemon": _SILENT, **dict.fromkeys(("clamav-base", "clamdscan"), "true")},
                "databases: ",
            ),
        },
        books="tail -n 20 /var/log/apt/history.log",
        offer="apt-cache policy {} | grep Candidate",
        audit="dpkg --audit",
    ),
    "dnf": Wares(
        harmless="perl-Mail-SPF",
        kept="perl-Mail-SPF-",
        deaf={"spamassassin": _DEAF},
        # Each of the stand-in's packages is of a source of its own: what of EL's goes back with it would stay here.
        mtas={"postfix": {"postfix": f"{_BROKEN}/usr/libexec/postfix/master"}},
        # The stand-in's Python and its libraries are of the image, so that no package of them can be broken and taken back.
        faults={_NO_ANSWER: ({"clamd": _SILENT}, "databases: ")},
        books="dnf -q -C history info last",
        offer="dnf -C --assumeno upgrade {} 2>&1 || true",
        audit="rpmdb --verifydb; dnf -q -C check",
    ),
}
WARES: Final = _BY_MANAGER[row(SETTINGS).manager.name]
