"""Mail servers elsewhere: sinks in the lab's networks, which record what the gateway sends out."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.plan import LabState
from tests.acceptance.gateway import Record

_SINK = Path(__file__).parents[2] / "lab" / "sink.py"
_START_SECONDS = 20.0
_ARRIVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """One server's records."""

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

    def awaited(self, mark: str, count: int = 1, seconds: float = _ARRIVAL_SECONDS) -> list[Record]:
        """Wait for ``count`` records that hold ``mark`` and return all that there are."""
        deadline = time.monotonic() + seconds
        while len(found := self.received(mark)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} messages with {mark} arrived"
            time.sleep(0.1)
        return found


@contextmanager
def listening(lab: LabState, side: str, spool: Path, port: int = 25) -> Iterator[Elsewhere]:
    """Run a sink on all addresses that this machine has in one of the lab's networks."""
    spool.mkdir(parents=True, exist_ok=True)
    enter = ["ip", "netns", "exec", lab.netns[side]]
    with subprocess.Popen(
        [*enter, sys.executable, str(_SINK), "--spool", str(spool), "--listen", str(port)]
    ) as server:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while (
                f":{port} "
                not in subprocess.run(
                    [*enter, "ss", "-ltn"], capture_output=True, text=True, check=True, timeout=30
                ).stdout
            ):
                assert server.poll() is None, "the sink ended at once"
                assert time.monotonic() < deadline, "the sink does not listen"
                time.sleep(0.1)
            yield Elsewhere(spool=spool)
        finally:
            server.terminate()
            server.wait(10)
