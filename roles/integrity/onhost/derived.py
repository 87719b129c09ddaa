"""Files that no package brings and that its scripts make: a narrow table, each row with its reason, and how it is verified.

Whatever can be made anew is made anew and compared. What cannot, counts only if it was written while the package manager
was at work, by the kernel's own time of its last change (ctime), and if a package of that row was touched.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .baseline import digest
from .database import Change, Entry
from .evidence import Packages

_NOBODY: Final = 65534
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# Every kind of table that Debian's Postfix has a package for; those of installed ones are copied to /etc/postfix.
_TABLES: Final = "/usr/share/postfix/dynamicmaps.cf"
# A line of /etc/mail/sendmail.conf, a file of sh, and those that deploys write there.
_WORD: Final = re.compile(r'[A-Z_]+="([A-Za-z0-9]*|\$\{[A-Z_]+\})";?')
_OFF: Final = {'HANDS_OFF="Yes"', 'DAEMON_MODE="None"', 'QUEUE_MODE="None"', 'MSP_MODE="None"'}
_AUTHORITIES: Final = ("/usr/share/ca-certificates", "/usr/local/share/ca-certificates")

# Reads compiled modules that anybody may have written, so it runs as nobody. Two compilations of a source differ in how
# often they refer back to what they hold; in the older notation (version 2) of marshal they do not. What it reads has to be
# what the engine saw: the digests of module and source come with the name.
_COMPILED: Final = """
import hashlib, importlib.util, marshal, sys
def read(name, digest):
    with open(name, "rb") as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError
    return data
words = sys.stdin.buffer.read().split(b"\\0")
for path, own, of in zip(words[::3], words[1::3], words[2::3]):
    try:
        name = path.decode()
        data = read(name, own.decode())
        source = read(importlib.util.source_from_cache(name), of.decode())
        code = marshal.loads(data[16:])
        level = int(name.rpartition(".opt-")[2].removesuffix(".pyc")) if ".opt-" in name else 0
        own = compile(source, code.co_filename, "exec", dont_inherit=True, optimize=level)
        if data[:4] == importlib.util.MAGIC_NUMBER and marshal.dumps(code, 2) == marshal.dumps(own, 2):
            sys.stdout.buffer.write(path + b"\\0")
    except Exception:
        pass
"""


_Seen = Mapping[str, Entry]


class Made(NamedTuple):
    """Paths that scripts of packages make: whose, why, and which of them hold. ``packages``: one of them was touched.

    ``holding`` is given what changed, the packages, and what the engine saw of each path: what it did not see explains nothing.
    """

    paths: str
    packages: str
    why: str
    holding: Callable[[Sequence[Change], Packages, _Seen], Iterable[str]]


def _linker(found: Sequence[Change], _packages: Packages, _seen: _Seen) -> Iterable[str]:
    with tempfile.TemporaryDirectory() as place:
        own = Path(place, "cache")
        subprocess.run(["ldconfig", "-X", "-i", "-C", own], check=False, capture_output=True)
        made = digest(own)
        return [each.path for each in found if made and each.now and each.now.sha256 == made]


def _compiled(found: Sequence[Change], _packages: Packages, seen: _Seen) -> Iterable[str]:
    words = [
        word
        for each in found
        if each.now and each.now.kind == "f" and (of := seen.get(os.path.realpath(_source(each.path))))
        for word in (each.path, each.now.sha256, of.sha256)
    ]
    nobody = _NOBODY if os.geteuid() == 0 else None
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _COMPILED],
        input=b"\0".join(map(os.fsencode, words)),
        capture_output=True,
        check=False,
        user=nobody,
        group=nobody,
        extra_groups=None if nobody is None else (),
    )
    gone = [each.path for each in found if each.now is None and not _source(each.path).exists()]
    return [
        *map(os.fsdecode, done.stdout.split(b"\0")),
        *gone,
        *(each.path for each in found if each.now and each.now.kind == "d"),
    ]


def _source(path: str) -> Path:
    """Return the module that a compiled one was made of."""
    place = Path(path)
    return place.parent.parent / f"{place.name.partition('.')[0]}.py"


def _authorities(found: Sequence[Change], _packages: Packages, seen: _Seen) -> Iterable[str]:
    known = []
    for folder in _AUTHORITIES:
        for path in Path(folder).rglob("*.crt"):
            real = os.path.realpath(path)
            if text := _as_seen(real, seen.get(real)):
                # The bundle is made of whole files, each with a newline at its end.
                whole = text if text.endswith(b"\n") else text + b"\n"
                known += [whole, *(block + b"\n" for block in _PEM.findall(text))]
    return [each.path for each in found if each.now and _joined(_as_seen(each.path, each.now), known)]


def _as_seen(path: str, entry: Entry | None) -> bytes:
    """Return what is in a file, or b"" where that is not what the engine saw."""
    try:
        content = Path(path).read_bytes() if entry and entry.kind == "f" else b""
    except OSError:
        return b""
    return content if entry and hashlib.sha256(content).hexdigest() == entry.sha256 else b""


def _joined(text: bytes, parts: Iterable[bytes]) -> bool:
    """Say whether a text is some of these parts, one behind the other, and nothing else: readers take more than one kind of block."""
    longest = sorted(set(parts), key=len, reverse=True)
    at = 0
    while at < len(text):
        length = next((len(part) for part in longest if text.startswith(part, at)), 0)
        if not length:
            return False
        at += length
    return bool(text)


def _links(found: Sequence[Change], packages: Packages, _seen: _Seen) -> Iterable[str]:
    """Links that lead to what a package has, or did so and went."""
    for each in found:
        if _is_link(each) and (each.now is None or _leads(each.path, each.now, packages)):
            yield each.path


def _leads(path: str, link: Entry, packages: Packages) -> bool:
    """Say whether a link still leads where the engine saw it lead, and that is what a package has."""
    try:
        return str(Path(path).readlink()) == link.target and _packaged(os.path.realpath(path), packages)
    except OSError:
        return False


def _alternatives(found: Sequence[Change], packages: Packages, seen: _Seen) -> Iterable[str]:
    """Links into /etc/alternatives, never in the place of a file."""
    through = [
        each
        for each in found
        if (last := each.now or each.was) and last.target.startswith("/etc/alternatives/")
    ]
    return _links(through, packages, seen)


def _wanted(found: Sequence[Change], packages: Packages, _seen: _Seen) -> Iterable[str]:
    """Links to units and scripts of packages that were touched, or of some that are no longer there."""
    for each in found:
        last = each.now or each.was
        if not last or not _is_link(each):
            continue
        unit = os.path.realpath(Path(each.path).parent / last.target)
        owner = packages.listed.get(unit, "") if each.now else packages.owner(unit)
        if owner in packages.touched:
            yield each.path


def _is_link(change: Change) -> bool:
    return all(seen is None or seen.kind == "l" for seen in (change.was, change.now))


def _packaged(path: str, packages: Packages) -> bool:
    return path in packages.listed or path.startswith(tuple(f"{each}/" for each in _AUTHORITIES))


def _tables(found: Sequence[Change], _packages: Packages, seen: _Seen) -> Iterable[str]:
    """Postfix's list of what it loads for a kind of table: rows of the package's own list, and nothing else (dynamicmaps.cf)."""
    own = set(_as_seen(_TABLES, seen.get(_TABLES)).splitlines())
    for each in found:
        rows = _as_seen(each.path, each.now).splitlines()
        if rows and own.issuperset(rows):
            yield each.path


def _hands_off(found: Sequence[Change], _packages: Packages, _seen: _Seen) -> Iterable[str]:
    """Yield what Debian's scripts for Sendmail go by, written anew in their own form: words alone, by which they leave it to us."""
    for each in found:
        lines = _as_seen(each.path, each.now).decode(errors="replace").splitlines()
        rows = [line for line in lines if line and not line.startswith("#")]
        if all(map(_WORD.fullmatch, rows)) and {row.rstrip(";") for row in rows} >= _OFF:
            yield each.path


def _gone(found: Sequence[Change], _packages: Packages, _seen: _Seen) -> Iterable[str]:
    return [each.path for each in found if each.now is None]


def _then(found: Sequence[Change], packages: Packages, _seen: _Seen) -> Iterable[str]:
    for each in found:
        try:
            if each.now is None or packages.wrote_at(Path(each.path).lstat().st_ctime):
                yield each.path
        except OSError:
            continue


MADE: Final = (
    Made(r"/etc/ld\.so\.cache", ".*", "ldconfig's index of libraries; made anew and compared", _linker),
    Made(
        r"/.*/__pycache__(/[^/]+\.pyc)?",
        ".*",
        "Python's compiled modules; compiled anew from their source and compared",
        _compiled,
    ),
    Made(
        r"/etc/ssl/certs/ca-certificates\.crt",
        "ca-certificates",
        "the authorities in one file; each is one of the package's or of /usr/local's",
        _authorities,
    ),
    Made(r"/etc/ssl/certs/[^/]+", "ca-certificates|openssl", "links to the authorities", _links),
    Made(r"/etc/alternatives/[^/]+", ".*", "links of update-alternatives(1) to what packages have", _links),
    Made(r"/usr/.*", ".*", "links of update-alternatives(1) into /etc/alternatives", _alternatives),
    Made(
        r"/etc/(systemd/(system|user)/.*\.(wants|requires)/[^/]+|rc.\.d/[^/]+)",
        ".*",
        "units of a package that it enables",
        _wanted,
    ),
    Made(
        r"/boot/(initrd\.img-.*|grub/.*)",
        "linux-image-.*|initramfs-tools.*|grub.*|.*-firmware|microcode.*|intel-microcode|amd64-microcode",
        "what a new kernel boots with; not verified but by its time",
        _then,
    ),
    Made(
        r"/usr/lib/modules/[^/]+/modules\..*",
        "linux-image-.*|kmod",
        "depmod's index of modules; not verified but by its time",
        _then,
    ),
    Made(
        r"/usr/lib/[^/]+/gconv/gconv-modules\.cache",
        "libc.*",
        "iconv's index of its modules; not verified but by its time",
        _then,
    ),
    Made(
        r"/etc/.*\.ucf-(dist|new|old)",
        ".*",
        "what a package offers in place of a configuration file, which nothing reads; not verified but by its time",
        _then,
    ),
    Made(
        r"/etc/postfix/dynamicmaps\.cf",
        "postfix.*",
        "what Postfix loads for each kind of table, which its packages write; compared with the list of all kinds",
        _tables,
    ),
    Made(
        r"/etc/mail/(sendmail|submit)\.cf\.old",
        "sendmail.*",
        "Sendmail's configuration of before, which nothing reads; not verified but by its time",
        _then,
    ),
    Made(
        r"/etc/mail/sendmail\.conf",
        "sendmail.*",
        "what Debian's scripts for Sendmail go by, and that they leave it alone; each line is one of theirs",
        _hands_off,
    ),
    Made(r"/etc/cron\.d/sendmail", "sendmail.*", "jobs of Debian's scripts for Sendmail, taken away", _gone),
    Made(
        r"/etc/aliases\.db",
        "postfix|sendmail.*",
        "the MTA's map of /etc/aliases, which it does not read here; not verified but by its time",
        _then,
    ),
)


def explained(found: Sequence[Change], packages: Packages, seen: Mapping[str, Entry]) -> dict[str, str]:
    """Return, by path, which row explains what is in it. ``seen``: what the engine saw of each path, changed or not."""
    told: dict[str, str] = {}
    if not packages.touched:
        return told
    for row in MADE:
        own = [
            each for each in found if each.path not in told and re.fullmatch(row.paths, each.path, re.DOTALL)
        ]
        by = next(
            (str(each) for name, each in packages.touched.items() if re.fullmatch(row.packages, name)), ""
        )
        if own and by:
            mine = {each.path for each in own}
            told |= {
                path: f"{row.why}; after {by}" for path in row.holding(own, packages, seen) if path in mine
            }
    return told
