"""The daily report: made, mailed and kept on a live gateway; its figures are those of the mail that was sent."""

import email
import json
import re
from email import policy as mime
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Any

from audit.samples import EICAR
from lab.plan import LabState
from roles.reports.deploy import WAITING
from tests.acceptance.gateway import SETTINGS, GatewayHost, Sink
from tests.acceptance.letters import mark, send
from tests.acceptance.outside import Outside, line
from tests.acceptance.test_switch import known, next_hop_down

_SERVICE = "bastide-report.service"
_DIRECTORY = "/var/lib/filterd/reports"
_ENGINES = ("clamd", "spamd", "parse", "ledger")


def figures(gateway: GatewayHost) -> dict[str, Any]:
    """Return the figures of this day until now."""
    today = gateway.run("date +%F").strip()
    found: dict[str, Any] = json.loads(gateway.run(f"filterd report --day {today} --anew --json"))
    return found


def count(rows: list[dict[str, Any]], key: str) -> int:
    return sum(int(row["messages"]) for row in rows if row["key"] == key)


def plain(unique: str, body: bytes = b"text\r\n") -> bytes:
    """Return a message against which nothing counts, also not for being incomplete."""
    head = (
        f"From: A <a@sender.example>\r\nTo: bob@bastide.example\r\nSubject: {unique}\r\nDate: {format_datetime(localtime())}\r\n"
        f"Message-ID: <{unique}@sender.example>\r\n\r\n"
    )
    return head.encode() + body


def test_the_figures_are_those_of_what_was_sent(
    wan: Outside, lan: Outside, world: Sink, gateway: GatewayHost
) -> None:
    """A25, A26: classes, directions, senders, the filter's rules and the MTA's, each by as many as came."""
    before = figures(gateway)
    sender = f"{mark()[5:20]}@sender.example"
    unique = mark()
    for _ in range(3):
        assert send(wan, plain(unique), sender=sender, parameters="").startswith("250 ")
    for _ in range(2):
        assert send(wan, plain(mark(), EICAR + b"\r\n"), sender=sender, parameters="").startswith("550 ")
    out = mark()
    assert send(
        lan, plain(out), "carol@sender.example", sender="bob@bastide.example", parameters=""
    ).startswith("250 ")
    relay = [
        line("EHLO client.sender.example"),
        line(f"MAIL FROM:<{sender}>"),
        line("RCPT TO:<x@elsewhere.example>"),
    ]
    for _ in range(4):
        assert re.match(r"55[04] ", wan.dialogue(*relay)[-1])
    refused = wan.dialogue(
        relay[0], line("MAIL FROM:<lottery@sender.example>"), line("RCPT TO:<bob@bastide.example>")
    )[-1]
    assert re.match(r"55[04] ", refused)
    gateway.awaited(unique, 3)
    world.awaited(out)
    after = figures(gateway)

    def grown(table: str, key: str) -> int:
        return count(after[table], key) - count(before[table], key)

    assert after["messages"] - before["messages"] == 6
    assert (grown("verdicts", "clean"), grown("verdicts", "infected")) == (4, 2)
    assert (grown("directions", "in"), grown("directions", "out")) == (5, 1)
    assert grown("rules", "virus.signature") == 2
    assert count(after["senders"], sender) == 5 or len(after["senders"]) == 20
    door = {
        name: count(after["door"]["rules"], name) - count(before["door"]["rules"], name)
        for name in ("mta.no-open-relay", "mta.sender.lottery")
    }
    assert door == {"mta.no-open-relay": 4, "mta.sender.lottery": 1}
    assert after["door"]["refused"] - before["door"]["refused"] == 5
    assert not after["door"]["note"]
    # The others say what tests before this one have left: signatures of their own, files that nobody explains.
    problems = {part["name"]: part["problem"] for part in after["parts"]}
    assert {name: problems.get(name) for name in _ENGINES} == dict.fromkeys(_ENGINES, "")


def test_pflogsumm_reads_the_journal_with_long_queue_ids(gateway: GatewayHost, wan: Outside) -> None:
    """A25; it knows Postfix's log alone, and of the other MTA the report has its own figures and no such section."""
    unique = mark()
    assert send(wan, plain(unique), sender=f"{unique[5:20]}@sender.example", parameters="").startswith("250 ")
    gateway.awaited(unique)
    whole = figures(gateway)
    assert ("Grand Totals" in whole["mta"]) == gateway.mta.summed_up
    assert (f"{unique[5:20]}@sender.example" in whole["mta"]) == gateway.mta.summed_up
    shown = gateway.run("filterd report --day $(date +%F) --anew")
    assert ("pflogsumm" in shown) == gateway.mta.summed_up
    assert "Refused by the MTA" in shown
    assert whole["door"]["lines"] > 0


def test_what_a_watched_rule_found_is_named_as_a_candidate(gateway: GatewayHost, wan: Outside) -> None:
    """What would have been refused: a form in HTML, whose rule only warns by default."""
    unique = mark()
    html = b'<html><body><form action="http://forms.sender.example/x"><input name=a></form></body></html>\r\n'
    message = (
        f"From: a@sender.example\r\nSubject: {unique}\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n".encode()
        + html
    )
    sender = f"{unique[5:20]}@sender.example"
    assert send(wan, message, sender=sender, parameters="").startswith("250 ")
    found = {one["rule"] for one in figures(gateway)["candidates"] if one["sender"] == sender}
    assert found == {"html.form", "integrity.date-missing"}


def test_the_report_is_mailed_once_and_kept(gateway: GatewayHost) -> None:
    """The service as the timer starts it: the report of yesterday, to the administrator, from the null sender."""
    day = gateway.run("date -d yesterday +%F").strip()
    gateway.run(
        f"rm -f {_DIRECTORY}/{day}.*; install -d -m 700 -o filterd -g filterd {_DIRECTORY}; "
        f"install -m 600 -o filterd -g filterd /dev/null {_DIRECTORY}/2020-01-01.txt; "
        f"install -m 600 -o filterd -g filterd /dev/null {_DIRECTORY}/notes.txt"
    )
    known = len(gateway.received(f"report of {day}"))
    gateway.run(f"systemctl start {_SERVICE}")
    records = gateway.awaited(f"report of {day}", known + 1)
    record = records[-1]
    assert record.recipients == ("postmaster@bastide.example",)
    assert record.sender in ("", "<>")
    message = email.message_from_bytes(record.content, policy=mime.default)
    assert isinstance(message, EmailMessage)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text, html = (str(part.get_content()) for part in message.iter_parts())
    assert "Refused by the MTA" in text
    assert "<h2>Refused by the MTA</h2>" in html
    kept = gateway.run(f"ls {_DIRECTORY}").split()
    assert {f"{day}.{ending}" for ending in ("json", "txt", "html", "mailed")} <= set(kept)
    assert "2020-01-01.txt" not in kept
    assert "notes.txt" in kept
    assert gateway.run(f"find {_DIRECTORY} -perm /077 | wc -l").strip() == "0"
    # Once a day, however often it is made.
    gateway.run(f"systemctl start {_SERVICE}; rm {_DIRECTORY}/notes.txt")
    gateway.sent_on()
    assert len(gateway.received(f"report of {day}")) == known + 1
    assert gateway.run("filterd report").startswith("Mail gateway")
    assert gateway.run(f"filterd report --day {day} --html").startswith("<!DOCTYPE html>")


def test_b6_nights_that_were_missed_are_made_up_for_once(gateway: GatewayHost) -> None:
    """As on a gateway that was off in two nights: what was kept last is three days old."""
    third, second, first = gateway.run('for n in 3 2 1; do date -d "-$n days" +%F; done').split()
    known = {day: len(gateway.received(f"report of {day}")) for day in (third, second, first)}
    gateway.run(
        f"rm -rf {_DIRECTORY}; install -d -m 700 -o filterd -g filterd {_DIRECTORY}; "
        f"for ending in json mailed; do install -m 600 -o filterd -g filterd /dev/null {_DIRECTORY}/{third}.$ending; done; "
        f"systemctl start {_SERVICE}"
    )
    for day in (second, first):
        gateway.awaited(f"report of {day}", known[day] + 1)
    kept = set(gateway.run(f"ls {_DIRECTORY}").split())
    assert {f"{day}.{ending}" for day in (second, first) for ending in ("json", "mailed")} <= kept
    gateway.run(f"systemctl start {_SERVICE}")
    gateway.sent_on()
    again = {day: len(gateway.received(f"report of {day}")) for day in known}
    assert again == {third: known[third], second: known[second] + 1, first: known[first] + 1}


def test_the_service_reads_the_log_in_its_sandbox(gateway: GatewayHost, wan: Outside) -> None:
    """It makes yesterday's report, of which a lab has no mail: here it is let make this day's, kept nowhere."""
    unique = mark()
    assert send(wan, plain(unique), sender=f"{unique[5:20]}@sender.example", parameters="").startswith("250 ")
    gateway.awaited(unique)
    drop_in, shown = f"/run/systemd/system/{_SERVICE}.d", "/run/bastide-report.json"
    try:
        gateway.run(
            f"mkdir -p {drop_in}; printf '%s\\n' [Service] ExecStart= "
            f'"ExecStart=/usr/local/bin/filterd report --day $(date +%F) --anew --json" StandardOutput=file:{shown} '
            f">{drop_in}/today.conf; systemctl daemon-reload; systemctl start {_SERVICE}"
        )
        made: dict[str, Any] = json.loads(gateway.run(f"cat {shown}"))
    finally:
        gateway.run(f"rm -rf {drop_in} {shown}; systemctl daemon-reload")
    assert (made["door"]["lines"] > 0, made["door"]["note"]) == (True, "")
    assert (f"{unique[5:20]}@sender.example" in made["mta"]) == gateway.mta.summed_up
    assert made["messages"] > 0
    assert {part["name"] for part in made["parts"]} >= {"clamd", "spamd", "parse", "ledger"}


def test_nobody_without_rights_is_told_that_nothing_was_refused(gateway: GatewayHost) -> None:
    """filterd's user reads the ledger and not the journal: the report says so, in place of figures."""
    said = gateway.run(
        "setpriv --reuid filterd --regid filterd --init-groups filterd report --day $(date +%F) --anew --json"
    )
    door = json.loads(said)["door"]
    assert (door["lines"], door["refused"]) == (0, 0)
    assert door["note"].startswith("the MTA's log could not be read")


def test_a_sender_that_is_a_script_is_shown_and_not_obeyed(gateway: GatewayHost, wan: Outside) -> None:
    unique = mark()
    sender = f'"<script>alert(/{unique[5:15]}/)</script>"@sender.example'
    assert send(wan, plain(unique), sender=sender, parameters="").startswith("250 ")
    gateway.awaited(unique)
    html = gateway.run("filterd report --day $(date +%F) --anew --html")
    assert f"&lt;script&gt;alert(/{unique[5:15]}/)" in html
    assert "<script" not in html


def test_nobody_else_looks_at_it(gateway: GatewayHost) -> None:
    said = gateway.run("setpriv --reuid nobody --clear-groups filterd report 2>&1; echo code $?")
    assert "code 0" not in said


def test_the_timer_is_due_each_night(gateway: GatewayHost) -> None:
    said = gateway.run("systemctl list-timers --all --no-legend bastide-report.timer")
    assert "bastide-report.service" in said
    assert gateway.run("systemctl is-active bastide-report.timer").strip() == "active"


def test_mail_that_waits_is_said_until_it_has_gone(gateway: GatewayHost, wan: Outside, lab: LabState) -> None:
    """reports.waiting, in its sandbox; by a drop-in after no hours at all."""
    unit, drop_in = "bastide-waiting.service", "/run/systemd/system/bastide-waiting.service.d"
    at_once = (
        f"mkdir -p {drop_in}; printf '%s\\n' [Service] ExecStart= "
        f'"ExecStart=/usr/bin/python3 -I {WAITING} {SETTINGS.mta} 0" >{drop_in}/at-once.conf; systemctl daemon-reload'
    )
    unique = mark()
    known(wan)
    gateway.sent_on()
    with gateway.altered(at_once, f"rm -rf {drop_in}; systemctl daemon-reload"):
        with next_hop_down(lab):
            assert send(wan, plain(unique), parameters="").startswith("250 ")
            gateway.run(gateway.mta.flush, check=False)
            gateway.run(f"systemctl start {unit}")
            said = gateway.run("cat /run/bastide-notes/queue")
            assert said.startswith("1 messages wait for 0 hours and more")
            assert "refused" in said
            problems = {part["name"]: part["problem"] for part in figures(gateway)["parts"]}
            assert problems["queue"] == said.strip()
            assert "Fails now" in gateway.run("filterd report --day $(date +%F) --anew")
        gateway.sent_on()
        gateway.run(f"systemctl start {unit}")
    assert gateway.run("ls /run/bastide-notes/queue 2>/dev/null", check=False) == ""
    told = gateway.run("journalctl -q -o cat -p alert --facility mail -n 20")
    assert "queue: 1 messages wait" in told
    assert "queue: no message waits for long any more" in told
