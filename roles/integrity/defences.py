"""The integrity layer's defences."""

from typing import Final

from roles.defence import Defence
from roles.integrity.paths import COMMAND, CONFIG, HOME, SERVICE, TIMER
from roles.kinds import FileMode, HostAnswer, UnitOption
from roles.settings import Gateway

_INSIDE: Final = "It is a matter between the disk, its administrator and the control host; the acceptance tests tamper and look."


def _compares(gateway: Gateway) -> bool:
    return gateway.integrity.engine != "none"


DEFENCES = (
    Defence(
        id="integrity.baseline",
        title="What is on the disk is compared with what deploys left there",
        why="Who has broken in leaves a way back: a program, a key, a unit, a line of configuration.",
        rows=("H16",),
        sets=(
            HostAnswer(
                subject="faults of the engine's configuration",
                command=f"aide --config={CONFIG} --config-check >/dev/null 2>&1; echo $?",
                matches="0",
                refuted_by="17",
            ),
            HostAnswer(
                subject="the engine watches programs, configuration, keys and units",
                command="for path in f:/usr/bin/env f:/etc/passwd f:/root/.ssh/authorized_keys f:/home/a/.ssh/authorized_keys "
                "f:/etc/systemd/system/a.service f:/opt/filterd/a f:/boot/a f:/var/spool/cron/crontabs/root; do "
                f"aide --config={CONFIG} --path-check=$path 2>/dev/null; done | grep -ci '^\\[x\\]'",  # 0.19 writes it small
                matches="8",
                refuted_by="7",
            ),
            HostAnswer(
                subject="a baseline of more than a thousand paths",
                command=f"test $(zcat {HOME}/aide.db.gz | wc -l) -gt 1000 && echo yes || echo no",
                matches="yes",
                refuted_by="no",
            ),
        ),
        unseen=_INSIDE,
        when=_compares,
        weight=7,
    ),
    Defence(
        id="integrity.nightly",
        title="It is compared each night",
        why="A comparison that nobody starts finds nothing.",
        rows=("H16",),
        sets=(
            UnitOption(unit=TIMER, option="ActiveState", value="active"),
            UnitOption(unit=TIMER, option="UnitFileState", value="enabled"),
            # Of the last night's; one that has not run yet has not failed.
            UnitOption(unit=SERVICE, option="Result", value="success"),
        ),
        unseen=_INSIDE,
        when=_compares,
        weight=6,
    ),
    Defence(
        id="integrity.explained",
        title="Each change is a package's, a deploy's, or an administrator's",
        why="A list of all that upgrades have changed is read by nobody, and what does not belong there is in it.",
        rows=("H16", "P25"),
        sets=(
            HostAnswer(
                subject="changes that nobody explains",
                # What was found may have been undone since. What stands is named in a report, not only counted.
                command=f"said=$({COMMAND} findings 2>&1) || said=$({COMMAND} check --dry 2>&1) && echo 0 || "
                '{ echo $?; echo "$said" | head -c 600; }',
                matches="0",
                refuted_by="2",
            ),
        ),
        unseen=_INSIDE,
        when=_compares,
        weight=7,
    ),
    Defence(
        id="integrity.database",
        title="The baseline is root's alone and is what the last look left",
        why="Who changes the baseline with what he changed is found by no comparison.",
        rows=("H16",),
        sets=(
            FileMode(path=HOME, mode="700"),
            FileMode(path=f"{HOME}/*.gz", mode="600"),
            FileMode(path=CONFIG, mode="600"),
            HostAnswer(
                subject="the chain of looks, to the present baseline",
                command=f"{COMMAND} whole",
                matches="whole",
                refuted_by=f"{HOME}/aide.db.gz: not what the last look left",
            ),
        ),
        unseen="Who is root can forge all of it: `python -m roles integrity` compares with the control host's own copy.",
        when=_compares,
        weight=6,
    ),
    Defence(
        id="integrity.sandbox",
        title="What compares has no network and writes nothing but its baseline",
        why="It reads files that an attacker wrote, as root.",
        rows=("H16", "P28"),
        sets=(
            UnitOption(unit=SERVICE, option="NoNewPrivileges", value="yes"),
            UnitOption(unit=SERVICE, option="ProtectSystem", value="strict"),
            UnitOption(unit=SERVICE, option="PrivateNetwork", value="yes"),
            UnitOption(
                unit=SERVICE,
                option="CapabilityBoundingSet",
                value="cap_dac_override cap_dac_read_search cap_setgid cap_setuid",
            ),
        ),
        unseen="The sandbox is around a program that nobody outside speaks to.",
        when=_compares,
        weight=3,
    ),
)
