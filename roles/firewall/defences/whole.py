"""The ruleset as a whole: it is all there is, it is there at boot, and it agrees with what listens."""

from collections.abc import Callable

from roles.defence import Defence
from roles.firewall.defences.base import FAMILIES, Rules
from roles.firewall.others import FOUND
from roles.firewall.owners import reaches
from roles.firewall.ruleset import BOOT_DIRECTORY, canonical, ruleset
from roles.kinds import FilterTable, HostAnswer, Listeners, OpenPorts, Standing, UnitOption
from roles.kinds.packets import TOOLS

Tables = Callable[[int], Rules]
UNIT = "netfilter-persistent.service"
# Loaded first where there is no filter yet: what is left when the ruleset cannot be loaded.
CLOSED = {family: f"{BOOT_DIRECTORY}/closed.v{family}" for family in FAMILIES}


def records(filtering: tuple[Defence, ...]) -> tuple[Defence, ...]:
    """Return the records about the ruleset that ``filtering`` makes."""

    def table(family: int) -> Rules:
        return lambda gateway: tuple(canonical(ruleset(filtering, gateway, family)))

    return (_nothing_else(table), _at_boot(table), CLOSED_FIRST, AGREEMENT)


def _nothing_else(table: Tables) -> Defence:
    return Defence(
        id="firewall.nothing-else",
        title="The kernel holds these rules and no others",
        why="One rule added by hand in front of the rest opens everything, and every other rule still stands there. Another "
        "filter's unit that begins with a flush opens everything at the next upgrade of its package.",
        rows=("H03",),
        sets=(
            *(FilterTable(family=family, table=table(family)) for family in FAMILIES),
            *(
                HostAnswer(
                    subject=f"IPv{family} rules in other tables",
                    # Address translation, say, leads packets past what the filter sees.
                    command=f"tables=$({TOOLS[family]}-save) && "
                    """{ printf '%s' "$tables" | sed '/^\\*filter/,/^COMMIT/d' | grep -c '^-A' || true; }""",
                    matches="0",
                    refuted_by="1",
                )
                for family in FAMILIES
            ),
            HostAnswer(
                subject="tables that iptables does not show, and other units that load rules",
                command=FOUND,
                matches="",
                refuted_by="nftables.service\ntable inet filter",
            ),
        ),
        unseen="A rule towards a port that nothing listens on looks like a closed port from outside.",
        weight=9,
    )


def _at_boot(table: Tables) -> Defence:
    return Defence(
        id="firewall.at-boot",
        title="The rules are loaded at boot, before the network is up",
        why="A filter that is gone after the next restart protects until then.",
        rows=("H03",),
        sets=(
            UnitOption(unit=UNIT, option="UnitFileState", value="enabled"),
            HostAnswer(
                subject="what waits for the rules",
                command=f"systemctl show --property Before --value {UNIT} | tr ' ' '\\n' | grep -x network-pre.target",
                matches="network-pre.target",
                refuted_by="",
            ),
            *(
                FilterTable(family=family, table=table(family), at_boot=f"{BOOT_DIRECTORY}/rules.v{family}")
                for family in FAMILIES
            ),
        ),
        unseen="Seen from outside it would take a restart.",
        weight=9,
    )


CLOSED_FIRST = Defence(
    id="firewall.closed-first",
    title="A ruleset that cannot be loaded at boot leaves the host closed, not open",
    why="Debian's loader gives up on rules that it cannot load, say of a user that was deleted since, and the host comes up "
    "without a filter. Here a shorter one, that lets only administrators in, is there before.",
    rows=("H03",),
    sets=(
        HostAnswer(
            subject="what is done before the rules are loaded",
            command=f"systemctl show --property ExecStartPre --value {UNIT} | grep -o '{BOOT_DIRECTORY}/closed.v[46]' | sort -u",
            matches="\n".join(CLOSED.values()),
            refuted_by=CLOSED[4],
        ),
        *(
            HostAnswer(
                subject=f"the shorter IPv{family} rules",
                command=f"{TOOLS[family]}-restore --test {path} && grep '^:' {path} | cut -d' ' -f1,2",
                matches=":INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP",
                refuted_by=":INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT DROP",
            )
            for family, path in CLOSED.items()
        ),
    ),
    unseen="Seen from outside it would take a restart with a broken ruleset; the acceptance tests break one.",
    weight=6,
)
AGREEMENT = Defence(
    id="firewall.agreement",
    title="What is declared, what the rules open, what listens and what answers are the same",
    why="A port that is open without a service waits for one, a service behind a closed port waits for a mistake in the rules, "
    "and each is a difference between what somebody believes and what is. A connection outwards that stands since before the rules "
    "and has no way of its own is gone for good when it ends.",
    rows=("H03", "H08"),
    sets=(*(OpenPorts(family=family) for family in FAMILIES), Listeners(), Standing(reaches=reaches)),
    unseen="What answers is what firewall.default-drop's scans of both sides hold against the declared ports.",
    weight=8,
)
