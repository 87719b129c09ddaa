"""A14, P18: lists of addresses: weighed, tested before they are used, and never believed when they answer with errors."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from audit import engine
from audit.target import Target
from lab import blocklists, dns
from lab.plan import ALLOWED, LISTED, NAMELESS, WAN4, LabState, Record
from roles.registry import DEFENCES
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, pyinfra
from tests.acceptance.lacking import needs
from tests.acceptance.outside import Outside, envelope, line
from tests.acceptance.test_deploy import varied

RECIPIENT = "bob@bastide.example"
# The two layers that a list concerns.
DEPLOY = """
from pyinfra import host
from roles.dns import deploy as dns
from roles.mta import deploy as mta
from roles.session import prepared

dns.apply(*prepared(host))
mta.apply(*prepared(host))
"""
BROKEN = {
    "lab-errors": (blocklists.ERRORS_LIST, "127.255.255.254: it refuses our resolver"),
    "lab-everything": (blocklists.EVERYTHING_LIST, "lists 127.0.0.1"),
    "lab-dead": (blocklists.DEAD_LIST, "does not"),
    "lab-gone": ("nobody.lists.example", "does not list its test entry"),
    "lab-bought": (blocklists.BOUGHT_LIST, "another owner"),
}
# A zone's time to live in the lab, and a little.
TTL_SECONDS = 6


def forgotten(gateway: GatewayHost) -> None:
    """Have the MTA forget whom it has seen: each client is new again."""
    gateway.run(gateway.mta.forgotten)


def asked(wan: Outside, number: int) -> str:
    """Return the reply to RCPT, spoken from an address of wan."""
    steps = envelope(RECIPIENT)[:-1]
    return replace(wan, source=str(WAN4[number])).dialogue(*steps, line("QUIT"))[3]


@contextmanager
def answering(lab: LabState, zone: str, *records: Record) -> Iterator[None]:
    """Have the world's name server answer otherwise in a zone for the length of a block."""
    world = GatewayHost(lab=lab, host=lab.hosts["world"])
    made = next(each for each in dns.zones(1) if each.name == zone)

    def written(one: dns.Zone) -> None:
        path = f"{dns.ZONE_FOLDER}/{one.file}"
        # BIND takes a zone for changed by its serial number.
        text = replace(one, serial=int(time.time())).text()
        world.run(f"cat >{path} <<'END'\n{text}END\nrndc reload {zone} || systemctl reload named")
        time.sleep(TTL_SECONDS)

    written(replace(made, records=records))
    try:
        yield
    finally:
        written(made)


@pytest.fixture(scope="module", autouse=True)
def _new(gateway: GatewayHost) -> None:
    forgotten(gateway)


def test_a_listed_client_is_refused_in_the_rules_name(wan: Outside, gateway: GatewayHost) -> None:
    reply = asked(wan, LISTED)
    assert reply.startswith("550 5.7.1 ")
    assert "dnsbl.lab-block" in reply
    # A16: the id finds it in the log.
    found = gateway.run("sleep 1; refused-by dnsbl.lab-block --since=-2min")
    assert str(WAN4[LISTED]) in found
    assert "blocked using dnsbl.lab-block" in found
    # The zone may hold a vendor's key.
    assert blocklists.BLOCK_LIST not in reply


def test_points_below_the_threshold_refuse_nobody_and_warn_mode_logs(
    wan: Outside, gateway: GatewayHost
) -> None:
    assert asked(wan, NAMELESS).startswith("250 ")
    logged = gateway.run("journalctl --quiet -o cat SYSLOG_FACILITY=2 --since=-5min")
    assert re.search(gateway.mta.points.format(address=re.escape(str(WAN4[NAMELESS]))), logged)


def test_an_allow_list_outweighs(wan: Outside) -> None:
    assert asked(wan, ALLOWED).startswith("250 ")


def test_error_codes_refuse_nobody_before_any_test_has_run(
    lab: LabState, wan: Outside, gateway: GatewayHost
) -> None:
    forgotten(gateway)
    code = Record(owner="*", type="A", value="127.255.255.254")
    with answering(lab, blocklists.BLOCK_LIST, code):
        world = GatewayHost(lab=lab, host=lab.hosts["world"])
        with world.altered("rndc querylog on", "rndc querylog off"):
            assert asked(wan, 10).startswith("250 ")
            logged = world.run("journalctl --quiet -o cat -u named --since=-1min")
        # It was asked, and answers every question alike; the filter is what left the answer out.
        reverse = WAN4[10].reverse_pointer.removesuffix(".in-addr.arpa")
        assert f"query: {reverse}.{blocklists.BLOCK_LIST} IN A" in logged


def test_without_a_resolver_nobody_is_refused_for_good(wan: Outside, gateway: GatewayHost) -> None:
    forgotten(gateway)
    with gateway.altered("systemctl stop unbound", "systemctl start unbound"):
        for number in (10, LISTED):
            assert asked(wan, number)[:1] in {"2", "4"}


@needs("mta.screened")
def test_an_early_talker_never_reaches_the_mta(target: Target, gateway: GatewayHost) -> None:
    forgotten(gateway)
    (item,) = [
        item for item in engine.items(DEFENCES, target.gateway) if item.id == "mta.early-talker:early-talker"
    ]
    with engine.Session(target) as session:
        result = session.check(item)
    assert result.state == "held", result
    assert "521 5.5.1 Protocol error" in result.seen
    assert "PREGREET" in gateway.run("journalctl --quiet -o cat -t postfix/postscreen --since=-2min")


@pytest.fixture
def with_broken_lists(lab: LabState, tmp_path: Path) -> Iterator[list[str]]:
    """Deploy lists that do not work beside those that do, and give pyinfra's words of two runs."""
    (tmp_path / "deploy.py").write_text(DEPLOY)
    entries = [
        *({"id": name, "zone": zone, "score": 9} for name, (zone, _why) in BROKEN.items()),
        # Another entry of a zone that works, whose own test is not listed there.
        {
            "id": "lab-half",
            "zone": blocklists.BLOCK_LIST,
            "answers": "127.0.0.9",
            "test": "127.0.0.9",
            "score": 1,
        },
    ]
    inventory = varied(tmp_path, f"data['dnsbl'] = [*data['dnsbl'], *{json.loads(json.dumps(entries))!r}]")
    said = []
    try:
        for _ in range(2):
            done = pyinfra(str(tmp_path / "deploy.py"), lab=lab.name, inventory=inventory)
            assert done.returncode == 0, done.stderr[-4000:]
            said.append(done.stdout + done.stderr)
        yield said
    finally:
        done = pyinfra(str(tmp_path / "deploy.py"), lab=lab.name, inventory=INVENTORY)
        assert done.returncode == 0, done.stderr[-4000:]


def test_lists_that_fail_are_out_of_service_until_they_work(
    lab: LabState, wan: Outside, gateway: GatewayHost, target: Target, with_broken_lists: list[str]
) -> None:
    program = "python3 -I /usr/local/lib/bastide/dnsbl.py"
    status = gateway.run(f"{program} status")
    for name, (_zone, why) in BROKEN.items():
        (told,) = [each for each in status.splitlines() if each.startswith(f"dnsbl.{name} ")]
        assert why in told
        # Said in each run, and by the audit.
        assert all(told in said for said in with_broken_lists)
    assert "dnsbl.lab-block " not in status
    assert "dnsbl.lab-half is in doubt, its zone in service: it does not list its test entry" in status
    assert (
        _state(target, "dns.lists-tested:block lists that are out of service or in doubt").state == "broken"
    )
    _changed_nothing(with_broken_lists[1])
    # The MTA asks them all the same, and hears "not listed"; those that work refuse as before.
    forgotten(gateway)
    assert asked(wan, 10).startswith("250 ")
    assert "dnsbl.lab-block" in asked(wan, LISTED)

    good = (
        Record(owner="2.0.0.127", type="A", value="127.0.0.2"),
        Record(owner="10.100.51.198", type="A", value="127.0.0.2"),
    )
    with answering(lab, blocklists.ERRORS_LIST, *good):
        gateway.run("systemctl start bastide-dnsbl.service")
        assert "dnsbl.lab-errors " not in gateway.run(f"{program} status")
        forgotten(gateway)
        assert "dnsbl.lab-errors" in asked(wan, 10)
    # It starts to answer codes again: the next test takes it out, and tells syslog.
    gateway.run("systemctl start bastide-dnsbl.service")
    assert "dnsbl.lab-errors is out of service" in gateway.run(f"{program} status")
    alerts = gateway.run("journalctl --quiet -o cat --priority=alert --since=-5min")
    assert "dnsbl.lab-errors is out of service: it answers 127.255.255.254" in alerts
    forgotten(gateway)
    assert asked(wan, 10).startswith("250 ")


def _state(target: Target, wanted: str) -> engine.Result:
    (item,) = [item for item in engine.items(DEFENCES, target.gateway) if item.id == wanted]
    with engine.Session(target) as session:
        return session.check(item)


def _changed_nothing(said: str) -> None:
    assert "[gw1] No changes" in said
    assert "[gw1] Success" not in said, said[-4000:]
