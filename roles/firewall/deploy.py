"""Put the packet filter on a host."""

from roles.firewall.defences import DEFENCES
from roles.firewall.loading import ruleset_loaded
from roles.firewall.ruleset import ruleset
from roles.operations import layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.settings import Gateway


@layer("Firewall")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Load both families' rulesets and have them loaded at boot, before the network is up."""
    packages_installed(name="Install the packet filter's tools", packages=platform.packages["firewall"])
    ruleset_loaded(
        name="Load the rulesets",
        v4=ruleset(DEFENCES, gateway, 4),
        v6=ruleset(DEFENCES, gateway, 6),
        confirm_seconds=gateway.firewall_confirm_seconds,
    )
    # Its plugins read /etc/iptables at boot; the rules are live already, so nothing reloads it here.
    unit_current(
        name="Load the rulesets at boot", unit="netfilter-persistent.service", files=(), on_change="start"
    )
