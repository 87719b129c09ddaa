"""Each probe, at a server that behaves well and at one that does not: it must hold for the one and not for the other."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit import evidence
from audit.errors import UnseenError
from audit.probes import OBSERVERS, Observation, mail, observe, smtp, tcp
from roles import claims
from roles.claims import (
    Answers,
    Arrival,
    Claim,
    Delivered,
    FalseEnds,
    Greeting,
    Reply,
    Scan,
    SshAlgorithms,
    Verdict,
)
from tests.unit.audit import stubs
from tests.unit.audit.stubs import Manners

Server = Callable[[Path], AbstractAsyncContextManager[int]]
TAKEN = "250 2.1.5 Ok"
EHLO, MAIL = "EHLO {helo}", "MAIL FROM:<{sender}>"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claim as a function of the port, a server that it holds for, and one that it must not hold for."""

    name: str
    claim: Callable[[int], Claim]
    good: Server
    bad: Server


def _smtp(**changes: object) -> Server:
    return lambda spool: stubs.smtp(Manners(spool=spool, **changes))  # type: ignore[arg-type]  # any field


def _raw(content: bytes) -> Server:
    return lambda _spool: stubs.raw(content)


def _reply(
    about: str, lines: tuple[str, ...], matches: str, *, early: bool = False
) -> Callable[[int], Claim]:
    return lambda port: Reply(
        about=about, lines=lines, matches=matches, refuted_by=TAKEN, port=port, early=early
    )


def _verdict(sample: str) -> Callable[[int], Claim]:
    return lambda _port: Verdict(sample=sample, matches=r"55\d [^\n]*", refuted_by=TAKEN)


def _delivered(sample: str) -> Callable[[int], Claim]:
    return lambda _port: Delivered(sample=sample, refuted_by=Arrival(sent=b"a", arrived=None))


_OPEN = (EHLO, MAIL, "RCPT TO:<victim@elsewhere.example>")
_EARLY = (*_OPEN[:2], "RCPT TO:<{recipient}>", "DATA")
CASES = [
    Case(
        name="greeting",
        claim=lambda port: Greeting(
            matches=r"220 [\w.-]+ ESMTP", refuted_by="220 mx ESMTP Postfix", port=port
        ),
        good=_smtp(),
        bad=_smtp(greeting=b"220 mx1.bastide.example ESMTP Postfix (Debian/GNU)\r\n"),
    ),
    Case(
        name="vrfy",
        claim=_reply("vrfy", (EHLO, "VRFY bob"), r"502 .*"),
        good=_smtp(),
        bad=_smtp(vrfy=b"250 Bob\r\n"),
    ),
    Case(name="relay", claim=_reply("relay", _OPEN, r"554 .*"), good=_smtp(), bad=_smtp(relays=True)),
    Case(
        name="early",
        claim=_reply("early", _EARLY, r"5\d\d .*", early=True),
        good=_smtp(),
        bad=_smtp(cuts_early=False),
    ),
    Case(
        name="early-without-a-word",
        claim=_reply("early", _EARLY, "closed", early=True),
        good=_smtp(farewell=b""),
        bad=_smtp(cuts_early=False),
    ),
    Case(
        name="size-announced",
        claim=_reply("size", (EHLO,), r"(?s)250-.*\n250-SIZE \d+\n.*"),
        good=_smtp(),
        bad=_smtp(ehlo=b"250 mx1.bastide.example\r\n"),
    ),
    Case(
        name="size-exceeded",
        claim=_reply("size", (EHLO, MAIL + " SIZE={size_over}"), r"552 .*"),
        good=_smtp(),
        bad=_smtp(enforces_size=False),
    ),
    *(
        Case(
            name=f"verdict-{sample}",
            claim=_verdict(sample),
            good=_smtp(),
            bad=_smtp(judge=lambda _content: b"250 Ok\r\n"),
        )
        for sample in ("eicar", "eicar-base64", "eicar-zip", "gtube", "oversize")
    ),
    *(
        Case(
            name=f"false-end-{number}",
            claim=lambda _port: FalseEnds(refuted_by=frozenset({"LF . LF"})),
            good=_smtp(),
            bad=_smtp(ends=(b"\r\n.\r\n", end)),
        )
        for number, end in enumerate(
            (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\n", b"\r\n.\r\r\n", b"\r\n. \r\n")
        )
    ),
    *(
        Case(
            name=f"delivered-{sample}",
            claim=_delivered(sample),
            good=_smtp(),
            bad=_smtp(rewrite=lambda content: b"X-Spam-Score: 0\r\n" + content),
        )
        for sample in ("clean", "dot-lines", "empty-body")
    ),
    Case(
        name="delivered-tidied",
        claim=_delivered("clean"),
        good=_smtp(),
        bad=_smtp(rewrite=lambda content: content.replace(b" \r\n", b"\r\n")),
    ),
    Case(
        name="delivered-other-sender",
        claim=_delivered("clean"),
        good=_smtp(),
        bad=_smtp(sender="mallory@elsewhere.example"),
    ),
    Case(
        name="ssh-kex",
        claim=lambda _port: SshAlgorithms(
            about="kex",
            within=frozenset({"curve25519-sha256"}),
            refuted_by=frozenset({"diffie-hellman-group14-sha1"}),
        ),
        good=_raw(stubs.ssh_offer()),
        bad=_raw(stubs.ssh_offer(kex="curve25519-sha256,diffie-hellman-group14-sha1")),
    ),
    Case(
        name="ssh-cipher",
        claim=lambda _port: SshAlgorithms(
            about="cipher", within=frozenset({"aes256-ctr"}), refuted_by=frozenset({"aes128-cbc"})
        ),
        good=_raw(stubs.ssh_offer()),
        bad=_raw(stubs.ssh_offer(cipher="aes256-ctr,aes128-cbc")),
    ),
]


def _observed(claim: Callable[[int], Claim], server: Server, spool: Path) -> Observation:
    async def run() -> Observation:
        async with server(spool) as port:
            return await observe(claim(port), stubs.place(port, recorder=str(spool)))

    return asyncio.run(run())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_holds_at_a_good_server(case: Case, tmp_path: Path) -> None:
    observation = _observed(case.claim, case.good, tmp_path)
    assert observation.state == "held", observation


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_breaks_at_a_bad_server(case: Case, tmp_path: Path) -> None:
    observation = _observed(case.claim, case.bad, tmp_path)
    assert observation.state == "broken", observation
    assert observation.seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"x" * 100_000,
        b"220-mx\r\n" * 1000,
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\x00",
    ],
    ids=["hangs-up", "zeros", "endless-line", "endless-reply", "ssh-1", "huge-packet"],
)
def test_never_holds_for_rubbish(case: Case, content: bytes, tmp_path: Path) -> None:
    assert _observed(case.claim, _raw(content), tmp_path).state == "broken"


def test_never_holds_where_nobody_listens(tmp_path: Path) -> None:
    for case in CASES:
        closed = asyncio.run(observe(case.claim(1), stubs.place(1, recorder=str(tmp_path))))
        assert closed.state == "broken", case.name
        assert "onnect" in closed.seen, case.name


def test_every_claim_type_has_an_observer_and_words() -> None:

    types = {each for each in vars(claims).values() if isinstance(each, type) and "refuted_by" in vars(each)}
    assert types == set(OBSERVERS)
    assert types == set(evidence._WANTED)


def test_a_refused_opening_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    claim = _reply("relay", _OPEN, r"5\d\d .*")
    observation = _observed(claim, _smtp(ehlo=b"550 5.7.1 Go away\r\n"), tmp_path)
    assert observation.state == "broken"
    assert "was refused" in observation.seen


def test_a_silent_server_is_broken_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "STEP_SECONDS", 0.2)
    claim = _reply("quiet", (EHLO,), r"220.*")

    async def run() -> Observation:
        async with stubs.silent() as port:
            return await observe(claim(port), stubs.place(port))

    assert asyncio.run(run()).state == "broken"


def test_mail_that_is_accepted_and_lost_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "ARRIVAL_SECONDS", 0.3)
    observation = _observed(_delivered("clean"), lambda _spool: stubs.smtp(Manners()), tmp_path)
    assert observation.state == "broken"
    assert "not at the next hop" in observation.seen


def test_without_recorder_or_family_nothing_is_claimed_to_hold() -> None:
    delivered = asyncio.run(observe(_delivered("clean")(0), stubs.place(1)))
    refuted = Answers(answered=frozenset({1}), declared=frozenset())
    scan = Scan(scanner="syn", family=6, expects="none", refuted_by=refuted)
    scanned = asyncio.run(observe(scan, stubs.place(1)))
    assert (delivered.state, scanned.state) == ("not seen", "not seen")
    assert "audit_recorder" in delivered.why
    assert "audit_address" in scanned.why


def test_a_connection_that_a_router_prohibits_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Linux makes EACCES of ICMPv6's "administratively prohibited": no privilege of ours would help.
    async def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(asyncio, "open_connection", refused)
    for case in CASES:
        if case.name in {"greeting", "ssh-kex"}:
            observation = asyncio.run(observe(case.claim(1), stubs.place(1)))
            assert observation.state == "broken", case.name
            assert "Permission denied" in observation.seen, case.name


def test_a_scan_without_privilege_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", forbidden)
    refuted = Answers(answered=frozenset({1}), declared=frozenset())
    scan = Scan(scanner="syn", family=4, expects="none", refuted_by=refuted)
    with pytest.raises(UnseenError, match="need root"):
        tcp._scanned(scan, stubs.place(1))


def test_a_record_that_cannot_be_read_is_not_seen(tmp_path: Path) -> None:
    def unreadable(_content: bytes) -> bytes:
        (tmp_path / "a.eml").mkdir()
        (tmp_path / "a.json").touch()
        return b"250 2.0.0 Ok\r\n"

    server = stubs.smtp(Manners(judge=unreadable))
    observation = _observed(_delivered("clean"), lambda _spool: server, tmp_path)
    assert observation.state == "not seen"
    assert str(tmp_path / "a.eml") in observation.why


def test_evidence_is_one_harmless_line() -> None:
    shown = evidence.line("250-a\n250 \x1b[31mred\x07" + "x" * 1000)
    assert shown.startswith("250-a\\n250 \\x1b[31mred\\x07xx")
    assert "\n" not in shown
    assert len(shown) < 300
