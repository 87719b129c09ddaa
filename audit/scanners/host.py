"""The host that is scanned: scripts run there as root, and what a scanner needs there for the length of a scan."""

import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from audit.probes.login import Login
from audit.scanners.errors import ScanError
from audit.target import Target

# OpenSCAP takes two minutes for the largest profile on two busy cores; on a machine without hardware to help, ten times that.
SCRIPT_SECONDS: Final = 1800
# root's alone, and gone after the scan. The list in it says what to take away again, also after a scan that was killed.
FOLDER: Final = "/var/lib/bastide-scan"
_ADDED: Final = f"{FOLDER}/packages"


class Scanned:
    """One gateway, with what a scanner needs there."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._login = Login(target)

    def run(self, script: str, *, stdin: bytes = b"") -> str:
        """Run a shell script as root and return its standard output; ScanError says what it said when it failed."""
        try:
            done = self._login.run(script, stdin=stdin, seconds=SCRIPT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ScanError(f"{self.target.name}: no end of a scan within {SCRIPT_SECONDS} s") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-3:] or ["without a word"]
            raise ScanError(f"{self.target.name}: exit code {done.returncode}: {'; '.join(said)}")
        return done.stdout.decode(errors="replace")

    def brought(self, name: str, content: bytes) -> str:
        """Put a file into the scan's folder and return its path there."""
        path = f"{FOLDER}/{name}"
        self.run(f"umask 077; mkdir -p {FOLDER}; cat >{path}", stdin=content)
        return path

    @contextmanager
    def packages(self, names: Sequence[str]) -> Iterator[None]:
        """Have some Debian packages for the length of a block, and none of what came with them after it."""
        self.cleared()
        wanted = " ".join(shlex.quote(name) for name in names)
        get = "apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120"
        try:
            # The list stands before the first package does.
            self.run(
                f"set -e; umask 077; mkdir -p {FOLDER}; export DEBIAN_FRONTEND=noninteractive\n"
                f"apt-get -q update >/dev/null || true\n"
                f"{get} --simulate install {wanted} >{FOLDER}/plan\n"
                f"sed -n 's/^Inst \\([^ ]*\\).*/\\1/p' {FOLDER}/plan >{_ADDED}\n"
                f"umask 022; {get} install {wanted} >{FOLDER}/apt 2>&1 || {{ tail -n 3 {FOLDER}/apt >&2; exit 1; }}"
            )
            yield
        finally:
            self.cleared()

    def cleared(self) -> None:
        """Take away what a scan has put there, also one that was killed."""
        self.run(
            f"export DEBIAN_FRONTEND=noninteractive; set --; for p in $(cat {_ADDED} 2>/dev/null); do "
            "case $(dpkg-query -W -f='${db:Status-Status}' $p 2>/dev/null) in '' | not-installed) ;; "
            '*) set -- "$@" $p ;; esac; done; '
            f'[ $# = 0 ] || dpkg --purge "$@" >/dev/null || exit 1; rm -rf {FOLDER}'
        )
