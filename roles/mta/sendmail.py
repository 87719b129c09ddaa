"""Sendmail as the gateway's MTA: its configuration is built by its own m4 beside the live one, and tried there."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from roles.defence import Defence
from roles.kinds import (
    AccessEntry,
    SendmailFeature,
    SendmailMacro,
    SendmailMc,
    SendmailOption,
    SendmailPatterns,
    SendmailRule,
    SendmailText,
)
from roles.kinds.sendmail import only_counted
from roles.mta import known
from roles.mta.agents import AGENTS
from roles.mta.defences import DEFENCES
from roles.mta.handover.switching import (
    old_configuration_gone,
    old_queue_written_down,
    queue_handed_in,
)
from roles.mta.outbound import DECLARED
from roles.mta.refusals import refused_by
from roles.mta.routing import mailertable, virtusertable
from roles.mta.tls import deploy as tls
from roles.mta.tls.policy import MTA_STS_ADDRESS, fetches_policies
from roles.operations import converged, files_owned, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import BuiltFile, OwnedFile, rendered
from roles.settings import Gateway

DIRECTORY: Final = "/etc/mail"
UNITS: Final = "/etc/systemd/system"
_PROGRAM: Final = "/usr/libexec/sendmail/sendmail"
# What is built, and of what.
_CONFIGURATIONS: Final = {
    "sendmail.cf": "gateway.mc",
    "injection.cf": "injection.mc",
    "submit.cf": "submit.mc",
}
_Line = SendmailMc | SendmailFeature | SendmailMacro | SendmailOption | SendmailText
# What is about strangers: features that judge clients, limits of a session, rulesets that are called in one.
_STRANGERS: Final = re.compile(
    r"FEATURE\(`(greet_pause|conncontrol|ratecontrol|enhdnsbl|dnsbl|rhsbl|badmx|block_bad_helo|require_rdns|"
    r"use_client_ptr|blocklist_recipients|relay_hosts_only)'|"
    r"define\(`conf(MAX_MESSAGE_SIZE|MAX_RCPTS_PER_MESSAGE|MAX_NOOP_COMMANDS|BAD_RCPT_THROTTLE|CONNECTION_RATE_\w+)'|"
    r"LOCAL_CONFIG\nO BadRcpt"
)
_AT_THE_DOOR: Final = re.compile(
    r"(Local_)?(check_(?!compat)|greet_pause|srv_features)|ClientName|PlainSender|OwnHost|Declared|Inside|Blocklists|Listed"
)
_TABLES: Final = ("access", DECLARED, "mailertable", "recipients", "relayed", "virtusertable")
# It expands what follows a line's letter, or each side of a rule, into a buffer of 2,048 bytes, and what is beyond is lost without
# a word (readcf.c, MAXLINE); of mailers (M) it does so with each field. Some room is left for macros that grow by it.
_LINE: Final = 2000
_LONG_LINES: Final = f"""function told(n, what) {{ if (n > {_LINE}) print name ": line " at ": " what " has " n " bytes" }}
function judged(  parts, n, i) {{
  if (text ~ /^R/) {{
    split(text, parts, /\\t+/)
    told(length(parts[1]), "the left side of a rule"); told(length(parts[2]), "the right side of a rule")
  }} else if (text ~ /^M/) {{
    n = split(text, parts, /,/)
    for (i = 1; i <= n; i++) told(length(parts[i]), substr(text, 1, index(text, ",") - 1))
  }} else if (text !~ /^#/) told(length(text), substr(text, 1, match(text " ", /[ =:]/) - 1))
}}
FNR == 1 {{ judged(); text = ""; name = FILENAME }}
/^[ \\t]/ {{ text = text "\\n" $0; next }}
{{ judged(); text = $0; at = FNR }}
END {{ judged() }}"""
# m4 says that a feature was misused and still succeeds, and so does Sendmail of a line that it cannot read. The tables
# are those of the stage, too: what is tried is what will run.
CHECK: Final = f"""new=$stage{DIRECTORY}
said=$(for pair in {" ".join(f"{cf}:{mc}" for cf, mc in _CONFIGURATIONS.items())}; do
  m4 $new/${{pair#*:}} 2>&1 >$new/${{pair%:*}} || echo "m4 fails on ${{pair#*:}}"
  chmod 644 $new/${{pair%:*}}
done)
[ -z "$said" ] || {{ echo "$said" >&2; exit 1; }}
for table in {" ".join(_TABLES)}; do
  makemap hash $new/$table.db <$new/$table
  chown root:smmta $new/$table.db
  chmod 640 $new/$table.db
done
long=$(LC_ALL=C awk '{_LONG_LINES}' $(printf "$new/%s " {" ".join(_CONFIGURATIONS)}))
[ -z "$long" ] || {{
  echo "$long" | sed "s#$new/##" >&2
  echo "Sendmail takes {_LINE} bytes there and leaves out the rest without a word: shorten the setting that stands in that line" >&2
  exit 1; }}
for cf in {" ".join(_CONFIGURATIONS)}; do
  sed "s#{DIRECTORY}/#$new/#g" $new/$cf >$stage/try.cf
  said=$(sendmail -C $stage/try.cf -bt </dev/null 2>&1 | sed '/^ADDRESS TEST MODE/d; /^Enter </d; /^> *$/d')
  [ -z "$said" ] || {{
    echo "$said" | sed "s#$stage/try.cf#$cf#" >&2
    echo "$said" | sed -n 's/.*: line \\([0-9][0-9]*\\): .*/\\1p/p' | sed -n -f - $new/$cf >&2
    echo "mend what the line is made of (K: a rule's list and id), in the setting mta_rules; what is live stays as it was" >&2
    exit 1; }}
done
sed "s#{DIRECTORY}/#$new/#g" $new/sendmail.cf >$stage/try.cf
sed '/^#/d; /^$/d; s/\t.*//; s/^/postmaster@/' $new/mailertable >$stage/asked
xargs -r -n 500 sendmail -C $stage/try.cf -bv <$stage/asked >$stage/ways || true
lost=$(sed -n 's/[.][.][.] deliverable: mailer hop.*//p' $stage/ways | sort - $stage/asked | uniq -u | sed 's/^postmaster@//')
[ -z "$lost" ] || {{
  echo "mailertable: Sendmail finds no way to" $lost >&2; exit 1; }}
rm -f $stage/asked $stage/ways
systemd-analyze verify $stage{UNITS}/*.service
rm -f $stage/try.cf"""


_RUN: Final[Mapping[str, Mapping[str, str]]] = {
    "sendmail": {
        "run": "sendmail-mta",
        "pid_file": "/run/sendmail-mta/sendmail.pid",
        "description": "Sendmail, the gateway's MTA",
        "command": f"{_PROGRAM} -bD -q{{minutes}}m",
        "user": "smmta",
        "queue": "/var/spool/mqueue",
    },
    "sendmail-inject": {
        "run": "sendmail-inject",
        "pid_file": "/run/sendmail-inject/sendmail.pid",
        "description": "Sendmail, where filterd hands in mail",
        # Its syslog name tells it from mail of the network (`filterd reconcile`).
        "command": f"{_PROGRAM} -L filterd-inject -C {DIRECTORY}/injection.cf -bD",
        "user": "smmta",
        "queue": "/var/spool/mqueue",
    },
    "sm-client": {
        "run": "sm-client",
        "pid_file": "/run/sm-client/sm-client.pid",
        "description": "Sendmail, queue of this host's own programs",
        "command": f"{_PROGRAM} -L sm-client -Ac -q{{minutes}}m",
        "user": "smmsp",
        "queue": "/var/spool/mqueue-client",
    },
}

_BUILT_CF: Final = "[ \"$(m4 {source} | sed '/^#/d')\" = \"$(sed '/^#/d' {built})\" ]"
_BUILT_DB: Final = (
    "d=$(mktemp -d) && makemap hash $d/new.db <{source} && "
    '[ "$(makemap -u hash $d/new.db)" = "$(makemap -u hash {built})" ]; rc=$?; rm -rf "$d"; [ $rc -eq 0 ]'
)
# Also asked of what is there: built by hand of other sources, or by Debian's scripts, it is built again.
BUILT: Final = (
    *(
        BuiltFile(
            path=f"{DIRECTORY}/{cf}",
            current=_BUILT_CF.format(source=f"{DIRECTORY}/{mc}", built=f"{DIRECTORY}/{cf}"),
        )
        for cf, mc in _CONFIGURATIONS.items()
    ),
    *(
        BuiltFile(
            path=f"{DIRECTORY}/{table}.db",
            current=_BUILT_DB.format(source=f"{DIRECTORY}/{table}", built=f"{DIRECTORY}/{table}.db"),
        )
        for table in _TABLES
    ),
)


def apply(gateway: Gateway, platform: Platform) -> None:
    """Have Sendmail relay for the declared domains; it answers only after its configuration is ours."""
    old_queue_written_down("sendmail", gateway.next_hop_ports, platform)
    packages_installed(name="Install Sendmail", packages=platform.mta["sendmail"], manager=platform.manager)
    tls.written(gateway, platform)
    converged(
        # Debian gives them to their users when the package comes for the first time alone.
        name="Have Sendmail's queues",
        question="stat -c '%a %U %G' /var/spool/mqueue /var/spool/mqueue-client",
        wanted="2750 smmta smmsp\n2770 smmsp smmsp",
        remedy="install -d -m 2750 -o smmta -g smmsp /var/spool/mqueue; "
        "install -d -m 2770 -o smmsp -g smmsp /var/spool/mqueue-client",
    )
    converged(
        name="Keep Sendmail's configuration to root",
        question=f"stat -c '%a %U %G' {DIRECTORY}",
        wanted="755 root root",
        remedy=f"chown root:root {DIRECTORY}; chmod 755 {DIRECTORY}; chmod g-s {DIRECTORY}",
    )
    files_owned(
        name="Write Sendmail's configuration",
        files=_files(gateway),
        built=BUILT,
        check=CHECK,
    )
    tls.kept(gateway)  # before it runs: from the first session on STARTTLS is offered
    # Each a line, as all operations: pyinfra matches them by where they are called.
    unit_current(
        name="Run Sendmail with its configuration",
        unit="sendmail.service",
        files=_files_of("sendmail.service", "sendmail.cf"),
        on_change="restart",
    )
    unit_current(
        name="Run filterd's way into Sendmail",
        unit="sendmail-inject.service",
        files=_files_of("sendmail-inject.service", "injection.cf"),
        on_change="restart",
    )
    unit_current(
        name="Run the queue of this host's own programs",
        unit="sm-client.service",
        files=_files_of("sm-client.service", "submit.cf"),
        on_change="restart",
    )
    old_configuration_gone("sendmail")
    queue_handed_in("sendmail")


def _files_of(unit: str, configuration: str) -> list[str]:
    """Return the files that a unit's daemon reads when it starts."""
    tables = [f"{DIRECTORY}/{table}.db" for table in _TABLES] if configuration != "submit.cf" else []
    return [f"{UNITS}/{unit}", f"{DIRECTORY}/{configuration}", *tables]


def _files(gateway: Gateway) -> list[OwnedFile]:
    """Return all files of Sendmail that are ours, but what is built of them."""
    texts = {
        **{f"{DIRECTORY}/{name}": text for name, text in _configuration(gateway).items()},
        f"{DIRECTORY}/helpfile": rendered("mta", "sendmail/helpfile.j2", gateway),
        f"{DIRECTORY}/sendmail.conf": rendered("mta", "sendmail/sendmail.conf.j2", gateway),
        "/etc/cron.d/sendmail": rendered("mta", "sendmail/cron.j2", gateway),
        **{
            f"{UNITS}/{name}.service": rendered(
                "mta",
                "sendmail/unit.service.j2",
                gateway,
                name=name,
                socket=AGENTS["sendmail"].injection,
                **{**values, "command": values["command"].format(minutes=gateway.queue.retry_minutes)},
            )
            for name, values in _RUN.items()
        },
    }
    return [refused_by(gateway), *(OwnedFile(path=path, content=text) for path, text in texts.items())]


def _configuration(gateway: Gateway) -> dict[str, str]:
    """Return what the configuration and the tables are built of, by name."""
    agent = AGENTS["sendmail"]
    hops = mailertable(gateway)
    values: dict[str, object] = {
        "directory": DIRECTORY,
        "ports": gateway.next_hop_ports,
        "socket": agent.injection,
        "fetches_policies": fetches_policies(gateway),
        "mta_sts_port": MTA_STS_ADDRESS.rpartition(":")[2],
        "milter": f"S=local:{agent.milter_socket}, F=T, T=C:30s;S:60s;R:60s;E:{agent.content_timeout_s}s",
    }
    tables: dict[str, list[tuple[str, Mapping[str, str]]]] = {
        "access": access(DEFENCES, gateway),
        DECLARED: access(DEFENCES, gateway, DECLARED),
        "mailertable": [("mta.no-exceptions", hops)],
        "recipients": [("mta.recipient-listed", known.known(gateway))],
        "virtusertable": [("mta.no-exceptions", virtusertable(gateway))],
        "relayed": [("mta.mta-sts", dict.fromkeys(gateway.domains, "relayed"))],
    }
    options, rules = macro_lines(DEFENCES, gateway), rulesets(DEFENCES, gateway)
    mc = "sendmail/gateway.mc.j2"
    values |= {
        "injection": False,
        "pid_file": _RUN["sendmail"]["pid_file"],
        "options": options,
        "rulesets": rules,
        "patterns": patterns(DEFENCES, gateway),
    }
    inside: dict[str, object] = {
        **values,
        "injection": True,
        "pid_file": _RUN["sendmail-inject"]["pid_file"],
        "options": _of_delivery(options),
        "rulesets": {
            **{name: own for name, own in rules.items() if not _AT_THE_DOOR.match(name)},
            # Recipients were asked about when the message came, those of mail that goes out among them; the socket's mode says
            # who may connect.
            "Local_check_rcpt": [("mta.injection", ("R$*\t$#OK",))],
        },
    }
    return {
        "gateway.mc": rendered("mta", mc, gateway, **values),
        "injection.mc": rendered("mta", mc, gateway, **inside),
        "submit.mc": rendered(
            "mta", "sendmail/submit.mc.j2", gateway, **values | {"pid_file": _RUN["sm-client"]["pid_file"]}
        ),
        **{
            name: rendered("mta", "sendmail/table.j2", gateway, tables=entries)
            for name, entries in tables.items()
        },
    }


def _of_delivery(options: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Leave out of gateway.mc's lines what is about strangers at the door: filterd is none."""
    kept = ((id_, [line for line in own if not _STRANGERS.match(line)]) for id_, own in options)
    return [(id_, own) for id_, own in kept if own]


def macro_lines(defences: Iterable[Defence], gateway: Gateway) -> list[tuple[str, list[str]]]:
    """Return each defence's id with its lines of gateway.mc, in the records' order; those without any are left out."""
    found = []
    for defence in (each for each in defences if each.stands(gateway)):
        own = [each.line(gateway) for each in defence.sets if isinstance(each, _Line)]
        if own:
            found.append((defence.id, own))
    return found


def rulesets(defences: Iterable[Defence], gateway: Gateway) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return each ruleset of ours with its (defence id, rules) pairs in the records' order."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for defence in (each for each in defences if each.stands(gateway)):
        for setting in defence.sets:
            if isinstance(setting, SendmailRule):
                own = setting.made(gateway)
                own = only_counted(own) if defence.only_warns(gateway) else own
                found.setdefault(setting.ruleset, []).append((defence.id, own))
    return found


def patterns(defences: Iterable[Defence], gateway: Gateway) -> list[tuple[str, Mapping[str, str]]]:
    """Return each defence's id with its maps of declared patterns, in the records' order."""
    return [
        (defence.id, setting.maps(gateway))
        for defence in defences
        if defence.stands(gateway)
        for setting in defence.sets
        if isinstance(setting, SendmailPatterns)
    ]


def access(
    defences: Iterable[Defence], gateway: Gateway, table: str = "access"
) -> list[tuple[str, Mapping[str, str]]]:
    """Return the access database's entries, or those of another table, with their defence's id, in the records' order."""
    return [
        (defence.id, setting.entries(gateway))
        for defence in defences
        if defence.stands(gateway)
        for setting in defence.sets
        if isinstance(setting, AccessEntry) and setting.table == table
    ]
