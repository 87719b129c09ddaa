"""The programs that the lab runs on this machine: which package has each, and one way to run them."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

QEMU = "qemu-system-x86_64"

# program: Debian package that has it
TO_RUN: Mapping[str, str] = {
    "ip": "iproute2",
    "mount": "mount",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "umount": "mount",
}
TO_RUN_MACHINES: Mapping[str, str] = {
    "debugfs": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    QEMU: "qemu-system-x86",
}
TO_BUILD_MACHINES: Mapping[str, str] = {"chroot": "coreutils", "sfdisk": "fdisk"}
TO_BUILD_RPMS: Mapping[str, str] = {
    "chroot": "coreutils",
    "createrepo_c": "createrepo-c",
    "dpkg-deb": "dpkg",
    "rpm": "rpm",
    "rpmbuild": "rpm",
}
TO_BUILD: Mapping[str, str] = {
    "apt-ftparchive": "apt-utils",
    "apt-get": "apt",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}


def require(tools: Mapping[str, str]) -> None:
    """Raise LabError, naming the packages to install, unless this user is root and every program is there."""
    if os.geteuid() != 0:
        raise LabError(
            "the lab makes namespaces and mounts, so it needs root: run the command again with sudo"
        )
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = " ".join(sorted({tools[tool] for tool in missing}))
        raise LabError(f"this machine lacks {', '.join(missing)}: get it with 'apt-get install {packages}'")
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        raise LabError("this kernel has no overlay file system: load it with 'modprobe overlay'")
    if not Path("/proc/sys/net/ipv6").is_dir():
        raise LabError(
            "this kernel has no IPv6: start it without 'ipv6.disable=1', the lab attacks over both"
        )


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it wrote to standard output.

    ``env`` is added to this process's environment. Raises LabError with the last lines it wrote to standard error
    if it fails.
    """
    done = subprocess.run(
        [str(word) for word in argv],
        input=stdin,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "; ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-5:])
        raise LabError(f"'{' '.join(str(word) for word in argv[:6])}' failed with {done.returncode}: {said}")
    return done.stdout


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Run a program whose failure is an answer, not an error, and say whether it succeeded."""
    words = [str(word) for word in argv]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
