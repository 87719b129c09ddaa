"""Tests of block lists, run on the gateway: a zone that fails is taken out of service at the resolver, for every asker.

It goes to the host as this one file and uses Python's own library alone. ``apply`` tests the lists and takes them out of
service or in again; ``differences`` says what that would change; ``status`` says what is out of service; ``answers``
says whether the resolver answers; ``logged`` how Postfix's log says that an entry holds a client. What is out of service
answers "not listed", except for the test entries: so it is tested again each time, and comes back by itself. Several
entries may tell the answers of one zone apart; one whose own test alone fails is in doubt, which is said and takes
nothing out of service.
"""

import argparse
import json
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import syslog
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

RESOLVER = ("127.0.0.1", 53)
DECLARED = Path("/etc/bastide/dnsbl.json")
# Debian's AppArmor profile lets unbound list this directory and not the one above it, and what it is to read is a pattern: there
# need be no such file.
OUT = Path("/etc/unbound/unbound.conf.d/bastide-dnsbl.conf")
# For the daily report.
NOTE = Path("/run/bastide-notes/dnsbl")

NOERROR, NXDOMAIN = 0, 3
TYPE_A, TYPE_NS, CLASS_IN = 1, 2, 1
# RFC 5782 5: never on a list; what lists it lists everything.
NEVER_LISTED = "127.0.0.1"
# 127.255.255.x; Spamhaus's meanings, which others have taken over.
ERRORS = {"252": "the zone's name is mistyped", "254": "it refuses our resolver", "255": "too many questions"}
# unbound gives up on a dead zone within some seconds; one lost packet must not take a list out of service.
QUESTION_SECONDS = 10.0
ATTEMPTS = 3
PAUSE_SECONDS = 2.0
AT_A_TIME = 8

_STATE_LINE = re.compile(r" *# (out|doubted) (\S+): (.*)")


class Answer(NamedTuple):
    """The response code (RFC 1035 4.1.1; -1: none came) and the addresses that were answered."""

    code: int
    addresses: tuple[str, ...] = ()


Ask = Callable[[str], Answer]


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared entry of a list, of which a zone may have several.

    ``counted`` are the numbers that each of an answer's four may be, ``allows`` an allow list; ``own``: the test is this
    entry's own, and must show it.
    """

    id: str
    zone: str
    test: str
    allows: bool
    counted: tuple[frozenset[int], ...]
    own: bool = False


class Judgement(NamedTuple):
    """Why entries are out of service with their whole zone, and why others are in doubt, each by its id."""

    out: dict[str, str]
    doubted: dict[str, str]


def declared(text: str) -> list[Declared]:
    """Return the lists of a JSON text as the deploy writes it."""
    entries: list[dict[str, Any]] = json.loads(text)
    return [
        Declared(
            id=entry["id"],
            zone=entry["zone"],
            test=entry["test"],
            own=entry["own"],
            allows=entry["allows"],
            counted=tuple(frozenset(numbers) for numbers in entry["counted"]),
        )
        for entry in entries
    ]


def judged(entries: Sequence[Declared], ask: Ask) -> Judgement:
    """Return what is wrong with the entries of one zone.

    A zone is to be believed whole or not at all: no question may get an error code or no answer, what is never listed must not
    be, and some test entry must be, with an answer that one of the zone's entries counts. An entry of a zone that is
    believed may still lack its own: then it counts too little, and never too much, so it is said and the zone stays.
    """
    zone = entries[0].zone
    never = ask(entry_name(NEVER_LISTED, zone))
    tests = {test: ask(entry_name(test, zone)) for test in dict.fromkeys(entry.test for entry in entries)}
    found = next((why for answer in (*tests.values(), never) if (why := _silent_or_odd(answer))), "")
    if not found and never.addresses:
        found = f"it lists {NEVER_LISTED}, and so perhaps every address"
    unshown = {entry.id: why for entry in entries if (why := _unshown(entry, tests[entry.test]))}
    if not found and len(unshown) == len(entries):
        found = unshown[entries[0].id]
    if found:
        return Judgement(out={entry.id: found for entry in entries}, doubted={})
    return Judgement(
        out={},
        doubted={entry.id: unshown[entry.id] for entry in entries if entry.own and entry.id in unshown},
    )


def _unshown(entry: Declared, listed: Answer) -> str:
    """Return why an entry's test does not show that it works, or an empty text; an allow list's need not be trusted."""
    if not listed.addresses:
        return f"it does not list its test entry {entry.test}"
    if entry.allows or any(_counts(entry, address) for address in listed.addresses):
        return ""
    return f"it answers its test entry with {', '.join(listed.addresses)}, which `answers` does not count"


def _silent_or_odd(answer: Answer) -> str:
    """Return what is wrong with an answer by itself, or an empty text."""
    if answer.code not in (NOERROR, NXDOMAIN):
        return "its name servers do not answer"
    for address in answer.addresses:
        if address.startswith("127.255.255."):
            return f"it answers {address}: {ERRORS.get(address.rpartition('.')[2], 'an error')}"
        if not address.startswith("127."):
            return f"it answers {address}, which no list does: its name has another owner"
    return ""


def entry_name(address: str, zone: str) -> str:
    """Return the name under which an IPv4 address stands in a list (RFC 5782 2.1)."""
    return ".".join([*reversed(address.split(".")), zone])


def _counts(entry: Declared, address: str) -> bool:
    return all(
        int(octet) in numbers for octet, numbers in zip(address.split("."), entry.counted, strict=True)
    )


def verdicts(entries: Sequence[Declared], ask: Ask) -> Judgement:
    """Return what is wrong with which entry; the zones are tested side by side."""
    zones: dict[str, list[Declared]] = {}
    for entry in entries:
        zones.setdefault(entry.zone.lower(), []).append(entry)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = list(pool.map(lambda own: judged(own, ask), zones.values()))
    out = {name: why for each in found for name, why in each.out.items()}
    doubted = {name: why for each in found for name, why in each.doubted.items()}
    return Judgement(
        *({entry.id: own[entry.id] for entry in entries if entry.id in own} for own in (out, doubted))
    )


def rendered(entries: Sequence[Declared], found: Judgement) -> str:
    """Return unbound's configuration that takes lists out of service (unbound.conf(5), local-zone)."""
    lines = [
        f"# Written by {Path(__file__).name}; `status` reads it. Which block lists are out of service or in doubt, and why.",
        "server:",
        *(f"    # doubted {name}: {why}" for name, why in found.doubted.items()),
    ]
    zones: set[str] = set()
    for entry in entries:
        if entry.id not in found.out:
            continue
        lines.append(f"    # out {entry.id}: {found.out[entry.id]}")
        if entry.zone.lower() not in zones:
            zones.add(entry.zone.lower())
            lines.append(f'    local-zone: "{entry.zone}." always_nxdomain')
        for address in (entry.test, NEVER_LISTED):
            line = f'    local-zone: "{entry_name(address, entry.zone)}." always_transparent'
            lines += [line] if line.lower() not in map(str.lower, lines) else []
    return "\n".join(lines) + "\n"


def read(text: str) -> Judgement:
    """Return what such a configuration says of which entry."""
    found = Judgement(out={}, doubted={})
    for match in map(_STATE_LINE.fullmatch, text.splitlines()):
        if match:
            (found.out if match[1] == "out" else found.doubted)[match[2]] = match[3]
    return found


def logged(entry: Declared) -> str:
    """Return a regular expression of the line by which Postfix's dnsblog(8) says that an entry holds a client."""
    answer = r"\.".join(f"({'|'.join(map(str, sorted(numbers)))})" for numbers in entry.counted)
    return f"listed by domain {re.escape(entry.zone)} as {answer}$"


def said(found: Judgement) -> dict[str, str]:
    """Return a sentence for each entry that something is wrong with, by its id."""
    return {
        **{name: f"dnsbl.{name} is out of service: {why}" for name, why in found.out.items()},
        **{
            name: f"dnsbl.{name} is in doubt, its zone in service: {why}"
            for name, why in found.doubted.items()
        },
    }


def asked(name: str, kind: int = TYPE_A) -> Answer:
    """Ask the local resolver, again when no answer comes or it could not find one."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        answer = _asked_once(name, kind)
        if answer.code in (NOERROR, NXDOMAIN):
            return answer
    return answer


def _asked_once(name: str, kind: int) -> Answer:
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".") if label)
    # RFC 1035 4.1: a standard query, recursion desired, one question.
    query = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, CLASS_IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(QUESTION_SECONDS)
        try:
            connection.connect(RESOLVER)
            connection.send(query)
            return answered(connection.recv(4096), number)
        except (OSError, ValueError):
            return Answer(-1)


def answered(packet: bytes, number: int) -> Answer:
    """Return what a response says (RFC 1035 4.1); ValueError for one that is not ours or not whole."""
    try:
        found, flags, questions, answers, _, _ = struct.unpack_from("!6H", packet)
        if found != number:
            raise ValueError("the response to another question")
        place = 12
        for _ in range(questions):
            place = _behind_name(packet, place) + 4
        addresses = []
        for _ in range(answers):
            place = _behind_name(packet, place)
            kind, _, _, length = struct.unpack_from("!HHIH", packet, place)
            place += 10
            if kind == TYPE_A:
                addresses.append(socket.inet_ntop(socket.AF_INET, packet[place : place + length]))
            place += length
    except (struct.error, IndexError) as error:
        raise ValueError("a response that is cut short") from error
    return Answer(flags & 0xF, tuple(addresses))


def _behind_name(packet: bytes, place: int) -> int:
    """Return where a name ends: a zero, or a pointer to the rest of it (RFC 1035 4.1.4)."""
    while packet[place]:
        if packet[place] >= 0xC0:  # noqa: PLR2004 - the two bits that mark a pointer
            return place + 2
        place += packet[place] + 1
    return place + 1


def _written(text: str) -> None:
    """Put unbound's file in place and have it read; the former one comes back if unbound does not take it."""
    former = OUT.read_text() if OUT.exists() else None
    _put(text)
    try:
        subprocess.run(["unbound-checkconf"], check=True, capture_output=True, text=True)
        subprocess.run(["unbound-control", "reload"], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        if former is None:
            OUT.unlink()
        else:
            _put(former)
        raise SystemExit(f"unbound does not take {OUT}: {error.stderr or error.stdout}") from error


def _put(text: str) -> None:
    fresh = OUT.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(OUT)


def _noted(found: Judgement) -> None:
    """Say in a note which lists are out of service or in doubt; without any there is no note."""
    if not any(found):
        NOTE.unlink(missing_ok=True)
        return
    NOTE.parent.mkdir(parents=True, exist_ok=True)
    fresh = NOTE.with_name(f".{NOTE.name}")
    parts = [
        f"{state}: " + "; ".join(f"{name}: {why}" for name, why in own.items())
        for state, own in (("out of service", found.out), ("in doubt", found.doubted))
        if own
    ]
    fresh.write_text("; ".join(parts) + "\n")
    fresh.chmod(0o644)
    fresh.replace(NOTE)


def _told(before: Judgement, after: Judgement) -> list[str]:
    """Return a line for each entry that something else is wrong with than before, or nothing any more."""
    former, now = said(before), said(after)
    gone = [line for name, line in now.items() if former.get(name) != line]
    return gone + [f"dnsbl.{name} is in service again" for name in former if name not in now]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, or 1 where the resolver does not answer, with nothing changed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("apply", "differences", "status", "answers", "logged"))
    parser.add_argument("id", nargs="?", default="", help="of `logged`: the entry")
    given = parser.parse_args(arguments)
    command = given.command
    entries = declared(DECLARED.read_text()) if DECLARED.exists() else []
    if command == "logged":
        own = [entry for entry in entries if entry.id == given.id]
        print("".join(f"{logged(entry)}\n" for entry in own), end="")
        if not own:
            print(f"no block list dnsbl.{given.id} is declared", file=sys.stderr)
        return 0 if own else 1
    text = OUT.read_text() if OUT.exists() else ""
    before = read(text)
    if command == "status":
        print("".join(f"{line}\n" for line in said(before).values()), end="")
        return 0
    root = asked(".", TYPE_NS)
    if root.code != NOERROR:
        why = "no answer came" if root.code < 0 else f"it answered with code {root.code}"
        print(f"the resolver cannot find the root's name servers: {why}", file=sys.stderr)
        return 1
    if command == "answers":
        return 0
    after = verdicts(entries, asked)
    wanted = rendered(entries, after)
    changes = _told(before, after) or ([f"{OUT} is to be written"] if wanted != text else [])
    print("".join(f"{line}\n" for line in changes), end="")
    if command == "apply":
        _noted(after)
    if command == "apply" and changes:
        _written(wanted)
        for line in changes:
            syslog.syslog(syslog.LOG_MAIL | syslog.LOG_ALERT, line)
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
