"""The gateway of vagrant/Vagrantfile, by pyinfra's @vagrant connector: `vagrant up` in vagrant/ first.

The connector asks Vagrant for address, port, user and key. Vagrant's own ssh settings accept any host key; ours
accept the one that the Vagrantfile noted when the machine booted.
"""

import os
from pathlib import Path

_folder = Path(__file__).resolve().parents[1] / "vagrant"
# The connector runs `vagrant` in the working directory, which is the repository's top.
os.environ.setdefault("VAGRANT_CWD", str(_folder))

gateways = [
    (
        "@vagrant/gateway",
        {
            "_sudo": True,
            "ssh_known_hosts_file": str(_folder / ".vagrant" / "known_hosts"),
            "ssh_strict_host_key_checking": "yes",
            "hostname": "mx1.bastide.example",
            # Where this machine's ssh comes from: libvirt's management network, VirtualBox's address translation.
            "admin_networks": ["192.168.121.0/24", "10.0.2.0/24"],
            # The machines' networks are such as nobody on the internet has; the audit scans from the attacker's.
            "firewall": {
                "bogons_in_use": ["198.51.100.0/24", "198.18.0.0/15", "2001:db8::/32"],
                "never_banned": ["198.51.100.0/24", "198.18.0.0/15", "2001:db8::/32"],
            },
            # In the order of the machine's networks; the boxes keep the kernel's names.
            "relay_domains": {"bastide.example": "[198.18.0.25]:25"},
        },
    ),
]
