"""The EL-shaped stand-in: how Debian's packages become RPMs, and what the table of them must hold to."""

import re

import pytest

from lab.el import rootfs, spec
from lab.el.packages import BASE, PROVIDED, UNITS, Rpm
from lab.el.table import RPMS

POSTFIX = next(rpm for rpm in RPMS if rpm.name == "postfix")


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("3.7.11-0+deb12u1", "3.7.11"),
        ("2:1.8.9-2", "1.8.9"),
        ("1.4.3+dfsg-1~deb12u1", "1.4.3"),
        ("20240203", "20240203"),
        ("4.0.1~rc1-2", "4.0.1~rc1"),
    ],
)
def test_a_version_is_its_upstream_part(debian: str, upstream: str) -> None:
    assert spec.upstream(debian) == upstream


@pytest.mark.parametrize(
    ("debians", "there"),
    [
        ("/usr/lib/postfix/sbin/master", "/usr/libexec/postfix/master"),
        ("/usr/lib/postfix/libpostfix-util.so", "/usr/lib64/postfix/libpostfix-util.so"),
        ("/usr/sbin/sendmail", "/usr/sbin/sendmail.postfix"),
        ("/usr/sbin/sendmails", "/usr/sbin/sendmails"),
        ("/sbin/postfix", "/usr/sbin/postfix"),
        ("/usr/lib/postfix/configure-instance.sh", None),
        ("/lib/systemd/system/postfix@.service", None),
        ("/etc/init.d/postfix", None),
    ],
)
def test_a_file_of_debians_is_where_el_has_it_or_nowhere(debians: str, there: str | None) -> None:
    assert spec.destination(POSTFIX, debians) == there


def test_a_dependency_is_the_first_that_an_rpm_has_unless_the_image_has_one() -> None:
    depends = ["libc6 (>= 2.36), libicu72 | libicu71, debconf (>= 0.5) | cdebconf, adduser", "postfix (= 1)"]
    owner = {"libicu71": "lab-libicu71", "postfix": "postfix", "debconf": "lab-debconf"}
    found = spec.requires(
        Rpm(name="postfix", debs=("postfix",), needs=("more",)), depends, owner, {"libc6", "cdebconf"}
    )
    assert found == ("lab-libicu71", "more")


def test_a_spec_says_modes_configuration_users_and_that_presets_decide() -> None:
    text = spec.text(
        POSTFIX,
        version="3.7.11",
        needs=("lab-libicu72",),
        tree="/tree",
        folders=("/var/spool/postfix/private",),
        files=("/etc/postfix/main.cf", "/usr/sbin/postdrop", "/usr/lib64/postfix/libx.so"),
    )
    assert re.search(r"^Version: 3\.7\.11\nRelease: 1\.el9lab$", text, re.MULTILINE)
    for line in (
        "Epoch: 2",
        "Requires: lab-libicu72",
        '%config(noreplace) "/etc/postfix/main.cf"',
        '%attr(2755,root,postdrop) "/usr/sbin/postdrop"',
        '%attr(0700,postfix,root) %dir "/var/spool/postfix/private"',
        "u postfix 89 - /var/spool/postfix /sbin/nologin",
        "/sbin/ldconfig",
    ):
        assert line in text.splitlines()
    assert "systemctl --no-reload preset postfix.service" in text
    assert "start postfix" not in text.partition("%postun")[0].replace("ExecStart", "")


def test_names_alone_are_packages_without_files() -> None:
    text = spec.names(["bash", "xz"], PROVIDED)
    assert text.count("%files -n ") == 2
    assert "Provides: /bin/sh" in text.splitlines()
    assert "Provides: system-release(releasever) = 9" in text.splitlines()


def test_no_package_is_made_twice_and_each_unit_is_its_packages_own() -> None:
    names = [rpm.name for rpm in RPMS]
    assert len({*names, *BASE}) == len(names) + len(BASE)
    assert all(f"{UNITS}/{unit}" in rpm.files for rpm in RPMS for unit in rpm.units)
    # Of each there is a version: Debian's, or its own.
    assert all(bool(rpm.version) is not bool(rpm.debs) for rpm in RPMS)
    # What is configured is kept at an upgrade, and nobody else's place is taken by a link.
    assert all(not set(rpm.files) & set(rpm.links) for rpm in RPMS)


def test_the_stand_in_says_what_it_is() -> None:
    assert "VARIANT_ID=el-lab" in rootfs.FILES["/usr/lib/os-release"]
    assert "stand-in" in rootfs.FILES["/usr/lib/os-release"]


def test_nothing_starts_by_itself_but_what_el_starts() -> None:
    assert rootfs.FILES["/usr/lib/systemd/system-preset/99-default-disable.preset"] == "disable *\n"
