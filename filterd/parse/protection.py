"""Whether a message's content may be altered at all: signatures break, encrypted mail cannot be read."""

from .mime_fields import unfolded
from .mime_tree import Entity

_PGP = (b"-----BEGIN PGP SIGNED MESSAGE-----", "signed"), (b"-----BEGIN PGP MESSAGE", "encrypted")
_ORDER = ("encrypted", "signed", "calendar")


def protection_of(entities: list[Entity]) -> str:
    """Return "encrypted", "signed", "calendar" or "". Sources: RFC 1847, RFC 8551 3.4, RFC 9580 7, RFC 5545.

    A DKIM signature does not count: the gateway's own seal tells of its changes.
    """
    found = {one for entity in entities for one in _of(entity)}
    return next((one for one in _ORDER if one in found), "")


def is_encrypted(entity: Entity) -> bool:
    """Return whether an entity is encrypted mail, or stands for it."""
    return "encrypted" in _of(entity)


def _of(entity: Entity) -> list[str]:
    claimed = entity.claimed
    if claimed == "multipart/encrypted":
        return ["encrypted"]
    if claimed == "multipart/signed":
        return ["signed"]
    if claimed in {"application/pkcs7-mime", "application/x-pkcs7-mime"}:
        kind = " ".join(unfolded(value) for value in entity.values("content-type")).lower()
        return ["signed"] if "signed-data" in kind or "certs-only" in kind else ["encrypted"]
    if claimed == "text/calendar":
        return ["calendar"]
    if claimed.startswith("text/"):
        body = entity.decoded.first
        return [kind for mark, kind in _PGP if mark in body]
    return []
