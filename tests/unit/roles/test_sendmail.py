"""Sendmail: what its kinds ask and take for an answer, and what its configuration is made of."""

import re
import subprocess
from pathlib import Path

import pytest

from roles.kinds import (
    AccessEntry,
    SendmailFeature,
    SendmailMap,
    SendmailMc,
    SendmailOption,
    SendmailPatterns,
    SendmailRule,
    SendmailRuleset,
    SendmailText,
)
from roles.kinds.sendmail import asked, option
from roles.mta.defences import DEFENCES
from roles.mta.refusals import refused_by
from roles.mta.routing import mailertable, virtusertable
from roles.mta.rulesets import posix
from roles.mta.sendmail import _LINE, _LONG_LINES, _configuration, access, macro_lines, rulesets
from tests.unit.roles.examples import gateway

GATEWAY = gateway(mta="sendmail")
RULE = SendmailRule("check_mail", ("R< $* >\t$@ OK", 'R$*\t$#error $@ 5.5.2 $: "501 no"'))
LIVE = 'R< $* > \t\t$@ OK \nR$* \t\t$# error $@ 5 . 5 . 2 $: "501 no" \n'


def test_a_pattern_is_written_so_that_neither_a_comment_nor_a_macro_is_read_into_it() -> None:
    assert posix(r"^a#\d\@$") == r"^a\#[0-9][@]$$"
    assert posix(r"\#") == r"[\#]"
    assert posix(r"^[\d.-]+\.[^\d]\[\d") == r"^[0-9.-]+\.[^0-9]\[[0-9]"


def test_an_option_is_asked_of_sendmails_own_trace() -> None:
    assert "-d37.1" in SendmailMc("confMAX_MESSAGE_SIZE", "1").question(GATEWAY)
    assert "'s/^setoption Timeout ([^)]*)\\.ident=//p'" in option("Timeout.ident")
    assert "sendmail -C /x.cf -d37.1" in option("InputMailFilters", "/x.cf")


def test_an_option_is_a_line_of_m4_and_its_value_stays_within_the_quotes() -> None:
    assert SendmailMc("confSMTP_LOGIN_MSG", "$j").line(GATEWAY) == "define(`confSMTP_LOGIN_MSG', `$j')dnl"
    for value in ("it's", "`$j"):
        with pytest.raises(ValueError, match="m4's quotes"):
            SendmailMc("confSMTP_LOGIN_MSG", value).line(GATEWAY)
    with pytest.raises(ValueError, match="no option"):
        SendmailMc("confSMTP_LOGIN_MESSAGE", "$j")


def test_an_option_without_a_macro_is_a_line_of_its_own() -> None:
    option_ = SendmailOption("BadRcptShutdown", lambda g: str(g.mta_limits.errors))
    assert option_.line(GATEWAY) == "LOCAL_CONFIG\nO BadRcptShutdown=20\ndivert(0)dnl"
    assert option_.question(GATEWAY) == option("BadRcptShutdown")
    assert option_.holds("20\n", GATEWAY)
    assert not option_.holds("2\n", GATEWAY)
    assert not option_.holds("", GATEWAY)


def test_the_text_of_a_refusal_is_looked_for_in_the_ruleset_that_says_it() -> None:
    text = SendmailText("confRELAY_MSG", "550 No (rule mta.x)", "Basic_check_rcpt")
    assert text.line(GATEWAY) == "define(`confRELAY_MSG', `\"550 No (rule mta.x)\"')dnl"
    assert text.question(GATEWAY).startswith(asked("=SBasic_check_rcpt"))
    assert text.holds('"550 Else"\n"550 No (rule mta.x)"\n', GATEWAY)
    for other in ("", '"550 No"\n', "550 No (rule mta.x)\n"):
        assert not text.holds(other, GATEWAY)


def test_maps_of_patterns_are_those_of_the_configuration() -> None:
    maps = SendmailPatterns(lambda _: {"one": "regex -aMATCH ^a$$", "two": "regex -aMATCH b"})
    live = "access hash /etc/mail/access\none regex -aMATCH ^a$$\ntwo regex -aMATCH b\n"
    assert maps.holds(live, GATEWAY)
    assert not maps.holds(live.replace("^a", "a"), GATEWAY)
    assert not maps.holds("", GATEWAY)


def test_the_limits_of_a_session_are_those_that_are_declared() -> None:
    # H10
    chosen = gateway(mta="sendmail", mta_limits={"errors": 7, "errors_slow": 3, "idle_commands": 40})
    text = _configuration(chosen)["gateway.mc"]
    for line in (
        "define(`confBAD_RCPT_THROTTLE', `3')dnl",
        "define(`confMAX_NOOP_COMMANDS', `47')dnl",
        "O BadRcptShutdown=7",
        "«R<5> $+\t$: <5> $(add l $@ 6 $@ $1 $)»",
        "«R<2> $+\t$: <2> $(add l $@ 40 $@ $1 $)»",
    ):
        assert f"\n{line}\n" in text, line


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_the_log_is_searched_by_the_same_command(mta: str) -> None:
    # A16
    command = refused_by(gateway(mta=mta))
    assert (command.path, command.mode) == ("/usr/local/sbin/refused-by", "755")
    assert ("/etc/postfix" in command.content) == (mta == "postfix")


def test_a_feature_is_shown_at_work_and_can_be_seen_to_be_missing() -> None:
    feature = SendmailFeature(
        feature="greet_pause", arguments=("9",), asks=("=Sgreet_pause",), shows="returns: 9", refuted_by=""
    )
    assert feature.line(GATEWAY) == "FEATURE(`greet_pause', `9')dnl"
    assert feature.holds("greet_pause returns: 9", GATEWAY)
    assert not feature.holds("undefined ruleset", GATEWAY)
    assert feature.question(GATEWAY) == asked("=Sgreet_pause")
    with pytest.raises(ValueError, match="counter-example"):
        SendmailFeature(feature="x", asks=("y",), shows="a", refuted_by="bad")


def test_a_rule_holds_as_sendmail_prints_it_and_in_its_order_alone() -> None:
    assert RULE.holds(LIVE, GATEWAY)
    assert RULE.holds(f"R$- \t\t$1 \n{LIVE}R$+ \t\t$1", GATEWAY)
    first, second = LIVE.splitlines()
    for wrong in (
        "",
        first,
        f"{second}\n{first}",
        LIVE.replace("501", "250"),
        f"{first}\nR$+ \t\t$1\n{second}",
    ):
        assert not RULE.holds(wrong, GATEWAY)


def test_a_whole_ruleset_has_no_rule_more() -> None:
    whole = SendmailRuleset("check_mail", RULE.made)
    assert whole.holds(LIVE, GATEWAY)
    assert not whole.holds(f"R192.0.2.1 \t\t$@ OK \n{LIVE}", GATEWAY)


@pytest.mark.parametrize("rule", ["$* $@ OK", "R$* $@ OK", "R\t$@ OK", "R$*\t$@ OK\nR$+\t$@ OK"])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="left side"):
        SendmailRule("check_mail", (rule,))


def test_tables_are_compared_as_makemap_dumps_them() -> None:
    entries = {"To:Example.org": "RELAY", "GreetPause:127.0.0.1": "0"}
    dumped = "to:example.org\tRELAY\ngreetpause:127.0.0.1\t0\n"
    assert SendmailMap("/etc/mail/access", lambda _: entries).holds(dumped, GATEWAY)
    assert not SendmailMap("/etc/mail/access", lambda _: entries).holds(
        f"{dumped}connect:192.0.2\tRELAY\n", GATEWAY
    )
    assert AccessEntry(lambda _: {"To:Example.org": "RELAY"}).holds(dumped, GATEWAY)
    assert not AccessEntry(lambda _: {"To:example.net": "RELAY"}).holds(dumped, GATEWAY)


def test_next_hops_have_a_mailer_for_their_port() -> None:
    hops = {
        "a.example": "[192.0.2.25]:25",
        "b.example": "mail.internal.example:2525",
        "c.example": "[2001:db8::1]",
        "d.example": "[mail.d.example]:24",
    }
    assert mailertable(gateway(relay_domains=hops)) == {
        "a.example": "hop25:[192.0.2.25]",
        "b.example": "hop2525:mail.internal.example",
        "c.example": "hop25:[IPv6:2001:db8::1]",
        "d.example": "hop24:[mail.d.example]",
    }
    text = _configuration(gateway(mta="sendmail", relay_domains=hops))["gateway.mc"]
    assert all(f"\nMhop{port},\t" in text and f"A=TCP $h {port}\n" in text for port in (24, 25, 2525))


def test_the_gateways_own_mail_goes_to_its_administrator_and_nowhere_else() -> None:
    table = virtusertable(gateway(administrator="ops@example.com"))
    assert table.pop("@mx1.example.org").startswith("error:nouser 550 5.1.1 ")
    assert set(table.values()) == {"ops@example.com"}


def test_every_line_of_the_records_stands_below_its_id() -> None:
    texts = {name: re.sub("[«»]", "", text) for name, text in _configuration(GATEWAY).items()}
    for id_, own in macro_lines(DEFENCES, GATEWAY):
        assert "\n".join([f"dnl # {id_}", *own, ""]) in texts["gateway.mc"]
    for name, entries in rulesets(DEFENCES, GATEWAY).items():
        assert f"\nS{name}\n" in texts["gateway.mc"]
        for id_, rules in entries:
            assert "\n".join([f"# {id_}", *rules, ""]) in texts["gateway.mc"]
    for id_, table in access(DEFENCES, GATEWAY):
        assert (
            "\n".join([f"# {id_}", *(f"{key}\t{value}" for key, value in table.items()), ""])
            in texts["access"]
        )


def test_filterds_way_in_asks_nothing_of_strangers_and_filters_nothing() -> None:
    text = _configuration(GATEWAY)["injection.mc"]
    assert "Family=local" in text
    assert "Family=inet" not in text
    # Mail that goes out comes back by this way, from quarantine or from another MTA's queue; nothing else is let relay.
    anybody = "SLocal_check_rcpt\n# «mta.injection»\n«R$*\t$#OK»\n"
    assert anybody in text
    assert "$#OK" not in _configuration(GATEWAY)["gateway.mc"]
    for word in (
        "INPUT_MAIL_FILTER",
        "greet_pause",
        "check_mail",
        "MAX_RCPTS",
        "NOOP_COMMANDS",
        "BadRcpt",
        "check_other",
        f"`{GATEWAY.message_size_limit}'",
    ):
        assert word not in text


def test_m4_is_given_balanced_quotes_in_each_line_but_those_of_the_received_header() -> None:
    for name in ("gateway.mc", "injection.mc", "submit.mc"):
        text = _configuration(GATEWAY)[name]
        assert text.count("`") == text.count("'"), name


def test_thousands_of_domains_and_networks_make_no_line_longer() -> None:
    hop = "[192.0.2.25]:25"
    few = {
        "relay_domains": {"customer.example": hop},
        "relay_networks": [{"network": "10.0.0.0/24"}],
        "dnsbl_allow": ["10.0.0.0/24"],
    }
    many = {
        "relay_domains": {f"customer{number:04}.example": hop for number in range(5000)},
        "relay_networks": [{"network": f"10.{number // 256}.{number % 256}.0/24"} for number in range(2000)],
        "dnsbl_allow": [f"10.{number // 256}.{number % 256}.0/24" for number in range(2000)],
    }
    longest = {}
    for name, changes in {"few": few, "many": many}.items():
        made = _configuration(gateway(mta="sendmail", administrator="ops@example.com", **changes))
        texts = (made[each] for each in ("gateway.mc", "injection.mc", "submit.mc"))
        longest[name] = max(len(line) for text in texts for line in text.splitlines())
    assert longest["many"] == longest["few"] < _LINE
    declared = made["declared"].splitlines()
    for word, key in (
        *(("sender", f"customer{number}.example") for number in ("0000", "2500", "4999")),
        *(("house", f"customer{number}.example") for number in ("0000", "2500", "4999")),
        *((word, key) for word in ("relaying", "inside") for key in ("10.0.0", "10.7.207")),
    ):
        assert f"{word}:{key}\tMATCH" in declared


def _told(tmp_path: Path, *lines: str) -> list[str]:
    """Return what the check says of a file of Sendmail's with these lines."""
    (tmp_path / "a.cf").write_text("\n".join(("V10/Berkeley", *lines, "Pend=0")) + "\n")
    done = subprocess.run(
        ["awk", _LONG_LINES, str(tmp_path / "a.cf")], capture_output=True, text=True, check=True
    )
    return [line.rpartition("/")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Kx regex -aMATCH {}", "Kx"),
        ("C{X}{}", "C{X}a"),
        ("DS{}", "DSa"),
        ("O CipherList={}", "O"),
        ("H?H?X-Long: {}", "H?H?X-Long"),
        ("R{}\t$@ OK", "the left side of a rule"),
        ("R$*\t$@ {}", "the right side of a rule"),
        ("Mx,\tP=[IPC], A=TCP $h {}", "Mx"),
    ],
)
def test_a_line_that_sendmail_would_cut_is_told(tmp_path: Path, line: str, what: str) -> None:
    # readcf.c, MAXLINE
    assert _told(tmp_path, line.replace("{}", "a " * 900)) == []
    (told,) = _told(tmp_path, line.replace("{}", "a " * 1100))
    assert told.startswith(f"a.cf: line 2: {what}")
    assert re.search(r" has 2[12]\d\d bytes$", told)


def test_a_line_counts_with_those_that_continue_it_and_each_side_of_a_rule_alone(tmp_path: Path) -> None:
    assert _told(tmp_path, f"R{'a ' * 900}\t{'b ' * 900}", f"# {'c' * 3000}") == []
    (told,) = _told(tmp_path, f"H?H?Received: {'a' * 1500}", f"\tby {'b' * 1500}", "Kx regex a")
    assert told.startswith("a.cf: line 2: H?H?Received has 30")
