"""filterd's defences."""

import json
import re
from functools import partial

from roles.claims import Arrival, Delivered, Verdict
from roles.defence import Defence
from roles.filterd import sandbox
from roles.filterd.ledger_defences import LEDGER
from roles.kinds import FileMode, FilterdOption, HostAnswer, UnitOption
from roles.kinds.questions import counted
from roles.mta.agents import AGENTS
from roles.settings import STORE_KEY, Gateway

# The classes that are refused, or wait, unless the operator says otherwise.
_REFUSED = ("infected", "suspicious", "banned", "malformed", "over_limit", "not_inspected", "spam")


def _chain(name: str, gateway: Gateway) -> str:
    return json.dumps(gateway.filterd_chain(name))


def _most(name: str, gateway: Gateway) -> str:
    """Return a limit of what goes out."""
    return json.dumps(getattr(gateway.outbound, name))


def _max_message_bytes(gateway: Gateway) -> str:
    """Return the size over which a message is not inspected, and so refused.

    Postfix has counted before: what it adds itself is allowed for. Sendmail counts no carriage returns, so it lets
    through a little more than the limit: here it is what was set.
    """
    return str(gateway.message_size_limit + (65_536 if gateway.mta == "postfix" else 0))


_SENT = b"Subject: one\r\n\r\nbody \r\n"

_QUEUED = "250 2.0.0 Ok: queued as 4abcDE1234z"


def _refused(status: str, rule: str) -> str:
    """Return what a refusal by this rule, a regular expression, looks like."""
    return rf"{re.escape(status)} [^\n]*\[(?:{rule})\] id=[A-Za-z0-9]+"


DEFENCES = (
    Defence(
        id="filterd.own-senders",
        title="A stranger who sends as one of the house must be proven",
        why="Mail from a colleague is believed. The MTA could refuse its own domains from outside by name alone, and would refuse "
        "every message that a forwarder brings back; SPF and DKIM tell these from forgeries, so it is decided where they are known.",
        rows=("A12", "A24"),
        sets=(
            FilterdOption(
                "policy.own_domains", lambda g: json.dumps(list(g.domains) if g.own_domains_proven else [])
            ),
        ),
        unseen="The audit does not send in the name of the house; the acceptance tests do, with and without a signature.",
        weight=7,
    ),
    Defence(
        id="filterd.clean-unchanged",
        title="Clean mail reaches the next hop byte for byte",
        why="A gateway that touches what it passes breaks DKIM and S/MIME signatures, and with them the trust in good mail.",
        rows=("A01", "P17"),
        sets=(
            UnitOption(unit="filterd.service", option="ActiveState", value="active"),
            UnitOption(unit="filterd.service", option="UnitFileState", value="enabled"),
            FilterdOption("policy.add_header", "false"),
        ),
        claims=tuple(
            Delivered(
                sample=sample,
                refuted_by=Arrival(
                    sent=_SENT, arrived=b"Received: by mx\r\n" + _SENT.replace(b" \r\n", b"\r\n")
                ),
            )
            for sample in ("clean", "dot-lines", "empty-body")
        ),
        weight=7,
    ),
    Defence(
        id="filterd.sandbox",
        title="filterd has no network but a declared ledger's, no privileges, and a file system that it can only read",
        why="It reads what attackers write; a flaw in it must not become a foothold.",
        rows=("P28",),
        sets=(
            UnitOption(unit="filterd.service", option="User", value="filterd"),
            UnitOption(unit="filterd.service", option="NoNewPrivileges", value="yes"),
            UnitOption(unit="filterd.service", option="ProtectSystem", value="strict"),
            UnitOption(unit="filterd.service", option="PrivateNetwork", value=sandbox.private_network),
            # The kernel's other bar, should somebody take the first away. A lab's hosts lack the BPF of cgroups that it
            # takes, so there only the setting can be seen.
            UnitOption(unit="filterd.service", option="IPAddressDeny", value="0.0.0.0/0 ::/0"),
            UnitOption(unit="filterd.service", option="IPAddressAllow", value=sandbox.allowed),
            UnitOption(unit="filterd.service", option="RestrictAddressFamilies", value=sandbox.families),
            UnitOption(unit="filterd.service", option="CapabilityBoundingSet", value=""),
            HostAnswer(
                subject="exposure of at most 1.5",
                command="systemd-analyze security --no-pager --threshold=15 filterd.service >/dev/null 2>&1; echo $?",
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="capabilities of filterd's processes",
                command="""for pid in $(systemctl show -p MainPID --value filterd) $(pgrep -u filterd); do """
                """sed -n 's/^CapEff:\t//p' /proc/$pid/status; done | sort -u""",
                matches="0000000000000000",
                refuted_by="000001ffffffffff",
            ),
        ),
        unseen="The sandbox is around the daemon; an outsider meets it only after having broken in.",
        weight=8,
    ),
    Defence(
        id="filterd.policy",
        title="What is convicted is refused, and what nobody could look at waits",
        why="The engines only find; these lines are what is done about it, and each of them can let everything in.",
        rows=("P01", "R17", "R19"),
        sets=(
            *(FilterdOption(f"policy.chains.{name}", partial(_chain, name)) for name in _REFUSED),
            FilterdOption("policy.precision", lambda g: json.dumps(g.spam_precision)),
            FilterdOption("milter.max_message_bytes", _max_message_bytes),
        ),
        unseen="clamav.virus-refused and spamassassin.spam-refused see the refusals; that nothing passes unseen takes a stopped "
        "engine, which the acceptance tests have.",
        weight=10,
    ),
    Defence(
        id="filterd.outbound-burst",
        title="A host or sender inside who sends more than he ever does is held back, and somebody is told",
        why="What was taken over sends until the house is on every block list; honest mail that was held can be released.",
        rows=("A01", "R19"),
        sets=(
            FilterdOption("policy.chains.burst", partial(_chain, "burst")),
            *(
                FilterdOption(f"outbound.{name}", partial(_most, name))
                for name in ("sender_messages", "sender_recipients", "client_messages")
            ),
        ),
        unseen="It takes more mail than an audit sends; the acceptance tests send it.",
        weight=6,
    ),
    Defence(
        id="filterd.outbound-hidden",
        title="Mail that goes out has no header fields that describe the inside",
        why="Received lines and fields of mail programs name inner hosts, addresses and versions to everybody who gets a letter.",
        rows=("A01", "A20"),
        sets=(
            FilterdOption("outbound.hide_trace", lambda g: json.dumps(g.outbound.hide_trace)),
            FilterdOption("outbound.hide_headers", lambda g: json.dumps(g.outbound.hide_headers)),
        ),
        unseen="Only who gets the mail sees it; the acceptance tests receive some, and look at each byte.",
        weight=4,
    ),
    Defence(
        id="filterd.hidden-virus",
        title="A virus is found where the virus engine alone does not look",
        why="A mail reader decodes what a scanner takes for text: each such reading is decoded here and scanned by itself.",
        rows=("R01", "C01", "M06", "P16"),
        claims=tuple(
            Verdict(sample=sample, matches=_refused("550 5.7.1", r"virus\.signature"), refuted_by=_QUEUED)
            for sample in ("eicar-uuencode", "eicar-folded", "eicar-rar")
        ),
        weight=10,
    ),
    Defence(
        id="filterd.refused-classes",
        title="Programs, broken messages and bombs are refused, each by its rule",
        why="What no scanner knows yet is stopped by what it is; what cannot be looked at is never called clean.",
        rows=("R04", "R06", "R24", "M03", "P07", "A16"),
        claims=tuple(
            Verdict(sample=sample, matches=_refused(status, rule), refuted_by=_QUEUED)
            for sample, status, rule in (
                ("program", "550 5.7.1", r"attachment\.kind|virus\.broken"),
                ("partial", "550 5.6.0", r"integrity\.partial"),
                ("many-members", "552 5.3.4", r"limit\.entries"),
            )
        ),
        weight=9,
    ),
    Defence(
        id="filterd.hold",
        title="While the host is being changed no mail is taken",
        why="Between two versions nobody knows what filters: mail that waits for a minute is late, mail that slips through is read.",
        rows=("H14", "P04"),
        sets=(FilterdOption("hold.file", '"/var/lib/bastide-updates/hold"'),),
        unseen="Seeing it would put everybody's mail off; the acceptance tests do.",
        weight=8,
    ),
    Defence(
        id="filterd.own-code",
        title="Only root can change what filterd runs",
        why="Who can write the daemon's code decides over all mail, without touching a single setting.",
        rows=("P28",),
        sets=(
            HostAnswer(
                subject="files of filterd that others than root can write",
                command=counted(
                    "test -d /opt/filterd/current/ && find /opt/filterd ! -type l \\( -perm /022 -o ! -user root \\)"
                ),
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="File modes are seen from the host alone.",
        weight=9,
    ),
    Defence(
        id="filterd.private-files",
        title="filterd's configuration and socket are for their users alone",
        why="Who can read the rules knows how to pass them; who can reach the socket can use up the filter.",
        rows=("P28",),
        sets=(
            FileMode(path="/etc/filterd/filterd.toml", mode="640", group="filterd"),
            *(
                FileMode(mta=mta, path=path, mode=mode, owner="filterd", group=agent.milter_group)
                for mta, agent in AGENTS.items()
                for path, mode in ((agent.milter_directory, "2750"), (agent.milter_socket, "660"))
            ),
        ),
        unseen="File modes are seen from the host alone.",
        weight=7,
    ),
    Defence(
        id="filterd.private-mail",
        title="Kept mail, its records and their key are filterd's alone",
        why="Kept mail is other people's mail, and some of it is malware; who can write the records decides who gets it.",
        rows=("P12", "M05"),
        sets=(
            FileMode(path="/var/lib/filterd", mode="700", owner="filterd", group="filterd"),
            FileMode(path="/run/filterd/ledger.sock", mode="600", owner="filterd", group="filterd"),
            HostAnswer(
                subject="keys of kept mail that others than filterd can read",
                command=f"test -d /etc/filterd && {{ stat -c '%a %U %G' {STORE_KEY} | grep -cvx '400 filterd filterd' || true; }}",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="File modes are seen from the host alone.",
        weight=8,
    ),
    *LEDGER,
)
