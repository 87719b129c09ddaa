"""What an operator may choose of the MTA, deployed and tried; what cannot be deployed leaves the live MTA alone."""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audit.probes.smtp import MAX_LINES
from lab.plan import LabState
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged
from tests.acceptance.lacking import missing, needs
from tests.acceptance.letters import BOB, PLAIN, delivered, letter, mark, send
from tests.acceptance.outside import CLOSED, HELO, Outside, content, line, seen_from
from tests.acceptance.test_breakage import audited
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_rules import ALICE, rcpt, refused_by

# Whether headers are of seven bits is a setting of MTAs that can refuse others.
SEVEN = {} if missing("mta.headers-7bit") else {"headers_7bit": True, "smtputf8": False}
# Every choice that differs from the lab's, in one deploy.
CHOSEN = f"""data.update(
        relay_networks=[{{"network": "198.18.0.10/32"}}],
        mta_rules={{**data["mta_rules"], **{SEVEN}, "warn_only": ["mta.helo-fqdn", "mta.recipient-verified"],
                   "client": [{{"id": "only", "match": "198.51.100.73", "verb": "hold", "reason": "x"}}]}},
        recipients={{"listed.bastide.example": {{"method": "list", "addresses": ["dave"]}}}},
    )"""


@pytest.fixture(scope="module")
def chosen(
    lab: LabState, gateway: GatewayHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayHost]:
    """Return the gateway with other choices; the lab's own come back at the end."""
    file = varied(tmp_path_factory.mktemp("chosen"), CHOSEN)
    try:
        done = deploy("apply", file, lab=lab.name)
        assert done.returncode == 0, done.stderr[-3000:]
        unchanged(deploy("apply", file, lab=lab.name))
        yield gateway
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
        unchanged(deploy("apply", INVENTORY, lab=lab.name))


@pytest.fixture(scope="module")
def lan(lab: LabState) -> Outside:
    return seen_from(lab, "lan")


def raw_header(unique: str) -> bytes:
    return b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n" + letter(unique, PLAIN).replace(b"Subject:", b"X-Subject:")


def test_bytes_beyond_ascii_in_headers_are_taken_unless_declared_otherwise(
    wan: Outside, gateway: GatewayHost
) -> None:
    # A19; this runs before the choices are deployed.
    unique = mark()
    offered = wan.dialogue(line(f"EHLO {HELO}"))[-1]
    assert ("SMTPUTF8" in offered) == gateway.mta.international
    assert send(wan, raw_header(unique)).startswith("250 ")
    delivered(gateway, unique)


@needs("mta.headers-7bit")
def test_a_header_of_seven_bits_alone(chosen: GatewayHost, wan: Outside) -> None:
    # A19
    offered = wan.dialogue(line(f"EHLO {HELO}"))[-1]
    assert "SMTPUTF8" not in offered
    assert "8BITMIME" in offered
    assert send(wan, raw_header(mark())).startswith("5")
    unique = mark()
    assert send(wan, letter(unique, PLAIN)).startswith("250 ")
    delivered(chosen, unique)


def test_a_defence_that_only_warns_refuses_nobody_and_counts(chosen: GatewayHost, wan: Outside) -> None:
    # A04, A11: the dry run of what is built in
    assert rcpt(wan, ALICE, BOB, helo="user-pc").startswith("250 ")
    assert any(chosen.mta.said["warn"] in each for each in refused_by(chosen, "mta.helo-fqdn"))
    assert rcpt(wan, ALICE, "unknown@bastide.example").startswith("250 ")
    # The others stand.
    assert rcpt(wan, ALICE, "bob@host").startswith("504 ")
    assert rcpt(wan, ALICE, "victim@elsewhere.example").startswith("55")


def test_declared_hosts_may_send_anywhere_and_to_domains_that_exist(
    chosen: GatewayHost, lan: Outside, wan: Outside
) -> None:
    # A08, A09
    def asked(side: Outside, recipient: str) -> str:
        steps = (line("EHLO printer"), line(f"MAIL FROM:<{BOB}>"), line(f"RCPT TO:<{recipient}>"))
        return side.dialogue(*steps)[-1]

    assert asked(lan, "alice@sender.example").startswith("250 ")
    refused = asked(lan, "alice@no-such-domain.invalid")
    assert refused.startswith(("450 ", "550 "))
    assert refused.endswith("(rule mta.recipient-domain)")
    assert asked(lan, "alice@unanswered.example").startswith("4")
    assert asked(wan, "alice@sender.example").startswith(("504 ", "55"))
    question, answer = chosen.mta.opened
    assert chosen.run(question).strip() == answer


def test_the_list_of_recipients_is_what_is_declared_now(chosen: GatewayHost, wan: Outside) -> None:
    # A02: the map is built anew and renamed
    assert rcpt(wan, ALICE, "dave@listed.bastide.example").startswith("250 ")
    assert rcpt(wan, ALICE, "bob@listed.bastide.example").startswith("550 ")
    assert ".new" not in chosen.run(f"ls $(dirname {chosen.mta.owned})")


def test_tables_of_rules_that_are_gone_go_too(chosen: GatewayHost, wan: Outside) -> None:
    assert len(chosen.run(chosen.mta.maps).split()) == 1
    assert rcpt(wan, ALICE, BOB, by=71, helo="host-71.dsl.spoof.example").startswith("250 ")


# What Python takes for a regular expression and neither PCRE nor POSIX does: found by the MTA itself, on the stage.
BAD = """data["mta_rules"] = {**data["mta_rules"], "sender": [*data["mta_rules"]["sender"],
        {"id": "bad", "match": r"/^a{70000}lice@/", "verb": "reject", "reason": "x"}]}"""


def test_a_bad_map_is_refused_with_file_line_and_remedy_and_the_live_mta_keeps_running(
    lab: LabState, gateway: GatewayHost, wan: Outside, tmp_path: Path
) -> None:
    # A23
    before = gateway.run(gateway.mta.live)
    done = deploy("apply", varied(tmp_path, BAD), lab=lab.name)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert re.search(r"sender-3\.pcre, line|sender_bad", said)
    assert "mta_rules" in said
    assert before == gateway.run(gateway.mta.live)
    unique = mark()
    assert send(wan, letter(unique, PLAIN)).startswith("250 ")
    delivered(gateway, unique)


def test_settings_that_open_the_relay_are_refused(lab: LabState, tmp_path: Path) -> None:
    # A09
    for network, words in (("0.0.0.0/0", "the whole internet"), ("10.0.0.0/8", "`reason`")):
        done = deploy(
            "apply", varied(tmp_path, f'data["relay_networks"] = [{{"network": "{network}"}}]'), lab=lab.name
        )
        assert done.returncode == 2
        assert words in done.stderr
    warned = 'data["mta_rules"] = {**data["mta_rules"], "warn_only": ["mta.no-open-relay"]}'
    done = deploy("apply", varied(tmp_path, warned), lab=lab.name)
    assert done.returncode == 2
    assert "mta.no-open-relay" in done.stderr


def test_a_rule_that_has_run_out_is_told(lab: LabState) -> None:
    words = "rule mta.client.last-year has run out on 2025-12-31"
    assert words in deploy("apply", INVENTORY, lab=lab.name).stderr
    assert words in audited(lab, "mta.client-rules").stderr


def test_a_table_changed_by_hand_is_found(lab: LabState, gateway: GatewayHost) -> None:
    record, check = gateway.mta.found
    with gateway.altered(*gateway.mta.stray):
        found = audited(lab, record)
        assert found.returncode == 2
        assert f"{record}:{check}" in found.stdout
    assert audited(lab, record).returncode == 0


def test_while_dns_is_away_nothing_is_refused_for_good(
    lab: LabState, gateway: GatewayHost, wan: Outside
) -> None:
    # A08, A13: mail for relayed domains from a known place waits; their own domains are not asked of DNS.
    world = GatewayHost(lab=lab, host=lab.hosts["world"])
    with world.altered("systemctl stop named", "systemctl start named; sleep 2"):
        said = rcpt(wan, "alice@never-asked.sender.example", BOB)
        assert said.startswith("4"), said
        assert rcpt(wan, "", BOB).startswith("250 ")
    # The resolver asks a server that was silent again after a while.
    until = time.monotonic() + DNS_SECONDS
    while not (said := rcpt(wan, ALICE, BOB)).startswith("250 "):
        assert said.startswith("4"), said
        assert time.monotonic() < until, said
        time.sleep(1)
    assert gateway.run(f"systemctl is-active {gateway.mta.agent.units[0]}").strip() == "active"


DNS_SECONDS = 30
# Limits: spoken from addresses that are not exempt (inventory/lab_rules.py, LIMITS).
COUNTED = 11


def test_a_session_of_errors_is_ended(wan: Outside) -> None:
    place = replace(wan, source=f"198.51.100.{COUNTED}")
    replies = place.dialogue(line(f"EHLO {HELO}"), *[line("XNONSENSE") for _ in range(25)])
    assert replies[-1] == CLOSED or replies[-1].startswith("421 ")
    assert sum(each.startswith("50") for each in replies) <= 20


def test_a_session_that_sends_nothing_is_ended(wan: Outside) -> None:
    replies = wan.dialogue(line(f"EHLO {HELO}"), *[line("NOOP") for _ in range(MAX_LINES + 10)])
    assert any(each.startswith("421 ") for each in replies)


@needs("mta.client-rates")
def test_one_client_sends_so_many_messages_a_minute(wan: Outside, gateway: GatewayHost) -> None:
    place = replace(wan, source="198.51.100.71")
    steps = [line("EHLO relay.sender.example")]
    gateway.run("postfix reload; sleep 1")
    accepted = [line("RSET"), line(f"MAIL FROM:<{ALICE}>")] * 14
    replies = place.dialogue(*steps, *accepted)
    refused = [each for each in replies if "too much mail" in each]
    assert refused
    assert refused[0].startswith("450 ")
    # Who is exempt is not counted.
    replies = wan.dialogue(line(f"EHLO {HELO}"), *accepted)
    assert not [each for each in replies if "too much mail" in each]


@needs("mta.client-rates")
def test_one_client_names_so_many_recipients_a_minute(wan: Outside) -> None:
    place = replace(wan, source="198.51.100.72")
    rcpts = [line(f"RCPT TO:<r{number}@bastide.example>") for number in range(45)]
    replies = place.dialogue(line(f"EHLO {HELO}"), line(f"MAIL FROM:<{ALICE}>"), *rcpts)
    assert any("too many recipients" in each and each.startswith("450 ") for each in replies)


def test_one_client_has_so_many_connections(lab: LabState) -> None:
    script = (
        "import socket,sys\n"
        "held=[]\n"
        "for n in range(8):\n"
        "    s=socket.create_connection(('198.51.100.21',25),timeout=60,source_address=(sys.argv[1],0))\n"
        # postscreen speaks the first line of a longer greeting; what becomes of the client its last one says.
        "    lines=s.makefile('r'); held.append((s,lines))\n"
        "    print(next(each for each in lines if each[3] != '-').strip(), flush=True)\n"
    )

    def greetings(number: int) -> list[str]:
        done = subprocess.run(
            ["ip", "netns", "exec", lab.netns["wan"], "python3", "-c", script, f"198.51.100.{number}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout.splitlines()

    assert [each[:3] for each in greetings(73)] == ["220"] * 5 + ["421"] * 3
    assert [each[:3] for each in greetings(10)] == ["220"] * 8


def test_headers_are_not_cut_and_recipients_are_bounded_by_their_own_limit(
    wan: Outside, gateway: GatewayHost
) -> None:
    # A22: header_size_limit says nothing of recipients; a header far over the paper's 512 arrives whole.
    unique = mark()
    long = b"X-Long: " + b"\r\n ".join(b"%04d" % number + b"x" * 60 for number in range(200)) + b"\r\n"
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line(f"MAIL FROM:<{ALICE}>"),
        *[line(f"RCPT TO:<r{number}@bastide.example>") for number in range(100)],
        line("RCPT TO:<one-more@bastide.example>"),
        line("DATA"),
        content(long + letter(unique, PLAIN)),
    )
    assert replies[-3].startswith("452 ")
    assert replies[-1].startswith("250 ")
    records = delivered(gateway, unique, count=1)
    assert long in records[0].content
