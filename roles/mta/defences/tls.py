"""Encryption on the way."""

from roles.defence import Defence
from roles.kinds import MainCf

DEFENCES = (
    Defence(
        id="mta.tls-outbound",
        title="Mail to next hops is encrypted wherever they offer it",
        why="Opportunistic TLS costs nothing and keeps mail from who merely listens (RFC 7435).",
        rows=("H13",),
        sets=(MainCf("smtp_tls_security_level", "may"),),
        unseen="Only the next hop sees it.",
    ),
)
