"""Copy me: one entry a gateway, plain values. Values that all gateways share stand in group_data/gateways.py.

docs/settings.md explains each setting.
"""

gateways = [
    (
        "mx1.example.org",
        {
            # How the control host reaches it. Put its host key into known_hosts yourself: unknown keys are refused.
            "ssh_user": "root",
            "ssh_key": "~/.ssh/id_ed25519",
            "ssh_known_hosts_file": "~/.ssh/known_hosts",
            "ssh_strict_host_key_checking": "yes",
            # What it is.
            "hostname": "mx1.example.org",
            "relay_domains": {"example.org": "[mail.internal.example.org]:25"},
            "admin_networks": ["198.51.100.0/28"],
        },
    ),
]
