"""Write down an MTA's queue; it runs on the gateway, with Python's own library alone. handin.py hands in what it wrote.

    carry.py may postfix|sendmail             say what stands in the way of that, before anything is stopped
    carry.py out postfix|sendmail DIRECTORY   write down what waits in that MTA's queue, and take it out there

Queue formats: postcat(1), Postfix's dsn_mask.h; Sendmail's Operations Guide, appendix B ("Summary of support files").
"""

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

_NOTIFY: Final = {1: "NEVER", 2: "SUCCESS", 4: "FAILURE", 8: "DELAY"}
_LETTERS: Final = {"S": "SUCCESS", "F": "FAILURE", "D": "DELAY"}
_RET: Final = {"1": "FULL", "2": "HDRS"}
_ATOM: Final = re.compile(r"[^\s\".(),:;<>@\[\\\]\x00-\x1f\x7f]+(\.[^\s\".(),:;<>@\[\\\]\x00-\x1f\x7f]+)*")
_OWN_MAIL_S: Final = 5.0  # as a rule it is taken at once
_LONG: Final = 300  # seconds that a program of an MTA's may take for an answer
# A queue that is at work changes under the reader's eyes: what stands in the way three times in a row stands there.
_LOOKS: Final = 3
_BETWEEN_S: Final = 2.0
SPOOL: Final = Path("/var/spool/postfix")
# By what Postfix hides hosts inside from the world, in the Received line that it wrote itself (smtp_header_checks).
TRACE: Final = Path("/etc/postfix/directions/trace.pcre")
QUEUE: Final = Path("/var/spool/mqueue")
SUBMITTED: Final = Path("/var/spool/mqueue-client")
# Where Postfix has what it has accepted, and nobody holds.
_ACCEPTED: Final = ("incoming", "active", "deferred")
# Where what is held lies, what it is called, and what an administrator does with it.
_HELD: Final = {
    "postfix": (SPOOL / "hold", "*", "on hold", "`postsuper -H` or `postsuper -d`"),
    "sendmail": (QUEUE, "hf*", "in quarantine", "`sendmail -qQ -Q` or removing them"),
}
# What Sendmail could neither deliver nor tell anybody of: it keeps it under this name, tries it no more, and mailq(1) shows none.
_LOST: Final = {
    "sendmail": (
        QUEUE,
        "Qf*",
        "given up, and nobody was told",
        "removing them, or renaming each to begin with qf,",
    ),
}
# Where what the host's own programs wrote waits for filterd, and what brings it on. Nothing is carried that was not filtered.
_OWN: Final = {
    "postfix": (
        SPOOL / "maildrop",
        "*",
        "start filterd and Postfix, and wait until `postqueue -p` shows none of them",
    ),
    "sendmail": (
        SUBMITTED,
        "qf*",
        "start filterd and Sendmail, and send them by `runuser -u smmsp -- /usr/libexec/sendmail/sendmail -Ac -q`",
    ),
}
# Flags of the mailers of next hops (gateway.mc): what a header's condition names none of is not sent (Appendix B, H).
_MAILER: Final = frozenset("mFMXua8")


@dataclass(kw_only=True)
class Recipient:
    """One who has not got it yet: address without brackets, and the parameters of RCPT (RFC 3461)."""

    address: str
    notify: str = ""
    orcpt: str = ""


@dataclass(kw_only=True)
class Waiting:
    """One message of a queue: envelope without brackets; what is said of the content stands beside it."""

    sender: str = ""
    recipients: list[Recipient] = field(default_factory=list)
    envid: str = ""
    ret: str = ""


class CannotCarryError(Exception):
    """A message that cannot be carried over as it is; the text says which, why, and what to do."""


# A message's id, envelope and content, and what takes it out of its queue.
Taken = tuple[str, Waiting, bytes, Callable[[], object]]


def quoted(address: str) -> str:
    """Return an address as SMTP writes it (RFC 5321 4.1.2): queues keep local parts without their quotes."""
    local, at, domain = address.rpartition("@")
    if not at or _ATOM.fullmatch(local) or (local.startswith('"') and local.endswith('"')):
        return address
    escaped = re.sub(r'(["\\])', r"\\\1", local)
    return f'"{escaped}"@{domain}'


def xtext(value: str) -> str:
    """Return a value as a parameter of DSN is written (RFC 3461 4): Postfix keeps it decoded, Sendmail as it came."""
    return "".join(one if "!" <= one <= "~" and one not in "+=" else f"+{ord(one):02X}" for one in value)


def of_postfix(text: str) -> Waiting:
    """Return the envelope that `postcat -e` prints. Recipients that are done have other records."""
    found, orcpt, notify = Waiting(), "", 0
    # An address may have whatever else some take for the end of a line.
    for line in text.split("\n"):
        name, _, value = line.partition(": ")
        if name == "named_attribute":
            attribute, _, value = value.partition("=")
            if attribute == "dsn_orig_rcpt":
                orcpt = xtext(value)
            elif attribute == "notify_flags":
                notify = int(value)
            elif attribute == "envelope_id":
                found.envid = xtext(value)
            elif attribute == "ret_flags":
                found.ret = _RET.get(value, "")
        elif name == "sender":
            found.sender = quoted(value)
        elif name in ("recipient", "done_recipient"):
            asked = ",".join(word for bit, word in _NOTIFY.items() if notify & bit)
            if name == "recipient":
                found.recipients.append(Recipient(address=quoted(value), notify=asked, orcpt=orcpt))
            orcpt, notify = "", 0
    return found


def of_sendmail(text: bytes) -> tuple[Waiting, bytes]:
    """Return envelope and headers of a qf file. Raises ValueError for one that is not whole."""
    found, headers, orcpt = Waiting(), list[bytes](), ""
    lines = re.sub(rb"\n(?=[ \t])", b"\0", text).split(b"\n")
    if b"." not in lines:
        raise ValueError("it is not a whole queue file")
    for line in lines[: lines.index(b".")]:
        code, value = line[:1], line[1:]
        if code == b"S":
            found.sender = _bare(value)
        elif code == b"Q":
            orcpt = value.decode("utf-8", "surrogateescape")
        elif code == b"Z":
            found.envid = value.decode("ascii", "replace")
        elif code == b"F" and b"n" in value:
            found.ret = "HDRS"
        elif code == b"R":
            flags, _, address = value.partition(b":")
            found.recipients.append(_asked(flags.decode("ascii", "replace"), _bare(address), orcpt))
            orcpt = ""
        elif code == b"H" and (header := _header(value)):
            headers.append(header)
    return found, b"".join(headers)


def _asked(flags: str, address: str, orcpt: str) -> Recipient:
    """Return a recipient; ``N`` says that NOTIFY was given, and with no further letter it was NEVER."""
    asked = ",".join(word for letter, word in _LETTERS.items() if letter in flags)
    return Recipient(address=address, notify=(asked or "NEVER") if "N" in flags else "", orcpt=orcpt)


def _bare(address: bytes) -> str:
    text = address.decode("utf-8", "surrogateescape").strip()
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text


def _header(value: bytes) -> bytes:
    """Return one header with its line ends, or nothing where the condition before it (``?flags?``) does not hold."""
    condition = re.match(rb"\?([^?]*)\?", value)
    if condition is not None:
        flags = set(condition[1].decode("ascii", "replace"))
        if flags and not flags & _MAILER:
            return b""
        value = value[condition.end() :]
        if flags and not value.partition(b":")[2].strip():
            return b""  # one of Sendmail's own that is empty, and so not written
    return value.replace(b"\0", b"\r\n") + b"\r\n"


def crlf(content: bytes) -> bytes:
    """Return a queue's content with SMTP's line ends; a lone carriage return stays as it came."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", content)


def _run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=_LONG).stdout


def _listed() -> Mapping[str, frozenset[str]]:
    """Return who has not got each message of Postfix's queue yet, as postqueue(1) says it, by id.

    What postcat(1) prints is lines, and nothing in them says what a sender has written: a line end within a parameter would be
    a recipient of his choice, to whom this gateway relays nothing.
    """
    found = dict[str, frozenset[str]]()
    for line in _run("postqueue", "-j").split(b"\n"):
        if line:
            message = json.loads(line.decode("utf-8", "surrogateescape"))
            found[message["queue_id"]] = frozenset(_plain(one["address"]) for one in message["recipients"])
    return found


def _plain(address: str) -> str:
    """Return an address without its quotes, and with a question mark for what postqueue(1) shows none of."""
    return re.sub(r"[^!-~]+|\?+", "?", re.sub(r'["\\]', "", address))


def postfix_queue() -> Iterator[Taken]:
    """Yield (id, envelope, content, what takes it out of the queue) of each message that waits in Postfix."""
    # In this order, for Postfix may be at work: what is there now is listed, and nobody is added to a message that is there.
    paths = sorted(one for name in _ACCEPTED for one in _ids(SPOOL / name, "*"))
    listed = _listed()
    for path in paths:
        taken = _read(path, partial(_of_postfix, path, listed), lambda name: any(_places(name)))
        if taken is not None:
            yield taken


def _places(name: str) -> Iterator[Path]:
    """Give where a message of Postfix's is: it goes from one queue to the other."""
    return (one for queue in _ACCEPTED for one in _ids(SPOOL / queue, "*") if one.name == name)


def _of_postfix(path: Path, listed: Mapping[str, frozenset[str]]) -> Taken | None:
    """Return one message of Postfix's, or nothing for what was never accepted."""
    # Not accepted: its session ended first, and what is in it has no end (Postfix's mail_queue.h, MAIL_QUEUE_STAT_READY).
    if not path.stat().st_mode & stat.S_IXUSR:
        return None
    if any(one.name == path.name for one in _ids(SPOOL / "bounce", "*")):
        raise CannotCarryError(
            f"a bounce of {path.name} is being made: start Postfix, and deploy again later"
        )
    records = _run("postcat", "-e", "-q", path.name).decode("utf-8", "surrogateescape")
    # postcat(1) says in passing that a file is none of Postfix's, or ends too soon, and succeeds.
    if not records.rstrip("\n").rpartition("\n")[2].startswith("*** MESSAGE FILE END "):
        raise ValueError("it is not a whole queue file")
    envelope = of_postfix(records)
    if not {_plain(one.address) for one in envelope.recipients} <= listed.get(path.name, frozenset()):
        raise CannotCarryError(
            f"{path.name} has recipients that `postqueue -j` does not know: somebody has written them into its envelope; "
            f"look at it by `postcat -q {path.name}`, remove it by `postsuper -d {path.name}`, and deploy again"
        )
    content = crlf(_hidden(_run("postcat", "-h", "-b", "-q", path.name)))
    return path.name, envelope, content, partial(_run, "postsuper", "-d", path.name)


def _hidden(content: bytes) -> bytes:
    """Return a content whose topmost line of the way names no host inside, as Postfix's own way out would write it.

    Sendmail writes such a line anew for what it received itself alone. What stays in the house loses the host's name, too.
    """
    head, between, body = content.partition(b"\n\n")
    first = re.search(rb"^Received:[^\n]*(?:\n[ \t][^\n]*)*", head, re.MULTILINE)
    if first is None or not TRACE.exists():
        return content
    line = first[0]
    asked = ["postmap", "-q", os.fsdecode(line), f"pcre:{TRACE}"]
    said = subprocess.run(asked, check=False, capture_output=True, timeout=_LONG)
    if said.returncode not in (0, 1):
        raise CannotCarryError(f"{TRACE} cannot be asked: {said.stderr.decode('utf-8', 'replace').strip()}")
    verb, _, instead = said.stdout.rstrip(b"\n").partition(b" ")
    return head.replace(line, instead, 1) + between + body if verb == b"REPLACE" and instead else content


def sendmail_queue() -> Iterator[Taken]:
    """Yield (id, envelope, content, what takes it out of the queue) of each message that waits in Sendmail."""
    for path in _ids(QUEUE, "qf*"):
        taken = _read(path, partial(_of_sendmail, path), lambda name: (QUEUE / name).exists())
        if taken is not None:
            yield taken


def _of_sendmail(path: Path) -> Taken:
    name = path.name[2:]
    envelope, headers = of_sendmail(path.read_bytes())
    body = path.with_name(f"df{name}")
    content = headers + b"\r\n" + crlf(body.read_bytes() if body.exists() else b"")
    return name, envelope, content, partial(_unlinked, path, body)


def _read(path: Path, read: Callable[[], Taken | None], there: Callable[[str], bool]) -> Taken | None:
    """Return a message, or nothing for one that has left the queue meanwhile. Raises CannotCarryError, which names its file."""
    try:
        return read()
    except (CannotCarryError, OSError, ValueError, subprocess.SubprocessError) as error:
        if not there(path.name):
            return None
        if isinstance(error, CannotCarryError):
            raise
        raise CannotCarryError(
            f"{path} cannot be read: {_reason(error)}; look at it, mend it or move it out of the queue, and deploy again"
        ) from error


def _reason(error: Exception) -> str:
    """Return why something failed: the last words of a program that did."""
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else b""
    lines = (said or b"").decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else str(error)


def _unlinked(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _ids(directory: Path, pattern: str) -> list[Path]:
    return sorted(path for path in directory.rglob(pattern) if path.is_file())


QUEUES: Final[Mapping[str, Callable[[], Iterator[Taken]]]] = {
    "postfix": postfix_queue,
    "sendmail": sendmail_queue,
}


def may(mta: str) -> None:
    """Raise CannotCarryError when something must be decided by a human first; the MTA may be at work meanwhile."""
    _decided(mta)
    for look in range(_LOOKS):
        try:
            for _ in QUEUES[mta]():
                pass
        except CannotCarryError:
            if look == _LOOKS - 1:
                raise
            time.sleep(_BETWEEN_S)
        else:
            return


def _decided(mta: str) -> None:
    """Raise CannotCarryError for what nobody has let go, or filtered, yet: it would be let go."""
    for directory, pattern, name, remedy in (kind[mta] for kind in (_HELD, _LOST) if mta in kind):
        held = _ids(directory, pattern)
        if held:
            raise CannotCarryError(f"{len(held)} messages are {name} ({held[0]} …): {remedy} first")
    directory, pattern, remedy = _OWN[mta]
    deadline = time.monotonic() + _OWN_MAIL_S
    while own := _ids(directory, pattern):
        if time.monotonic() > deadline:
            raise CannotCarryError(
                f"{len(own)} messages that this host wrote itself are not filtered yet ({own[0]} …): {remedy}, or remove them"
            )
        time.sleep(0.2)


def out(mta: str, directory: Path) -> int:
    """Write down what waits; each message leaves the queue when it is on disk. Return how many there were."""
    _decided(mta)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    count = 0
    for name, envelope, content, remove in QUEUES[mta]():
        if envelope.recipients:
            # Named for where it was: written down twice, it is still one.
            _durable(directory / f"{mta}-{name}.eml", content)
            _durable(directory / f"{mta}-{name}.json", json.dumps(asdict(envelope)).encode())
            count += 1
        remove()
    return count


def _durable(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    place = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def main(words: list[str]) -> int:
    """Do what the command line says; 0: all is done, 1: something stands in the way, and it is said."""
    what, which, *place = words
    try:
        if what == "may":
            may(which)
        else:
            print(f"{out(which, Path(place[0]))} messages written down in {place[0]}")
    except (CannotCarryError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"the queue cannot be carried over: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
