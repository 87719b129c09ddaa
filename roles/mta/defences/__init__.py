"""The MTA's defences. Restrictions are evaluated in the order of the records that name them."""

from roles.defence import Defence
from roles.mta.defences import envelope, filtering, greeting, integrity, limits, relay, screening, tls, whole

_RECORDS: tuple[Defence, ...] = (
    *screening.DEFENCES,
    *greeting.DEFENCES,
    *envelope.DEFENCES,
    *relay.DEFENCES,
    *limits.DEFENCES,
    *integrity.DEFENCES,
    *filtering.DEFENCES,
    *tls.DEFENCES,
)
DEFENCES: tuple[Defence, ...] = (*_RECORDS, *whole.of(_RECORDS))
