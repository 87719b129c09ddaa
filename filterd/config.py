"""The configuration file: TOML, strict. A setting that is misspelt is refused, never passed over.

The defaults here are the ones that the role's template renders; a test compares the two.
"""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import ConfigError

DEFAULT_PATH: Final = Path("/etc/filterd/filterd.toml")
MIB: Final = 1024 * 1024

AbsolutePath = Annotated[str, Meta(pattern="^/", max_length=4096)]
# sockaddr_un.sun_path holds 108 bytes with its NUL (unix(7)); the socket is first bound under a longer name.
SocketPath = Annotated[str, Meta(pattern="^/", max_length=90)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Many = Annotated[int, Meta(ge=1, le=10_000)]

Refusal = Literal["reject", "tempfail"]
Choice = Literal["reject", "tempfail", "accept"]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections."""


class MilterSettings(_Section, frozen=True, kw_only=True):
    """``[milter]``: where the MTA finds the filter, and what one peer may take up. Times in seconds."""

    socket: SocketPath = "/var/spool/postfix/filterd/milter.sock"
    socket_mode: Annotated[str, Meta(pattern="^0[0-7]{3}$")] = "0660"
    socket_group: Annotated[str, Meta(max_length=64)] = (
        "postfix"  # "" leaves the group as the directory gives it
    )
    workers: Annotated[int, Meta(ge=0, le=256)] = 0  # 0: one a core
    max_connections: Many = 400  # of all workers; more wait in the listen queue
    max_message_bytes: Annotated[int, Meta(ge=1024, le=2048 * MIB)] = 50 * MIB  # greater is "over-limit"
    # Below the 60000 bytes at which Postfix was seen to cut a header in silence: what is longer may be half of one.
    max_header_bytes: Annotated[int, Meta(ge=1024, le=MIB)] = 56 * 1024  # longer is "over-limit"
    max_all_headers_bytes: Annotated[int, Meta(ge=1024, le=16 * MIB)] = 256 * 1024  # more is "over-limit"
    max_recipients: Many = 1000
    spool_dir: AbsolutePath = "/var/lib/filterd"
    spool_memory_bytes: Annotated[int, Meta(ge=0, le=1024 * MIB)] = MIB  # greater messages go to spool_dir
    idle_timeout_s: Seconds = 900  # between messages; longer than any SMTP time-out of the MTA
    message_timeout_s: Seconds = 1800  # from MAIL to the last byte
    scan_timeout_s: Seconds = 240  # below Postfix's milter_content_timeout (300)
    progress_s: Seconds = 15
    drain_s: Seconds = 30  # what messages in progress get at a stop


class ClamdSettings(_Section, frozen=True, kw_only=True):
    """``[clamd]``: the virus engine. ``max_concurrent`` is for all workers together."""

    socket: SocketPath = "/run/clamav/clamd.ctl"
    fdpass: bool = True
    timeout_s: Seconds = 120
    max_concurrent: Many = 10


class SpamdSettings(_Section, frozen=True, kw_only=True):
    """``[spamd]``: the spam engine. Of a message longer than ``max_bytes`` it gets that much of the start."""

    socket: SocketPath = "/run/spamd/spamd.sock"
    user: Annotated[str, Meta(pattern="^[A-Za-z0-9._@-]{0,64}$")] = ""
    timeout_s: Seconds = 90
    max_concurrent: Many = 5
    max_bytes: Annotated[int, Meta(ge=1024, le=64 * MIB)] = 512 * 1024
    reject_score: Annotated[float, Meta(ge=0.1, le=10_000)] = 10.0


class PolicySettings(_Section, frozen=True, kw_only=True):
    """``[policy]``: what becomes of each class. ``accept`` for not_inspected lets unscanned mail in."""

    infected: Refusal = "reject"
    spam: Choice = "reject"
    over_limit: Refusal = "reject"
    not_inspected: Choice = "tempfail"
    add_header: bool = False


class LogSettings(_Section, frozen=True, kw_only=True):
    """``[log]``: how much a peer may write into one log line."""

    max_field: Annotated[int, Meta(ge=32, le=1024)] = 256  # characters
    max_recipients: Annotated[int, Meta(ge=1, le=100)] = 20


class Config(_Section, frozen=True, kw_only=True):
    """The whole file; each section may be left out."""

    milter: MilterSettings = MilterSettings()
    clamd: ClamdSettings = ClamdSettings()
    spamd: SpamdSettings = SpamdSettings()
    policy: PolicySettings = PolicySettings()
    log: LogSettings = LogSettings()

    @property
    def workers(self) -> int:
        """Return the number of worker processes: 0 is one a core, but each gets a place at each engine."""
        return self.milter.workers or min(
            len(os.sched_getaffinity(0)),
            self.milter.max_connections,
            self.clamd.max_concurrent,
            self.spamd.max_concurrent,
        )


def load(path: Path) -> Config:
    """Return the configuration in ``path``. Raises ConfigError that names file, setting and remedy."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): create it or give another --config"
        ) from error
    try:
        config = msgspec.toml.decode(text, type=Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML ({error}): correct that line") from error
    for problem in _contradictions(config):
        raise ConfigError(f"{path}: {problem}")
    return config


def _contradictions(config: Config) -> Iterator[str]:
    """Say which settings do not go together, and what would."""
    workers = config.workers
    for name, value in (
        ("[milter] max_connections", config.milter.max_connections),
        ("[clamd] max_concurrent", config.clamd.max_concurrent),
        ("[spamd] max_concurrent", config.spamd.max_concurrent),
    ):
        if value < workers:
            yield f"{name} = {value} leaves some of the {workers} workers with none: set it to {workers} or more"
    for section, timeout in (("clamd", config.clamd.timeout_s), ("spamd", config.spamd.timeout_s)):
        if timeout > config.milter.scan_timeout_s:
            yield (
                f"[{section}] timeout_s = {timeout:g} is longer than [milter] scan_timeout_s ="
                f" {config.milter.scan_timeout_s:g}: lower it"
            )
    if config.milter.progress_s >= config.milter.scan_timeout_s:
        yield "[milter] progress_s is not below scan_timeout_s: lower it"


def _explain(text: str) -> str:
    """Turn msgspec's message into setting, mistake and remedy."""
    where = re.search(r" - at `\$\.?([^`]*)`$", text)
    section, _, name = (where.group(1) if where else "").partition(".")
    what = text[: where.start()] if where else text
    label = f"[{section}] {name}".strip() if section else "the file"
    if unknown := re.search(r"unknown field `([^`]*)`", what):
        hints = get_type_hints(Config)
        known = _settings(hints[section]) if section in hints else tuple(hints)
        close = difflib.get_close_matches(unknown.group(1), known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        return f"{label} has no setting {unknown.group(1)!r}; {remedy}"
    default = _default(section, name)
    remedy = (
        "correct it" if default is None else f"correct it or remove the line (the default is {default!r})"
    )
    return f"{label}: {what[:1].lower()}{what[1:]}; {remedy}"


def _settings(section: type[Struct]) -> tuple[str, ...]:
    return section.__struct_fields__


def _default(section: str, name: str) -> object:
    return getattr(getattr(Config(), section, None), name, None)
