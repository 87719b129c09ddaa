"""The boot menu with a password: what grub-mkconfig(8) makes of Debian 12 with two kernels starts unattended, recovery does not.

grub/10_linux.out is what Debian 12's own script printed there, of each entry the lines that say what it is and starts.
"""

import subprocess
from pathlib import Path

import pytest

from roles.hardening.defences import DEFENCES
from roles.hardening.files import files
from roles.hardening.paths import GRUB_ENTRIES, GRUB_USERS, GRUB_WRAPPED
from roles.kinds import HostState
from roles.platforms import DEBIAN_12
from tests.unit.roles.examples import gateway

HASH = f"grub.pbkdf2.sha512.10000.{'A' * 128}.{'B' * 128}"
GATEWAY = gateway(hardening={"grub_password": HASH}, hardening_level="moderate")
PRINTED = (Path(__file__).parent / "grub/10_linux.out").read_text()
TITLES = ("menuentry ", "submenu ")


def script(path: str, directory: Path) -> str:
    """Return what one of our scripts in /etc/grub.d prints when the distribution's prints that."""
    (wrapped := directory / "10_linux").write_text(f"cat <<'END'\n{PRINTED}END\n")
    (ours := directory / "ours").write_text(
        next(each.content for each in files(GATEWAY, DEBIAN_12) if each.path == path).replace(
            GRUB_WRAPPED, str(wrapped)
        )
    )
    return subprocess.run(["sh", str(ours)], capture_output=True, text=True, check=True).stdout


def asked(menu: str, directory: Path) -> list[str]:
    """Return what the record's question says of a menu."""
    record = next(each for each in DEFENCES if each.id == "hardening.grub-password")
    (state,) = (each for each in record.sets if isinstance(each, HostState))
    (file := directory / "grub.cfg").write_text(menu)
    question = state.question(GATEWAY).replace("/boot/grub/grub.cfg", str(file))
    return subprocess.run(
        ["sh", "-c", question], capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.fixture
def menu(tmp_path: Path) -> str:
    return script(GRUB_USERS, tmp_path) + script(GRUB_ENTRIES, tmp_path)


def test_every_kernel_and_the_way_to_it_start_without_the_password(menu: str) -> None:
    titles = [line.strip() for line in menu.splitlines() if line.strip().startswith(TITLES)]
    free = [line for line in titles if line.endswith(" --unrestricted {")]
    assert len(titles) == 6
    # The first entry, the submenu, and in it each of two kernels: `set default="1>2"` is the second of these.
    assert [line.partition(" ")[0] for line in free] == ["menuentry", "submenu", "menuentry", "menuentry"]
    assert all("-recovery-" in line for line in titles if line not in free)
    assert menu.replace(" --unrestricted {", " {").endswith(PRINTED)


def test_the_question_finds_the_menu_as_it_has_to_be(menu: str, tmp_path: Path) -> None:
    assert asked(menu, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('set superusers="root"', "", "no password"),
        ("password_pbkdf2 root", "# password_pbkdf2 root", "no password"),
        ("submenu ", "# submenu ", ""),
        ("' {\n\t\tlinux", "' --unrestricted {\n\t\tlinux", "-recovery-"),
        ("gnulinux-advanced-uuid' --unrestricted", "gnulinux-advanced-uuid'", "submenu "),
        ("56-cloud-amd64-advanced-uuid' --unrestricted", "56-cloud-amd64-advanced-uuid'", "\tmenuentry "),
        ("menuentry", "entry", "no entries"),
    ],
)
def test_the_question_finds_what_is_not_so(menu: str, tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in menu
    found = asked(menu.replace(old, new), tmp_path)
    assert any(said in line for line in found) if said else found == []
