"""Many messages through one gateway, each known by its envelope's sender, and what the gateway says of them."""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from filterd.findings import Verdict
from filterd.stages import ORDER
from tests.acceptance.gateway import ARRIVAL_SECONDS, GatewayHost
from tests.acceptance.outside import CLOSED, HELO, Outside, Step, content, line, queue_id

VERDICTS: Final[Mapping[str, Verdict]] = {rule.id: rule.verdict for stage in ORDER for rule in stage.rules}
_RULE: Final = re.compile(r"[45]\d\d .* \[([a-z0-9.-]+)\] id=")
# Headers that filterd adds stand above it.
_TRACE: Final = re.compile(
    rb"\A(X-Bastide-Tag: .*\r\n)?Received: from client\.sender\.example .*\r\n(?:[ \t].*\r\n)*"
)
# Behind ten refusals Postfix lets a client wait (smtpd_soft_error_limit).
_IN_ONE_SESSION: Final = 6
_SESSIONS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of one message: the reply to its end, and how it arrived without the gateway's own Received."""

    sent: bytes
    reply: str
    arrived: bytes | None

    @property
    def rule(self) -> str:
        """The rule that the reply names, or ""."""
        found = _RULE.match(self.reply)
        return found.group(1) if found else ""

    @property
    def verdict(self) -> Verdict | None:
        """The class of that rule."""
        return VERDICTS.get(self.rule)

    @property
    def tag(self) -> str:
        """What stands in the only change to the message, a tag on top of it, or ""."""
        start = b"X-Bastide-Tag: "
        head, end, rest = (self.arrived or b"").partition(b"\r\n")
        return (
            head.removeprefix(start).decode()
            if head.startswith(start) and end + rest == b"\r\n" + self.sent
            else ""
        )


def fates(wan: Outside, gateway: GatewayHost, letters: Sequence[bytes]) -> list[Fate]:
    """Send messages, several in a session and some sessions at a time, and return what became of each.

    A message that does not end in CRLF is sent with one, as SMTP has no other way.
    """
    whole = [one if one.endswith(b"\r\n") else one + b"\r\n" for one in letters]
    senders = [f"{uuid.uuid4().hex}@sender.example" for _ in whole]
    pairs = list(zip(senders, whole, strict=True))
    pieces = [pairs[at : at + _IN_ONE_SESSION] for at in range(0, len(pairs), _IN_ONE_SESSION)]
    with ThreadPoolExecutor(_SESSIONS) as pool:
        replies = [reply for got in pool.map(lambda piece: _session(wan, piece), pieces) for reply in got]
    taken = [who for who, reply in zip(senders, replies, strict=True) if reply.startswith("2")]
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not set(taken) <= (records := _arrived(gateway, senders)).keys():
        assert time.monotonic() < deadline, f"{len(records)} of {len(taken)} messages arrived"
        time.sleep(0.2)
    return [
        Fate(sent=message, reply=reply, arrived=records.get(who))
        for who, message, reply in zip(senders, whole, replies, strict=True)
    ]


def _session(wan: Outside, letters: Sequence[tuple[str, bytes]]) -> list[str]:
    """Return the reply to the end of each message of one session."""
    steps: list[Step] = [line(f"EHLO {HELO}")]
    for sender, message in letters:
        steps += [
            line(f"MAIL FROM:<{sender}> BODY=8BITMIME"),
            line("RCPT TO:<bob@bastide.example>"),
            line("DATA"),
            content(message),
        ]
    replies = wan.dialogue(*steps)
    replies += [CLOSED] * (1 + len(steps) - len(replies))
    return replies[5::4]


def _arrived(gateway: GatewayHost, senders: Iterable[str]) -> dict[str, bytes]:
    wanted = set(senders)
    found = {}
    for path in gateway.lab.sink.glob("*.json"):
        if (sender := json.loads(path.read_bytes())["mail_from"]) in wanted:
            found[sender] = _TRACE.sub(rb"\1", path.with_suffix(".eml").read_bytes())
    return found


def logged(gateway: GatewayHost, reply: str) -> dict[str, Any]:
    """Return the log line of the message that a reply speaks of, refused or queued."""
    own = queue_id(reply) or reply.rpartition("id=")[2]
    look = f'journalctl -u filterd -o cat --no-pager --since -120s | grep -F \'"id":"{own}"\''
    said = gateway.run(f"for try in 1 2 3 4 5; do {look} && break; sleep 0.2; done")
    (entry,) = said.splitlines()
    line_of_it: dict[str, Any] = json.loads(entry)
    return line_of_it


def rules_of(entry: Mapping[str, Any]) -> set[str]:
    """Return the rules of all findings of a log line."""
    return {finding["rule"] for finding in entry["findings"]}


def scanned(
    gateway: GatewayHost, configurations: Sequence[str], letters: Sequence[bytes]
) -> list[list[dict[str, Any]]]:
    """Return what `filterd scan --json`, run as the daemon's user, says of messages by each configuration."""
    put = "".join(
        f"echo {base64.b64encode(text).decode()} | base64 -d > {name}; "
        for name, text in (
            *((f"{number}.toml", text.encode()) for number, text in enumerate(configurations)),
            *((f"{number:03}.eml", letter) for number, letter in enumerate(letters)),
        )
    )
    scan = "runuser -u filterd -- /opt/filterd/current/bin/filterd scan --json --config"
    numbers = range(len(configurations))
    runs = " ".join(f"{scan} {number}.toml *.eml > {number}.out &" for number in numbers)
    outputs = " ".join(f"{number}.out" for number in numbers)
    # The exit code is that of the verdicts.
    said = gateway.run(
        f"folder=$(mktemp -d); trap 'rm -r $folder' EXIT; chmod 755 $folder; cd $folder; umask 022; {put} {runs} wait; cat {outputs}",
        check=False,
    )
    results = [json.loads(entry) for entry in said.splitlines()]
    count = len(letters)
    assert len(results) == count * len(configurations), said
    return [results[at : at + count] for at in range(0, len(results), count)]


def findings(scan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the findings of all stages of one message of a scan."""
    return [finding for stage in scan["stages"] for finding in stage["findings"]]
