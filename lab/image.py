"""The cached root file systems that hosts are overlays of, built with mmdebstrap and keyed by their inputs."""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lab.errors import LabError
from lab.plan import VM, Host
from lab.platforms import DEBIAN12, lab_platform
from lab.sources import debian_sources
from lab.state import cache_root
from lab.tools import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What goes into one root file system. Changing anything here makes another image.

    ``suite``: the release of Debian. ``packages``: without their dependencies. ``masked``: units that only cost time in a lab host.
    ``disabled``: units that a package enables and that only some hosts run.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    masked: tuple[str, ...]
    disabled: tuple[str, ...] = ()


# What is done to an image after mmdebstrap; raise it when `_finish` changes, so that old images are not used.
RECIPE = 1

_BARE_SERVER = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
)
# What an EL-shaped server has beside, as EL's minimal install has it (lab/el).
_RPM = ("dnf", "dnf-plugins-core", "hostname", "kmod", "less", "libpam-systemd", "netbase", "openssl", "rpm")
_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "getty.target",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-networkd-wait-online.service",
)

_DEBIAN_12 = lab_platform(DEBIAN12).suite
# The server of a gateway with a kernel and a boot loader of its own, which wakes its network itself.
MACHINE = Image(
    name="machine",
    suite=_DEBIAN_12,
    packages=(
        *_BARE_SERVER,
        "e2fsprogs",
        "grub-pc",
        "initramfs-tools",
        "kmod",
        "linux-image-cloud-amd64",
        "udev",
    ),
    masked=tuple(unit for unit in _MASKED if unit.endswith(".timer")),
)
# The hosts around it: DNS, HTTP and an authority that certifies by ACME on wan, the mail server on lan.
SERVICES = Image(
    name="services",
    suite=_DEBIAN_12,
    packages=(*_BARE_SERVER, "bind9", "pebble", "python3-aiosmtpd"),
    masked=_MASKED,
    disabled=("named.service",),
)


def gateway(platform: str) -> Image:
    """Return the server an administrator would start from on that platform: nothing that a role installs is in it."""
    its = lab_platform(platform)
    if its.rpm:
        return Image(name="el-base", suite=its.suite, packages=(*_BARE_SERVER, *_RPM), masked=_MASKED)
    return Image(name="gateway", suite=its.suite, packages=_BARE_SERVER, masked=_MASKED)


def image_of(host: Host) -> Image:
    """Return what a container's root file system is an overlay of."""
    return gateway(host.platform) if host.role == "gateway" else SERVICES


def images_for(kind: str, platform: str) -> tuple[Image, ...]:
    """Return the images that a lab is made of whose gateways are of that kind and run that platform.

    The container's is always among them: the packages of the mirror are those that it lacks.
    """
    images = (gateway(platform), SERVICES)
    return (*images, MACHINE) if kind == VM else images


# Manuals and translations are half of a small system's files and no probe reads them. Copyright files stay.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")

# If this process is killed, so is mmdebstrap with all that it started, for that is in a process namespace of its own:
# otherwise it would go on filling a directory that nobody will use.
_DIES_WITH_US = ("setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def key_of(image: Image) -> str:
    """Return the name of the image's place in the cache: it changes with every input of the image."""
    parts = msgspec.to_builtins(image)
    inputs = msgspec.json.encode([RECIPE, parts.pop("suite"), _LEFT_OUT, parts])
    return f"{image.name}-{hashlib.sha256(inputs).hexdigest()[:16]}"


def place_of(image: Image) -> Path:
    """Return the directory of the image in the cache; it is there only when the image is complete."""
    return cache_root() / "images" / key_of(image)


def rootfs_of(image: Image) -> Path:
    """Return the root file system of the image."""
    return place_of(image) / "rootfs"


def sources_of(image: Image) -> Path:
    """Return the apt sources that the image was built from; hosts do not see them."""
    return place_of(image) / "sources"


def build(image: Image) -> Path:
    """Build the image if it is not in the cache and return its root file system. Takes about 40 s.

    The caller holds the cache lock. Raises LabError; a build that dies leaves nothing that is taken for an image.
    """
    place = place_of(image)
    if place.exists():
        return place / "rootfs"
    place.parent.mkdir(parents=True, exist_ok=True)
    for leftover in place.parent.glob(f".{image.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{image.name}-", dir=place.parent))
    fresh.chmod(0o755)
    try:
        _bootstrap(image, fresh)
        _finish(image, fresh)
        fresh.rename(place)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return place / "rootfs"


def _bootstrap(image: Image, fresh: Path) -> None:
    options = [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
    options.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    sources = fresh / "machine.sources"
    sources.write_text(debian_sources(_machine_sources(), image.suite))
    given = [sources] if sources.stat().st_size else []
    try:
        run(
            [
                *_DIES_WITH_US,
                "mmdebstrap",
                "--variant=minbase",
                "--format=directory",
                f"--include={','.join(image.packages)}",
                *options,
                image.suite,
                fresh / "rootfs",
                *given,
            ]
        )
    except LabError as error:
        raise LabError(
            f"image {image.name} of {image.suite} could not be built, check that this machine reaches a Debian mirror: {error}"
        ) from error
    sources.unlink()


def _finish(image: Image, fresh: Path) -> None:
    """Turn the fresh root file system into one that any number of hosts can be overlays of."""
    rootfs = fresh / "rootfs"
    units = rootfs / "etc/systemd/system"
    for unit in image.masked:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for unit in image.disabled:
        for link in units.glob(f"*.wants/{unit}"):
            link.unlink()
    for key in rootfs.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    (rootfs / "etc/machine-id").write_text("")
    (rootfs / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    kept = fresh / "sources"
    kept.mkdir()
    for source in [rootfs / "etc/apt/sources.list", *rootfs.glob("etc/apt/sources.list.d/*")]:
        if source.exists():
            source.rename(kept / source.name)


def _machine_sources() -> list[tuple[str, str]]:
    folder = Path("/etc/apt")
    paths = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [(path.name, path.read_text()) for path in paths if path.is_file()]
