"""The package mirror of the gateways: exactly what the roles and the scanners install, what that depends on, and nothing else.

It is a flat repository, bound read-only into each gateway, so that apt works there with no network at all.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lab.errors import LabError
from lab.image import Image, gateway, key_of, rootfs_of, sources_of
from lab.platforms import lab_platform
from lab.sources import debian_sources
from lab.state import cache_root
from lab.tools import run

# What the tests put on a server before Bastide comes, beside what the roles know.
USED = ("nftables",)
# Raise it when the way a mirror is made changes, so that old ones are not used.
RECIPE = 2


def packages(platform: str) -> tuple[tuple[str, ...], ...]:
    """Return the packages that the roles install on a gateway, without their dependencies: sorted, once an MTA."""
    row = lab_platform(platform).row
    return tuple(row.every_package(mta) for mta in sorted(row.mta))


def sets(platform: str) -> tuple[tuple[str, ...], ...]:
    """Return all that the mirror holds: what the roles install, what scanners of others want, what a used server has."""
    row = lab_platform(platform).row
    return (*packages(platform), row.scanners, USED)


def key(image_key: str, sets: Sequence[Sequence[str]]) -> str:
    """Return the name of a mirror's place in the cache, from what it is made of."""
    inputs = msgspec.json.encode([RECIPE, image_key, sorted(sorted(names) for names in sets)])
    return f"debian-{hashlib.sha256(inputs).hexdigest()[:16]}"


def place(platform: str) -> Path:
    """Return the directory of the platform's mirror in the cache; it is there only when the mirror is complete."""
    return cache_root() / "mirrors" / key(key_of(gateway(platform)), sets(platform))


def build(platform: str) -> Path:
    """Fill the mirror if it is not in the cache and return its directory. Takes about 20 s, then nothing.

    The caller holds the cache lock and has built the gateway image. Raises LabError.
    """
    target = place(platform)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        download(work, gateway(platform), sets(platform))
        _index(work / "mirror")
        (work / "mirror").chmod(0o755)
        (work / "mirror").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def stored_name(name: str) -> str:
    """Return the file name that a package has in the mirror: as in Debian's pool, without the version's epoch.

    apt writes the epoch's colon as %3a into the names of what it downloads, and would take it for an escape when
    it reads the mirror.
    """
    return re.sub(r"^([^_]+)_\d+%3a", r"\1_", name)


def download(work: Path, image: Image, sets: Sequence[Sequence[str]]) -> None:
    """Fetch the closure of each set of packages over an image into ``work/mirror``.

    A set at a time: MTAs conflict with each other, so that no apt installs both.
    """
    apt: list[str | Path] = [
        "apt-get",
        "-c",
        _apt_configuration(work, image),
        "-qq",
        "--no-install-recommends",
    ]
    try:
        run([*apt, "update"])
        closure: set[str] = set()
        for names in sets:
            wanted = run([*apt, "install", "--print-uris", *names])
            missing = re.findall(r"^'[^']+' (\S+\.deb) \d+", wanted, flags=re.MULTILINE)
            _reuse(missing, work)
            run([*apt, "install", "--yes", "--download-only", *names])
            closure.update(missing)
    except LabError as error:
        raise LabError(
            f"the package mirror could not be filled, check that this machine reaches a Debian mirror: {error}"
        ) from error
    (work / "mirror").mkdir()
    for name in sorted(closure):
        (work / "archives" / name).rename(work / "mirror" / stored_name(name))


def download_as_they_are(work: Path, image: Image, suite: str, names: Sequence[str]) -> None:
    """Fetch packages of another release, without what they depend on, into ``work/mirror``. Raises LabError."""
    configuration = _apt_configuration(work, image)
    sources = work / "sources.list.d"
    there = [(source.name, source.read_text()) for source in sorted(sources.iterdir())]
    for name, _ in there:
        (sources / name).unlink()
    (sources / f"{suite}.sources").write_text(debian_sources(there, suite))
    (work / "mirror").mkdir()
    # No new one is made of an old release's index, which would be out of date by its own words.
    apt: list[str | Path] = ["apt-get", "-c", configuration, "-qq", "-o", "Acquire::Check-Valid-Until=false"]
    try:
        run([*apt, "update"])
        run([*apt, "download", *names], cwd=work / "mirror")
    except LabError as error:
        raise LabError(
            f"no packages of Debian's {suite} came, check that this machine's Debian mirror still has it: {error}"
        ) from error


def _apt_configuration(work: Path, image: Image) -> Path:
    """Write an apt configuration that adds to this machine's own one, but keeps all state in ``work``."""
    for folder in ("archives/partial", "lists/partial", "sources.list.d", "cache"):
        (work / folder).mkdir(parents=True)
    for source in sources_of(image).iterdir():
        shutil.copyfile(source, work / "sources.list.d" / source.name)
    # sources.list is read where the image kept one; the keys come from the image as well.
    only_list = work / "sources.list.d" / "sources.list"
    settings = {
        "Dir::State::status": rootfs_of(image) / "var/lib/dpkg/status",
        "Dir::State::lists": work / "lists",
        "Dir::State::extended_states": work / "extended_states",
        "Dir::Cache": work / "cache",
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::sourcelist": only_list if only_list.exists() else "/dev/null",
        "Dir::Etc::sourceparts": work / "sources.list.d",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::trustedparts": rootfs_of(image) / "etc/apt/trusted.gpg.d",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    # This machine's hooks are about this machine's packages.
    hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
    lines = [f"#clear {hook};" for hook in hooks]
    lines += [f'{name} "{value}";' for name, value in settings.items()]
    path = work / "apt.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _reuse(closure: Sequence[str], work: Path) -> None:
    """Link packages that an older mirror holds, so that only new ones are fetched; apt checks each one's hash."""
    for name in closure:
        for old in work.parent.glob(f"debian-*/{stored_name(name).replace('[', '[[]')}"):
            if not (work / "archives" / name).exists():
                os.link(old, work / "archives" / name)


def _index(mirror: Path) -> None:
    """Write Packages and Release, as apt expects of a flat repository."""
    (mirror / "Packages").write_text(run(["apt-ftparchive", "packages", "."], cwd=mirror))
    release = run(
        ["apt-ftparchive", "-o", "APT::FTPArchive::Release::Origin=bastide-lab", "release", "."], cwd=mirror
    )
    (mirror / "Release").write_text(release)
