"""What `tests.bench.spam` sends to a gateway and runs there as root: starts engines, asks them by turns, measures.

Run as ``python3 -m tests.bench.spam_there USER ROUNDS AT_A_TIME`` in a directory with ``engines.json`` (the command of each engine by
name, with {home} for the directory and {socket} for where it is to listen) and ``loads/LOAD/*`` (whole requests).
Only the standard library.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from filterd.processes import spent

_SITE = Path("/etc/spamassassin")
_START_SECONDS = 60
_ANSWER_SECONDS = 60


def without_ours(home: Path) -> None:
    """Make ``home/site``: the host's configuration less the plugin that Bastide adds."""
    shutil.copytree(_SITE, home / "site")
    local = home / "site/local.cf"
    lines = local.read_text().splitlines(keepends=True)
    local.write_text("".join(line for line in lines if not line.startswith("loadplugin ")))


@contextmanager
def engine(home: Path, name: str, command: list[str], user: str) -> Iterator[tuple[Path, int]]:
    """Run an engine as ``user``; give its socket and process id when it listens."""
    path = home / f"{name}.sock"
    argv = [word.format(home=home, socket=path) for word in command]
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user,
            group=user,
            extra_groups=[],  # not those of root
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{argv[0]} does not listen: {(home / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield path, process.pid
    finally:
        # Its children too: it is the leader of a group of its own.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def asked(path: Path, request: bytes) -> str:
    """Return an engine's answer to a whole request."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(_ANSWER_SECONDS)
        peer.connect(str(path))
        peer.sendall(request)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(65536), b"")).decode("ascii", "replace")


def main(user: str, rounds: int, at_a_time: int) -> None:
    """Print, as JSON, each engine's answers and log, and its milliseconds a message in each round of each load."""
    home = Path.cwd()
    without_ours(home)
    shutil.chown(home, user, user)
    loads = {
        load.name: [path.read_bytes() for path in sorted(load.iterdir())]
        for load in (home / "loads").iterdir()
    }
    answers: dict[str, dict[str, list[str]]] = {}
    costs: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(at_a_time))
        running = {
            name: stack.enter_context(engine(home, name, command, user))
            for name, command in json.loads((home / "engines.json").read_text()).items()
        }
        # The first round is not counted: it loads what the first message needs.
        for turn in range(rounds + 1):
            for load, requests in loads.items():
                for name, (path, pid) in running.items():
                    before = spent([pid])
                    said = list(pool.map(partial(asked, path), requests))
                    if turn or not rounds:
                        costs.setdefault(name, {}).setdefault(load, []).append(
                            (spent([pid]) - before) / len(requests) * 1000
                        )
                    answers.setdefault(name, {}).setdefault(load, []).extend(said)
    logs = {name: (home / f"{name}.log").read_text(errors="replace") for name in answers}
    print(json.dumps({"answers": answers, "costs": costs, "logs": logs}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
