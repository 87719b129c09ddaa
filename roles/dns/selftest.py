"""Tests of block lists, run on the gateway: a list that fails is taken out of service at the resolver, for every asker.

It goes to the host as this one file and uses Python's own library alone. ``apply`` tests the lists and takes them out of
service or in again; ``differences`` says what that would change; ``status`` says what is out of service; ``answers``
says whether the resolver answers. What is out of service answers "not listed", except for the test entries: so it is
tested again each time, and comes back by itself.
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
from collections.abc import Callable, Mapping, Sequence
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

_OUT_LINE = re.compile(r" *# out (\S+): (.*)")


class Answer(NamedTuple):
    """The response code (RFC 1035 4.1.1; -1: none came) and the addresses that were answered."""

    code: int
    addresses: tuple[str, ...] = ()


Ask = Callable[[str], Answer]


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared list; ``counted`` are the numbers that each of an answer's four may be, ``allows`` an allow list."""

    id: str
    zone: str
    test: str
    allows: bool
    counted: tuple[frozenset[int], ...]


def declared(text: str) -> list[Declared]:
    """Return the lists of a JSON text as the deploy writes it."""
    entries: list[dict[str, Any]] = json.loads(text)
    return [
        Declared(
            id=entry["id"],
            zone=entry["zone"],
            test=entry["test"],
            allows=entry["allows"],
            counted=tuple(frozenset(numbers) for numbers in entry["counted"]),
        )
        for entry in entries
    ]


def failing(entry: Declared, ask: Ask) -> str:
    """Return why a list must not be used, or an empty text."""
    listed, never = ask(entry_name(entry.test, entry.zone)), ask(entry_name(NEVER_LISTED, entry.zone))
    found = _silent_or_odd(listed) or _silent_or_odd(never)
    if not found and never.addresses:
        found = f"it lists {NEVER_LISTED}, and so perhaps every address"
    if not found and not listed.addresses:
        found = f"it does not list its test entry {entry.test}"
    if not found and not entry.allows and not any(_counts(entry, address) for address in listed.addresses):
        said = ", ".join(listed.addresses)
        found = f"it answers its test entry with {said}, which `answers` does not count"
    return found


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


def verdicts(entries: Sequence[Declared], ask: Ask) -> dict[str, str]:
    """Return why each list that fails does, by its id; they are tested side by side."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        reasons = list(pool.map(lambda entry: failing(entry, ask), entries))
    return {entry.id: reason for entry, reason in zip(entries, reasons, strict=True) if reason}


def rendered(entries: Sequence[Declared], out: Mapping[str, str]) -> str:
    """Return unbound's configuration that takes lists out of service (unbound.conf(5), local-zone)."""
    lines = [
        f"# Written by {Path(__file__).name}; `status` reads it. Which block lists are out of service, and why.",
        "server:",
    ]
    zones: set[str] = set()
    for entry in entries:
        if entry.id not in out:
            continue
        lines.append(f"    # out {entry.id}: {out[entry.id]}")
        if entry.zone not in zones:
            zones.add(entry.zone)
            lines.append(f'    local-zone: "{entry.zone}." always_nxdomain')
        for address in (entry.test, NEVER_LISTED):
            line = f'    local-zone: "{entry_name(address, entry.zone)}." always_transparent'
            lines += [line] if line not in lines else []
    return "\n".join(lines) + "\n"


def out_of_service(text: str) -> dict[str, str]:
    """Return the reason of each list that such a configuration takes out of service."""
    return {match[1]: match[2] for match in map(_OUT_LINE.fullmatch, text.splitlines()) if match}


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


def _noted(out: Mapping[str, str]) -> None:
    """Say in a note which lists are out of service; without any there is no note."""
    if not out:
        NOTE.unlink(missing_ok=True)
        return
    NOTE.parent.mkdir(parents=True, exist_ok=True)
    fresh = NOTE.with_name(f".{NOTE.name}")
    fresh.write_text("out of service: " + "; ".join(f"{name}: {why}" for name, why in out.items()) + "\n")
    fresh.chmod(0o644)
    fresh.replace(NOTE)


def _told(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return a line for each list that goes out of service, comes back, or fails for another reason."""
    gone = [
        f"dnsbl.{name} is out of service: {why}" for name, why in after.items() if before.get(name) != why
    ]
    return gone + [f"dnsbl.{name} is in service again" for name in before if name not in after]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, or 1 where the resolver does not answer, with nothing changed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("apply", "differences", "status", "answers"))
    command = parser.parse_args(arguments).command
    text = OUT.read_text() if OUT.exists() else ""
    before = out_of_service(text)
    if command == "status":
        print("".join(f"dnsbl.{name} is out of service: {why}\n" for name, why in before.items()), end="")
        return 0
    root = asked(".", TYPE_NS)
    if root.code != NOERROR:
        said = "no answer came" if root.code < 0 else f"it answered with code {root.code}"
        print(f"the resolver cannot find the root's name servers: {said}", file=sys.stderr)
        return 1
    if command == "answers":
        return 0
    entries = declared(DECLARED.read_text()) if DECLARED.exists() else []
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
