"""The gateway as its administrator sees it, and the protected mail server's records."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inventory.lab_settings import settings
from lab.access import ssh_argv
from lab.plan import Host, LabState
from lab.platforms import DEBIAN12, lab_platform
from roles.platforms import row
from roles.settings import Gateway
from tests.acceptance.mta import HANDS, Hands

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 180
ARRIVAL_SECONDS = 60.0
FLUSH_SECONDS = 90.0
# What the gateway runs, as `python -m lab up --platform` calls it.
PLATFORM = os.environ.get("BASTIDE_ACCEPT_PLATFORM", DEBIAN12)
# What a lab's gateway is asked and looked at for; where it stands makes no difference to that.
SETTINGS = Gateway.of(
    {
        **settings(hostname="gw1.bastide.example", next_hop="[198.18.0.25]:25", administration="10.0.0.0/24"),
        "platform": lab_platform(PLATFORM).row.name,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message that reached a mail server."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """What a mail server of the lab has recorded (lab/sink.py)."""

    spool: Path

    def received(self, mark: str) -> list[Record]:
        """Return the records whose content holds ``mark``."""
        found = []
        for path in sorted(self.spool.glob("*.json")):
            content = path.with_suffix(".eml").read_bytes()
            if mark.encode() in content:
                envelope = json.loads(path.read_bytes())
                found.append(
                    Record(
                        sender=envelope["mail_from"] or "",
                        recipients=tuple(envelope["rcpt_tos"]),
                        content=content,
                    )
                )
        return found

    def awaited(self, mark: str, count: int = 1) -> list[Record]:
        """Wait for ``count`` records that hold ``mark`` and return all that there are."""
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while len(found := self.received(mark)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} messages with {mark} arrived"
            time.sleep(0.1)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHost:
    """One deployed gateway of a lab."""

    lab: LabState
    host: Host
    mta: Hands = HANDS[SETTINGS.mta]

    def run(self, script: str, *, check: bool = True) -> str:
        """Run a shell script as root and return its output; AssertionError when it fails and ``check`` is on.

        It may name units, files and programs by Debian 12's names.
        """
        argv = [*ssh_argv(self.host, options=self._shared()), row(SETTINGS).here(script)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
        assert not check or done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def _shared(self) -> list[str]:
        """Return ssh's options by which commands in a row share a connection (ssh_config(5), ControlMaster).

        To log in costs several times what most commands do. It ends by itself when no command has come for a while.
        """
        socket = self.host.ssh_key.parent / f"{self.host.name}.mux"
        words = ("BatchMode=yes", "ControlMaster=auto", f"ControlPath={socket}", "ControlPersist=10")
        return [part for word in words for part in ("-o", word)]

    @contextmanager
    def altered(self, change: str, undo: str) -> Iterator[None]:
        """Change something by hand for the length of a block."""
        self.run(change)
        try:
            yield
        finally:
            self.run(undo)

    @property
    def sink(self) -> Sink:
        """The protected mail server's records."""
        return Sink(spool=self.lab.sink)

    def received(self, mark: str) -> list[Record]:
        """Return the protected mail server's records whose content holds ``mark``."""
        return self.sink.received(mark)

    def awaited(self, mark: str, count: int = 1) -> list[Record]:
        """Wait for ``count`` of its records that hold ``mark`` and return all that there are."""
        return self.sink.awaited(mark, count)

    def queue(self) -> list[str]:
        """Return the queue ids of the messages that wait on the gateway."""
        return self.run(self.mta.queue).split()

    def sent_on(self) -> None:
        """Return when nothing waits on the gateway; AssertionError when something still does after 90 s."""
        # An MTA takes a next hop for dead for a while after it did not answer.
        deadline = time.monotonic() + FLUSH_SECONDS
        while self.queue():
            assert time.monotonic() < deadline, self.queue()
            self.run(self.mta.flush)
            time.sleep(2)
