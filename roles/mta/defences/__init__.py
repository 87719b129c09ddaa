"""The MTA's defences. Restrictions are evaluated in the order of the records that name them."""

from roles.defence import Defence
from roles.mta.defences import (
    confinement,
    envelope,
    filtering,
    greeting,
    integrity,
    limits,
    mailboxes,
    outbound,
    relay,
    rules,
    screening,
    strangers,
    tls,
    whole,
)

_RECORDS: tuple[Defence, ...] = (
    *screening.DEFENCES,
    *greeting.DEFENCES,
    *rules.SENDING,
    *rules.RECEIVING,
    *envelope.DEFENCES,
    *mailboxes.DEFENCES,
    *outbound.SENDERS_FIRST,
    *strangers.DEFENCES,
    *relay.DEFENCES,
    *outbound.DEFENCES,
    *limits.DEFENCES,
    *integrity.DEFENCES,
    *rules.CONTENT,
    *filtering.DEFENCES,
    *tls.DEFENCES,
    *confinement.DEFENCES,
)
DEFENCES: tuple[Defence, ...] = (*_RECORDS, *whole.of(_RECORDS))
