"""Components that are down: mail waits at its sender, nothing passes unseen, and all is well again afterwards."""

import signal
import uuid

import pytest

from audit.samples import Letter, build
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.mta import HANDS
from tests.acceptance.outside import Outside

STOPPED = {
    "clamd": (
        "systemctl stop clamav-daemon.socket clamav-daemon.service",
        "systemctl start clamav-daemon.service",
    ),
    "spamd": ("systemctl stop spamd.service", "systemctl start spamd.service"),
    "filterd": ("systemctl stop filterd", "systemctl start filterd"),
}
# The engines load rules and signatures before they answer.
READY = {
    "clamd": "timeout 30 sh -c 'until clamdscan --ping 1 >/dev/null 2>&1; do sleep 0.2; done'",
    "spamd": "timeout 30 sh -c 'until [ -S /run/spamd/spamd.sock ]; do sleep 0.2; done'",
    "filterd": HANDS[SETTINGS.mta].ready,
}


def sample(name: str, unique: str) -> bytes:
    made = Letter(sender="alice@sender.example", recipient="bob@bastide.example", unique=unique, size_limit=0)
    return build(name, made)


@pytest.mark.parametrize("component", list(STOPPED))
def test_mail_waits_while_a_component_is_down(component: str, wan: Outside, gateway: GatewayHost) -> None:
    unique = uuid.uuid4().hex
    stop, start = STOPPED[component]
    with gateway.altered(stop, f"{start}; {READY[component]}"):
        # Of the filter itself the MTA has words of its own.
        assert wan.sent(sample("clean", unique)).startswith(("451 4.7.1 ", "451 4.3.2 "))
        assert not wan.sent(sample("eicar", uuid.uuid4().hex)).startswith("250")
    # What its sender does next: the same message again.
    assert wan.sent(sample("clean", unique)).startswith("250 ")
    assert len(gateway.awaited(unique)) == 1
    assert wan.sent(sample("eicar", uuid.uuid4().hex)).startswith("550 5.7.1 ")


def test_killed_workers_are_replaced(wan: Outside, gateway: GatewayHost) -> None:
    supervisor = gateway.run("systemctl show -p MainPID --value filterd").strip()
    before = set(gateway.run(f"pgrep -P {supervisor}").split())
    gateway.run(f"kill -{signal.SIGKILL.value} {' '.join(before)}")
    unique = uuid.uuid4().hex
    gateway.run(
        f"timeout 20 sh -c 'until [ $(pgrep -P {supervisor} | wc -l) -ge {len(before)} ]; do sleep 0.1; done'"
    )
    assert wan.sent(sample("clean", unique)).startswith("250 ")
    assert not before & set(gateway.run(f"pgrep -P {supervisor}").split())


def test_a_killed_supervisor_comes_back_by_itself_however_often(wan: Outside, gateway: GatewayHost) -> None:
    """Five failures in ten seconds made systemd give up (systemd.unit(5), StartLimitBurst); mail then waits for a human."""
    accepted = []
    for _ in range(6):
        unique = uuid.uuid4().hex
        gateway.run(f"kill -{signal.SIGKILL.value} $(systemctl show -p MainPID --value filterd)")
        reply = wan.sent(sample("clean", unique))
        assert reply.startswith(("250 ", "451 ")), reply
        if reply.startswith("250 "):
            accepted.append(unique)
        gateway.run(
            "timeout 30 sh -c 'until [ $(systemctl show -p MainPID --value filterd) -gt 0 ]; do sleep 0.05; done'"
        )
    gateway.run("timeout 60 sh -c 'until systemctl is-active -q filterd; do sleep 0.2; done'")
    last = uuid.uuid4().hex
    assert wan.sent(sample("clean", last)).startswith("250 ")
    for unique in (*accepted, last):
        assert len(gateway.awaited(unique)) == 1


def test_a_bad_configuration_is_refused_and_the_old_one_stays(wan: Outside, gateway: GatewayHost) -> None:
    file = "/etc/filterd/filterd.toml"
    change = f"cp -p {file} /root/kept.toml; printf '\\n[clamd2]\\n' >>{file}"
    with gateway.altered(change, f"cat /root/kept.toml >{file}; systemctl reload filterd"):
        assert gateway.run("systemctl reload filterd && echo reloaded", check=False) == ""
        said = gateway.run("/opt/filterd/current/bin/filterd check; echo $?", check=False)
        assert said.strip().endswith("2")
        unique = uuid.uuid4().hex
        assert wan.sent(sample("clean", unique)).startswith("250 ")


def test_the_log_has_one_line_a_message_and_no_subject(wan: Outside, gateway: GatewayHost) -> None:
    reply = wan.sent(sample("eicar", uuid.uuid4().hex))
    queue_id = reply.rpartition("id=")[2]
    logged = gateway.run(
        f"journalctl -u filterd -o cat --no-pager --since -60s | grep -F {queue_id}"
    ).splitlines()
    assert len(logged) == 1
    assert '"verdict":"infected"' in logged[0]
    assert "Test file as text" not in logged[0]


def test_the_next_hop_is_down(wan: Outside, gateway: GatewayHost) -> None:
    unique = uuid.uuid4().hex
    with gateway.altered(*gateway.mta.blocked):
        assert wan.sent(sample("clean", unique)).startswith("250 ")
        assert gateway.queue()
        assert not gateway.received(unique)
    assert len(gateway.awaited(unique)) == 1
