"""What the lab's gateways are to be; tests read it before there is a lab.

BASTIDE_MTA names their MTA, BASTIDE_LEVEL how far they are hardened.
"""

import os
from typing import Any

from inventory.lab_rules import LATE_AT_ONE_PORT, LIMITS, NEXT_HOPS, RECIPIENTS, RULES
from lab import blocklists, ca, dnssec
from lab.files import LOG_PORT
from lab.plan import DOMAIN, LAN4, LAN6, VANTAGE, WAN4, WAN6, WORLD, v6


def settings(*, hostname: str, next_hop: str, administration: str) -> dict[str, Any]:
    """Return one gateway's settings; ``next_hop`` is in transport(5)'s form, ``administration`` a network (CIDR)."""
    mta = os.environ.get("BASTIDE_MTA", "postfix")
    # Sendmail looks at no content, and would refuse the setting.
    rules = RULES if mta == "postfix" else {name: own for name, own in RULES.items() if name != "content"}
    return {
        "hostname": hostname,
        "mta": mta,
        "hardening_level": os.environ.get("BASTIDE_LEVEL", "moderate"),
        "admin_networks": [administration],
        "firewall": {
            "zones": {
                "wan": {"interface": "wan0"},
                "lan": {"interface": "lan0", "networks": [str(LAN4), str(LAN6)]},
                "mgmt": {
                    "interface": "mgmt0",
                    "networks": [administration],
                    "services": ["smtp", "ssh"],
                },
            },
            # All networks of the lab are such as nobody on the internet has.
            "bogons_in_use": [str(WAN4), str(WAN6), str(LAN4), str(LAN6)],
            # What no gateway needs of itself: here a site's own agent asks a server in the world.
            "egress": [
                {
                    "user": "daemon",
                    "ports": [80],
                    "networks": [str(WAN4[53]), v6(WAN6, 53)],
                    "reason": "an agent of the site's, which the acceptance tests are",
                }
            ],
            # The audit scans from these, again and again.
            "never_banned": [str(WAN4[VANTAGE]), v6(WAN6, VANTAGE), str(LAN4), str(LAN6)],
        },
        "hardening": {
            "remote_log": {"host": f"mail.{DOMAIN}", "port": LOG_PORT, "authorities": ca.AUTHORITIES}
        },
        "resolvers": [f"198.51.100.{WORLD}"],
        # The lab has a root of its own.
        "dns": {"trust_anchors": [f". DS {dnssec.anchor('.')}"]},
        "dnsbl": [
            {
                "id": "lab-allow",
                "zone": blocklists.ALLOW_LIST,
                "answers": "127.0.[2..20].[1..3]",
                "score": -3,
            },
            {"id": "lab-block", "zone": blocklists.BLOCK_LIST, "reason": "see lab/blocklists.py"},
            {"id": "lab-grey", "zone": blocklists.GREY_LIST, "answers": "127.0.0.4", "score": 2},
            {"id": "lab-warned", "zone": blocklists.GREY_LIST, "answers": "127.0.0.4", "mode": "warn"},
        ],
        # The protected server and the audit's vantage; the rest of lan may not relay.
        "relay_networks": [{"network": "198.18.0.0/26"}],
        "recipients": RECIPIENTS,
        "recipient_delimiter": "+",
        "mta_rules": {**rules, "smtputf8": True},
        "mta_limits": LIMITS,
        "relay_domains": {
            "bastide.example": next_hop,
            "listed.bastide.example": next_hop,
            # What the mail server's ports are like: lab/files.py.
            "sealed.bastide.example": f"[mail.{DOMAIN}]:25",
            "plain.bastide.example": f"[mail.{DOMAIN}]:26",
            "wrong.bastide.example": f"[mail.{DOMAIN}]:27",
            # Sendmail tries the next hops of a domain at one port.
            **(NEXT_HOPS if mta == "postfix" else {**NEXT_HOPS, "late.bastide.example": LATE_AT_ONE_PORT}),
        },
        "tls": {
            "certificate": "files",
            "certificate_file": ca.CHAIN,
            "key_file": ca.KEY,
            "authorities": ca.AUTHORITIES,
            "mandatory": {
                "sealed.bastide.example": {"level": "secure"},
                "plain.bastide.example": {"level": "encrypt"},
                "wrong.bastide.example": {"level": "secure"},
            },
            "report_address": "tls-reports@bastide.example",
        },
        # The lab's mirror stands for both of the distribution's; clamd is there in seconds with what few signatures it has.
        "updates": {"origins": ["origin=bastide-lab", "repo=lab"], "gate_seconds": 60},
        "clamav_official_databases": False,
        "clamav_extra_databases": ["http://data.bastide.example/clamav/bastide-lab.ndb"],
    }
