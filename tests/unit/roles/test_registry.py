"""Every record of the registry, by its id: whole, resolvable for an example gateway, and able to fail."""

from itertools import chain
from typing import Any

import pytest

from roles import registry
from roles.defence import Defence
from roles.kinds import (
    FileMode,
    FilterTable,
    FirewallRule,
    HostAnswer,
    Kind,
    LineOption,
    SendmailFeature,
    UnitOption,
)
from roles.mta.agents import AGENTS
from roles.registry import DEFENCES, LAYERS
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

# Settings with which no rule is empty.
DIRECTORY = {"servers": ["ldaps://ldap.example.org"], "base": "dc=example,dc=org"}
ZONES = {
    "wan": {"interface": "wan0", "services": ["smtp", "ssh"]},
    "lan": {"interface": "lan0", "networks": ["198.18.0.0/24", "2001:db8:18::/64"]},
}
GATEWAY = gateway(
    dhcp=True,
    firewall={"zones": ZONES},
    recipients={"example.org": {"method": "ldap", "ldap": DIRECTORY}},
    recipient_delimiter="+",
    tls={"certificate": "acme", "mandatory": {"partner.example": {"level": "encrypt"}}},
    mta_rules={
        word: [{"id": "one", "match": match, "verb": "reject", "reason": "An example."}]
        for word, match in (
            ("client", "192.0.2.0/24"),
            ("helo", "bad.example"),
            ("sender", "bad@sender.example"),
            ("recipient", "staff@example.org"),
        )
    },
    dnsbl=[{"id": "one", "zone": "dnsbl.example.net"}],
    dnsbl_allow=["203.0.113.0/24"],
    relay_networks=[{"network": "198.51.100.0/28"}],
)
SENDMAIL = gateway(
    mta="sendmail",
    hardening={"left_out": {"hardening.no-router-advertisements": "An example."}},
    firewall={
        "egress": [
            {"user": "a", "ports": [389], "networks": ["192.0.2.0/24", "2001:db8::/32"], "reason": "One."}
        ]
    },
)
SETTINGS = [
    pytest.param(setting, id=f"{defence.id}:{setting.name()}")
    for defence in DEFENCES
    for setting in defence.sets
]
CLAIMS = [
    pytest.param(claim, id=f"{defence.id}:{claim.title()}-{claim.vantage}")
    for defence in DEFENCES
    for claim in defence.claims
]
EACH = pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.id)
# The rows of the requirement tables: letter and highest number.
ROWS = {
    f"{letter}{number:02}"
    for letter, highest in (
        ("A", 27),
        ("R", 24),
        ("M", 8),
        ("S", 7),
        ("C", 2),
        ("W", 3),
        ("H", 31),
        ("P", 30),
    )
    for number in range(1, highest + 1)
}
# A host on which no rule, option or file is as it should be answers one of these.
WRONG = "wrong\n"
# Answers of a host that is as it should be, by the pattern that they must match.
ANSWERS = {
    r"[1-9]\d*": "3",
    r"(.*,)?noetrn(,.*)?": "goaway,noetrn,nobodyreturn",
    r"(.*,)?needmailhelo(,.*)?": "needmailhelo",
    r"(?m)^Relay_ok +returns": "Relay_ok         returns: NOPERM",
    r"(?m)^canonify +returns: (?!.*< @ ).*": "canonify         returns: elsewhere ! victim",
    r"((?=[^ ]*8)[^ DP]+ 0\n?)+": "8FMXamu 0\n8FMXamu 0",
    r"(?m)^greet_pause +returns: \$# 1000$": "greet_pause      returns: $# 1000",
    r"\$# o g2 u2": "$# o g2 u2",
    r"path=(?:/usr)?/lib/systemd/systemd-sulogin-shell": "path=/lib/systemd/systemd-sulogin-shell",
    "2?710 postfix postdrop\nfilterd": "2710 postfix postdrop\nfilterd",
    r"8\.(1[2-9]|[2-9]\d)\..*|9\..*": "8.17.1.9",
    r"(try_tls +returns: )(?!.*error).+": "try_tls          returns: OK",
    r"(add \+ (?s:.*)\n)+add l \$@ \$2 \$@ \d+(?s:.*)": "add + $@ $2 $@ 3 $)\nadd l $@ $2 $@ 3 $)",
    r'\$> ?"?ConnControl\b': 'R$*  $: $> "ConnControl" dummy',
    r'\$> ?"?RateControl\b': 'R$*  $: $> "RateControl" dummy',
    r"(?s)from (?!.*\$[vZ]).*": "from $s by $j with $r id $i",
    rf"filterd, S=local:{AGENTS['sendmail'].milter_socket}, F=T, T=\S+": (
        f"filterd, S=local:{AGENTS['sendmail'].milter_socket}, F=T, T=C:30s"
    ),
}


def means_nothing(setting: Kind) -> bool:
    """Say whether an empty answer is what is wanted: an option that must be empty, or no rule for a family."""
    return setting.wanted(GATEWAY) == ""


def _filling(setting: Kind) -> Gateway:
    """Return the example gateway with which the setting is not empty: some rules stand under one MTA, or with what is left out, alone."""
    return SENDMAIL if isinstance(setting, FirewallRule) and not setting.rules(GATEWAY) else GATEWAY


@EACH
def test_a_record_names_rows_that_exist(defence: Defence) -> None:
    assert set(defence.rows) <= ROWS


@EACH
def test_a_record_names_no_row_and_no_claim_twice(defence: Defence) -> None:
    assert len(set(defence.rows)) == len(defence.rows)
    titles = [(claim.title(), claim.vantage) for claim in defence.claims]
    assert len(set(titles)) == len(titles)


@EACH
def test_a_record_sets_nothing_twice(defence: Defence) -> None:
    named = [
        (type(setting), setting.name(), getattr(setting, "mta", None))
        for setting in defence.sets
        if not isinstance(setting, FirewallRule)
    ]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_wanted_value_and_the_question_follow_from_the_settings(setting: Kind) -> None:
    assert isinstance(setting.wanted(GATEWAY), str)
    assert setting.question(GATEWAY)
    assert setting.name()


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_answer_is_not_the_wanted_answer(setting: Kind) -> None:
    assert setting.holds("", GATEWAY) is means_nothing(setting)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_wrong_answer_does_not_hold(setting: Kind) -> None:
    example = _filling(setting)
    if isinstance(setting, FirewallRule) and not setting.rules(example):
        pytest.fail("the example gateway leaves this rule empty: give it settings that fill every rule")
    assert not setting.holds(WRONG, example)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_wanted_answer_holds(setting: Kind) -> None:
    wanted = setting.wanted(GATEWAY)
    if isinstance(setting, FirewallRule):
        wanted = "\n".join(f"-A {setting.chain} {rule}" for rule in setting.rules(_filling(setting)))
    if isinstance(setting, HostAnswer | SendmailFeature) and wanted in ANSWERS:
        wanted = ANSWERS[wanted]
    if isinstance(setting, FilterTable):
        wanted = "\n".join(setting.table(GATEWAY))
        opened = wanted.replace(":OUTPUT DROP\n", ":OUTPUT DROP\n-A OUTPUT -j ACCEPT\n")
        assert not setting.holds(opened, GATEWAY)
    assert setting.holds(wanted, GATEWAY)


@pytest.mark.parametrize(
    "setting",
    [param for param in SETTINGS if isinstance(param.values[0], LineOption | UnitOption | FileMode)],
)
def test_more_than_the_wanted_answer_does_not_hold(setting: Kind) -> None:
    assert not setting.holds(f"{setting.wanted(GATEWAY)} extra", GATEWAY)


@pytest.mark.parametrize("setting", [param for param in SETTINGS if isinstance(param.values[0], HostAnswer)])
def test_the_counter_example_of_a_question_does_not_hold(setting: HostAnswer) -> None:
    assert not setting.holds(setting.refuted_by, GATEWAY)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_refuted_by_its_counter_example(claim: Any) -> None:
    assert not claim.holds(claim.refuted_by)


def test_ids_are_unique_and_stand_in_their_own_layer() -> None:
    assert len({defence.id for defence in DEFENCES}) == len(DEFENCES)
    assert all(defence.layer == layer for layer, defences in LAYERS for defence in defences)
    assert tuple(chain.from_iterable(defences for _, defences in LAYERS)) == DEFENCES


def test_titles_are_unique() -> None:
    assert len({defence.title for defence in DEFENCES}) == len(DEFENCES)


def test_one_option_has_one_owner() -> None:
    named = [
        (type(setting), setting.key)
        for defence in DEFENCES
        for setting in defence.sets
        if isinstance(setting, LineOption)
    ]
    assert len(set(named)) == len(named)


def a_record(id_: str) -> Defence:
    return Defence(
        id=id_, title="A title", why="A reason.", rows=("A01",), sets=DEFENCES[0].sets, unseen="Nobody looks."
    )


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ((("mta", (a_record("mta.one"), a_record("mta.one"))),), "'mta.one' is defined twice"),
        ((("mta", (a_record("clamav.one"),)),), "'clamav.one' stands in the file of layer 'mta'"),
        (
            (("mta", (a_record("mta.one"),)), ("dns", (a_record("mta.one"),))),
            "'mta.one' is defined twice",
        ),
    ],
)
def test_a_registry_that_contradicts_itself_is_refused(
    layers: tuple[tuple[str, tuple[Defence, ...]], ...], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "LAYERS", layers)
    with pytest.raises(ValueError, match=fault):
        registry._registered()
