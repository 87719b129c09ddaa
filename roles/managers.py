"""Package managers: what each is asked and told, as shell text; a platform has one (roles/platforms.py)."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from typing_extensions import override


class Manager(Protocol):
    """What roles want of a package manager. Names are of packages; what is returned is shell text for root."""

    @property
    def name(self) -> str:
        """What it is called, and the ending of its part of roles/history."""

    def missing(self, names: Sequence[str]) -> str:
        """Return the question which of some packages are not installed, a name a line, and what a dead run has left."""

    def installed(self, names: Sequence[str]) -> str:
        """Return the script that installs packages without their recommendations, and starts nothing that they bring."""

    def fetched(self, names: Sequence[str]) -> str:
        """Return the script that brings what `installed` would unpack, and installs nothing."""

    def has(self, package: str) -> str:
        """Return the command that succeeds where a package is installed."""

    def there(self, names: Sequence[str], but: Sequence[str] = ()) -> str:
        """Return the question which packages of some names are installed, a name a line, without some; both may be patterns (glob(7))."""

    def removed(self, question: str) -> str:
        """Return the script that removes the packages that a question names, and none that another one needs."""

    def hindered(self, question: str) -> str:
        """Return the question why packages that a question names cannot be removed: a line each, the package and what needs it.

        ``-`` stands for the system itself. Nothing is changed.
        """

    def owner(self, path: str) -> str:
        """Return the command that prints the name of the package which brought a file, words of the shell, or nothing."""

    def left_behind(self) -> str:
        """Return the question of which removed packages something is left, in one line."""

    def upgrades(self) -> str:
        """Return the question how many upgrades wait, by what is known already; an answer that is no number says why."""

    def modes_kept(self, paths: str) -> str:
        """Return the question which of some paths, words of the shell, keep their mode through upgrades as far as they can."""

    def mode_kept(self, path: str, mode: str, group: str = "root") -> str:
        """Return the script that gives a file of root's its mode; where the manager can, for its package's upgrades too."""


def _quoted(names: Sequence[str]) -> str:
    return " ".join(shlex.quote(name) for name in names)


def _without(names: Sequence[str]) -> str:
    """Return the end of a pipe that leaves some packages out; a name may bear its architecture."""
    if not names:
        return ""
    return f' | while read -r p; do case ${{p%%:*}} in {" | ".join(names)}) ;; *) echo "$p" ;; esac; done'


_POLICY: Final = "/usr/sbin/policy-rc.d"


def _from_archive(names: Sequence[str], *options: str) -> str:
    """Return the script that has apt-get(8) install packages, by lists that are an hour old at most."""
    told = " ".join((*options, "install", _quoted(names)))
    # A script that goes on may call install(1).
    return f"""export DEBIAN_FRONTEND=noninteractive
fresh=$(find /var/cache/apt/pkgcache.bin -mmin -60 2>/dev/null || true)
[ "$fresh" ] || apt-get -q update
brought() {{
  apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold {told}
}}
# Whatever asks apt writes its cache anew, also where the lists were never fetched.
brought || {{ [ "$fresh" ] && apt-get -q update && brought; }} || exit 1"""


@dataclass(frozen=True, slots=True)
class Apt(Manager):
    """Debian's.

    It starts a daemon when its package is configured, with the distribution's own configuration: an MTA would answer
    the internet before it is ours. policy-rc.d forbids that while packages are being installed.
    """

    @property
    @override
    def name(self) -> str:
        return "apt"

    @override
    def missing(self, names: Sequence[str]) -> str:
        return (
            f"for p in {_quoted(names)}; do {self.has('$p')} || echo $p; done; "
            f"if grep -qs bastide {_POLICY}; then echo {_POLICY}; fi"
        )

    @override
    def installed(self, names: Sequence[str]) -> str:
        wanted = [name for name in names if name != _POLICY]
        left = f"rm -f {_POLICY}\n" if _POLICY in names else ""
        if not wanted:
            return left
        return f"""{left}export DEBIAN_FRONTEND=noninteractive
if ! [ -e {_POLICY} ] || grep -q bastide {_POLICY}; then
  printf '#!/bin/sh\\n# bastide: nothing starts while packages are being installed\\nexit 101\\n' >{_POLICY}
  chmod 755 {_POLICY}
  trap 'rm -f {_POLICY}' EXIT
fi
dpkg --configure -a
{_from_archive(wanted)}"""

    @override
    def fetched(self, names: Sequence[str]) -> str:
        return _from_archive(names, "--download-only")

    @override
    def has(self, package: str) -> str:
        return f"dpkg-query -W -f='${{db:Status-Status}}' {package} 2>/dev/null | grep -qx installed"

    @override
    def there(self, names: Sequence[str], but: Sequence[str] = ()) -> str:
        return (
            "dpkg-query --show --showformat='${db:Status-Status} ${binary:Package}\\n' "
            f"{_quoted(names)} 2>/dev/null | sed -n 's/^installed //p' | sort -u{_without(but)} || true"
        )

    @override
    def removed(self, question: str) -> str:
        # dpkg(1) removes no package that another one needs, where apt would take that one along.
        return f'p=$({question})\n[ -z "$p" ] || dpkg --remove $p'

    @override
    def hindered(self, question: str) -> str:
        return (
            f'p=$({question}); [ -n "$p" ] || exit 0; LC_ALL=C dpkg --simulate --remove $p 2>&1 | awk \''
            '/prevent removal of/ { p = $NF; sub(/:$/, "", p) } /^ [^ ]+ (pre-)?depends on / { sub(/:.*/, "", $1); print p " " $1 } '
            '/error processing package/ { p = $5 } /essential package|protected package/ { print p " -" }\' | sort -u'
        )

    @override
    def owner(self, path: str) -> str:
        return f"dpkg-query --search {path} 2>/dev/null | sed -n '1s/[,:].*//p'"

    @override
    def left_behind(self) -> str:
        return "dpkg-query --show --showformat='${db:Status-Abbrev}${Package}\\n' | sed -n 's/^rc *//p' | tr '\\n' ' '"

    @override
    def upgrades(self) -> str:
        # Without its caches: as root apt writes them even when it only simulates, and who looks at their age, a deploy
        # for one, takes lists for fresh that never came.
        return (
            "ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || { echo 'no list of packages was ever fetched'; exit 0; }; "
            "found=$(apt-get --simulate --quiet -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= upgrade) || exit 1; "
            "printf '%s\\n' \"$found\" | grep -c '^Inst' || true"
        )

    @override
    def modes_kept(self, paths: str) -> str:
        # An override stands before its package is there, and holds when it comes.
        del paths
        return "dpkg-statoverride --list | awk '{ print $4 }'"

    @override
    def mode_kept(self, path: str, mode: str, group: str = "root") -> str:
        # By an override, so that an upgrade of its package does not widen it again.
        return (
            f"dpkg-statoverride --remove {path} >/dev/null 2>&1 || true; "
            f"dpkg-statoverride --update --add root {group} {mode} {path}"
        )


def _from_repositories(names: Sequence[str], *options: str) -> str:
    """Return the script that has dnf(8) install packages."""
    told = " ".join(("--setopt=install_weak_deps=False", *options))
    return f"""brought() {{ dnf -q -y {told} "$@" install {_quoted(names)}; }}
# What it knows of the repositories may be two days old.
brought || said=$(brought --refresh 2>&1) || {{
  echo "$said" >&2
  case $said in *'No match for argument'*)
    echo 'enable EPEL and CRB: `dnf install epel-release`, `dnf config-manager --set-enabled crb`' >&2 ;;
  esac
  exit 1
}}"""


@dataclass(frozen=True, slots=True)
class Dnf(Manager):
    """EL's. It starts nothing; a preset may enable a unit. RPM keeps no modes: an upgrade's are put right by the next deploy."""

    @property
    @override
    def name(self) -> str:
        return "dnf"

    @override
    def missing(self, names: Sequence[str]) -> str:
        return f"for p in {_quoted(names)}; do {self.has('$p')} || echo $p; done"

    @override
    def installed(self, names: Sequence[str]) -> str:
        return _from_repositories(names)

    @override
    def fetched(self, names: Sequence[str]) -> str:
        return _from_repositories(names, "--downloadonly")

    @override
    def has(self, package: str) -> str:
        # By what it provides: a name may be another package's by now.
        return f"rpm -q --quiet --whatprovides {package} >/dev/null 2>&1"

    @override
    def there(self, names: Sequence[str], but: Sequence[str] = ()) -> str:
        return f"rpm -qa --queryformat '%{{NAME}}\\n' {_quoted(names)} 2>/dev/null | sort -u{_without(but)} || true"

    @override
    def removed(self, question: str) -> str:
        return f'p=$({question})\n[ -z "$p" ] || rpm --erase $p'

    @override
    def hindered(self, question: str) -> str:
        # It names what a package is needed for, which may be a file or a library of it.
        return (
            f'p=$({question}); [ -n "$p" ] || exit 0; LC_ALL=C rpm --erase --test $p 2>&1 | '
            "awk '/ is needed by / { print $1 \" \" $NF }' | sort -u"
        )

    @override
    def owner(self, path: str) -> str:
        return f"rpm --query --file --queryformat '%{{NAME}}\\n' {path} 2>/dev/null | grep -v ' ' | head -n 1"

    @override
    def left_behind(self) -> str:
        return "find /etc -xdev -name '*.rpmsave' -printf '%p '"

    @override
    def upgrades(self) -> str:
        # dnf(8): 100 is the exit code where some wait; from its cache alone, which it says if it has none.
        return (
            "found=$(dnf -q -C check-update 2>/dev/null); rc=$?; "
            "case $rc in 0 | 100) ;; *) echo 'no list of packages was ever fetched'; exit 0 ;; esac; "
            "printf '%s\\n' \"$found\" | sed '/^Obsoleting/,$d' | grep -c '^[^ ]*\\.[^ ]* ' || true"
        )

    @override
    def modes_kept(self, paths: str) -> str:
        return f"printf '%s\\n' {paths}"

    @override
    def mode_kept(self, path: str, mode: str, group: str = "root") -> str:
        return f"chown root:{group} {path}; chmod {mode} {path}"


APT: Final = Apt()
DNF: Final = Dnf()
