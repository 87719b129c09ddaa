"""Where mail goes, in the words of Sendmail's tables (cf/README: mailertable, virtusertable)."""

from roles.forms import next_hop_port
from roles.settings import Gateway

# Addresses of the gateway itself that somebody must read (RFC 5321 4.5.1, RFC 2142), and those that its own mail has.
OWN_NAMES = ("postmaster", "root", "abuse", "mailer-daemon")
NO_MAILBOX = "error:nouser 550 5.1.1 no mailboxes on this host"


def mailertable(gateway: Gateway) -> dict[str, str]:
    """Return each relayed domain with its mailer and next hop; the settings have transport(5)'s words for it."""
    return {domain: _hop(hop) for domain, hop in gateway.relay_domains.items()}


def virtusertable(gateway: Gateway) -> dict[str, str]:
    """Return the gateway's own addresses: its mail goes to who administers it; no mailbox is kept here."""
    known = {f"{name}@{gateway.hostname}": gateway.administrator_address for name in OWN_NAMES}
    return {**known, f"@{gateway.hostname}": NO_MAILBOX}


def _hop(hop: str) -> str:
    port = next_hop_port(hop)
    host = hop.removesuffix(f":{port}")
    # An address literal of IPv6 says so (RFC 5321 4.1.3); of a bare name the MX is asked, as Postfix does.
    if host.startswith("[") and ":" in host:
        host = f"[IPv6:{host[1:]}"
    return f"hop{port}:{host}"
