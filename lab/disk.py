"""The disk of a virtual machine: partitions, file systems and a boot loader, made without a mount.

mke2fs(8) fills each file system from a directory, debugfs(8) writes a machine's own files into its copy of the disk.
"""

import hashlib
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lab.errors import LabError
from lab.files import HostFile, write_file
from lab.image import MACHINE, key_of, rootfs_of
from lab.state import cache_root
from lab.tools import run

# Raise it when the way a disk is made changes, so that old ones are not used.
RECIPE = 2
SECTOR = 512
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition: its label, where its file system is mounted (nowhere: the boot loader's), and its size in MiB."""

    label: str
    mount: str
    size: int


# As an administrator lays out a server whose logs and queues must not fill its root; mount options are hardening's
# business. What is not written takes no place.
PARTITIONS = (
    Partition(label="boot-loader", mount="", size=1),
    Partition(label="root", mount="/", size=4096),
    Partition(label="var", mount="/var", size=4096),
    Partition(label="var-log", mount="/var/log", size=1024),
    Partition(label="var-log-audit", mount="/var/log/audit", size=512),
    Partition(label="var-tmp", mount="/var/tmp", size=512),  # noqa: S108 - a place for a file system
    Partition(label="home", mount="/home", size=256),
)
MIRROR_LABEL = "mirror"
_LOADER, _ROOT = PARTITIONS[:2]

# Both GRUB (2.06) and the checker of the machine's own distribution must know every feature.
_FEATURES = "^metadata_csum_seed,^orphan_file"
# Types of partitions (UEFI 2.10 table 5.7, GRUB's manual "BIOS installation").
_GPT_TYPE = {True: "linux", False: "21686148-6449-6E6F-744E-656564454649"}

_GRUB_FOLDER = "/boot/grub/i386-pc"
_GRUB_MODULES = ("biosdisk", "part_gpt", "ext2")
# The first menu; update-grub on the machine writes another from /etc/default/grub, with the same console.
_GRUB_MENU = """\
set timeout=0
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
menuentry "Debian GNU/Linux" {
  linux /vmlinuz root=LABEL=root ro console=ttyS0
  initrd /initrd.img
}
"""
_GRUB_DEFAULTS = """\
GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=ttyS0"
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_TIMEOUT=0
GRUB_DISABLE_OS_PROBER=true
"""


def first_byte(partition: Partition) -> int:
    """Return where on the disk the partition begins: after the partition table's own mebibyte and those before it."""
    before = PARTITIONS[: PARTITIONS.index(partition)]
    return (1 + sum(each.size for each in before)) * MIB


def size() -> int:
    """Return the disk's size in bytes; the second copy of the partition table has the last mebibyte."""
    return first_byte(PARTITIONS[-1]) + (PARTITIONS[-1].size + 1) * MIB


def partition_of(path: str) -> Partition:
    """Return the partition that holds a file of the machine: the one mounted nearest above it."""
    above = [each for each in PARTITIONS if each.mount and Path(path).is_relative_to(each.mount)]
    return max(above, key=lambda each: len(Path(each.mount).parts))


def place() -> Path:
    """Return the folder of the disk in the cache; it is there only when the disk is complete."""
    inputs = [RECIPE, key_of(MACHINE), PARTITIONS, _FEATURES, _GRUB_MENU, _GRUB_DEFAULTS, _GRUB_MODULES]
    return cache_root() / "disks" / hashlib.sha256(msgspec.json.encode(inputs)).hexdigest()[:16]


def build() -> Path:
    """Make the disk if it is not in the cache and return its file. Takes some seconds.

    The caller holds the cache lock and has built the machine's image. Raises LabError.
    """
    target = place()
    if target.exists():
        return target / "disk"
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        (work / "made").mkdir()
        # Links instead of copies: nothing below writes into a file that the image has.
        run(["cp", "--archive", "--link", rootfs_of(MACHINE), work / "tree"])
        _finish(work / "tree")
        _fill(work, work / "made" / "disk")
        (work / "made").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target / "disk"


def copy(target: Path, files: Iterable[HostFile]) -> None:
    """Make one machine's disk: a copy of the cached one with the machine's own files. Raises LabError."""
    run(["cp", "--sparse=always", "--reflink=auto", place() / "disk", target])
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for partition, lines in _orders(Path(scratch), files).items():
            orders = Path(scratch, "orders")
            orders.write_text(lines)
            _debug(f"{target}?offset={first_byte(partition)}", orders)


def make_mirror(target: Path, mirror: Path) -> None:
    """Make a disk that is one file system with all packages of the mirror. Raises LabError."""
    content = sum(path.stat().st_size for path in mirror.iterdir())
    run(
        [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-L",
            MIRROR_LABEL,
            "-d",
            mirror,
            target,
            f"{content // MIB * 5 // 4 + 16}M",
        ]
    )


def table() -> str:
    """Return the partition table as sfdisk(8) reads it."""
    lines = ["label: gpt", f"sector-size: {SECTOR}"]
    lines += [
        f"start={first_byte(each) // SECTOR}, size={each.size * MIB // SECTOR},"
        f" type={_GPT_TYPE[bool(each.mount)]}, name={each.label}"
        for each in PARTITIONS
    ]
    return "\n".join([*lines, ""])


def mounts() -> str:
    """Return the machine's fstab(5)."""
    lines = [
        f"LABEL={each.label}\t{each.mount}\text4\tdefaults\t0 {1 if each is _ROOT else 2}"
        for each in PARTITIONS
        if each.mount
    ]
    lines.append(f"LABEL={MIRROR_LABEL}\t/srv/mirror\text4\tro,nosuid,nodev,noexec\t0 0")
    return "\n".join([*lines, ""])


def boot_sectors(first_stage: bytes, second_stage: bytes) -> tuple[bytes, bytes]:
    """Return GRUB's boot.img and core.img such that each finds what follows it on the disk, as grub-bios-setup does.

    boot.S of GRUB: byte 0x5c holds the sector of core.img; diskboot.S: the last 12 bytes of core.img's first sector
    hold where the rest is. The partition table lies over boot.img's bytes from 0x1b8 on.
    """
    sector = first_byte(_LOADER) // SECTOR
    if len(second_stage) > _LOADER.size * MIB:
        raise LabError(
            f"GRUB's core image has {len(second_stage)} bytes: raise the size of its partition in lab/disk.py"
        )
    first = bytearray(first_stage[:SECTOR])
    struct.pack_into("<Q", first, 0x5C, sector)
    second = bytearray(second_stage)
    struct.pack_into("<Q", second, SECTOR - 12, sector + 1)
    return bytes(first[:0x1B8]), bytes(second)


def _finish(tree: Path) -> None:
    """Turn the image into a root file system that boots: mounts, boot loader, network."""
    for path, content in (("/etc/fstab", mounts()), ("/etc/default/grub.d/lab.cfg", _GRUB_DEFAULTS)):
        write_file(tree, HostFile(path=path, content=content.encode()))
    # As grub-mkconfig leaves it, for it may hold a password's hash.
    write_file(tree, HostFile(path="/boot/grub/grub.cfg", content=_GRUB_MENU.encode(), mode=0o600))
    shutil.copytree(tree / "usr/lib/grub/i386-pc", tree / _GRUB_FOLDER[1:])
    root = PARTITIONS.index(_ROOT) + 1
    core = f"{_GRUB_FOLDER}/core.img"
    words = ["grub-mkimage", "--format=i386-pc", f"--prefix=(,gpt{root})/boot/grub", f"--output={core}"]
    run(["chroot", tree, *words, *_GRUB_MODULES])
    run(["chroot", tree, "systemctl", "--quiet", "enable", "systemd-networkd.service"])
    for partition in PARTITIONS:
        (tree / partition.mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
    (tree / "srv/mirror").mkdir()


def _fill(work: Path, disk: Path) -> None:
    """Write partition table, boot loader and file systems from ``work/tree`` onto a new disk."""
    tree = work / "tree"
    with disk.open("wb") as file:
        file.truncate(size())
    run(["sfdisk", "--quiet", disk], stdin=table())
    grub = tree / _GRUB_FOLDER[1:]
    first, second = boot_sectors((grub / "boot.img").read_bytes(), (grub / "core.img").read_bytes())
    with disk.open("r+b") as file:
        file.write(first)
        file.seek(first_byte(_LOADER))
        file.write(second)
    # The innermost first: what it holds is taken out of the tree of the one around it.
    for number, partition in enumerate(sorted(PARTITIONS[1:], key=lambda each: each.mount, reverse=True)):
        content = tree
        if partition is not _ROOT:
            content = work / f"tree{number}"
            mounted = tree / partition.mount.lstrip("/")
            mode = mounted.stat().st_mode & 0o7777
            mounted.rename(content)
            mounted.mkdir()
            mounted.chmod(mode)
        words: list[str | Path] = [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-O",
            _FEATURES,
            "-L",
            partition.label,
            "-d",
            content,
        ]
        run([*words, "-E", f"offset={first_byte(partition)},nodiscard", disk, f"{partition.size}M"])
        # Its own root directory gets no mode from what mke2fs fills it with.
        mode = content.stat().st_mode & 0o7777
        run(
            [
                "debugfs",
                "-w",
                "-R",
                f"set_inode_field <2> mode 04{mode:04o}",
                f"{disk}?offset={first_byte(partition)}",
            ]
        )


def _orders(scratch: Path, files: Iterable[HostFile]) -> dict[Partition, str]:
    """Return what debugfs is to do in each partition; contents are kept in the scratch folder until then."""
    orders: dict[Partition, list[str]] = {}
    for number, file in enumerate(files):
        source = scratch / str(number)
        source.write_bytes(file.content)
        partition = partition_of(file.path)
        inside = Path("/", Path(file.path).relative_to(partition.mount))
        orders.setdefault(partition, []).extend(_write(file, inside, source))
    return {partition: "\n".join([*lines, ""]) for partition, lines in orders.items()}


def _write(file: HostFile, path: Path, source: Path) -> Iterator[str]:
    yield from (f"mkdir {folder}" for folder in reversed(path.parents[:-1]))
    yield f"rm {path}"
    if file.link_to is not None:
        yield f"symlink {path} {file.link_to}"
        return
    yield f"write {source} {path}"
    for field, value in (("mode", f"0{0o100000 | file.mode:o}"), ("uid", "0"), ("gid", "0")):
        yield f"set_inode_field {path} {field} {value}"


# It names itself; it complains of folders that are there already and of files to be replaced that are not.
_EXPECTED = (
    "debugfs 1",
    "ext2fs_mkdir: Ext2 directory already",
    "mkdir: Ext2 directory already",
    "rm: File not found",
)


def _debug(file_system: str, orders: Path) -> None:
    """Carry out debugfs's orders. Its exit code tells little, so whatever unexpected it says is an error."""
    done = subprocess.run(
        ["debugfs", "-w", "-f", str(orders), file_system],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith(_EXPECTED)]
    if wrong:
        raise LabError(f"debugfs could not write a machine's files to {file_system}: {'; '.join(wrong[:5])}")
