"""``filterd`` at the gateway's command line: what it says, and what is kept."""

import base64
import json
import shlex
from dataclasses import dataclass
from typing import Any, Final

from tests.acceptance.gateway import GatewayHost

FILTERD: Final = "/usr/local/bin/filterd"
LEDGER: Final = "/var/lib/filterd/ledger/ledger.db"
STORE: Final = "/var/lib/filterd/store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended: exit code, its JSON ({} for none), what it complained of."""

    code: int
    json: dict[str, Any]
    errors: str


def said(gateway: GatewayHost, *words: str, user: str = "") -> Said:
    """Run one command of filterd with --json, as root or as another user."""
    command = shlex.join([*(["runuser", "-u", user, "--"] if user else []), FILTERD, *words, "--json"])
    lines = gateway.run(
        f"cd /; out=$(mktemp) err=$(mktemp); {command} >$out 2>$err; echo $?; base64 -w0 $out; echo; "
        "base64 -w0 $err; echo; rm $out $err"
    ).splitlines()
    text = base64.b64decode(lines[1])
    return Said(
        code=int(lines[0]),
        json=json.loads(text) if text else {},
        errors=base64.b64decode(lines[2]).decode(),
    )


def good(gateway: GatewayHost, *words: str) -> dict[str, Any]:
    """Return what a command says that must end well."""
    done = said(gateway, *words)
    assert done.code == 0, f"{words}: {done}"
    return done.json


def entries(gateway: GatewayHost, kind: str, mark: str) -> list[dict[str, Any]]:
    """Return the kept entries of a kind whose message is a letter with ``mark``, the newest first."""
    of_letter = ("--message-id", f"<{mark}@sender.example>")
    found: list[dict[str, Any]] = said(gateway, "quarantine", "list", "--kind", kind, *of_letter).json.get(
        "entries", []
    )
    return found


def content(gateway: GatewayHost, entry: str) -> bytes:
    """Return a kept entry's message."""
    return base64.b64decode(gateway.run(f"{FILTERD} quarantine export {entry} | base64 -w0"))


def stored(gateway: GatewayHost, kind: str, mark: str) -> list[tuple[dict[str, Any], bytes]]:
    """Return the kept entries of a kind with their messages.

    To what is said of an entry, whose ``recipients`` are addresses here, come ``findings`` that counted, and of the first recipient
    what became of it (``fate``) and what was ``wanted``.
    """
    found = []
    for one in entries(gateway, kind, mark):
        whole = good(gateway, "messages", "show", one["message"])
        addresses = [who["address"] for who in one["recipients"]]
        first = next(who for who in whole["recipients"] if who["address"] == addresses[0])
        said_of_it = {
            **one,
            "recipients": addresses,
            "findings": [finding for finding in whole["findings"] if finding["counted"]],
            "fate": first["fate"],
            "wanted": first["wanted"],
        }
        found.append((said_of_it, content(gateway, one["id"])))
    return found


def by_hand(gateway: GatewayHost, statement: str, *values: object, ledger: str = LEDGER) -> None:
    """Change the ledger's tables behind filterd's back."""
    script = (
        f"import sqlite3; c = sqlite3.connect({ledger!r}, timeout=20); c.execute('PRAGMA foreign_keys = ON'); "
        f"c.execute({statement!r}, {values!r}); c.commit()"
    )
    encoded = base64.b64encode(script.encode()).decode()
    gateway.run(f"echo {encoded} | base64 -d | runuser -u filterd -- python3 -")
