"""One example gateway, and how to vary it."""

from typing import Any

from roles.settings import Gateway

SETTINGS: dict[str, Any] = {
    "hostname": "mx1.example.org",
    "relay_domains": {"example.org": "[192.0.2.25]:25", "example.net": "mail.internal.example.net:2525"},
    "admin_networks": ["192.0.2.0/28", "2001:db8:5::/64"],
    "resolvers": ["192.0.2.53", "2001:db8::53"],
}


def settings(**changes: Any) -> dict[str, Any]:
    """Return the example's plain values with some of them changed."""
    return {**SETTINGS, **changes}


def gateway(**changes: Any) -> Gateway:
    """Return the example gateway with some of its settings changed."""
    return Gateway.of(settings(**changes))
