"""A server that others have used: what hardening would take from it, or shut, and may not (issue 6)."""

from collections.abc import Iterator
from typing import Final

import pytest

from lab.plan import LabState
from tests.acceptance.gateway import PLATFORM, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged

# Packages by Debian's own names, each with what it needs and the program that it brings, or none.
PACKAGES: Final = (
    ("binutils", "", "/usr/bin/own-ld"),
    ("gcc-12", "binutils", "/usr/bin/gcc-12"),
    ("nginx", "", ""),
    ("dkms", "gcc-12", ""),
)
_PACKED: Final = """d=$(mktemp -d); mkdir -p $d/DEBIAN $d/usr/bin
printf 'Package: {name}\\nVersion: 1\\nArchitecture: all\\nMaintainer: nobody\\n{depends}Description: one\\n' >$d/DEBIAN/control
[ -z '{program}' ] || {{ printf '#!/bin/sh\\n' >$d{program}; chmod 755 $d{program}; }}
chmod 755 $d; dpkg-deb -b $d $d.deb >/dev/null; dpkg -i $d.deb >/dev/null; rm -rf $d $d.deb"""
MADE: Final = "\n".join(
    _PACKED.format(name=name, depends=f"Depends: {needs}\\n" if needs else "", program=program)
    for name, needs, program in PACKAGES
)
# A chroot of sftp's is root's, and may be a directory of the system's.
LIVING: Final = {"sftp-srv": "/srv", "sftp-all": "/", "sftp-own": "/srv/sftp root"}
ACCOUNTS: Final = "mkdir -p '/srv/sftp root'; " + "; ".join(
    f"useradd --no-create-home --home-dir '{home}' --shell /usr/sbin/nologin {name}"
    for name, home in LIVING.items()
)
GONE: Final = (
    f"for p in {' '.join(name for name, *_ in reversed(PACKAGES))}; do dpkg --purge $p >/dev/null 2>&1 || true; done; "
    f"for u in {' '.join(LIVING)}; do userdel $u 2>/dev/null || true; done; rm -rf '/srv/sftp root'"
)
THERE: Final = f"dpkg-query -W -f='${{db:Status-Abbrev}} ${{Package}}\\n' {' '.join(name for name, *_ in PACKAGES)} 2>/dev/null || true"
MODES: Final = "stat -c '%a %n' / /srv '/srv/sftp root'"

pytestmark = [
    pytest.mark.skipif(not PLATFORM.startswith("debian"), reason="its packages are Debian's"),
    pytest.mark.usefixtures("accepted"),
]


@pytest.fixture(scope="module")
def used(gateway: GatewayHost) -> Iterator[GatewayHost]:
    gateway.run(f"{GONE}; set -e; umask 022\n{MADE}\n{ACCOUNTS}")
    yield gateway
    gateway.run(GONE)


def test_what_another_package_needs_is_refused_before_anything_changes(
    lab: LabState, used: GatewayHost
) -> None:
    before = used.run(f"{THERE}; {MODES}; stat -c %Y /etc/passwd; ls /var/lib/bastide-history/runs")
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert (
        "dkms needs gcc-12; remove what needs them, or name binutils, gcc-12 in the setting `hardening.keep_packages`"
        in said
    )
    assert used.run(f"{THERE}; {MODES}; stat -c %Y /etc/passwd; ls /var/lib/bastide-history/runs") == before


def test_what_nothing_needs_goes_and_nobodys_home_is_shut(lab: LabState, used: GatewayHost) -> None:
    modes = used.run(MODES)
    used.run("dpkg --remove dkms >/dev/null")
    done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr
    assert "ii" not in used.run(THERE)
    assert used.run("ls /usr/bin/gcc-12 2>/dev/null || true") == ""
    assert used.run(MODES) == modes
    unchanged(deploy("apply", INVENTORY, lab=lab.name))


def test_pams_files_that_were_changed_by_hand_are_told_before_anything_changes(
    lab: LabState, gateway: GatewayHost
) -> None:
    """An LDAP's or a second factor's line: pam-auth-update(8) leaves such files alone, and says so to nobody."""
    file = "/etc/pam.d/common-auth"
    change = f"cp -a {file} /root/auth.kept; sed -i 's/^auth.*pam_unix.so/auth sufficient pam_ldap.so\\n&/; /pam_faillock/d' {file}"
    with gateway.altered(change, f"cp -a /root/auth.kept {file}; rm /root/auth.kept"):
        seen = f"sha256sum {file}; ls /var/lib/bastide-history/runs; ls -d /tmp/tmp.* 2>/dev/null || true"
        before = gateway.run(seen)
        done = deploy("apply", INVENTORY, lab=lab.name)
        assert done.returncode != 0
        said = " ".join((done.stdout + done.stderr).split())
        assert "/etc/pam.d/common-* were changed by hand" in said
        assert "`hardening.left_out` name these defences" in said
        assert gateway.run(seen) == before
