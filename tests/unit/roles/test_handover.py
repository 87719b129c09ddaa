"""What is carried from one MTA's queue to the other's: envelopes as the queues keep them, and what is held back."""

import subprocess
from pathlib import Path
from subprocess import CalledProcessError, CompletedProcess

import pytest

from roles.mta.handover import carry

POSTFIX = """*** ENVELOPE RECORDS deferred/4zx ***
message_size:            1224             718               2               0            1224               0
message_arrival_time: Sun Nov 22 16:00:00 2026
named_attribute: log_ident=4zx
named_attribute: ret_flags=2
named_attribute: envelope_id=QQ314159
sender: two words@sender.example
named_attribute: dsn_orig_rcpt=rfc822;"two words"+x@bastide.example
named_attribute: notify_flags=6
original_recipient: two words+x@bastide.example
recipient: two words+x@bastide.example
named_attribute: dsn_orig_rcpt=rfc822;bob@bastide.example
original_recipient: bob@bastide.example
done_recipient: bob@bastide.example
named_attribute: notify_flags=1
original_recipient: carol@bastide.example
recipient: carol@bastide.example
recipient: "a"b@bastide.example
*** HEADER EXTRACTED deferred/4zx ***
*** MESSAGE FILE END deferred/4zx ***
"""
SENDMAIL = (
    b"V8\nT1795363000\nK0\nN0\nP30027\nI0/97/123\nFbn8\nB8BITMIME\n$_x [192.0.2.1]\n$rESMTP\nZQQ314159\n"
    b"S<alice@sender.example>\nrRFC822; bob@bastide.example\nQrfc822;bob@bastide.example\nRPSFN:<bob@bastide.example>\n"
    b"RPD:carol@bastide.example\nRPN:<dave@bastide.example>\n"
    b"H?P?Return-Path: <\x81g>\nH??Received: from x\n\tby y; Sun\nH?X?Content-Length: 6\nH?D?Date: now\nH?F?From: \n"
    b"H?M?Message-Id: <1@x>\nH??Subject: x\n.\n"
)


def test_postfixs_envelope_is_read_with_what_was_asked_for_and_without_who_has_it() -> None:
    found = carry.of_postfix(POSTFIX)
    assert (found.sender, found.envid, found.ret) == ('"two words"@sender.example', "QQ314159", "HDRS")
    assert found.recipients == [
        carry.Recipient(
            address='"two words+x"@bastide.example',
            notify="SUCCESS,FAILURE",
            orcpt='rfc822;"two+20words"+2Bx@bastide.example',
        ),
        carry.Recipient(address="carol@bastide.example", notify="NEVER"),
        carry.Recipient(address=r'"\"a\"b"@bastide.example'),
    ]


def test_nothing_but_a_line_feed_ends_a_line_of_an_envelope() -> None:
    for end in ("\u2028", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r"):
        found = carry.of_postfix(f"sender: a{end}recipient: victim@elsewhere.example{end}x@sender.example\n")
        assert found.recipients == []
        assert found.sender.endswith('x"@sender.example')


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that is Postfix's, with the message 4zx, of which postcat and postqueue tell."""
    for name in ("incoming", "active", "deferred", "bounce", "hold", "maildrop"):
        (tmp_path / name).mkdir()
    message = tmp_path / "deferred/4zx"
    message.touch(mode=0o700)
    monkeypatch.setattr(carry, "SPOOL", tmp_path)
    monkeypatch.setattr(carry, "_BETWEEN_S", 0.01)
    monkeypatch.setitem(carry._HELD, "postfix", (tmp_path / "hold", *carry._HELD["postfix"][1:]))
    monkeypatch.setitem(carry._OWN, "postfix", (tmp_path / "maildrop", *carry._OWN["postfix"][1:]))
    known = ('\\"two words+x\\"@bastide.example', "carol@bastide.example", '\\"a\\"b@bastide.example')
    listed = ", ".join(f'{{"address": "{one}"}}' for one in known)

    def run(*command: str) -> bytes:
        if command[0] == "postqueue":
            return f'{{"queue_id": "4zx", "recipients": [{listed}]}}\n'.encode()
        if command[:2] == ("postcat", "-e"):
            return (tmp_path / "envelope").read_bytes()
        if command[0] == "postsuper":
            message.unlink()
        return b"Subject: x\n\nbody\n"

    (tmp_path / "envelope").write_text(POSTFIX)
    monkeypatch.setattr(carry, "_run", run)
    return tmp_path


def test_a_message_of_postfix_is_carried_and_one_that_was_never_accepted_is_not(
    spool: Path, tmp_path: Path
) -> None:
    (spool / "incoming/4zy").touch(mode=0o600)
    assert carry.out("postfix", tmp_path / "handover") == 1
    assert (spool / "incoming/4zy").exists()
    assert not (spool / "deferred/4zx").exists()


def test_a_recipient_that_somebody_wrote_into_an_envelope_stops_it(
    spool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = "named_attribute: dsn_orig_rcpt=rfc822;x\nrecipient: victim@elsewhere.example\n"
    (spool / "envelope").write_text(POSTFIX.replace("named_attribute: notify_flags=1\n", forged))
    assert carry.main(["out", "postfix", str(tmp_path / "handover")]) == 1
    assert "4zx has recipients that `postqueue -j` does not know" in capsys.readouterr().err
    assert (spool / "deferred/4zx").exists()


def test_what_cannot_be_read_of_postfix_is_named_and_not_removed(
    spool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # postcat(1) shows what it can of a file that ends too soon, or is none of Postfix's, and succeeds.
    for text in ("", POSTFIX.removesuffix("*** MESSAGE FILE END deferred/4zx ***\n")):
        (spool / "envelope").write_text(text)
        for words in (["may", "postfix"], ["out", "postfix", str(tmp_path / "handover")]):
            assert carry.main(words) == 1
            said = capsys.readouterr().err
            assert "deferred/4zx cannot be read: it is not a whole queue file" in said
            assert "deploy again" in said
            assert (spool / "deferred/4zx").exists()
    (spool / "envelope").write_text(POSTFIX)
    assert carry.main(["may", "postfix"]) == 0


def test_a_message_that_leaves_the_queue_while_it_is_read_stands_in_nobodys_way(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry._run

    def gone(*command: str) -> bytes:
        if command[:3] == ("postcat", "-h", "-b"):
            (spool / "deferred/4zx").unlink()
            raise CalledProcessError(1, command, b"", b"postcat: fatal: open queue file 4zx: No such file\n")
        return run(*command)

    monkeypatch.setattr(carry, "_run", gone)
    carry.may("postfix")


def test_what_stands_in_the_way_for_a_moment_is_looked_at_again(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounce = spool / "bounce/4zx"
    bounce.touch()
    monkeypatch.setattr("time.sleep", lambda _: bounce.unlink())
    carry.may("postfix")
    bounce.touch()
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(carry.CannotCarryError, match="a bounce of 4zx is being made"):
        carry.may("postfix")


def test_why_a_program_failed_is_said_in_its_words(
    spool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*command: str) -> bytes:
        if command[0] == "postqueue":
            return b""
        raise CalledProcessError(1, command, b"", b"postcat: fatal: record read error\n")

    monkeypatch.setattr(carry, "_run", fails)
    assert carry.main(["may", "postfix"]) == 1
    assert "deferred/4zx cannot be read: postcat: fatal: record read error;" in capsys.readouterr().err
    assert (spool / "deferred/4zx").exists()


def test_sendmails_envelope_and_headers_are_read() -> None:
    found, headers = carry.of_sendmail(SENDMAIL)
    assert (found.sender, found.envid, found.ret) == ("alice@sender.example", "QQ314159", "HDRS")
    assert found.recipients == [
        carry.Recipient(
            address="bob@bastide.example", notify="SUCCESS,FAILURE", orcpt="rfc822;bob@bastide.example"
        ),
        carry.Recipient(address="carol@bastide.example"),
        carry.Recipient(address="dave@bastide.example", notify="NEVER"),
    ]
    # What a condition keeps from the next hops' mailers is not part of the message.
    assert (
        headers
        == b"Received: from x\r\n\tby y; Sun\r\nContent-Length: 6\r\nMessage-Id: <1@x>\r\nSubject: x\r\n"
    )


def test_a_queue_file_that_is_not_whole_is_not_taken_for_one() -> None:
    with pytest.raises(ValueError, match="not a whole queue file"):
        carry.of_sendmail(SENDMAIL.removesuffix(b".\n"))


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        ("bob@x.example", "bob@x.example"),
        ("", ""),
        ("a.b+c@x.example", "a.b+c@x.example"),
        ("a b@x.example", '"a b"@x.example'),
        ('"a b"@x.example', '"a b"@x.example'),
        ("a@b@x.example", '"a@b"@x.example'),
        (".a@x.example", '".a"@x.example'),
        ("müller@x.example", "müller@x.example"),
    ],
)
def test_local_parts_are_quoted_where_smtp_needs_it(kept: str, written: str) -> None:
    assert carry.quoted(kept) == written


def test_line_ends_become_smtps_and_lone_returns_stay() -> None:
    assert carry.crlf(b"a\nb\r\nc\rd\n\n") == b"a\r\nb\r\nc\rd\r\n\r\n"


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that is Sendmail's queue, with one message in it."""
    made = tmp_path / "mqueue"
    made.mkdir()
    (made / "qf1").write_bytes(SENDMAIL)
    (made / "df1").write_bytes(b"body\n.\n")
    monkeypatch.setattr(carry, "QUEUE", made)
    monkeypatch.setattr(carry, "_BETWEEN_S", 0.01)
    monkeypatch.setitem(carry._HELD, "sendmail", (made, *carry._HELD["sendmail"][1:]))
    monkeypatch.setitem(carry._LOST, "sendmail", (made, *carry._LOST["sendmail"][1:]))
    (tmp_path / "own").mkdir()
    monkeypatch.setitem(carry._OWN, "sendmail", (tmp_path / "own", *carry._OWN["sendmail"][1:]))
    monkeypatch.setattr(carry, "_OWN_MAIL_S", 0.3)
    return made


def test_a_message_is_on_disk_before_its_queue_lets_go_of_it(queue: Path, tmp_path: Path) -> None:
    target = tmp_path / "handover"
    assert carry.out("sendmail", target) == 1
    assert sorted(path.name for path in target.iterdir()) == ["sendmail-1.eml", "sendmail-1.json"]
    assert (target / "sendmail-1.eml").read_bytes().endswith(b"Subject: x\r\n\r\nbody\r\n.\r\n")
    assert list(queue.iterdir()) == []


def test_a_run_that_cannot_write_takes_nothing_out(
    queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(carry, "_durable", full)
    assert carry.main(["out", "sendmail", str(tmp_path / "handover")]) == 1
    assert {path.name for path in queue.iterdir()} == {"qf1", "df1"}


def test_what_is_held_is_named_and_stops_it(
    queue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (queue / "qf1").rename(queue / "hf1")
    for words in (["may", "sendmail"], ["out", "sendmail", str(tmp_path / "handover")]):
        assert carry.main(words) == 1
        assert f"1 messages are in quarantine ({queue}/hf1" in capsys.readouterr().err
    assert (queue / "hf1").exists()


def test_what_sendmail_gave_up_is_named_and_stops_it(
    queue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (queue / "qf1").rename(queue / "Qf1")
    for words in (["may", "sendmail"], ["out", "sendmail", str(tmp_path / "handover")]):
        assert carry.main(words) == 1
        assert f"1 messages are given up, and nobody was told ({queue}/Qf1" in capsys.readouterr().err


@pytest.mark.usefixtures("queue")
def test_what_the_host_wrote_and_nobody_has_filtered_stops_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own/qf2").touch()
    for words in (["may", "sendmail"], ["out", "sendmail", str(tmp_path / "handover")]):
        assert carry.main(words) == 1
        assert "1 messages that this host wrote itself are not filtered yet" in capsys.readouterr().err
    (tmp_path / "own/qf2").unlink()
    assert carry.main(["may", "sendmail"]) == 0


def test_what_cannot_be_read_of_sendmail_is_named_before_anything_is_stopped(
    queue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (queue / "qf2").write_bytes(b"V8\nS<a@b.example>\n")
    assert carry.main(["may", "sendmail"]) == 1
    assert f"{queue}/qf2 cannot be read: it is not a whole queue file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "code", "wanted"),
    [
        (
            b"REPLACE Received: by mx.example (x) id 4zx; today\n",
            0,
            b"Received: by mx.example (x) id 4zx; today\n",
        ),
        (b"", 1, b"Received: from pc.lan (x [10.0.0.9])\n\tby mx.example (x) id 4zx; today\n"),
    ],
)
def test_the_line_that_postfix_wrote_itself_names_no_host_inside(
    said: bytes, code: int, wanted: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = b"Received: from pc.lan (x [10.0.0.9])\n\tby mx.example (x) id 4zx; today\n"
    rest = b"Received: from a by b; then\nSubject: x\n\nReceived: from pc.lan\n"
    asked = []

    def run(words: list[str], **_options: object) -> CompletedProcess[bytes]:
        asked.append(words)
        return CompletedProcess(words, code, said, b"")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(carry, "TRACE", tmp_path / "trace.pcre")
    assert carry._hidden(own + rest) == own + rest  # nothing is declared that is to be hidden
    carry.TRACE.touch()
    assert carry._hidden(b"X-One: 1\n" + own + rest) == b"X-One: 1\n" + wanted + rest
    assert asked == [["postmap", "-q", own.decode().removesuffix("\n"), f"pcre:{carry.TRACE}"]]


def test_a_table_that_cannot_be_asked_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "TRACE", tmp_path)
    monkeypatch.setattr(
        subprocess, "run", lambda words, **_options: CompletedProcess(words, 75, b"", b"open: no")
    )
    with pytest.raises(carry.CannotCarryError, match="cannot be asked: open: no"):
        carry._hidden(b"Received: x\n\n")
