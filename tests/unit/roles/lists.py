"""Access control lists and flags of scratch files, given without the programs that a host may lack."""

import errno
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

# Tag, permissions and id of each entry (linux/posix_acl.h, linux/posix_acl_xattr.h): owner, a user, group, mask, others.
_NOBODY = 0xFFFFFFFF
Entries = Sequence[tuple[int, int, int]]
USER = 123456
GUARDED: Entries = ((1, 6, _NOBODY), (2, 4, USER), (4, 0, _NOBODY), (16, 6, _NOBODY), (32, 0, _NOBODY))
OPEN: Entries = ((1, 6, _NOBODY), (2, 4, USER), (4, 7, _NOBODY), (16, 7, _NOBODY), (32, 0, _NOBODY))
_KEYS = {False: "system.posix_acl_access", True: "system.posix_acl_default"}


def given_list(path: Path, entries: Entries, *, default: bool = False) -> None:
    """Give a path a list; the test is skipped where the file system has none."""
    packed = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, rights, who) for tag, rights, who in entries
    )
    try:
        os.setxattr(path, _KEYS[default], packed)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip("this file system has no access control lists")


def list_of(path: Path, *, default: bool = False) -> Entries | None:
    """Return a path's list, or None where it has none."""
    try:
        packed = os.getxattr(path, _KEYS[default])
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return None
    return tuple(struct.iter_unpack("<HHI", packed[4:]))


def _flags_work() -> bool:
    if not shutil.which("chattr"):
        return False
    with tempfile.NamedTemporaryFile() as scratch:
        done = [
            subprocess.run(["chattr", word, scratch.name], capture_output=True, check=False).returncode
            for word in ("+i", "-i")
        ]
    return done == [0, 0]


needs_flags = pytest.mark.skipif(not _flags_work(), reason="it takes root, and a file system with flags")
