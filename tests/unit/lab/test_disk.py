"""The disk of a virtual machine: its layout, its boot loader's pointers, and a machine's own files in it."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lab import disk
from lab.errors import LabError
from lab.files import HostFile
from lab.tools import run

ROOT = next(each for each in disk.PARTITIONS if each.mount == "/")
LOGS = next(each for each in disk.PARTITIONS if each.mount == "/var/log")


def test_partitions_follow_each_other_within_the_disk() -> None:
    ends = [disk.first_byte(each) + each.size * disk.MIB for each in disk.PARTITIONS]
    assert [disk.first_byte(each) for each in disk.PARTITIONS[1:]] == ends[:-1]
    # A GPT has 34 sectors at either end (UEFI 2.10 5.3).
    assert disk.first_byte(disk.PARTITIONS[0]) >= 34 * disk.SECTOR
    assert ends[-1] <= disk.size() - 34 * disk.SECTOR


def test_the_table_says_where_each_partition_is_and_which_one_is_the_boot_loaders() -> None:
    lines = disk.table().splitlines()
    assert lines[0] == "label: gpt"
    assert lines[2] == "start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=boot-loader"
    assert lines[3] == "start=4096, size=8388608, type=linux, name=root"


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/etc/hostname", "/"),
        ("/variable", "/"),
        ("/var/lib/x", "/var"),
        ("/var/logs/x", "/var"),
        ("/var/log/x", "/var/log"),
        ("/var/log/audit/x", "/var/log/audit"),
    ],
)
def test_a_file_is_in_the_partition_mounted_nearest_above_it(path: str, mount: str) -> None:
    assert disk.partition_of(path).mount == mount


def test_what_is_mounted_is_what_is_partitioned_and_the_mirror_read_only() -> None:
    lines = [line.split("\t") for line in disk.mounts().splitlines()]
    assert {fields[1] for fields in lines} == {each.mount for each in disk.PARTITIONS if each.mount} | {
        "/srv/mirror"
    }
    assert [fields[1] for fields in lines if "ro" in fields[3].split(",")] == ["/srv/mirror"]
    # The root file system is checked first, and alone (fstab(5)).
    assert [fields[1] for fields in lines if fields[4] == "0 1"] == ["/"]


def test_the_boot_loader_finds_its_second_stage() -> None:
    first, second = disk.boot_sectors(bytes(512), b"\xaa" * 1000)
    start = disk.first_byte(disk.PARTITIONS[0]) // disk.SECTOR
    assert len(first) == 0x1B8  # the partition table's bytes stay as they are
    assert struct.unpack_from("<Q", first, 0x5C)[0] == start
    assert struct.unpack_from("<Q", second, 500)[0] == start + 1
    assert second[508:] == b"\xaa" * 492  # length and segment are grub-mkimage's


def test_a_boot_loader_that_has_no_room_is_refused() -> None:
    with pytest.raises(LabError, match="raise the size"):
        disk.boot_sectors(bytes(512), bytes(disk.MIB + 1))


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for machines, with a small disk in the cache that has two of the file systems."""
    if shutil.which("debugfs") is None:
        pytest.skip("this machine lacks debugfs: get it with 'apt-get install e2fsprogs'")
    monkeypatch.setenv("BASTIDE_LAB_CACHE", str(tmp_path / "cache"))
    content = tmp_path / "content"
    (content / "etc").mkdir(parents=True)
    (content / "etc/hostname").write_text("debian\n")
    disk.place().mkdir(parents=True)
    image = disk.place() / "disk"
    image.touch()
    os.truncate(image, disk.size())
    for partition in (ROOT, LOGS):
        words: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-O", disk._FEATURES, "-d", content]
        run([*words, "-E", f"offset={disk.first_byte(partition)},nodiscard", image, "8M"])
    return tmp_path


def on(image: Path, partition: disk.Partition, order: str) -> str:
    where = f"{image}?offset={disk.first_byte(partition)}"
    return subprocess.run(["debugfs", "-R", order, where], capture_output=True, text=True, check=True).stdout


def test_a_machines_files_are_in_its_copy_and_not_in_the_cache(cached: Path) -> None:
    mine = cached / "disk"
    disk.copy(
        mine,
        [
            HostFile(path="/etc/hostname", content=b"mx1\n"),
            HostFile(path="/root/.ssh/authorized_keys", content=b"key\n", mode=0o600),
            HostFile(path="/etc/wants/unit", link_to="/lib/unit"),
            HostFile(path="/var/log/first", content=b"line\n"),
        ],
    )
    assert on(mine, ROOT, "cat /etc/hostname") == "mx1\n"
    assert on(disk.place() / "disk", ROOT, "cat /etc/hostname") == "debian\n"
    key = on(mine, ROOT, "stat /root/.ssh/authorized_keys")
    assert "Mode:  0600" in key
    assert "User:     0   Group:     0" in key
    assert 'Fast link dest: "/lib/unit"' in on(mine, ROOT, "stat /etc/wants/unit")
    assert on(mine, LOGS, "cat /first") == "line\n"


def test_what_cannot_be_written_is_an_error(cached: Path) -> None:
    with pytest.raises(LabError, match="debugfs could not write"):
        disk.copy(cached / "disk", [HostFile(path="/etc/hostname/below", content=b"x")])
