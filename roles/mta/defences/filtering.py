"""No way around filterd."""

from roles.defence import Defence
from roles.kinds import HostAnswer, MainCf
from roles.kinds.sendmail import option
from roles.mta.agents import AGENTS
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
            HostAnswer(
                mta="sendmail",
                subject="filters that each message passes",
                command=option("InputMailFilters"),
                matches="filterd",
                refuted_by="",
            ),
            HostAnswer(
                mta="sendmail",
                subject="the filter, and that mail waits (F=T) while it is away",
                command="sed -n 's/^X//p' /etc/mail/sendmail.cf",
                matches=rf"filterd, S=local:{AGENTS['sendmail'].milter_socket}, F=T, T=\S+",
                refuted_by="filterd, S=local:/var/spool/filterd/milter.sock, T=C:30s",
            ),
        ),
        unseen="Seeing it means stopping the filter; the acceptance tests do that in the lab.",
        weight=10,
    ),
    INJECTION_DEFENCE,
)
