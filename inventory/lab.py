"""The lab's gateways: `python -m lab up` first. BASTIDE_LAB names the lab, `lab` by default."""

import os

from inventory.lab_settings import settings
from lab.ca import authority_file
from lab.plan import VANTAGE
from lab.platforms import lab_platform
from lab.state import directory_of, load

_lab = load(os.environ.get("BASTIDE_LAB", "lab"))
_sides = {"wan": ("198.51.100", "2001:db8:51:"), "lan": ("198.18.0", "2001:db8:18:")}

gateways = [
    (
        host.name,
        {
            "ssh_hostname": host.ssh_host,
            "ssh_port": host.ssh_port,
            "ssh_user": host.ssh_user,
            "ssh_key": str(host.ssh_key),
            "ssh_known_hosts_file": str(host.known_hosts),
            "ssh_strict_host_key_checking": "yes",
            **settings(
                hostname=host.fqdn,
                next_hop=f"[{_lab.hosts['mailhost'].lan4}]:25",
                administration=str(_lab.mgmt),
            ),
            "platform": lab_platform(host.platform).row.name,
            # Each lab makes its gateways anew.
            "integrity": {"copies": str(directory_of(_lab.name) / "integrity")},
            "publish": {"addresses": [host.wan4, host.wan6]},
            # The audit sends from the lab's own networks and looks into what the mail server recorded.
            "audit_vantage": {side: f"netns:{name}" for side, name in _lab.netns.items()},
            "audit_address": {
                "wan": {"4": host.wan4, "6": host.wan6},
                "lan": {"4": host.lan4, "6": host.lan6},
            },
            "audit_source": {
                side: {"4": f"{v4}.{VANTAGE}", "6": f"{v6}:{VANTAGE}"} for side, (v4, v6) in _sides.items()
            },
            "audit_recorder": str(_lab.sink),
            "audit_authorities": str(authority_file(_lab)),
            "audit_sender": "alice@sender.example",
            "audit_helo": "client.sender.example",
            "audit_outside": "carol@sender.example",
        },
    )
    for host in _lab.hosts.values()
    if host.role == "gateway"
]
