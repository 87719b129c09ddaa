"""Settings of the operating system's defences."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from roles.settings import Gateway

# How much a host gives up for its safety, the least first.
Level = Literal["lax", "moderate", "paranoid"]
LEVELS: tuple[Level, ...] = get_args(Level)

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# With the patterns of glob(7).
_PACKAGE = re.compile(r"[a-z0-9*?][a-z0-9+.*?-]*")
_UNIT = re.compile(r"[\w@:.*?-]{1,255}")
# Why something is there that the gateway does not need.
Reason = Annotated[str, Meta(pattern=r"\S", max_length=300)]
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
# grub-mkpasswd-pbkdf2(1) writes it: algorithm, rounds, salt, hash.
_GRUB_HASH = re.compile(r"grub\.pbkdf2\.sha512\.\d{4,7}\.[0-9A-F]{32,256}\.[0-9A-F]{128}")


class RemoteLog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log server that gets a copy of every line by TLS (RFC 5425), so that who breaks in cannot take it back."""

    host: Annotated[
        str, Meta(description="Its name, which its certificate must bear; empty: the log stays here.")
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port that it takes syslog over TLS on.")] = (
        6514
    )
    authorities: Annotated[
        str, Meta(description="File on the gateway with the authorities that may sign its certificate.")
    ] = "/etc/ssl/certs/ca-certificates.crt"


class Hardening(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operating system's defences need to know of your site."""

    ssh_groups: Annotated[
        tuple[str, ...],
        Meta(
            description="Groups whose members may log in by ssh, and nobody else. A deploy whose own login is in none of them "
            "is refused before sshd is told.",
            min_length=1,
        ),
    ] = ("root", "sudo")
    banner: Annotated[
        str,
        Meta(
            description="What is shown before a login, on the console and by sshd. It is to name no software."
        ),
    ] = (
        "Access to this system is for authorised users alone. What is done here is recorded, and may be used as evidence.\n"
        "Unauthorised access is forbidden and will be prosecuted by law."
    )
    keep_packages: Annotated[
        tuple[str, ...],
        Meta(description="Packages that stay although a gateway has no use for them."),
    ] = ()
    packages: Annotated[
        dict[str, Reason],
        Meta(
            description="Packages that you have installed beside the gateway, by name or pattern (glob), each with its reason: "
            '`{"tcpdump": "we look at faults of the network here"}`. Others that nobody needs are found by the audit.'
        ),
    ] = {}
    units: Annotated[
        dict[str, Reason],
        Meta(
            description="Units and scripts of /etc/init.d of your own that start by themselves, by name or pattern (glob), each with its "
            'reason: `{"node-exporter.service": "our monitoring asks it"}`. Others that no package brought are found by the audit.'
        ),
    ] = {}
    time_servers: Annotated[
        tuple[str, ...],
        Meta(
            description="Servers (NTP) that the clock follows. Name one by its address: after a boot with a dead clock the resolver, which "
            "validates, finds no names until the time is right.",
            min_length=1,
        ),
    ] = ("0.debian.pool.ntp.org", "1.debian.pool.ntp.org", "2.debian.pool.ntp.org")
    remote_log: Annotated[RemoteLog, Meta(description="Where a copy of the log goes.")] = RemoteLog()
    grub_password: Annotated[
        str,
        Meta(
            description="What `grub-mkpasswd-pbkdf2` prints for the password of GRUB's user `root`; with it the boot menu runs "
            "its entries unattended, and changes none without that password. Empty: whoever is at the console may change them."
        ),
    ] = ""
    left_out: Annotated[
        dict[str, Reason],
        Meta(
            description="Defences of this layer that the host is not to have, each by its id with your reason: "
            '`{"hardening.ssh-own-keys": "our authority signs the administrators\' keys"}`. The audit names them as not '
            "available with that reason, never as held, and the score goes without them. What a deploy set before stays set "
            "until the next start or your own change."
        ),
    ] = {}


def hardening_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for values of the right type that cannot be used."""
    own = gateway.hardening
    for group in own.ssh_groups:
        if not _NAME.fullmatch(group):
            yield "hardening.ssh_groups", f"{group!r} is not a group's name"
    yield from _bad_names(own)
    for server in own.time_servers:
        if not _HOST.fullmatch(server):
            yield "hardening.time_servers", f"{server!r} is neither a host name nor an address"
    if any(not (each.isprintable() or each == "\n") for each in own.banner) or "\\" in own.banner:
        yield "hardening.banner", "it has control characters or a backslash, which agetty(8) would replace"
    yield from _unknown_defences(own.left_out)
    yield from _log_problems(own.remote_log)
    if own.grub_password and not _GRUB_HASH.fullmatch(own.grub_password):
        yield (
            "hardening.grub_password",
            "it is not what grub-mkpasswd-pbkdf2 prints; run it and copy from grub.pbkdf2. on",
        )


def _bad_names(own: Hardening) -> Iterator[tuple[str, str]]:
    for package in own.keep_packages:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package):
            yield "hardening.keep_packages", f"{package!r} is not a package's name"
    for setting, names, form in (("packages", own.packages, _PACKAGE), ("units", own.units, _UNIT)):
        for name in names:
            if not form.fullmatch(name):
                yield f"hardening.{setting}", f"{name!r} is neither a name nor a pattern of names"


def _unknown_defences(left_out: Iterable[str]) -> Iterator[tuple[str, str]]:
    from roles.hardening.defences import DEFENCES  # noqa: PLC0415 - records are made of what is defined here

    known = [defence.id for defence in DEFENCES]
    for name in left_out:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"did you mean `{near[0]}`?" if near else "`python -m audit assess` names them"
            yield "hardening.left_out", f"{name!r} is no defence of the hardening layer; {meant}"


def _log_problems(log: RemoteLog) -> Iterator[tuple[str, str]]:
    if log.host and not _HOST.fullmatch(log.host):
        yield "hardening.remote_log.host", f"{log.host!r} is not a host name"
    if not re.fullmatch(r"/[\w./-]+", log.authorities):
        yield "hardening.remote_log.authorities", f"{log.authorities!r} is not an absolute path"
