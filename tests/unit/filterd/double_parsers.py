"""A nursery with parsers that do as the message says: run as a script by the tests, in place of filterd.parse.

The first line of the body is "deed argument"; of any other message one leaf holds its body; pieces
between lines of "--" are leaves each, and what follows "base64:" is decoded.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from filterd.anatomy import Anatomy, HeaderEdit, Leaf, RewriteOrder, Rewritten
from filterd.config.inspection import Inspection
from filterd.findings import Finding, Verdict
from filterd.parse.child import Tasks
from filterd.parse.native import note
from filterd.parse.nursery import run


def _hang(_: str) -> None:
    while True:
        pass


def _eat(_: str) -> None:
    # Not touched: only the address space counts, and the tests' host has little memory.
    kept = [bytes(64 * 1024 * 1024) for _ in range(1000)]
    raise AssertionError(len(kept))


def _files(count: str) -> None:
    kept = [os.dup(0) for _ in range(int(count))]
    raise AssertionError(len(kept))


def _memory_files() -> dict[int, int]:
    """The memory files that this worker has been given, each with its seals."""
    found = {}
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            found[descriptor] = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    return found


def _long_file(size: str) -> None:
    os.ftruncate(next(file for file, seals in _memory_files().items() if not seals), int(size))


def _long_content(size: str) -> None:
    os.ftruncate(
        next(file for file, seals in _memory_files().items() if seals == fcntl.F_SEAL_GROW), int(size)
    )


_KEPT: list[bytes] = []

DEEDS: Mapping[str, Callable[[str], object]] = {
    "abort": lambda _: os.abort(),
    "exit": lambda code: os._exit(int(code)),
    "hang": _hang,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "eat": _eat,
    "files": _files,
    "long-file": _long_file,
    "long-content": _long_content,
    "memory-file": lambda _: os.memfd_create("x"),
    "names": lambda _: None,
    "kind": lambda _: None,
    "decoder": lambda _: note(),
    "slow": lambda _: [None for _ in range(20_000_000)],
    "grow": lambda size: _KEPT.append(b"x" * int(size)),
    "inet": lambda _: socket.socket(socket.AF_INET),
    "unix": lambda _: socket.socket(socket.AF_UNIX),
    "pair": lambda _: socket.socketpair(),
    "fork": lambda _: os.fork(),
    "exec": lambda program: os.execv(program, [program]),  # noqa: S606 - it must fail
    "spawn": lambda program: subprocess.run([program], check=True),
    "kill": lambda pid: os.kill(int(pid) if pid else os.getppid(), 9),
    "write": lambda path: Path(path).write_text("x"),
    "remove": lambda path: Path(path).unlink(),
    "rename": lambda path: Path(path).rename(path + ".2"),
    "chmod": lambda path: Path(path).chmod(0o777),
    "mkdir": lambda path: Path(path).mkdir(),
    "read": lambda path: Path(path).read_bytes(),
    "limit": lambda _: __import__("resource").setrlimit(9, (-1, -1)),
    "thread": lambda _: __import__("_thread").start_new_thread(time.sleep, (1,)),
    "surrogate": lambda _: None,
    "timer": lambda _: __import__("signal").setitimer(0, 0),
}


def _leaves(raw: bytes) -> list[bytes]:
    body = raw.partition(b"\r\n\r\n")[2] or raw
    contents = [piece for piece in body.split(b"\r\n--\r\n") if piece]
    return [_decoded(piece) for piece in contents]


def _decoded(data: bytes) -> bytes:
    return base64.b64decode(data[7:]) if data.startswith(b"base64:") else data


def anatomise(raw: bytes, inspection: Inspection) -> tuple[Anatomy, list[bytes]]:
    first = (raw.partition(b"\r\n\r\n")[2] or raw).partition(b"\r\n")[0].decode("latin-1")
    deed, _, argument = first.partition(" ")
    kind = argument or "text" if deed in {"kind", "slow", "grow", "decoder"} else "rar"
    if kind == "rar":
        note()
    if deed in DEEDS:
        DEEDS[deed](argument)
    found: tuple[Finding, ...] = ()
    if deed == "finding":
        stage, _, rule = argument.partition(" ")
        found = (Finding(stage=stage, verdict=Verdict.SUSPICIOUS, rule=rule),)
    names = ("half\udc80.txt",) if deed == "surrogate" else (str(inspection.parse.depth),)
    if deed == "names":
        names = ("x" * int(argument),)
    contents = _leaves(raw)
    leaves = tuple(
        Leaf(
            path=f"1.{n}",
            kind=kind if not kind.isdigit() else "text",
            names=names,
            size=len(data),
            digest=hashlib.sha256(data).hexdigest(),
        )
        for n, data in enumerate(contents, 1)
    )
    distinct = {leaf.digest: n for n, leaf in reversed(list(enumerate(leaves)))}
    kept = tuple(sorted(distinct.values()))
    return Anatomy(findings=found, leaves=leaves, contents=kept), [contents[n] for n in kept]


def rewrite(raw: bytes, order: RewriteOrder) -> tuple[Rewritten, bytes]:
    edit = HeaderEdit(name="X-Double", index=0, value=b" 1")
    return Rewritten(headers=(edit,), body_offset=4, stamped=True), raw + order.stamp.encode()


def _tasks() -> Tasks:
    if len(sys.argv) > 1:
        raise ImportError(sys.argv[1])
    return Tasks(anatomise=anatomise, rewrite=rewrite)


if __name__ == "__main__":
    sys.exit(run(_tasks))
