"""One supervisor for all daemons: each runs once, under its own unit, and in order (M07)."""

import pytest

from roles.mta.agents import AGENTS
from roles.platforms import row
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.mta import HANDS

MTA = HANDS[SETTINGS.mta]

UNITS = (*MTA.agent.units, "filterd.service", "clamav-daemon.service", "spamd.service")
# What another supervisor, or a second filter, would be started by.
STRANGERS = (
    *(
        unit.removesuffix(".service")
        for name, agent in AGENTS.items()
        if name != SETTINGS.mta
        for unit in agent.units
    ),
    "exim4",
    "mailscanner",
    "amavis",
    "rspamd",
    "opendkim",
    "mimedefang",
)


def shown(gateway: GatewayHost, unit: str, *names: str) -> dict[str, str]:
    lines = gateway.run(f"systemctl show -p {','.join(names)} {unit}").splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("unit", UNITS)
def test_each_daemon_is_one_enabled_unit(unit: str, gateway: GatewayHost) -> None:
    # M07
    assert shown(gateway, unit, "ActiveState", "UnitFileState") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }


def test_no_process_of_a_daemon_is_outside_of_its_unit(gateway: GatewayHost) -> None:
    # M07: a second supervisor starts what the first one knows nothing of.
    found = [line.split() for line in gateway.run("ps -eo comm=,cgroup=").splitlines()]
    homes = {
        "clamd": row(SETTINGS).unit("clamav-daemon.service"),
        "spamd": row(SETTINGS).unit("spamd.service"),
        "filterd": "filterd",
        **MTA.processes,
    }
    seen = set()
    for words in found:
        if words[0] in homes:
            seen.add(words[0])
            assert any(home in words[-1] for home in homes[words[0]].split()), words
    assert {"clamd", *MTA.processes} - {"smtpd"} <= seen


def test_the_filter_is_there_before_the_mta_and_nothing_else_is(gateway: GatewayHost) -> None:
    # M07
    order = shown(gateway, "filterd.service", "Before", "After")
    assert set(MTA.agent.units) <= set(order["Before"].split())
    assert {row(SETTINGS).unit(each) for each in ("clamav-daemon.service", "spamd.service")} <= set(
        order["After"].split()
    )
    enabled = gateway.run("systemctl list-unit-files --state=enabled --no-legend")
    assert not [name for name in STRANGERS if f"{name}.service" in enabled.lower()]
