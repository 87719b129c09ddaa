"""How much of it the gateway takes."""

from roles.claims import Reply, Verdict
from roles.defence import Defence
from roles.kinds import MainCf
from roles.mta.defences.dialogue import EHLO, MAIL

DEFENCES = (
    Defence(
        id="mta.size-limit",
        title="Messages over the size limit are refused before they are sent",
        why="What is larger than filterd and clamd look at must not be taken; it would be taken unseen.",
        rows=("A21",),
        sets=(MainCf("message_size_limit", lambda g: str(g.message_size_limit)),),
        claims=(
            Reply(
                about="size-announced",
                lines=(EHLO,),
                matches=r"250-(?s:.*)\n250-SIZE [1-9]\d*\n(?s:.*)",
                refuted_by="250-mx\n250-SIZE\n250 8BITMIME",
            ),
            Reply(
                about="size-exceeded",
                lines=(EHLO, f"{MAIL} SIZE={{size_over}}"),
                matches=r"552[ -](?s:.*)",
                refuted_by="250 2.1.0 Ok",
            ),
            Verdict(
                sample="oversize",
                matches=r"552[ -](?s:.*)",
                refuted_by="250 2.0.0 Ok: queued as 4abcDE1234z",
            ),
        ),
    ),
    Defence(
        id="mta.recipient-limit",
        title="A message has a bounded number of recipients",
        why="One connection must not make the gateway hold a whole mailing list in memory.",
        rows=("A22",),
        sets=(MainCf("smtpd_recipient_limit", lambda g: str(g.recipient_limit)),),
        unseen="Seeing it needs a hundred recipients that exist; the acceptance tests do that against the lab.",
    ),
)
