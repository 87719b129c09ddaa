"""Rendering: files come whole out of settings and records, or not at all."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from filterd.config import load
from roles.clamav.defences import DEFENCES as CLAMAV
from roles.defence import Defence
from roles.errors import SettingError
from roles.filterd.defences import DEFENCES as FILTERD_RECORDS
from roles.hardening.defences import DEFENCES as HARDENING
from roles.hardening.files import sysctl_file
from roles.kinds import (
    ClamdOption,
    DnsblSites,
    FreshclamOption,
    Kind,
    MainCf,
    Restriction,
    SshdOption,
    Sysctl,
)
from roles.mta.agents import AGENTS
from roles.mta.defences import DEFENCES as MTA
from roles.mta.injection import INJECTION
from roles.mta.known import spelled
from roles.mta.outbound import SERVICES, transport
from roles.rendering import filterd_options, lines, rendered, restriction_lists
from roles.settings import Mta
from tests.unit.roles.examples import gateway

GATEWAY = gateway()


LACKS: dict[Mta, str] = {"sendmail": "It is not what is tried here."}


def record(id_: str, *sets: Kind) -> Defence:
    return Defence(
        id=id_,
        title="A title",
        why="A reason.",
        rows=("A01",),
        sets=sets,
        unseen="Nobody looks.",
        lacks=LACKS,
    )


def main_cf(**changes: object) -> str:
    chosen = gateway(**changes)
    parameters = list(lines(MTA, MainCf, chosen))
    return rendered(
        "mta",
        "postfix/main.cf.j2",
        chosen,
        parameters=parameters,
        restrictions=restriction_lists(MTA, chosen),
        sites=[("mta.dnsbl", DnsblSites().line(chosen))] if chosen.dnsbl else [],
    )


def test_lines_are_of_one_kind_in_the_order_of_their_records() -> None:
    records = (
        record("mta.two", MainCf("b", "2"), Sysctl("x", "1"), MainCf("a", "1")),
        record("mta.none", Sysctl("y", "2")),
        record("mta.one", MainCf("c", lambda g: g.hostname)),
    )
    assert list(lines(records, MainCf, GATEWAY)) == [
        ("mta.two", ["b = 2", "a = 1"]),
        ("mta.one", ["c = mx1.example.org"]),
    ]


def test_restriction_lists_keep_the_order_of_the_records_that_name_them() -> None:
    records = (
        record(
            "mta.one", Restriction("r", "permit_mynetworks"), Restriction("s", "reject_unauth_pipelining")
        ),
        record("mta.two", MainCf("a", "1"), Restriction("r", "reject_unauth_destination")),
        record("mta.three", Restriction("r", "reject_non_fqdn_sender")),
    )
    assert restriction_lists(records, gateway()) == {
        "r": [
            ("mta.one", "permit_mynetworks"),
            ("mta.two", "reject_unauth_destination"),
            ("mta.three", "reject_non_fqdn_sender"),
        ],
        "s": [("mta.one", "reject_unauth_pipelining")],
    }


def test_a_value_that_is_missing_stops_the_deploy() -> None:
    with pytest.raises(UndefinedError, match="options"):
        rendered("hardening", "sshd.conf.j2", GATEWAY)


def test_a_template_that_is_not_there_is_no_empty_file() -> None:
    with pytest.raises(TemplateNotFound):
        rendered("mta", "postfix/main.cf", GATEWAY)


def test_main_cf_has_each_parameter_once_below_its_defence() -> None:
    text = main_cf()
    assert "\n# mta.banner\nsmtpd_banner = $myhostname ESMTP\n" in text
    parameters = re.findall(r"^([a-z_0-9]+) =", text, re.MULTILINE)
    assert len(set(parameters)) == len(parameters)
    assert "myhostname" in parameters
    assert text.endswith("\n")


def test_main_cf_is_made_of_comments_parameters_and_their_continuations() -> None:
    for line in main_cf().splitlines():
        assert re.fullmatch(r"(#.*|[A-Za-z_0-9]+ =( .*)?|    \S.*|)", line), line


def test_restrictions_are_evaluated_in_the_order_of_the_records() -> None:
    text = main_cf()
    block = text.partition("smtpd_relay_restrictions =\n")[2].partition("\nsmtpd_")[0]
    entries = [line.strip() for line in block.splitlines() if not line.strip().startswith("#")]
    assert entries == ["reject_non_fqdn_recipient", "permit_mynetworks", "reject_unauth_destination"]
    assert "    # mta.no-open-relay\n    permit_mynetworks\n" in text


def test_settings_reach_the_parameters_that_follow_from_them() -> None:
    text = main_cf(message_size_limit=1_000_000, recipient_limit=250, hostname="mx2.example.org")
    assert "\nmessage_size_limit = 1000000\n" in text
    assert "\nsmtpd_recipient_limit = 250\n" in text
    assert "\nmyhostname = mx2.example.org\n" in text


def test_the_transport_table_has_a_line_a_domain_and_no_other() -> None:
    text = rendered("mta", "postfix/transport.j2", GATEWAY, transport=spelled(GATEWAY, transport(GATEWAY)))
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "example.net relay:mail.internal.example.net:2525",
        "example.org relay:[192.0.2.25]:25",
    ]


def test_the_gateways_own_mail_goes_to_its_administrator() -> None:
    text = rendered("mta", "postfix/virtual.j2", gateway(administrator="ops@example.com"))
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        f"{name}@mx1.example.org ops@example.com" for name in ("postmaster", "root", "abuse", "mailer-daemon")
    ]


def test_master_cf_listens_on_port_25_alone() -> None:
    text = rendered("mta", "postfix/master.cf.j2", GATEWAY, injection=INJECTION, services=SERVICES)
    services = [line.split() for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert [service[0] for service in services if service[1] == "inet"] == ["smtp"]
    assert all(len(service) == 8 for service in services)
    assert len({(service[0], service[1]) for service in services}) == len(services)


def test_master_cf_overrides_declared_settings_alone() -> None:
    # master(5): -o name=value stands on lines of its own, indented, behind its service.
    text = rendered("mta", "postfix/master.cf.j2", GATEWAY, injection=INJECTION, services=SERVICES)
    rest = text
    for service, settings in (*INJECTION.items(), *SERVICES.items()):
        found = re.search(rf"^{service} +unix ", text, re.MULTILINE)
        assert found is not None
        block = text[found.start() :].split("\n")
        count = len(settings)
        assert block[1 : count + 1] == [f"  -o {name}={value}" for name, value in settings.items()]
        assert not block[count + 1].startswith(" ")
        rest = rest.replace("\n".join(block[1 : count + 1]), "")
        assert all(" " not in value for value in settings.values())
    assert "-o" not in rest


def test_sshd_listens_where_the_firewall_lets_administrators_in() -> None:
    chosen = gateway(sshd_port=2222)
    text = rendered("hardening", "sshd.conf.j2", chosen, options=list(lines(HARDENING, SshdOption, chosen)))
    assert re.findall(r"^Port .*", text, re.MULTILINE) == ["Port 2222"]
    assert "\n# hardening.ssh-keys-only\nPubkeyAuthentication yes\n" in text


def test_sysctl_lines_are_keys_and_values() -> None:
    values = [line for line in sysctl_file(GATEWAY).content.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_.*-]+ = (\d+( \d+)?|\|/bin/false)", line) for line in values)
    assert "net.ipv4.ip_forward = 0" in values
    # A parameter that each interface has stands by name for all and for those to come, too.
    assert {f"net.ipv4.conf.{which}.rp_filter = 1" for which in ("all", "default", "*")} <= set(values)


@pytest.mark.parametrize("limit", [1_000_000, 26_214_400, 1_000_000_000])
def test_nothing_that_is_accepted_is_too_large_to_be_scanned(limit: int) -> None:
    chosen = gateway(message_size_limit=limit)
    text = rendered(
        "clamav",
        "clamd.conf.j2",
        chosen,
        socket="/run/c",
        options=list(lines(CLAMAV, ClamdOption, chosen)),
        concurrent=True,
    )
    sizes = {
        key: int(value) for key, value in re.findall(r"^(\w+(?:Length|Size)) (\d+)$", text, re.MULTILINE)
    }
    assert set(sizes) == {"StreamMaxLength", "MaxFileSize", "MaxScanSize"}
    assert min(sizes.values()) > limit
    assert max(sizes.values()) <= 2_000_000_000


def freshclam(**changes: object) -> list[str]:
    chosen = gateway(**changes)
    options = list(lines(CLAMAV, FreshclamOption, chosen))
    return rendered("clamav", "freshclam.conf.j2", chosen, options=options).splitlines()


def test_freshclam_fetches_the_official_databases_unless_told_otherwise() -> None:
    extra = ["https://signatures.example.org/a.ndb", "file:///srv/b.ndb"]
    assert not [line for line in freshclam() if line.startswith(("ExcludeDatabase", "DatabaseCustomURL"))]
    without = freshclam(clamav_official_databases=False, clamav_extra_databases=extra)
    assert [line for line in without if line.startswith("ExcludeDatabase")] == [
        "ExcludeDatabase main",
        "ExcludeDatabase daily",
        "ExcludeDatabase bytecode",
    ]
    assert [line for line in without if line.startswith("DatabaseCustomURL")] == [
        f"DatabaseCustomURL {url}" for url in extra
    ]
    assert "Checks 50" in freshclam(clamav_checks_per_day=50)


def test_spamd_has_as_many_children_as_filterd_asks_at_a_time() -> None:
    unit = rendered("spamassassin", "spamd.conf.j2", gateway(spamd_children=9), socket="/run/s.sock")
    assert "--max-children=9 --min-children=9 " in unit
    assert "--socketpath=/run/s.sock" in unit
    assert not re.search(r"--port|--listen|-i\b", unit)


FILTERD = {
    "clamd_socket": "/run/c",
    "spamd_socket": "/run/s",
    "mta": AGENTS["postfix"],
    "store_key": "/etc/k",
    "ledger_url": "sqlite:////l",
    "ledger_unit": "l.service",
    "ledger_password": "/etc/p",
}


# One of everything that an operator may set, with characters that TOML has a word on.
POLICY: dict[str, Any] = {
    "policy": {
        "tag_subject": "<{verdict}> ",
        "chains": {"infected": ["notify admin", "clean", "delete", "discard"]},
    },
    "group": [
        {
            "name": "staff",
            "recipients": ["@example.org"],
            "chains": {"spam": ["move"]},
            "rules": {"html.form": "on"},
        },
        {"name": "night", "times": ["22:00-06:00"], "direction": "out"},
    ],
    "content": [{"name": "quote", "pattern": "a\"b\\\\c'd\u007f", "where": ["subject"], "case": True}],
    "rules": {"html.iframe": "on"},
    "html": {"scripts": "strip"},
    "notify": {"language": "de", "stamps": {"legal": 'Line one\nä <b> "x"'}},
    "store": {"discard_days": 3},
    "scanner": [{"name": "other", "command": ["/usr/bin/other", "-"], "infected": [1, 2]}],
}


def test_an_operators_policy_arrives_as_it_was_written(tmp_path: Path) -> None:
    chosen = gateway(filterd_policy=POLICY)
    text = rendered("filterd", "filterd.toml.j2", chosen, options=filterd_options(FILTERD_RECORDS), **FILTERD)
    (tmp_path / "filterd.toml").write_text(text)
    load(tmp_path / "filterd.toml")
    written = tomllib.loads(text)
    for table, own in POLICY.items():
        if isinstance(own, list):
            assert written[table] == own
            continue
        for name, value in own.items():
            shown = {key: written[table][name][key] for key in value} if isinstance(value, dict) else None
            assert (shown or written[table][name]) == value


def test_kept_mail_is_encrypted_where_it_is_asked_for() -> None:
    def store(**changes: Any) -> dict[str, Any]:
        chosen = gateway(**changes)
        text = rendered(
            "filterd", "filterd.toml.j2", chosen, options=filterd_options(FILTERD_RECORDS), **FILTERD
        )
        found: dict[str, Any] = tomllib.loads(text)["store"]
        return found

    days = {"store": {"discard_days": 3, "class_days": {"spam": 5}}}
    assert store() == {}
    assert store(filterd_policy=days) == days["store"]
    assert store(filterd_policy=days, filterd_store_encrypted=True) == {"key_file": "/etc/k", **days["store"]}
    with pytest.raises(SettingError, match="key_file"):
        gateway(filterd_policy={"store": {"key_file": "/etc/k"}})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spam_precision": "high", "filterd_workers": 4, "recipient_limit": 10_000},
        {"message_size_limit": 65_536, "spamd_children": 1, "clamd_threads": 1},
        {"message_size_limit": 1_000_000_000, "spam_precision": "very_high"},
        {"notify_admin": "soc@example.net", "internal_networks": ("192.0.2.0/24",), "filterd_policy": POLICY},
    ],
)
def test_filterd_takes_the_configuration_that_is_written_for_it(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    chosen = gateway(**changes)
    text = rendered("filterd", "filterd.toml.j2", chosen, options=filterd_options(FILTERD_RECORDS), **FILTERD)
    (tmp_path / "filterd.toml").write_text(text)
    load(tmp_path / "filterd.toml")
    written = tomllib.loads(text)
    assert written["milter"]["max_message_bytes"] >= chosen.message_size_limit
    assert written["milter"]["max_recipients"] == chosen.recipient_limit
    assert written["policy"]["precision"] == chosen.spam_precision
    assert written["policy"]["internal_networks"] == list(chosen.internal_networks)
    assert written["notify"]["admin"] == (chosen.notify_admin or chosen.administrator_address)
    assert written["policy"]["chains"]["not_inspected"] == ["tempfail"]
    assert written["clamd"]["socket"] == "/run/c"


def test_filterds_unit_may_write_to_its_socket_directory_alone() -> None:
    unit = rendered("filterd", "filterd.service.j2", GATEWAY, **FILTERD)
    assert re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE) == [AGENTS["postfix"].milter_directory]
    assert "{" not in unit.replace("%{", "")


def test_a_parse_worker_without_memory_does_not_end_filterd() -> None:
    """systemd's own way is to stop the whole service when the kernel ends one process of it (OOMPolicy=stop)."""
    unit = rendered("filterd", "filterd.service.j2", GATEWAY, **FILTERD)
    assert "\nOOMPolicy=continue\n" in unit
    assert re.search(r"^MemoryMax=[0-9]+%$", unit, re.MULTILINE)
