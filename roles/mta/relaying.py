"""Restriction lists in an order that Postfix keeps: before 3.6 it looks at the recipients' list first, whatever its manual says.

There the relay list's own entries are asked once more at the head of the recipients' one, so that none of its rules can be
reached with a recipient that is not to be relayed: strangers cannot have any name of the world looked up. The table that does
it knows whom the gateway relays for, since `permit_mynetworks` would end the list.
"""

from collections.abc import Iterable
from typing import Final

from roles.defence import Defence
from roles.platforms import row
from roles.rendering import restriction_lists
from roles.settings import Gateway

RELAY: Final = "smtpd_relay_restrictions"
RECIPIENTS: Final = "smtpd_recipient_restrictions"
FIRST: Final = "/etc/postfix/relay_first.cidr"
_INSIDE: Final = "permit_mynetworks"
# smtpd_relay_before_recipient_restrictions came with it (its release notes).
ORDERED: Final = (3, 6)


def asked_first(gateway: Gateway) -> bool:
    """Say whether this gateway's Postfix looks at the recipients' list first."""
    return row(gateway).postfix_release < ORDERED


def lists(defences: Iterable[Defence], gateway: Gateway) -> dict[str, list[tuple[str, str]]]:
    """Return each restriction list with its (defence id, entry) pairs, as main.cf is to have them."""
    found = restriction_lists(defences, gateway)
    if asked_first(gateway) and RELAY in found:
        entry = ("mta.no-open-relay", f"check_client_access cidr:{FIRST}")
        found[RECIPIENTS] = [entry, *found.get(RECIPIENTS, [])]
    return found


def table(defences: Iterable[Defence], networks: str, gateway: Gateway) -> str:
    """Return the cidr_table(5) of what the relay list asks: of the ``networks``, in a parameter's form, and of all others."""
    entries = [entry for _, entry in restriction_lists(defences, gateway)[RELAY]]
    inside = entries[: entries.index(_INSIDE)] or ["DUNNO"]
    others = [entry for entry in entries if entry != _INSIDE]
    own = [network.replace("[", "").replace("]", "") for network in networks.split()]
    rows = [*((network, inside) for network in own), ("0.0.0.0/0", others), ("::/0", others)]
    head = (
        "# Written by Bastide; changes are undone by the next deploy. See cidr_table(5). mta.no-open-relay.\n"
    )
    return head + "".join(f"{network} {', '.join(asked)}\n" for network, asked in rows)
