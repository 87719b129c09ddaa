"""Vantages: networks to look from, each with one worker process kept for the whole audit."""

import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from audit.errors import AuditError, UnseenError
from audit.place import Place
from audit.probes import OBSERVERS, Observation
from roles.claims import Claim
from roles.inventory import ROOT

CLAIMS = {claim.__name__: claim for claim in OBSERVERS}
# ip-netns(8) keeps its namespaces here.
NAMESPACES = Path("/run/netns")
STOP_SECONDS = 5


class Request(Struct, frozen=True, kw_only=True):
    """One claim to look at, as it travels to a worker: ``kind`` names its class."""

    number: int
    kind: str
    claim: dict[str, Any]
    place: Place

    def asked(self) -> Claim:
        """Return the claim itself, made anew; its own checks run again."""
        claim: Claim = msgspec.convert(self.claim, CLAIMS[self.kind])
        return claim


class Response(Struct, frozen=True, kw_only=True):
    """What came of one request: an observation, or the reason why the audit cannot go on."""

    number: int
    observation: Observation | None = None
    error: str = ""


class Worker:
    """A probe process in one network; made by ``entered``, ended by ``close``."""

    def __init__(self, command: list[str]) -> None:
        self._child = subprocess.Popen(
            [*command, sys.executable, "-m", "audit.probes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Observation]] = {}
        self._count = 0
        self._reader = threading.Thread(target=self._read, name="audit worker", daemon=True)
        self._reader.start()

    def ask(self, claim: Claim, place: Place) -> "Future[Observation]":
        """Send a claim to be looked at; the future gives the observation, or raises AuditError."""
        future: Future[Observation] = Future()
        with self._lock:
            self._count += 1
            request = Request(
                number=self._count, kind=type(claim).__name__, claim=msgspec.to_builtins(claim), place=place
            )
            self._waiting[request.number] = future
            try:
                _pipe(self._child.stdin).write(msgspec.json.encode(request) + b"\n")
                _pipe(self._child.stdin).flush()
            except OSError:
                del self._waiting[request.number]
                future.set_exception(AuditError("the probe worker has ended; its own words are above"))
        return future

    def close(self) -> None:
        """End the process; it ends by itself when its input does."""
        with suppress(OSError):
            _pipe(self._child.stdin).close()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(STOP_SECONDS)
        _pipe(self._child.stdout).close()

    def _read(self) -> None:
        """Hand each response to who waits for it, until the process ends; then nobody may be left waiting."""
        for line in _pipe(self._child.stdout):
            response = msgspec.json.decode(line, type=Response)
            with self._lock:
                future = self._waiting.pop(response.number)
            if response.observation is not None:
                future.set_result(response.observation)
            else:
                future.set_exception(AuditError(response.error))
        with self._lock:
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_exception(AuditError("the probe worker has ended; its own words are above"))


def entered(entry: str) -> Worker:
    """Return a worker in the network that ``entry`` names: ``here`` or ``netns:NAME``.

    Raises UnseenError where the namespace or the privilege to enter it is missing, AuditError for another word.
    """
    if entry == "here":
        return Worker([])
    kind, _, name = entry.partition(":")
    if kind != "netns" or not name:
        raise AuditError(f"audit_vantage: {entry!r} is neither `here` nor `netns:NAME`")
    if os.geteuid() != 0:
        raise UnseenError(f"entering the network namespace {name} needs root")
    if not (NAMESPACES / name).exists():
        raise UnseenError(f"the network namespace {name} does not exist")
    return Worker(["ip", "netns", "exec", name])


def _pipe(stream: Any) -> Any:  # noqa: ANN401 - typed Optional, but both pipes were asked for
    return stream
