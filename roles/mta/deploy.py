"""Put the gateway's MTA on a host: the one that the setting `mta` names, and only that one."""

from roles.mta import postfix, sendmail
from roles.mta.handover.switching import switch_allowed
from roles.operations import layer
from roles.platforms import Platform
from roles.settings import Gateway


@layer("MTA")
def may_begin(gateway: Gateway, platform: Platform) -> None:
    """End the deploy before it changes anything if a switch from the other MTA has to wait for a human."""
    if all(platform.mta.values()):
        switch_allowed(gateway.mta, gateway.next_hop_ports, platform)


@layer("MTA")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have the MTA relay for the declared domains; it answers only after its configuration is ours."""
    # pyinfra matches the operations of several hosts by where they are called: a line each, and no table.
    if gateway.mta == "sendmail":
        sendmail.apply(gateway, platform)
    else:
        postfix.apply(gateway, platform)
