"""A search for a few bytes in many: memmem(3) of the C library, three to five times as fast as `bytes.find`.

It takes what begins a signature only, four bytes at most: over a needle of which two bytes are alike, in data that are all
of those, it takes twenty times as long.
"""

import ctypes
from collections.abc import Callable
from typing import Final

_FEW: Final = 16 * 1024  # bytes in which `find` is as fast
_HEAD: Final = 4
# What is begun so often is found by `find`, for each beginning costs.
_MAX_BEGINNINGS: Final = 64


def _found() -> Callable[[int, int, bytes, int], int | None] | None:
    function = getattr(ctypes.CDLL(None), "memmem", None)
    if function is not None:  # it is not in every C library
        function.restype = ctypes.c_void_p
        function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return function


_MEMMEM: Final = _found()


def find(data: bytes, signature: bytes, start: int = 0) -> int:
    """Return where ``signature`` stands first from ``start`` (which is not negative) on, or -1: as ``data.find`` does."""
    head = signature[:_HEAD]
    if _MEMMEM is None or len(data) - start < _FEW or len(set(head)) < len(head):
        return data.find(signature, start)
    base = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    for _ in range(_MAX_BEGINNINGS):
        place = _MEMMEM(base + start, len(data) - start, head, len(head))
        if place is None:
            return -1
        at = place - base
        if data.startswith(signature, at):
            return at
        start = at + 1
        if start >= len(data):
            return -1
    return data.find(signature, start)
