"""How long a message stays in the store. Pure."""

from typing import Final

from filterd.config.ledger import StoreSettings

from .records import Kind

DAY_MS: Final = 86_400_000


def expiry(store: StoreSettings, kind: Kind, verdict: str, size: int, now_ms: int) -> int:
    """Return when an entry of the store may go, in ms since 1970; 0: never. The shortest time that fits holds."""
    days = [
        {
            "quarantine": store.quarantine_days,
            "copy": store.copy_days,
            "archive": store.archive_days,
            "discarded": store.discard_days,
        }[kind]
    ]
    if kind == "quarantine":
        days += [many for of, many in store.class_days.items() if of == verdict]
    if size > store.great_bytes:
        days.append(store.great_days)
    limited = [many for many in days if many]
    return now_ms + min(limited) * DAY_MS if limited else 0
