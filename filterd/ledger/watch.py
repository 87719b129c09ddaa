"""What the ledger's process knows of how filterd fares, and whom it tells: metrics, health, alerts."""

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from filterd.alerts import Alert, Alerts, MailRate
from filterd.beats import resident
from filterd.carry.inject import InjectError, Letter, inject
from filterd.carry.letter import letter
from filterd.carry.templates import Which, load
from filterd.config import Config
from filterd.config.actions import is_address
from filterd.log import Log, shown
from filterd.metrics import MEDIA, Metrics, Noting
from filterd.web import Page

from . import figures
from .records import Noted

OWN: Final = "ledger"
_TICK_S: Final = 1.0
_ROOM_EVERY_S: Final = 10.0
_COUNT_EVERY_S: Final = 60.0
_WALK_EVERY_S: Final = 1800.0  # the store can be great
# Without these no message can be accepted.
_NEEDED: Final = ("clamd", "spamd", "parse")
# A failure to send mail is no news that can be mailed.
_SILENT: Final = "inject"
# Nothing of ours fails: somebody inside sends too much.
_OUTBOUND: Final = "outbound"


class Watch:
    """Collects, and tells. ``waiting`` says how many requests wait.

    ``died``: how the process before this one ended, which the supervisor has logged.
    """

    def __init__(self, config: Config, log: Log, waiting: Callable[[], int], *, died: str = "") -> None:
        self.metrics = Metrics()
        self._waiting = waiting
        self._engine: Engine | None = None
        self._config = config
        self._log = log
        self._alerts = Alerts()
        self._rate = MailRate()
        self._mails: set[asyncio.Task[None]] = set()
        self._up = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="figures")
        if died:
            self._alerts.noted(OWN, OWN, died, time.monotonic())

    def opened(self, engine: Engine) -> None:
        """Take the database, from which some figures come."""
        self._engine = engine

    def configured(self, config: Config) -> None:
        """Take a new configuration."""
        self._config = config

    @property
    def alarmed(self) -> bool:
        """Whether something fails at the moment."""
        return bool(self._alerts.open)

    def noted(self, source: str, one: Noted) -> None:
        """Take what a worker says of a part."""
        component, problem = one.component[:64], one.problem
        if component == "signatures" and not problem:
            problem = self._stale(one.gauges.get("built_seconds", 0.0))
        self.metrics.noted(source, component, Noting(up=not problem, gauges=one.gauges))
        self._note(source, component, problem)

    def gone(self, source: str) -> None:
        """Forget a worker that has left."""
        self.metrics.gone(source)
        self._alerts.gone(source)

    def ledger(self, problem: str) -> None:
        """Take how the database fares; "" is well."""
        self._up = not problem
        self._note(OWN, OWN, problem)

    def _stale(self, built: float) -> str:
        hours = self._config.clamd.warn_age_hours
        if not hours:
            # clamd names the date of its makers' databases alone; where there are only others, it knows none.
            return ""
        if not built:
            return "clamd has no signature database"
        age = (time.time() - built) / 3600
        return f"clamd's signature database is {age:.0f} hours old" if age > hours else ""

    def _note(self, source: str, component: str, problem: str) -> None:
        text = shown(problem.encode("utf-8", "replace")) or ""
        if (alert := self._alerts.noted(source, component, text, time.monotonic())) is not None:
            self._log.event("alert", component=component, problem=text)
            self._mail(alert)

    async def run(self) -> None:
        """Look at the volumes and at what is over, again and again."""
        due = dict.fromkeys((self._rooms, self._counts, self._walk), 0.0)
        every = {self._rooms: _ROOM_EVERY_S, self._counts: _COUNT_EVERY_S, self._walk: _WALK_EVERY_S}
        loop = asyncio.get_running_loop()
        while True:
            for alert in self._alerts.over(time.monotonic()):
                self._log.event("recovered", component=alert.component, seconds=round(alert.lasted))
                # What was not told when it began: there was nobody to tell it, or no way.
                if alert.component in (OWN, _SILENT):
                    self._mail(alert)
            for look, at in due.items():
                if loop.time() >= at:
                    due[look] = loop.time() + every[look]
                    try:
                        found, note = await loop.run_in_executor(self._thread, look)
                    except (OSError, SQLAlchemyError):
                        # The ledger's own writes show what is wrong; the figures stay as they were.
                        continue
                    self.metrics.gauges |= found
                    for component, problem in note.items():
                        self._note(OWN, component, problem)
            await asyncio.sleep(_TICK_S)

    def _rooms(self) -> tuple[dict[str, float], dict[str, str]]:
        found, note = {}, {}
        least = self._config.store.warn_free_percent
        for name, path in figures.volumes(self._config).items():
            seen = figures.room(path)
            found[f"{name}_free_bytes"] = float(seen.bytes)
            full = seen.percent < least
            note[f"disk-{name}"] = f"{seen.percent:.1f} % of the volume of {path} is free" if full else ""
        return found, note

    def _counts(self) -> tuple[dict[str, float], dict[str, str]]:
        if self._engine is None:
            return {}, {}
        self.metrics.kept = figures.kept(self._engine)
        return {"ledger_bytes": float(figures.size(self._engine, self._config))}, {}

    def _walk(self) -> tuple[dict[str, float], dict[str, str]]:
        return {"store_bytes": float(figures.stored(Path(self._config.store.directory)))}, {}

    async def page(self, path: str) -> Page | None:
        """Return a page for watchers."""
        if path == "/metrics":
            self.metrics.alerts = tuple(alert.component for alert in self._alerts.open)
            self.metrics.gauges |= {
                "ledger_up": float(self._up),
                "ledger_queue_requests": float(self._waiting()),
                "ledger_rss_bytes": float(resident()),
            }
            return Page(media=MEDIA, text=self.metrics.text())
        return self._health() if path == "/health" else None

    def _health(self) -> Page:
        parts = {OWN: self._up, **self.metrics.parts()}
        workers = self.metrics.workers
        ready = bool(workers) and self._up and all(parts.get(one, False) for one in _NEEDED)
        problems = {alert.component: alert for alert in self._alerts.open}
        body = {
            "alive": True,
            "ready": ready,
            "workers": workers,
            "components": {name: {"up": up} for name, up in sorted(parts.items())},
            "alerts": [
                {"component": one.component, "problem": one.problem, "since": _when(one.since)}
                for one in problems.values()
            ],
        }
        text = msgspec.json.encode(body).decode() + "\n"
        return Page(status=200 if ready else 503, media="application/json", text=text)

    def _mail(self, alert: Alert) -> None:
        """Write to the administrator, unless mail is what fails, or he has had enough."""
        admin = self._config.notify.admin
        failing = {one.component for one in self._alerts.open}
        if (
            not is_address(admin)
            or _SILENT in failing
            or not self._rate.take(alert.component, time.monotonic())
        ):
            return
        task = asyncio.ensure_future(self._send(admin, alert))
        self._mails.add(task)
        task.add_done_callback(self._mails.discard)

    async def _send(self, admin: str, alert: Alert) -> None:
        host = socket.gethostname()
        try:
            one = _letter(self._config, admin, alert, host if is_address(f"x@{host}") else "localhost")
            await inject(self._config.inject, host.encode("ascii", "replace"), (one,))
        except InjectError as error:
            self._log.event("alert_mail_failed", component=alert.component, why=str(error)[:500])

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _letter(config: Config, admin: str, alert: Alert, host: str) -> Letter:
    lasted = f" (over after {alert.lasted:.0f} s)" if alert.over else ""
    values = {
        "COMPONENT": alert.component,
        "PROBLEM": alert.problem + lasted,
        "DATE": _when(alert.since),
        "HOST": host,
    }
    which: Which = "burst" if alert.component == _OUTBOUND else "alert"
    subject, body = load(config.notify)[which].filled(values)
    sender = config.notify.sender_address
    fields = (
        ("From", f"Mail gateway <{sender if is_address(sender) else f'postmaster@{host}'}>"),
        ("To", admin),
        ("Subject", " ".join(subject.split())[:200]),
        ("Date", format_datetime(datetime.now(UTC))),
        ("Message-ID", make_msgid(domain=host)),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
    )
    content = letter(fields, body)
    return Letter(sender=b"<>", recipients=(f"<{admin}>".encode(),), content=(content,), eight_bit=False)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="seconds")
