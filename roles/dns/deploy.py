"""Put the resolver on a host."""

import json
from collections.abc import Generator
from pathlib import Path

from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, StringCommand, operation

from roles.dns import selftest
from roles.dns.defences import DEFENCES, PROGRAM
from roles.dns.lists import octets
from roles.kinds import UnboundOption
from roles.operations import (
    ShellAnswer,
    converged,
    files_owned,
    layer,
    packages_installed,
    shell,
    unit_current,
)
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered
from roles.settings import Gateway

CONFIGURATION = "/etc/unbound/unbound.conf"
DROP_IN = "/etc/systemd/system/unbound.service.d/bastide.conf"
RESOLV_CONF = "/etc/resolv.conf"
BEFORE = "/etc/resolv.conf.before-bastide"
DHCLIENT = "/etc/dhcp/dhclient-enter-hooks.d/bastide"
UNITS = "/etc/systemd/system"
RUN = f"python3 -I {PROGRAM}"
# NetworkManager reads its files when it starts; a restart of it keeps connections.
_MANAGED = """u=NetworkManager.service; systemctl is-active --quiet $u || exit 0
[ "$(stat -c %Z {file})" -lt "$(date -d "$(systemctl show -p ActiveEnterTimestamp --value $u)" +%s)" ] || echo stale"""


@layer("DNS")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have unbound resolve for the gateway, and the declared block lists tested before the MTA asks them."""
    run = platform.here(RUN)
    packages_installed(name="Install unbound", packages=platform.packages["dns"], manager=platform.manager)
    if not platform.unbound_directory:
        directory = selftest.OUT.parent
        converged(
            name="Make the directory of unbound's parts",
            question=f"stat -c '%a %U' {directory}",
            wanted="755 root",
            remedy=f"install -d -m 755 {directory}",
        )
    files_owned(
        name="Write unbound's configuration",
        files=[
            OwnedFile(path=CONFIGURATION, content=_configuration(gateway)),
            OwnedFile(path=DROP_IN, content=rendered("dns", "unbound.service.conf.j2", gateway)),
        ],
        check=f"unbound-checkconf $stage{CONFIGURATION}",
    )
    unit_current(
        name="Run unbound with its configuration",
        unit="unbound.service",
        files=(CONFIGURATION, DROP_IN),
        on_change="restart",
    )
    files_owned(
        name="Write the tests of block lists",
        files=_tests(gateway),
        check=platform.here(f"python3 -I $stage{PROGRAM} --help >/dev/null")
        + f"; systemd-analyze verify $stage{UNITS}/bastide-dnsbl.*",
    )
    converged(
        name="Keep the former resolver's address",
        question=f"grep -qs 'Written by Bastide' {RESOLV_CONF} || [ -e {BEFORE} ] || echo lost",
        wanted="",
        remedy=f"cp -L {RESOLV_CONF} {BEFORE}",
    )
    files_owned(
        name="Have programs ask unbound",
        files=[
            OwnedFile(path=RESOLV_CONF, content=rendered("dns", "resolv.conf.j2", gateway, before=BEFORE)),
            *(
                [OwnedFile(path=DHCLIENT, content=rendered("dns", "dhclient.j2", gateway))]
                if gateway.dhcp
                else []
            ),
            *(OwnedFile(path=path, content=text) for path, text in platform.resolver_files.items()),
        ],
        # A resolver that finds nothing is not put before all programs: the former one stays.
        check=f"{run} answers",
    )
    if platform.resolver_files:
        converged(
            name="Have nobody else write whom to ask",
            question=_MANAGED.format(file=" ".join(platform.resolver_files)),
            wanted="",
            remedy="systemctl try-restart NetworkManager.service",
        )
    lists_tested(name="Test the block lists", run=run)
    unit_current(
        name="Test the block lists every hour",
        unit="bastide-dnsbl.timer",
        files=(f"{UNITS}/bastide-dnsbl.timer", f"{UNITS}/bastide-dnsbl.service"),
        on_change="restart",
    )


def _configuration(gateway: Gateway) -> str:
    options = [
        (id_, [line for each in own for line in each.splitlines()])
        for id_, own in lines(DEFENCES, UnboundOption, gateway)
    ]
    state = str(selftest.OUT).removesuffix(".conf")
    return rendered("dns", "unbound.conf.j2", gateway, options=options, state=state, program=PROGRAM)


def _tests(gateway: Gateway) -> list[OwnedFile]:
    """Return the program that tests the block lists, what it is to test, and the units that run it."""
    declared = [
        {
            "id": entry.id,
            "zone": entry.zone.rstrip("."),
            "test": entry.test or "127.0.0.2",
            "own": bool(entry.test),
            "allows": entry.score < 0,
            "counted": [sorted(numbers) for numbers in octets(entry.filter)],
        }
        for entry in gateway.dnsbl
    ]
    units = ("bastide-dnsbl.service", "bastide-dnsbl.timer")
    return [
        OwnedFile(path=PROGRAM, content=Path(selftest.__file__).read_text(), mode="755"),
        # A vendor's key may stand in a zone's name.
        OwnedFile(path=str(selftest.DECLARED), content=json.dumps(declared) + "\n", mode="600"),
        *(
            OwnedFile(path=f"{UNITS}/{unit}", content=rendered("dns", f"{unit}.j2", gateway, program=PROGRAM))
            for unit in units
        ),
    ]


@operation()
def lists_tested(run: str = RUN) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """Test the block lists by the program ``run``, take those that fail out of service and those that work into it.

    Each that is out of service is said in every run.
    """
    changes = host.get_fact(ShellAnswer, command=f"{run} differences")
    if changes:
        yield shell(f"{run} apply")
    else:
        host.noop("the block lists are as they were")
    for line in host.get_fact(ShellAnswer, command=f"{run} status").splitlines():
        logger.warning("%s: %s", host.name, line)
