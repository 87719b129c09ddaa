"""What the MTA did by itself, in the daily report: read from lines as Postfix and Sendmail write them."""

from datetime import UTC, datetime

import pytest

from filterd.report.door import DoorLog
from filterd.report.figures import Door, Row

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEAD = "2026-11-22T10:00:00.000001+00:00 mx1 postfix/"
WORDS = r"""# Written by Bastide.
/: Relay access denied$/ \c (rule mta.no-open-relay)
/: Recipient address rejected: (undeliverable|unverified) address: .*$/ \c (rule mta.recipient-verified)
"""
NOQUEUE = "NOQUEUE: reject: RCPT from c.example[192.0.2.1]: "
TAIL = "; from=<a@b.example> to=<x@y.example> proto=ESMTP helo=<c.example>"


def door(*texts: str, daemon: str = "smtpd", words: str = WORDS) -> Door:
    log = DoorLog(words, NOW)
    log.read(f"{HEAD}{daemon}[1]: {text}" for text in texts)
    return log.door(20)


def keys(rows: tuple[Row, ...]) -> dict[str, int]:
    return {row.key: row.messages for row in rows}


def test_refusals_are_counted_by_their_rule() -> None:
    seen = door(
        f"{NOQUEUE}554 5.7.1 <x@y.example>: Relay access denied{TAIL}",
        f"{NOQUEUE}554 5.7.1 <x@y.example>: Relay access denied{TAIL}",
        f"{NOQUEUE}550 5.1.1 <x@y.example>: Recipient address rejected: undeliverable address: host said no{TAIL}",
        f"{NOQUEUE}554 5.7.1 <a@b.example>: Sender address rejected: No (rule mta.sender.lottery){TAIL}",
        f"{NOQUEUE}504 5.5.2 <q>: Helo command rejected: something new{TAIL}",
    )
    assert keys(seen.rules) == {
        "mta.no-open-relay": 2, "mta.recipient-verified": 1, "mta.sender.lottery": 1, "RCPT 504 5.5.2": 1
    }  # fmt: skip
    assert (seen.refused, seen.lines) == (5, 5)


def test_block_lists_are_counted_each() -> None:
    said = "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using {}"
    seen = door(*(f"NOQUEUE: reject: RCPT from [192.0.2.1]:4242: {said.format(one)}{TAIL}"
                  for one in ("a.example", "A.example", "b.example")),
                daemon="postscreen")  # fmt: skip
    assert keys(seen.lists) == {"a.example": 2, "b.example": 1}
    assert keys(seen.rules) == {"mta.dnsbl": 3}


def test_what_is_only_warned_of_is_no_refusal() -> None:
    seen = door(
        f"NOQUEUE: reject_warning: RCPT from c.example[192.0.2.1]: 550 5.7.1 <a@b>: No (rule mta.sender.x){TAIL}"
    )
    assert (seen.refused, keys(seen.warned), seen.rules) == (0, {"mta.sender.x": 1}, ())


CONTENT = " from c.example[192.0.2.1]; from=<a@b.example> to=<x@y.example> proto=ESMTP helo=<c.example>: "


def test_what_rules_of_postfix_hold_discard_and_find_in_headers_and_lines_is_counted() -> None:
    seen = door(
        f"4abcDE1234z: reject: header Subject: win{CONTENT}5.7.1 No (rule mta.header.lottery)",
        f"4abcDE1235z: warning: header X-Campaign: autumn{CONTENT}would reject: No (rule mta.header.tried)",
        f"4abcDE1235z: warning: body a line{CONTENT}Counted (rule mta.body.tried)",
        f"4abcDE1236z: hold: mime-header Content-Type: text/x{CONTENT}Held (rule mta.mime.odd)",
        f"4abcDE1237z: discard: body buy{CONTENT}Discarded (rule mta.body.buy)",
        daemon="cleanup",
    )
    assert (seen.refused, keys(seen.rules)) == (1, {"mta.header.lottery": 1})
    assert keys(seen.warned) == {"mta.header.tried": 1, "mta.body.tried": 1}
    assert (keys(seen.held), keys(seen.discarded)) == ({"mta.mime.odd": 1}, {"mta.body.buy": 1})
    seen = door(
        f"NOQUEUE: hold: RCPT from c.example[192.0.2.1]: <c.example[192.0.2.1]>: Client host Held (rule mta.client.odd){TAIL}",
        f"4abcDE1238z: discard: RCPT from c.example[192.0.2.1]: <a@b.example>: Sender address Gone (rule mta.sender.trap){TAIL}",
    )
    assert (keys(seen.held), keys(seen.discarded)) == ({"mta.client.odd": 1}, {"mta.sender.trap": 1})
    assert (seen.refused, seen.rules) == (0, ())


def test_a_peer_cannot_name_a_rule_in_a_header_or_at_the_end_of_a_line_that_is_cut() -> None:
    fake = "(rule mta.fake)"
    real = f"helo=<{fake}>: 5.7.1 No (rule mta.header.lottery)"
    cut = f"4abcDE1234z: reject: header Subject: x from c[192.0.2.1]; from=<{'a' * 2000}"
    seen = door(
        f"4abcDE1234z: reject: header Subject: {fake} from c[192.0.2.1]; from=<{fake}> to=<{fake}> proto=SMTP {real}",
        f"{cut[: 2000 - len(fake)]}{fake}",
        f"4abcDE1234z: message-id=<reject: header {fake}>",
        daemon="cleanup",
    )
    assert keys(seen.rules) == {"mta.header.lottery": 1, "header other": 1}


def test_what_sendmail_holds_and_drops_is_counted_once_a_message() -> None:
    log = DoorLog("", NOW)
    asked = "ruleset=check_rcpt, arg1=<{}@y.example>, relay=c.example [192.0.2.1]"
    log.read(
        f"2026-11-22T10:00:00.000001+00:00 mx1 sendmail[1]: {text}"
        for text in (
            *(f"6AMJHD6E009208: {asked.format(one)}, quarantine=Held (rule mta.client.odd)" for one in "xy"),
            # In quotes, as 8.17 writes a text with blanks.
            f'6AMJHD6E009209: {asked.format("x")}, quarantine="Held (rule mta.client.odd)"',
            *("6AMJHD6E009207: discarded: Gone (rule mta.sender.trap), relay=[192.0.2.1]" for _ in "xy"),
            f"6AMJHD6E009207: {asked.format('x')}, discard",
            # No refusal, whatever the address says.
            "6AMJHD6E009210: "
            + asked.format('"x, relay=c [192.0.2.1], reject=554 5.7.1 no (rule mta.fake)"')
            + ", quarantine=Held (rule mta.client.odd)",
        )
    )
    seen = log.door(20)
    assert (seen.refused, seen.rules) == (0, ())
    assert (keys(seen.held), keys(seen.discarded)) == ({"mta.client.odd": 3}, {"mta.sender.trap": 1})


def test_sendmails_refusals_and_what_it_only_counts() -> None:
    log = DoorLog("", NOW)
    refused = "6AMJHD6E009204: ruleset=check_rcpt, arg1=<x@y.example>, relay=c.example [192.0.2.1], reject="
    log.read(
        f"2026-11-22T10:00:00.000001+00:00 mx1 sendmail[1]: {text}"
        for text in (
            f"{refused}550 5.7.1 <x@y.example>... Relaying denied (rule mta.no-open-relay)",
            f"{refused}550 5.7.1 Service unavailable; client host blocked using dnsbl.one; see there",
            "6AMJHD6E009205: would reject: No (rule mta.sender.x), relay=[192.0.2.1]",
            "6AMJHD6E009206: would refuse: 504 need it (rule mta.helo-fqdn), relay=[IPv6:2001:db8:0:0:0:0:0:1]",
            "6AMJHD6E009207: discarded: Discarded (rule mta.sender.trap), relay=[192.0.2.1]",
        )
    )
    seen = log.door(20)
    assert seen.refused == 2
    assert keys(seen.rules) == {"mta.no-open-relay": 1, "mta.dnsbl": 1}
    assert keys(seen.lists) == {"dnsbl.one": 1}
    assert keys(seen.warned) == {"mta.sender.x": 1, "mta.helo-fqdn": 1}


def test_refusals_of_the_filter_and_other_lines_are_none_of_the_mtas() -> None:
    seen = door(
        "4abcDE1234z: milter-reject: END-OF-MESSAGE from c.example[192.0.2.1]: 5.7.1 Message refused; from=<a@b>",
        "connect from c.example[192.0.2.1]",
        "4abcDE1234z: client=c.example[192.0.2.1]",
    )
    assert (seen.refused, seen.rules) == (0, ())


def test_a_peer_cannot_make_a_rule_of_its_own_words() -> None:
    # What stands behind "from=<" is the client's; the rule is what the reply says first.
    text = f"{NOQUEUE}554 5.7.1 <(rule mta.fake)@y>: Relay access denied; from=<(rule mta.fake)@b> to=<x> helo=<(rule mta.fake)>"
    assert keys(door(text).rules) == {"mta.no-open-relay": 1}


# What quotes an address may hold is much (RFC 5321 4.1.2), and the reply names it.
@pytest.mark.parametrize(
    ("recipient", "sender", "counted"),
    [
        ('"(rule mta.fake); from=<"@y.example', "a@b.example", "RCPT 554 5.7.1"),
        ("x@y.example", '"(rule mta.fake); from=<"@b.example', "RCPT 554 5.7.1"),
        ('"blocked using fake.example"@y.example', "a@b.example", "mta.no-open-relay"),
        (
            '"5.7.1 Service unavailable; client host blocked using fake.example"@y.example',
            "a@b.example",
            "mta.no-open-relay",
        ),
    ],
)
def test_a_peer_cannot_name_a_rule_or_a_list_in_an_address(recipient: str, sender: str, counted: str) -> None:
    seen = door(
        f"{NOQUEUE}554 5.7.1 <{recipient}>: Relay access denied; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<c>"
    )
    assert (keys(seen.rules), seen.lists, seen.refused) == ({counted: 1}, (), 1)
