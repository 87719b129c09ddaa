"""What the lab's gateways are to be; tests read it before there is a lab. BASTIDE_MTA names their MTA."""

import os
from typing import Any

from lab.plan import WORLD


def settings(*, hostname: str, next_hop: str, administration: str) -> dict[str, Any]:
    """Return one gateway's settings; ``next_hop`` is in transport(5)'s form, ``administration`` a network (CIDR)."""
    return {
        "hostname": hostname,
        "mta": os.environ.get("BASTIDE_MTA", "postfix"),
        "admin_networks": [administration],
        "resolvers": [f"198.51.100.{WORLD}"],
        "relay_domains": {"bastide.example": next_hop},
        "clamav_official_databases": False,
        "clamav_extra_databases": ["http://data.bastide.example/clamav/bastide-lab.ndb"],
    }
