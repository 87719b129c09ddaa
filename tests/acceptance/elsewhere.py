"""Mail servers elsewhere: sinks in the lab's networks, which record what the gateway sends out."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.plan import LabState
from tests.acceptance.gateway import Sink

_PROGRAM = Path(__file__).parents[2] / "lab" / "sink.py"
_START_SECONDS = 20.0


@contextmanager
def listening(lab: LabState, side: str, spool: Path, port: int = 25) -> Iterator[Sink]:
    """Run a sink on all addresses that this machine has in one of the lab's networks."""
    spool.mkdir(parents=True, exist_ok=True)
    enter = ["ip", "netns", "exec", lab.netns[side]]
    with subprocess.Popen(
        [*enter, sys.executable, str(_PROGRAM), "--spool", str(spool), "--listen", str(port)]
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
            yield Sink(spool=spool)
        finally:
            server.terminate()
            server.wait(10)
