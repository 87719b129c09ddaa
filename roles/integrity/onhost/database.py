"""AIDE's database: what was seen of each path, in the text that AIDE writes and reads (aide.conf(5), database_out).

A line is one path, its columns are named by the line ``@@db_spec``; names are escaped as in URLs, digests are base64.
"""

import base64
import binascii
import gzip
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

_END: Final = "@@end_db"
_SPEC: Final = "@@db_spec "
# Of these AIDE keeps what it saw, and nobody asks for it: a file that was written anew with the same content has another inode.
_BOOKS: Final = frozenset({"name", "attr", "inode"})
CONTENT: Final = frozenset({"kind", "lname", "size", "sha256"})
_KINDS: Final = {
    0o100000: "f",
    0o040000: "d",
    0o120000: "l",
    0o010000: "p",
    0o140000: "s",
    0o020000: "c",
    0o060000: "b",
}
_SPECIAL: Final = 0o6000
_BY_OTHERS: Final = 0o002


class DatabaseError(Exception):
    """A database that is missing or none; the text says which."""


class Entry(NamedTuple):
    """One path of a database: its line, and the columns by their names as AIDE wrote them."""

    line: str
    columns: Mapping[str, str]

    @property
    def perm(self) -> int:
        """Kind and mode, as stat(2) has them."""
        return int(self.columns.get("perm", "0"), 8)

    @property
    def kind(self) -> str:
        """The kind of file in find(1)'s letters."""
        return _KINDS.get(self.perm & 0o170000, "?")

    @property
    def mode(self) -> str:
        """The mode as find(1) prints it."""
        return f"{self.perm & 0o7777:o}"

    @property
    def owner(self) -> str:
        """The numbers of user and group."""
        return f"{self.columns.get('uid', '?')} {self.columns.get('gid', '?')}"

    @property
    def target(self) -> str:
        """Where a link leads."""
        return decoded(self.columns.get("lname", ""))

    @property
    def sha256(self) -> str:
        """The SHA-256 in hexadecimal, or "" of what has none."""
        try:
            return base64.b64decode(self.columns.get("sha256", "0"), validate=True).hex()
        except binascii.Error:
            return ""

    @property
    def harmless(self) -> bool:
        """Say that nobody gets rights by it: root's, written by nobody else, and running as who starts it."""
        free = self.kind == "l" or not self.perm & (_SPECIAL | _BY_OTHERS)
        return free and self.owner == "0 0" and self.plain

    @property
    def plain(self) -> bool:
        """Say that it has no rights beside its mode: no capabilities, no attributes, no list that says more than the mode."""
        if any(self.columns.get(name, "0") != "0" for name in ("xattrs", "capabilities")):
            return False
        words = {word for part in self._lists for word in part.split()}
        return all(word.startswith(("user::", "group::", "other::")) for word in words)

    @property
    def _lists(self) -> list[str]:
        """The access list and, of a directory, that of what will be made in it, as getfacl(1) prints them."""
        parts = self.columns.get("acl", "0").removeprefix("POSIX,").split(",")
        return [_text(part) for part in parts if part != "0"]

    def told(self) -> dict[str, str]:
        """Return what there is to say of it: two entries of which the same is said are the same in all that counts."""
        said = {"kind": self.kind, "mode": self.mode, "owner": self.owner}
        more = {
            "target": self.target if self.kind == "l" else "",
            "sha256": self.sha256,
            # A list that has the mode's three lines and no more says nothing besides.
            "acl": ""
            if self.plain and len(self._lists) <= 1
            else "; ".join(" ".join(each.split()) for each in self._lists),
            "xattrs": _attributes(self.columns.get("xattrs", "0")),
            "capabilities": _text(self.columns.get("capabilities", "0")),
        }
        return said | {name: text for name, text in more.items() if text}


def _text(column: str) -> str:
    """Return the text of a column in base64, or the column where it is none; "" of an empty one."""
    if column == "0":
        return ""
    try:
        return base64.b64decode(column, validate=True).decode("utf-8", "backslashreplace")
    except binascii.Error:
        return column


def _attributes(column: str) -> str:
    """Return the names of extended attributes, and one digest of all: their values are not for people's eyes."""
    if column == "0":
        return ""
    names = ", ".join(decoded(each) for each in column.split(",")[1::2])
    return f"{names} (SHA-256 {hashlib.sha256(column.encode()).hexdigest()})"


class Change(NamedTuple):
    """One path that is not as it was. ``differs``: AIDE's columns, and ``kind``; empty where it came or went."""

    path: str
    was: Entry | None
    now: Entry | None
    differs: frozenset[str] = frozenset()

    @property
    def what(self) -> str:
        """What happened to it, in one word."""
        return "removed" if self.now is None else "added" if self.was is None else "changed"

    @property
    def content(self) -> bool:
        """Whether what is in it has to be explained."""
        return not self.differs or bool(self.differs & CONTENT)

    @property
    def rights(self) -> bool:
        """Whether who may do what with it has to be explained."""
        return not self.differs or bool(self.differs - CONTENT)


class Database(NamedTuple):
    """A database as it was read: what stands before the paths, and each path's entry."""

    head: str
    entries: Mapping[str, Entry]


def decoded(name: str) -> str:
    """Return a path as it stands on the disk."""
    return os.fsdecode(unquote_to_bytes(name))


def read(path: Path) -> Database:
    """Return a database. Raises DatabaseError for what is none, is cut short, or has two lines for a path."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            text = lines.read()
    except FileNotFoundError:
        raise DatabaseError(f"{path} is missing") from None
    except (OSError, EOFError, UnicodeDecodeError, gzip.zlib.error) as error:  # type: ignore[attr-defined] # it imports it
        raise DatabaseError(f"{path} is no database: {error}") from error
    head, columns, entries = [], [""], {}
    rows = text.splitlines()
    if not rows or rows[-1] != _END:
        raise DatabaseError(f"{path} is cut short")
    for row in rows[:-1]:
        if row.startswith(("@@", "#")):
            head.append(row)
            columns = row.removeprefix(_SPEC).split() if row.startswith(_SPEC) else columns
            continue
        values = row.split(" ")
        name = decoded(values[0])
        if name in entries or len(values) != len(columns):
            raise DatabaseError(f"{path} has a line that AIDE would not write, of {name}")
        entries[name] = Entry(row, dict(zip(columns, values, strict=True)))
    return Database("\n".join(head), entries)


def write(path: Path, database: Database) -> None:
    """Write a database whole or not at all, for root alone; the same entries give the same bytes."""
    new = path.with_name(f"{path.name}.part")
    lines = [database.head, *(entry.line for _, entry in sorted(database.entries.items())), _END]
    new.touch(mode=0o600)
    with (
        new.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
    ):
        packed.write(("\n".join(lines) + "\n").encode("ascii"))
    with new.open("rb") as written:
        os.fsync(written.fileno())
    new.replace(path)


def changes(old: Database, new: Database) -> Iterator[Change]:
    """Give what is different between two databases, by path."""
    for path in sorted({*old.entries, *new.entries}):
        was, now = old.entries.get(path), new.entries.get(path)
        if was is None or now is None:
            yield Change(path, was, now)
            continue
        common = (was.columns.keys() & now.columns.keys()) - _BOOKS
        differs = {name for name in common if was.columns[name] != now.columns[name]}
        if was.kind != now.kind:
            differs.add("kind")
        if differs:
            yield Change(path, was, now, frozenset(differs))


def merged(old: Database, new: Database, left: frozenset[str]) -> Database:
    """Return what is there now, but for the paths of ``left``, of which what was seen before stays."""
    kept = {path: entry for path, entry in old.entries.items() if path in left}
    return Database(new.head, {path: each for path, each in new.entries.items() if path not in left} | kept)
