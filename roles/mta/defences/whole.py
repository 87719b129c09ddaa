"""What no single record can say: that the lists are whole, in order, and without exceptions."""

from collections.abc import Sequence
from functools import partial

from roles.defence import Defence
from roles.kinds import (
    AccessEntry,
    HostAnswer,
    Kind,
    MainCf,
    PostfixMap,
    RestrictionList,
    SendmailMap,
    SendmailRule,
    SendmailRuleset,
    UnitOption,
)
from roles.kinds.sendmail import only_counted, option
from roles.mta.agents import AGENTS
from roles.mta.injection import OVERRIDES
from roles.mta.known import spelled
from roles.mta.outbound import DECLARED, overrides, transport
from roles.mta.relaying import lists
from roles.mta.routing import mailertable, virtusertable
from roles.settings import Gateway

_OVERRIDES = "\n".join(sorted((*OVERRIDES.splitlines(), *overrides())))


def _entries(name: str, records: Sequence[Defence], gateway: Gateway) -> tuple[str, ...]:
    """Return the entries of a restriction list, made of the records that this gateway has."""
    return tuple(entry for _, entry in lists(records, gateway).get(name, ()))


def _rules(name: str, records: Sequence[Defence], gateway: Gateway) -> tuple[str, ...]:
    """Return the rules of one of our rulesets, made of the records that this gateway has."""
    found = list[str]()
    for defence in (each for each in records if each.stands(gateway)):
        for setting in defence.sets:
            if isinstance(setting, SendmailRule) and setting.ruleset == name:
                own = setting.made(gateway)
                found += only_counted(own) if defence.only_warns(gateway) else own
    return tuple(found)


def _rulesets(records: Sequence[Defence]) -> tuple[str, ...]:
    """Return the names of our rulesets, in the records' order."""
    named = (each.ruleset for defence in records for each in defence.sets if isinstance(each, SendmailRule))
    return tuple(dict.fromkeys(named))


def _access(records: Sequence[Defence], table: str, gateway: Gateway) -> dict[str, str]:
    """Return a whole table that many records write into, made of those that this gateway has."""
    return {
        key: value
        for defence in records
        if defence.stands(gateway)
        for setting in defence.sets
        if isinstance(setting, AccessEntry) and setting.table == table
        for key, value in setting.entries(gateway).items()
    }


def _sendmail(records: Sequence[Defence]) -> tuple[Kind, ...]:
    """Return what no single record can say of Sendmail: its tables are whole, and nothing else listens."""
    return (
        *(
            SendmailMap(f"/etc/mail/{table}", partial(_access, records, table))
            for table in ("access", DECLARED)
        ),
        SendmailMap("/etc/mail/mailertable", mailertable),
        SendmailMap("/etc/mail/virtusertable", virtusertable),
        HostAnswer(
            mta="sendmail",
            subject="where Sendmail listens for the network",
            command=option("DaemonPortOptions"),
            matches=r"Name=smtp, Family=inet6, Port=25",
            refuted_by="Name=smtp, Family=inet6, Port=25\nName=other, Family=inet, Port=2525, InputMailFilters=",
        ),
        *(
            UnitOption(mta="sendmail", unit=unit, option="UnitFileState", value="enabled")
            for unit in AGENTS["sendmail"].units
        ),
    )


def of(records: Sequence[Defence]) -> tuple[Defence, ...]:
    """Return the defences over all ``records``."""
    return (
        Defence(
            id="mta.restriction-order",
            title="Restriction lists hold the declared entries in the declared order",
            why="The first entry that decides ends the list: a permit moved up switches off all that stands behind it.",
            rows=("A04",),
            sets=tuple(
                RestrictionList(name, partial(_entries, name, records))
                for name in (
                    "smtpd_sender_restrictions",
                    "smtpd_recipient_restrictions",
                    "smtpd_relay_restrictions",
                    "smtpd_data_restrictions",
                )
            )
            + tuple(SendmailRuleset(name, partial(_rules, name, records)) for name in _rulesets(records)),
            unseen="Each entry's own record looks from outside at what it refuses.",
            weight=9,
        ),
        Defence(
            id="mta.no-exceptions",
            title="No client, service or domain is let around the rules",
            why="One line for one address is enough to relay or to pass unfiltered, and the settings for all look as before.",
            rows=("A02", "A03", "P01"),
            sets=(
                MainCf("smtpd_milter_maps", ""),
                PostfixMap(
                    "texthash:/etc/postfix/transport",
                    lambda gateway: spelled(gateway, transport(gateway)),
                ),
                HostAnswer(
                    mta="postfix",
                    subject="parameters that a service of master.cf overrides",
                    command="postconf -P | sed 's/ *$//' | LC_ALL=C sort",
                    matches=_OVERRIDES,
                    refuted_by="smtp/inet/milter_default_action = accept",
                ),
                HostAnswer(
                    mta="postfix",
                    subject="services that listen on the network",
                    # mta.screened looks at what stands before smtpd.
                    command="postconf -M | awk '$2 == \"inet\" { print $1, $8 }' | sed 's/ postscreen$/ smtpd/'",
                    matches="smtp smtpd",
                    refuted_by="smtp smtpd\n2525 smtpd",
                ),
                UnitOption(mta="postfix", unit="postfix.service", option="UnitFileState", value="enabled"),
                *_sendmail(records),
            ),
            unseen="Whom an exception is for, the audit would have to guess.",
            weight=9,
        ),
    )
