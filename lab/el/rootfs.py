"""The root file system of EL-shaped gateways: an image of Debian's with rpm and dnf, turned into one that is EL's to look at."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from glob import glob
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from lab.el import repository
from lab.el.spec import RELEASE
from lab.files import HostFile, write_file
from lab.image import Image, key_of, rootfs_of
from lab.state import cache_root
from lab.tools import run, succeeds

# Raise it when `_finish` changes, so that old ones are not used.
RECIPE = 5
# Where Debian's own tools go: code that calls them fails as it would on EL.
HIDDEN: Final = "usr/lib/el-lab"
TOOLS: Final = (
    *(
        "usr/bin/apt*",
        "usr/bin/dpkg*",
        "usr/sbin/dpkg*",
        "usr/bin/update-alternatives",
        "usr/bin/deb*",
        "usr/bin/ucf*",
    ),
    *("usr/sbin/add*user", "usr/sbin/add*group", "usr/sbin/del*user", "usr/sbin/del*group"),
    *("usr/sbin/update-rc.d", "usr/sbin/invoke-rc.d", "usr/sbin/service", "usr/sbin/update-passwd"),
)
GONE: Final = (
    *(
        "etc/debian_version",
        "etc/lsb-release",
        "etc/issue.net",
        "etc/dnf/plugins/local.conf",
        "etc/dnf/automatic.conf",
    ),
    *(
        "etc/yum.repos.d/*",
        "etc/init.d",
        "etc/rc?.d",
        "etc/apt",
        "var/lib/apt",
        "var/cache/apt",
        "var/lib/rpm",
        "root/.rpmdb",
    ),
    *(
        "usr/lib/systemd/system/apt-daily*",
        "usr/lib/systemd/system/dpkg-db-backup*",
        "usr/lib/systemd/system/ssh.socket",
    ),
    *(
        "etc/systemd/system/sshd.service",
        "etc/systemd/system/*.wants/ssh.service",
        "usr/lib/systemd/system-preset/*debian*",
    ),
    *("etc/systemd/system/timers.target.wants/apt*", "etc/systemd/system/timers.target.wants/dpkg*"),
)
FILES: Final[Mapping[str, str]] = {
    # Debian's rpm keeps its database in the home of who calls it.
    "/etc/rpm/macros": "%_dbpath /var/lib/rpm\n%_db_backend sqlite\n%rhel 9\n%dist .el9lab\n%_unitdir /usr/lib/systemd/system\n",
    "/etc/dnf/dnf.conf": "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\n"
    "skip_if_unavailable=False\n",
    "/etc/yum.repos.d/lab.repo": "[lab]\nname=The lab's packages\nbaseurl=file:///srv/mirror\nenabled=1\ngpgcheck=0\n",
    "/usr/lib/os-release": """\
NAME="Rocky Linux"
VERSION="9.6 (EL lab stand-in)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="EL-shaped stand-in of the lab, Debian's programs"
VARIANT_ID=el-lab
""",
    "/etc/rocky-release": "Rocky Linux release 9.6 (EL lab stand-in)\n",
    "/etc/issue": "\\S\nKernel \\r on an \\m\n",
    "/etc/sudoers.d/wheel": "%wheel ALL=(ALL) ALL\n",
    "/etc/sysconfig/network": "NETWORKING=yes\n",
    "/etc/sysconfig/sshd": "OPTIONS=\n",
    "/etc/aliases": "postmaster: root\nmailer-daemon: postmaster\n",
    "/usr/lib/systemd/system-preset/90-default.preset": "".join(
        f"enable {unit}\n"
        for unit in (
            "sshd.service",
            "crond.service",
            "chronyd.service",
            "rsyslog.service",
            "auditd.service",
            "logrotate.timer",
        )
    ),
    "/usr/lib/systemd/system-preset/99-default-disable.preset": "disable *\n",
}
PROGRAMS: Final[Mapping[str, str]] = {
    # chkconfig's alternatives takes two options that Debian's does not know.
    "/usr/sbin/alternatives": """\
#!/bin/bash
words=()
while (($#)); do
  case $1 in --initscript|--family) shift 2 ;; *) words+=("$1"); shift ;; esac
done
exec /usr/lib/el-lab/update-alternatives "${words[@]}"
""",
    "/usr/sbin/service": '#!/bin/sh\nexec systemctl "$2" "$1"\n',
}
LINKS: Final[Mapping[str, str]] = {
    "/etc/os-release": "../usr/lib/os-release",
    "/etc/redhat-release": "rocky-release",
    "/etc/system-release": "rocky-release",
    "/etc/pki/tls/certs/ca-bundle.crt": "/etc/ssl/certs/ca-certificates.crt",
    "/usr/bin/sh": "bash",
    "/usr/bin/yum": "dnf",
    "/usr/sbin/update-alternatives": "alternatives",
}


def place(image: Image) -> Path:
    """Return the folder of the root file system in the cache; it is there only when it is complete."""
    inputs = [RECIPE, key_of(image), repository.place(image).name, TOOLS, GONE, FILES, PROGRAMS, LINKS]
    return cache_root() / "images" / f"el-{sha256(msgspec.json.encode(inputs)).hexdigest()[:16]}"


def build(image: Image) -> Path:
    """Make the root file system if it is not in the cache and return it. Takes some seconds.

    The caller holds the cache lock and has built the image and the repository. Raises LabError.
    """
    target = place(image)
    if target.exists():
        return target / "rootfs"
    fresh = Path(tempfile.mkdtemp(prefix=".el-", dir=target.parent))
    fresh.chmod(0o755)
    try:
        run(["cp", "--archive", "--reflink=auto", rootfs_of(image), fresh / "rootfs"])
        _finish(fresh / "rootfs", repository.place(image))
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target / "rootfs"


def _finish(tree: Path, packages: Path) -> None:
    """Turn Debian's root file system into EL's to look at, and write down the packages that it is said to have."""
    hidden = tree / HIDDEN
    hidden.mkdir()
    for tool in _named(tree, TOOLS):
        tool.rename(hidden / tool.name)
    (tree / "var/lib/dpkg").rename(hidden / "dpkg-books")
    for path in _named(tree, GONE):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    unit = tree / "usr/lib/systemd/system"
    text = (unit / "ssh.service").read_text().replace("/etc/default/ssh", "/etc/sysconfig/sshd")
    lines = [line for line in text.splitlines() if not line.startswith("Alias=")]
    (unit / "ssh.service").unlink()
    (unit / "sshd.service").write_text("\n".join([*lines, ""]).replace("$SSHD_OPTS", "$OPTIONS"))
    for name, content in FILES.items():
        write_file(
            tree, HostFile(path=name, content=content.encode(), mode=0o440 if "sudoers" in name else 0o644)
        )
    for name, content in PROGRAMS.items():
        write_file(tree, HostFile(path=name, content=content.encode(), mode=0o755))
    for name, there in LINKS.items():
        write_file(tree, HostFile(path=name, link_to=there))
    # update-alternatives keeps its books there.
    for folder in ("var/lib/dpkg/alternatives", "var/lib/rpm", "etc/pki/tls/private"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    # Debian gives that number to uucp, which EL has not.
    run(["chroot", tree, "userdel", "uucp"])
    run(["chroot", tree, "groupadd", "--gid", "10", "wheel"])
    # EL's sshd names no release of the distribution's, and its password files are for root's rights alone.
    config = tree / "etc/ssh/sshd_config"
    config.write_text(f"{config.read_text()}DebianBanner no\n")
    for name in ("shadow", "gshadow"):
        run(["chown", "root:root", tree / "etc" / name])
        (tree / "etc" / name).chmod(0)
    # It fails for units that are masked, and presets the others all the same.
    succeeds(["chroot", tree, "systemctl", "preset-all"])
    # EL's own presets leave that one alone.
    (tree / "etc/systemd/system/ctrl-alt-del.target").unlink(missing_ok=True)
    _packages_known(tree, packages)


def _named(tree: Path, patterns: Iterable[str]) -> list[Path]:
    """Return what is there by the patterns, also links that lead nowhere on this machine, which Path.glob passes over."""
    return [tree / name for pattern in patterns for name in glob(pattern, root_dir=tree)]  # noqa: PTH207 - see above


def _packages_known(tree: Path, packages: Path) -> None:
    """Write the packages without files into the tree's database of packages."""
    known = [*sorted(packages.glob(f"*-0.lab-{RELEASE}.*.rpm")), *packages.glob("rocky-release-*.rpm")]
    words = [
        "rpm",
        f"--root={os.fspath(tree)}",
        "--define",
        "_dbpath /var/lib/rpm",
        "--define",
        "_db_backend sqlite",
    ]
    run([*words, "--initdb"])
    run([*words, "--install", "--justdb", "--nodeps", "--noscripts", *known])
