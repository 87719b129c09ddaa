"""The packet filter's defences, in the order of the ruleset: the first rule that matches decides."""

from roles.defence import Defence
from roles.firewall.defences import icmp, kernel, outward, packets, scanning, services, whole
from roles.firewall.defences.base import FAMILIES

__all__ = ["DEFENCES", "FAMILIES", "FILTERING"]

FILTERING: tuple[Defence, ...] = (
    packets.DEFAULT_DROP,
    packets.LOOPBACK_OPEN,
    packets.ODD_FLAGS,
    packets.INVALID,
    icmp.ECHO_FLOOD,  # this and the next two before the rule that lets all packets of open connections pass
    services.EARLY_TALKER,
    services.COUNTED,
    packets.STATEFUL,
    icmp.NEIGHBOURS,  # before the bogons: who asks whether an address is taken has none yet
    icmp.ROUTERS,
    packets.SPOOFED,
    packets.BOGONS,
    services.SSH,  # before the bans: no ban ever meets an administrator
    scanning.KEPT_OUT,
    icmp.ICMP,
    services.SYN_FLOOD,
    services.SMTP,
    services.ACME,
    outward.MAIL_OUT,
    outward.EGRESS,
    outward.DIRECTORIES,
    outward.DECLARED,
    services.DHCP,
    scanning.SCANS,  # last: what comes here is allowed by nothing
    outward.DROPPED_OUT,
)

DEFENCES: tuple[Defence, ...] = (*FILTERING, *whole.records(FILTERING), *kernel.DEFENCES)
