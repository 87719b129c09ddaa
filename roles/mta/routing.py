"""Where mail goes, in the words of Sendmail's tables (cf/README: mailertable, virtusertable)."""

from typing import Final

from roles.forms import next_hop_port, next_hops
from roles.settings import Gateway

# Addresses of the gateway itself that somebody must read (RFC 5321 4.5.1, RFC 2142), and those that its own mail has.
OWN_NAMES = ("postmaster", "root", "abuse", "mailer-daemon")
# Mailers by whom the mail is for; a port stands behind their name.
HOUSE: Final = "hop"
WORLD: Final = "out"
NO_MAILBOX = "error:nouser 550 5.1.1 no mailboxes on this host"


def mailertable(gateway: Gateway) -> dict[str, str]:
    """Return each relayed domain with its mailer and next hops; the settings have transport(5)'s words for it."""
    return {domain: way(hops, HOUSE) for domain, hops in gateway.relay_domains.items()}


def smarthost(gateway: Gateway) -> str:
    """Return the mailer and next hops of what goes out; empty: the MX of each domain is asked."""
    return way(gateway.outbound.smarthost, WORLD) if gateway.outbound.smarthost else ""


def virtusertable(gateway: Gateway) -> dict[str, str]:
    """Return the gateway's own addresses: its mail goes to who administers it; no mailbox is kept here."""
    known = {f"{name}@{gateway.hostname}": gateway.administrator_address for name in OWN_NAMES}
    return {**known, f"@{gateway.hostname}": NO_MAILBOX}


def way(hops: str, mailer: str) -> str:
    """Return next hops in their order behind the mailer of their port, which they share (sendmail_problems)."""
    hosts = [_host(hop) for hop in next_hops(hops)]
    return f"{mailer}{next_hop_port(next_hops(hops)[0])}:{':'.join(hosts)}"


def _host(hop: str) -> str:
    host = hop.removesuffix(f":{next_hop_port(hop)}")
    # An address literal of IPv6 says so (RFC 5321 4.1.3); of a bare name the MX is asked, as Postfix does.
    return f"[IPv6:{host[1:]}" if host.startswith("[") and ":" in host else host
