"""docs/failures.md: what becomes of a message when a part of filterd, or of what it asks, fails."""

from docs.markdown import code, page, table
from filterd.failures import TABLE

_SOURCE = (
    "Drawn from `filterd/failures.py`; `tests/unit/filterd/test_failures.py` tries every cell. A message of which a part "
    "has decided already keeps that decision: a refusal stands, whatever fails behind it. All else is answered "
    "`451`, so that its sender keeps it and comes again; `[policy.chains] not_inspected` may say otherwise of what could "
    "not be inspected. Nothing here takes a restart of filterd."
)
_ALERTS = """\
## Alerts

A part is said to fail at the first message that was put off for it, or when it does not answer when it is asked; it is
said to work again when it has worked for 30 s. Each time that is one line in the log (`alert`, `recovered`), the gauge
`filterd_alert` of `/metrics`, an entry in `/health`, and one mail to `[notify] admin`, if there is one. About one part
there is a mail in 15 minutes at most, in all 12 in an hour, and none while it is the MTA's socket for our own mail that
fails; of that, and of a ledger's process that has ended, the mail comes when it works again. Alerts are raised as well
for volumes on which less than `[store] warn_free_percent` is free (`disk-store`, `disk-ledger`, `disk-spool`) and for a
signature database older than `[clamd] warn_age_hours` (`signatures`).
"""
_HEAD = ("Part", "Fails by", "That is", "Answer", "Who finds out that it works", "Alert")


def text() -> str:
    """Return the page."""
    rows = (
        (
            one.part,
            one.mode,
            one.what,
            code(one.answer),
            one.recovery,
            code(one.alert) if one.alert else "none",
        )
        for one in TABLE
    )
    return page("What fails, and what becomes of mail", _SOURCE, table(_HEAD, rows), _ALERTS)
