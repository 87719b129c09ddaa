"""Senders and recipients: what an envelope must be like (RFC 5321 3.3)."""

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import MainCf, Restriction
from roles.mta.defences.dialogue import EHLO, MAIL, RCPT, TAKEN

DEFENCES = (
    Defence(
        id="mta.fqdn-recipient",
        title="Recipients have a full domain",
        why="A recipient without a full domain has no mailbox that the gateway could relay to.",
        rows=("A06",),
        # In front of "relay access denied", which would hide from an honest sender what is wrong.
        sets=(Restriction("smtpd_relay_restrictions", "reject_non_fqdn_recipient"),),
        claims=(
            Reply(
                about="short-recipient",
                lines=(EHLO, MAIL, "RCPT TO:<bob@host>"),
                matches=r"504[ -]5\.5\.2 (?s:.*)",
                refuted_by=TAKEN,
            ),
        ),
    ),
    Defence(
        id="mta.strict-envelope",
        title="Envelope addresses are written as the standard says",
        why="Two readers of a sloppy address may read two addresses; filters and mailboxes must agree on one.",
        rows=("A18",),
        sets=(MainCf("strict_rfc821_envelopes", "yes"),),
        claims=(
            Reply(
                about="mail-without-brackets",
                lines=(EHLO, "MAIL FROM: alice@sender.example"),
                matches=r"501[ -](?s:.*)",
                refuted_by="250 2.1.0 Ok",
            ),
        ),
    ),
    Defence(
        id="mta.fqdn-sender",
        title="Senders have a full domain, or none at all",
        why="A sender that cannot be answered is forged or broken; the null sender of bounces stays welcome.",
        rows=("A07",),
        sets=(Restriction("smtpd_recipient_restrictions", "reject_non_fqdn_sender"),),
        claims=(
            Reply(
                about="short-sender",
                lines=(EHLO, "MAIL FROM:<alice@host>", RCPT),
                matches=r"504[ -](?s:.*)",
                refuted_by=TAKEN,
            ),
            Reply(
                about="null-sender-welcome",
                lines=(EHLO, "MAIL FROM:<>", RCPT),
                matches=r"250[ -](?s:.*)",
                refuted_by="504 5.5.2 <>: Sender address rejected",
            ),
        ),
    ),
    Defence(
        id="mta.recipient-verified",
        title="Only mailboxes that the next hop knows are taken mail for",
        why="What the next hop refuses later must be bounced, and the bounce goes to whoever was named as the sender.",
        rows=("A01", "R17"),
        sets=(
            Restriction("smtpd_recipient_restrictions", "reject_unverified_recipient"),
            # Else strangers could have any address of the world asked for.
            MainCf("smtpd_relay_before_recipient_restrictions", "yes"),
            MainCf("unverified_recipient_reject_code", "550"),
            MainCf("unverified_recipient_reject_reason", "Address unknown"),
            MainCf("address_verify_map", "lmdb:$data_directory/verify_cache"),
            MainCf("address_verify_poll_delay", "1s"),
        ),
        unseen="Which mailboxes do not exist only the next hop knows; the acceptance tests ask the lab's.",
    ),
)
