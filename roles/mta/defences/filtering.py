"""No way around filterd."""

from roles.defence import Defence
from roles.kinds import MainCf
from roles.mta.injection import INJECTION_DEFENCE

DEFENCES = (
    Defence(
        id="mta.filtered-or-later",
        title="While the filter is away mail waits at the sender",
        why="Mail that passes unfiltered when a daemon is down is how viruses come in after an update.",
        rows=("P01", "H17"),
        sets=(
            MainCf("smtpd_milters", "unix:filterd/milter.sock"),
            MainCf("non_smtpd_milters", "unix:filterd/milter.sock"),
            MainCf("milter_default_action", "tempfail"),
            MainCf("milter_protocol", "6"),
        ),
        unseen="Seeing it means stopping the filter; the acceptance tests do that in the lab.",
    ),
    INJECTION_DEFENCE,
)
