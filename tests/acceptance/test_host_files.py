"""What a host has beside ours: files that set the same parameters, and other interfaces than the settings name."""

from pathlib import Path

from lab.plan import LabState
from roles.firewall.deploy import SYSCTL_FILE
from roles.hardening import paths
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy, unchanged

OWN = "/etc/sysctl.d/50-own-acceptance.conf"
FORMER = "/etc/sysctl.d/91-bastide-firewall.conf"
ASKED = "sysctl -n net.core.somaxconn net.ipv4.conf.wan0.rp_filter net.ipv4.conf.lan0.rp_filter"
# What systemd does at boot, with every file that it reads then.
BOOT = f"/usr/lib/systemd/systemd-sysctl 2>/dev/null || true; {ASKED}"


def test_at_boot_nobody_elses_file_has_the_last_word(lab: LabState, gateway: GatewayHost) -> None:
    # H05: read before and behind files that have numbers.
    before = gateway.run(ASKED)
    text = "net.ipv4.conf.wan0.rp_filter = 0\\nnet.core.somaxconn = 64\\n"
    gateway.run(f"printf '{text}' >{OWN}; echo net.core.somaxconn=128 >>/etc/sysctl.conf; touch {FORMER}")
    try:
        assert gateway.run(BOOT) != before, "these files would change nothing"
        done = deploy("apply", INVENTORY, lab=lab.name)
        assert done.returncode == 0, done.stderr
        assert gateway.run(BOOT) == before
        assert gateway.run(f"ls {FORMER} {SYSCTL_FILE} 2>/dev/null || true").split() == [SYSCTL_FILE]
        assert "net/ipv4/conf/wan0/rp_filter = 1" in gateway.run(f"cat {paths.SYSCTL}")
        unchanged(deploy("apply", INVENTORY, lab=lab.name))
    finally:
        gateway.run(f"rm -f {OWN}; sed -i '/^net.core.somaxconn=128$/d' /etc/sysctl.conf")
        done = deploy("apply", INVENTORY, lab=lab.name)
    assert done.returncode == 0, done.stderr
    assert "wan0" not in gateway.run(f"cat {paths.SYSCTL}")


def test_a_zone_on_an_interface_that_is_not_there_is_refused_before_any_change(
    lab: LabState, gateway: GatewayHost, tmp_path: Path
) -> None:
    inventory = tmp_path / "moved.py"
    inventory.write_text(
        (ROOT / INVENTORY).read_text()
        + '\ngateways[0][1]["firewall"]["zones"]["wan"]["interface"] = "eth7"\n'
    )
    before = gateway.run("iptables-save | sed 's/[[].*//; /^#/d'")
    done = deploy("apply", str(inventory), lab=lab.name)
    assert done.returncode == 1
    assert "it has no interface 'eth7' of `firewall.zones.wan`" in done.stderr
    assert "wan0" in done.stderr
    assert gateway.run("iptables-save | sed 's/[[].*//; /^#/d'") == before
    unchanged(deploy("apply", INVENTORY, lab=lab.name))
