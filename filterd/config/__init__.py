"""The configuration file: TOML, strict. A setting that is misspelt is refused, never passed over.

The defaults here are the ones that the role's template renders; a test compares the two.
"""

import os
import pwd
import tomllib
from pathlib import Path
from typing import Final

import msgspec
from msgspec import field

from filterd.errors import ConfigError
from filterd.findings import Mode

from .base import RuleId, Section
from .inspection import AttachmentSettings, Bounds, ContentRule, Inspection, LinkSettings
from .ledger import LedgerSettings, StoreSettings
from .operation import HoldSettings, MetricsSettings, RecycleSettings
from .outbound import OutboundSettings
from .policy import Group, HtmlSettings, InjectSettings, ListEntry, NotifySettings, PolicySettings
from .report import ReportSettings
from .sections import ClamdSettings, ExecScanner, LogSettings, MilterSettings, SpamdSettings
from .words import explained

__all__ = [
    "DEFAULT_PATH",
    "AttachmentSettings",
    "Bounds",
    "ClamdSettings",
    "Config",
    "ContentRule",
    "ExecScanner",
    "Group",
    "HoldSettings",
    "HtmlSettings",
    "InjectSettings",
    "Inspection",
    "LedgerSettings",
    "LinkSettings",
    "ListEntry",
    "LogSettings",
    "MetricsSettings",
    "MilterSettings",
    "NotifySettings",
    "OutboundSettings",
    "PolicySettings",
    "RecycleSettings",
    "ReportSettings",
    "SpamdSettings",
    "StoreSettings",
    "load",
    "taken",
]

DEFAULT_PATH: Final = Path("/etc/filterd/filterd.toml")


class Config(Section, frozen=True, kw_only=True):
    """The whole file; each section may be left out."""

    milter: MilterSettings = MilterSettings()
    clamd: ClamdSettings = ClamdSettings()
    spamd: SpamdSettings = SpamdSettings()
    scanner: tuple[ExecScanner, ...] = ()
    parse: Bounds = Bounds()
    attachments: AttachmentSettings = AttachmentSettings()
    content: tuple[ContentRule, ...] = ()
    links: LinkSettings = LinkSettings()
    html: HtmlSettings = HtmlSettings()
    rules: dict[RuleId, Mode] = field(default_factory=dict)
    policy: PolicySettings = PolicySettings()
    outbound: OutboundSettings = OutboundSettings()
    group: tuple[Group, ...] = ()
    ledger: LedgerSettings = LedgerSettings()
    list: tuple[ListEntry, ...] = ()
    store: StoreSettings = StoreSettings()
    notify: NotifySettings = NotifySettings()
    inject: InjectSettings = InjectSettings()
    recycle: RecycleSettings = RecycleSettings()
    metrics: MetricsSettings = MetricsSettings()
    hold: HoldSettings = HoldSettings()
    report: ReportSettings = ReportSettings()
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

    @property
    def inspection(self) -> Inspection:
        """Return what the parse workers need to know."""
        return Inspection(
            parse=self.parse,
            attachments=self.attachments,
            content=self.content,
            links=self.links,
            rules=self.rules,
        )


def load(path: Path) -> Config:
    """Return the configuration in ``path``. Raises ConfigError that names file, setting and remedy."""
    try:
        text = path.read_bytes()
    except PermissionError as error:
        raise ConfigError(
            f"{path} is there, but {_user()} may not read it: run this as root (sudo), or as a member of the group that may"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): create it or give another --config"
        ) from error
    return taken(text, str(path))


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def taken(text: bytes, name: str, *, here: bool = True) -> Config:
    """Return the configuration that ``text`` is, of a file called ``name``. Raises ConfigError as load() does.

    ``here`` is False where it is checked for another host, whose files cannot be seen.
    """
    # The stages, whose rules a configuration may name, import the settings: they are asked only here.
    from .checks import problems  # noqa: PLC0415 - see above

    try:
        given = tomllib.loads(text.decode())
    # Of numbers of thousands of digits, and of tables without end, the library says something else than that they are no TOML.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not TOML ({error}): correct that line") from error
    try:
        config = msgspec.convert(given, Config, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {explained(str(error), Config, given)}") from error
    for problem in problems(config, here=here):
        raise ConfigError(f"{name}: {problem}")
    return config
