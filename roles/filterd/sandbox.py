"""What the sandbox of filterd's services says of the network, as systemd shows it: none, but for a ledger's server elsewhere."""

from ipaddress import ip_network

from roles.settings import Gateway


def private_network(gateway: Gateway) -> str:
    """Return PrivateNetwork= of systemd.exec(5)."""
    return "no" if gateway.ledger.elsewhere else "yes"


def families(gateway: Gateway) -> str:
    """Return RestrictAddressFamilies= of systemd.exec(5)."""
    return f"AF_UNIX {gateway.ledger.family}" if gateway.ledger.elsewhere else "AF_UNIX"


def allowed(gateway: Gateway) -> str:
    """Return IPAddressAllow= of systemd.resource-control(5)."""
    return str(ip_network(gateway.ledger.server.reached)) if gateway.ledger.elsewhere else ""
