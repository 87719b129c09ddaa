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
_COPIES = """\
## Copies

No message that was answered `250` is lost; of some there is more than one copy. filterd keeps, records and injects first
and answers then. Where a process is killed, or the host goes down, between the two, nobody hears that answer: the MTA says
`451`, the sender comes again, and all of it is done once more. SMTP has this between any two hosts (RFC 1047): who has
done something, and dies before it has said so, cannot make it undone.

- A second copy takes one such death, a third one takes two of the same message: there is never more than one copy for
  each answer that was lost, and one. All of them have the same Message-ID, and each attempt has a record of its own.
- It can only happen to what filterd keeps (quarantine, copy, archive) or hands over itself (another variant for some of the
  recipients, a forward, a notice, a release). Mail that goes on as the MTA has it, which is nearly all, comes once: it is in the
  MTA's queue only when that has heard the answer.
- What filterd itself answers `451` leaves no copy: nothing is injected before it is recorded, and what was kept is taken
  back. Two things can go wrong with that: the ledger is away as well, so that nothing can be taken back; and the MTA takes one
  of several variants and refuses the next one at its last line, or is silent about it for longer than
  `[inject] timeout_s`.

`python -m tests.chaos` counts this letter by letter: the answers that its sender did not hear, and the copies.
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
    return page("What fails, and what becomes of mail", _SOURCE, table(_HEAD, rows), _COPIES, _ALERTS)
