"""The repository of EL-shaped gateways: RPMs that dnf takes, made of Debian's packages; what lab/mirror.py is for Debian."""

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec

from lab.el import older, spec
from lab.el.packages import BASE, PROVIDED, Rpm
from lab.el.table import RPMS
from lab.image import Image, key_of, rootfs_of
from lab.mirror import download
from lab.state import cache_root
from lab.tools import run

# Raise it when the way a repository is made changes, so that old ones are not used.
RECIPE = 1
# Of Debian's own wiring: what depends on them does not here.
UNUSED = frozenset(
    {"adduser", "cpio", "dns-root-data", "init-system-helpers", "lsb-base", "netbase", "ssl-cert", "ucf"}
)
_FIELDS = ("Package", "Version", "Depends", "Pre-Depends")


@dataclass(frozen=True, slots=True)
class Deb:
    """One of Debian's packages: its file, its version, and what it depends on as its fields say."""

    path: Path
    version: str
    depends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all packages are made with: a folder, the image's files, the debs, which RPM has each, what the image has."""

    work: Path
    rootfs: Path
    debs: Mapping[str, Deb]
    owner: Mapping[str, str]
    base: Collection[str]


def place(image: Image) -> Path:
    """Return the directory of the repository in the cache; it is there only when the repository is complete."""
    inputs = msgspec.json.encode(
        [RECIPE, key_of(image), RPMS, BASE, PROVIDED, spec.RELEASE, older.SUITE, older.DEBS]
    )
    return cache_root() / "mirrors" / f"el-{sha256(inputs).hexdigest()[:16]}"


def build(image: Image) -> Path:
    """Make the repository if it is not in the cache and return its directory. Takes about 25 s.

    The caller holds the cache lock and has built the image. Raises LabError.
    """
    target = place(image)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        download(work, image, [sorted({deb for rpm in RPMS for deb in rpm.debs})])
        older.exchange(work, image)
        debs = dict(_read(path) for path in sorted((work / "mirror").glob("*.deb")))
        rpms = [*RPMS, *_others(debs)]
        owner = {deb: rpm.name for rpm in reversed(rpms) for deb in rpm.debs}
        shop = Workshop(work, rootfs_of(image), debs, owner, _installed(image))
        (work / "made").mkdir()
        _built(work, "rocky-release", spec.names(BASE, PROVIDED))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(partial(_made, shop), rpms))
        run(["createrepo_c", "--quiet", work / "made"])
        (work / "made").chmod(0o755)
        (work / "made").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _others(debs: Collection[str]) -> list[Rpm]:
    """Return the packages that nothing in the table makes, as they are."""
    named = {deb for rpm in RPMS for deb in rpm.debs}
    return [Rpm(name=f"lab-{name}", debs=(name,)) for name in debs if name not in named | UNUSED]


def _read(path: Path) -> tuple[str, Deb]:
    fields = re.sub(r"\n ", " ", run(["dpkg-deb", "--field", path, *_FIELDS]))
    given = dict(line.split(": ", 1) for line in fields.splitlines() if ": " in line)
    depends = tuple(given[name] for name in _FIELDS[2:] if name in given)
    return given["Package"], Deb(path, given["Version"], depends)


def _installed(image: Image) -> frozenset[str]:
    status = (rootfs_of(image) / "var/lib/dpkg/status").read_text()
    return frozenset(re.findall(r"^Package: (\S+)$", status, flags=re.MULTILINE))


def _made(shop: Workshop, rpm: Rpm) -> None:
    """Stage one package's files and have its RPM built."""
    tree = shop.work / "trees" / rpm.name
    tree.mkdir(parents=True)
    for name in rpm.debs:
        _taken(rpm, shop.debs[name].path, tree, shop.work / "unpacked" / rpm.name / name)
    for path, content in rpm.files.items():
        _parent(tree, path).write_text(content)
    for path, link in rpm.links.items():
        _parent(tree, path).symlink_to(link)
    if rpm.users:
        _parent(tree, f"/usr/lib/sysusers.d/{rpm.name}.conf").write_text(rpm.users)
    for path in rpm.folders:
        (tree / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    folders, files = _contents(tree, shop.rootfs, rpm)
    depends = [line for name in rpm.debs for line in shop.debs[name].depends]
    text = spec.text(
        rpm,
        version=rpm.version or spec.upstream(shop.debs[rpm.debs[0]].version),
        needs=spec.requires(rpm, depends, shop.owner, shop.base),
        tree=str(tree),
        folders=folders,
        files=files,
    )
    _built(shop.work, rpm.name, text)


def _parent(tree: Path, path: str) -> Path:
    """Return the place of a path in the tree, with its folder made and nothing in its way."""
    there = tree / path.lstrip("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    there.unlink(missing_ok=True)
    return there


def _taken(rpm: Rpm, deb: Path, tree: Path, unpacked: Path) -> None:
    unpacked.mkdir(parents=True)
    run(["dpkg-deb", "--extract", deb, unpacked])
    for path in [each for each in sorted(unpacked.rglob("*")) if each.is_symlink() or each.is_file()]:
        there = spec.destination(rpm, f"/{path.relative_to(unpacked)}")
        if there is not None:
            path.rename(_parent(tree, there))


def _contents(tree: Path, rootfs: Path, rpm: Rpm) -> tuple[list[str], list[str]]:
    """Return the folders that are the package's own, and its files."""
    folders, files = [], []
    for path in sorted(tree.rglob("*")):
        inside = f"/{path.relative_to(tree)}"
        if path.is_symlink() or not path.is_dir():
            files.append(inside)
        elif inside in rpm.folders or not (rootfs / inside.lstrip("/")).is_dir():
            folders.append(inside)
    return folders, files


def _built(work: Path, name: str, text: str) -> None:
    path = work / f"{name}.spec"
    path.write_text(text)
    defined = {
        "_topdir": work / "top" / name,
        "_rpmdir": work / "made",
        "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "_dbpath": work / "database",
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
        "_build_id_links": "none",
        "_binary_payload": "w6.gzdio",
    }
    words = [word for key, value in defined.items() for word in ("--define", f"{key} {value}")]
    run(["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *words, path])
