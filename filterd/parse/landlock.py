"""Landlock: which files parse workers can read at all. Held by the nursery, inherited by each of its children.

The attack it stops: a parser that a message has taken over and that puts other people's mail, from the store or from
another process's memory, into what it hands back. Kernels before 5.13 have no Landlock, and some are built without.
Source: landlock(7), <linux/landlock.h>.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_PATH_BENEATH: Final = 1
_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
# What makes and removes files is barred by the system-call filter, also where there is no Landlock.
_HANDLED: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _READ_DIR
_RULESET: Final = struct.Struct("=Q")
_BENEATH: Final = struct.Struct("=Qi")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
# Beside Python's own: libraries, and the time zone.
_SYSTEM: Final = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/localtime",
)


def _readable() -> Iterator[str]:
    """Yield what Python imports from."""
    for place in {sys.prefix, sys.base_prefix, *sys.path, *_SYSTEM}:
        # A prefix of "/usr" would open all that is below it.
        for path in (
            (f"{place}/lib", f"{place}/lib64") if place in {sys.prefix, sys.base_prefix} else (place,)
        ):
            if path and Path(path).exists():
                yield path


def restrict() -> bool:
    """Let this process and its children open only what Python imports from. Returns whether the kernel can."""
    if _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION)) < 1:
        return False
    record = _RULESET.pack(_HANDLED)
    rules = _LIBC.syscall(_CREATE_RULESET, record, ctypes.c_size_t(len(record)), ctypes.c_uint(0))
    if rules < 0:
        return False
    try:
        for path in _readable():
            _allow(rules, path)
        return int(_LIBC.syscall(_RESTRICT_SELF, rules, ctypes.c_uint(0))) == 0
    finally:
        os.close(rules)


def _allow(rules: int, path: str) -> None:
    """Allow to read ``path`` and what is below it; where that fails it stays barred."""
    rights = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _LIBC.syscall(_ADD_RULE, rules, _PATH_BENEATH, _BENEATH.pack(rights, place), ctypes.c_uint(0))
    finally:
        os.close(place)
