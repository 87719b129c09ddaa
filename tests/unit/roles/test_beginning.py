"""What hardening would shut its administrators out by is seen before anything changes."""

from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from roles.hardening.beginning import advertised, lost_key
from tests.unit.roles.examples import SETTINGS
from tests.unit.roles.plans import Case, plans
from tests.unit.roles.test_layers import BARE

BY_KERNEL = "default via fe80::1 dev eth0 proto ra metric 1024 expires 1799sec hoplimit 64 pref medium"
BY_NETWORKD = "default via fe80::1 dev ens3 proto ra src 2001:db8::5 metric 100 pref medium"
STATIC = "default via 2001:db8::1 dev eth0 proto static metric 1024 pref medium"
BY_HAND = "default via fd00::1 dev eth0 metric 1024 pref medium"
SEVERAL = ["default proto ra metric 1024 pref medium", "\tnexthop via fe80::1 dev eth1 weight 1 "]


@pytest.mark.parametrize(
    ("routes", "device"),
    [
        ([], ""),
        ([STATIC], ""),
        ([BY_HAND], ""),
        ([BY_KERNEL], "eth0"),
        ([BY_NETWORKD], "ens3"),
        (SEVERAL, "eth1"),
        # A router that advertises itself beside a way of the administrator's takes nothing with it.
        ([BY_KERNEL, STATIC], ""),
        ([STATIC, BY_KERNEL], ""),
        (["blackhole default proto ra"], ""),
    ],
)
def test_a_way_out_that_only_routers_gave_is_told(routes: list[str], device: str) -> None:
    assert advertised(routes) == device


def test_a_deploy_that_would_cut_the_host_off_ends_before_it_changes_anything() -> None:
    found = plans(
        {
            way: Case(target="deploy.py", data=SETTINGS, responses={**BARE, "ip -6 route": [way]})
            for way in (BY_KERNEL, STATIC)
        }
    )
    assert "what a router advertises on eth0" in found[BY_KERNEL].error
    assert found[BY_KERNEL].commands == []
    assert found[STATIC].error == ""


def session(used: paramiko.PKey, *known: paramiko.PKey) -> Any:
    """Return a client whose session knows its host by a key, and what its file of known hosts has besides."""
    keys = paramiko.HostKeys()
    for key in known:
        keys.add("[gw]:2222", key.get_name(), key)
    transport = SimpleNamespace(get_remote_server_key=lambda: used)
    return SimpleNamespace(get_transport=lambda: transport, get_host_keys=lambda: keys)


ECDSA = paramiko.ECDSAKey.generate()
SHORT, LONG = paramiko.RSAKey.generate(2048), paramiko.RSAKey.generate(3072)


@pytest.mark.parametrize(
    ("client", "kind"),
    [
        (session(ECDSA, ECDSA), "ecdsa-sha2-nistp256"),
        (session(ECDSA), "ecdsa-sha2-nistp256"),
        (session(ECDSA, ECDSA, LONG), ""),
        (session(ECDSA, ECDSA, SHORT), "ecdsa-sha2-nistp256"),
        (session(LONG, LONG), ""),
        (session(SHORT, SHORT), "ssh-rsa"),
        (None, ""),
        (object(), ""),
        (SimpleNamespace(get_transport=lambda: None), ""),
    ],
    ids=[
        "alone",
        "unknown",
        "with-rsa",
        "with-short-rsa",
        "rsa",
        "short-rsa",
        "no-ssh",
        "other",
        "not-connected",
    ],
)
def test_a_host_that_is_known_by_a_key_that_goes_is_told(client: Any, kind: str) -> None:
    assert lost_key(client) == kind
