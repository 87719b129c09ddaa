"""How much the kernel keeps of connections, so that a flood meets room and not the end of it."""

from roles.defence import Defence
from roles.kinds import Sysctl

# Loaded at boot before sysctl(8) runs: a parameter of a module that is not there yet cannot be set.
MODULES = (
    "nf_conntrack",
    "ip_set_hash_ip",
    "ip_set_hash_ipport",
    "xt_addrtype",
    "xt_connbytes",
    "xt_connmark",
    "xt_conntrack",
    "xt_hashlimit",
    "xt_owner",
    "xt_set",
)

DEFENCES = (
    Defence(
        id="firewall.backlog",
        title="Connections that are being opened have room to wait",
        why="A short queue of half-open connections is full in a moment; what waits longer than an honest answer takes only fills it.",
        rows=("H04", "H05"),
        sets=(
            Sysctl("net.ipv4.tcp_max_syn_backlog", "4096"),
            Sysctl("net.core.somaxconn", "4096"),
            Sysctl("net.ipv4.tcp_synack_retries", "3"),
        ),
        unseen="That a flood is borne takes a flood; the acceptance tests send one, in the lab.",
    ),
    Defence(
        id="firewall.tracking",
        title="The kernel can track as many connections as a flood makes, and forgets forged ones soon",
        why="When the table of connections is full nobody gets in; forged ones make up most of it, and none of them is ever finished.",
        rows=("H04",),
        sets=(
            Sysctl("net.netfilter.nf_conntrack_tcp_timeout_syn_recv", "30"),
            # A day: the peer of a connection that long silent is gone; the kernel's own five days keep it for nothing.
            Sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", "86400"),
            # About 80 MB at 320 bytes each: five seconds of a flood at which a link of 25 Mbit/s is full of SYN packets,
            # and more connections than this gateway will ever have.
            Sysctl("net.netfilter.nf_conntrack_max", "262144"),
        ),
        unseen="How long the kernel remembers is seen from the host alone.",
        weight=6,
    ),
)
