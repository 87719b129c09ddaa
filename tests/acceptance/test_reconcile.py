"""What Postfix's log says of 200 messages of every fate, held against what the ledger says of them (P01)."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from audit.samples import EICAR
from tests.acceptance.desk import LEDGER, by_hand, entries, good, said
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import BOB, CAROL, DAVE, PLAIN, attachment, delivered, letter, mark
from tests.acceptance.outside import HELO, Outside, Step, content, line
from tests.acceptance.policy import configuration, policy
from tests.acceptance.scored import SCORED
from tests.acceptance.test_failure import READY, STOPPED

SPAM: Final = b"Content-Type: text/plain\r\n\r\n" + SCORED["gtube"].partition(b"\r\n\r\n")[2]
CHAINS: Final = {
    "infected": ("clean", "reject"),
    "banned": ("notify admin", "archive", "move"),
    "spam": ("discard",),
    "bulk": ("ignore",),
}
GROUPS: Final = (
    {"name": "lab", "recipients": [CAROL], "chains": {"infected": ["ignore"], "banned": ["reject"]}},
    {"name": "careful", "recipients": [DAVE], "chains": {"infected": ["move"], "spam": ["tag", "ignore"]}},
)
# What is sent: its parts, and to whom. Ten of each.
KINDS: Final = {
    "clean": ((PLAIN,), (BOB,)),
    "clean-for-three": ((PLAIN,), (BOB, CAROL, DAVE)),
    "infected": ((PLAIN, attachment(EICAR, "eicar.com")), (BOB,)),
    "infected-as-it-is": ((PLAIN, attachment(EICAR, "eicar.com")), (CAROL,)),
    "infected-kept": ((PLAIN, attachment(EICAR, "eicar.com")), (DAVE,)),
    "infected-split": ((PLAIN, attachment(EICAR, "eicar.com")), (BOB, CAROL, DAVE)),
    "banned": ((PLAIN, attachment(b"MZ")), (BOB,)),
    "banned-refused": ((PLAIN, attachment(b"MZ")), (CAROL,)),
    "banned-split": ((PLAIN, attachment(b"MZ")), (BOB, CAROL)),
    "spam": ((PLAIN, SPAM), (BOB,)),
    "spam-tagged": ((PLAIN, SPAM), (DAVE,)),
    "spam-split": ((PLAIN, SPAM), (BOB, DAVE)),
    "nobody-s": ((PLAIN,), ("nobody-there@bastide.example",)),
    "relayed": ((PLAIN,), ("eve@elsewhere.example",)),
    "reset": ((PLAIN,), (BOB,)),
    "broken-off": ((PLAIN,), (BOB,)),
    "deferred": ((PLAIN,), (BOB,)),
    "null-sender": ((PLAIN,), (BOB,)),
    "queued": ((PLAIN,), (CAROL,)),
    "alike": ((PLAIN,), (DAVE,)),
}
EACH: Final = 10
EDGE: Final = timedelta(minutes=1)
LOG: Final = "/root/reconciled.log"
COPY: Final = "/var/lib/filterd/copy"
STRANGE: Final = "4zzzzz0000z0000"


def test_every_message_is_explained_and_a_lost_one_is_named(wan: Outside, gateway: GatewayHost) -> None:
    started = datetime.fromisoformat(gateway.run("date -Iseconds").strip())
    marks = {name: [mark() for _ in range(EACH)] for name in KINDS}
    marks["alike"] = marks["alike"][:1] * EACH
    with policy(gateway, CHAINS, *GROUPS, tables={"notify": {"per_hour": 1000}}):
        _sent(wan, gateway, marks)
        (entry,) = entries(gateway, "quarantine", marks["banned"][0])
        assert good(gateway, "quarantine", "release", entry["id"])["status"] == "released"
        gateway.sent_on()
        for one in ("banned", "queued"):
            delivered(gateway, marks[one][0])
        logged(gateway, started)
        whole = good(gateway, "reconcile", "--log", LOG)
    assert whole["unexplained"] == []
    assert whole["unexplained_count"] == 0
    assert {"passed", "refused", "quarantined", "discarded", "injected", "deferred"} <= set(whole["ledger"])
    assert {"delivered", "refused", "later", "discarded", "broken off"} <= set(whole["log"])
    assert sum(whole["at_the_door"].values()) >= EACH
    _tampered(gateway, marks)


def _tampered(gateway: GatewayHost, marks: dict[str, list[str]]) -> None:
    """Remove records from a copy of the ledger, and give one another queue id: each is named, in both directions."""
    with copied(gateway) as config:
        ids = [
            good(gateway, "messages", "--message-id", f"<{one}@sender.example>")["messages"][0]
            for one in (marks["clean"][3], marks["infected-kept"][3], marks["clean"][4])
        ]
        for one in ids[:2]:
            by_hand(gateway, "DELETE FROM messages WHERE id = ?", one["id"], ledger=f"{COPY}/ledger.db")
        by_hand(
            gateway,
            "UPDATE messages SET queue_id = ? WHERE id = ?",
            STRANGE,
            ids[2]["id"],
            ledger=f"{COPY}/ledger.db",
        )
        lost = said(gateway, "reconcile", "--config", config, "--log", LOG)
    assert lost.code == 1
    named = {(one["side"], one["queue_id"], one["why"]) for one in lost.json["unexplained"]}
    # A kept one that the ledger forgot is as bad as a delivered one.
    assert {
        ("log", ids[0]["queue_id"], "the ledger does not know it (delivered)"),
        ("log", ids[1]["queue_id"], "the ledger does not know it (discarded)"),
        ("log", ids[2]["queue_id"], "the ledger does not know it (delivered)"),
        ("ledger", STRANGE, "the log has nothing of it"),
    } == named


def _sent(wan: Outside, gateway: GatewayHost, marks: dict[str, list[str]]) -> None:
    """Send all of them, one session a kind; what waits for the engines or the next hop comes last."""
    stop, start = STOPPED["clamd"]
    last = {
        "deferred": (stop, f"{start}; {READY['clamd']}"),
        "queued": gateway.mta.blocked,
    }
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda name: _session(wan, name, marks[name]), [one for one in KINDS if one not in last])
        )
    for name, (change, undo) in last.items():
        with gateway.altered(change, undo):
            _session(wan, name, marks[name])


def _session(wan: Outside, name: str, marks: list[str]) -> None:
    parts, recipients = KINDS[name]
    steps = [line(f"EHLO {HELO}")]
    sender = "" if name == "null-sender" else "alice@sender.example"
    for unique in marks:
        opened = [
            line(f"MAIL FROM:<{sender}> BODY=8BITMIME"),
            *[line(f"RCPT TO:<{who}>") for who in recipients],
        ]
        message = content(letter(unique, *parts))
        if name == "broken-off":
            # Each in a session of its own, which ends within the message.
            half = Step(send=message.send[: len(message.send) // 2], reply=False)
            wan.dialogue(*steps, *opened, line("DATA"), half)
        elif name in {"nobody-s", "relayed", "reset"}:
            steps += [*opened, line("RSET")]
        else:
            steps += [*opened, line("DATA"), message]
    if name != "broken-off":
        wan.dialogue(*steps, line("QUIT"))


def logged(gateway: GatewayHost, started: datetime) -> None:
    """Write the MTA's log of the time since then to a file, as if it had been quiet before and after.

    What lies within a minute of a log's end is left out of the comparison: so nothing of ours does, and all that came
    before.
    """
    early = (started - EDGE).isoformat()
    late = (datetime.fromisoformat(gateway.run("date -Iseconds").strip()) + 2 * EDGE).isoformat()
    quiet = f"mx1 {gateway.mta.quiet}: as quiet as can be"
    gateway.run(
        f"sleep 2; {{ echo '{early} {quiet}'; journalctl --facility=mail -o short-iso-precise --no-pager -q "
        f"--since=@{int(started.timestamp())}; echo '{late} {quiet}'; }} >{LOG}"
    )


@contextmanager
def backed_up(gateway: GatewayHost) -> Iterator[None]:
    """Have a copy of the ledger in COPY, for the length of a block."""
    copy = f"import sqlite3; sqlite3.connect('{LEDGER}').backup(sqlite3.connect('{COPY}/ledger.db'))"
    made = f'install -d -m 700 -o filterd -g filterd {COPY}; runuser -u filterd -- python3 -c "{copy}"'
    with gateway.altered(made, f"rm -r {COPY}"):
        yield


@contextmanager
def copied(gateway: GatewayHost) -> Iterator[str]:
    """Give a configuration that names a copy of the ledger, for the length of a block."""
    text = configuration(gateway, {}, tables={"ledger": {"url": f"sqlite:///{COPY}/ledger.db"}})
    file = "/etc/filterd/copy.toml"
    encoded = base64.b64encode(text.encode()).decode()
    with backed_up(gateway), gateway.altered(f"echo {encoded} | base64 -d >{file}", f"rm {file}"):
        yield file
