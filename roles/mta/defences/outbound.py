"""Both directions: what goes out, by which way, how long it waits, and what the world learns of the inside by it."""

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import (
    AccessEntry,
    HostAnswer,
    MainCf,
    SendmailMacro,
    SendmailMc,
    SendmailRule,
    TableFiles,
    TableRestrictions,
)
from roles.mta.defences.dialogue import EHLO, REFUSED, TAKEN
from roles.mta.outbound import (
    CLASS,
    DECLARED,
    DIRECTORY,
    INSIDE,
    NOTICE_RULES,
    SENDER_RULES,
    SENDERS,
    TRACE,
    files,
    house,
    inside,
    inside_rules,
    relayhost,
    restricts_senders,
    senders,
)
from roles.mta.routing import smarthost
from roles.settings import Gateway

_INSIDE = "MAIL FROM:<postmaster@{domain}>"
_OUTSIDE = "RCPT TO:<{outside}>"


def _looks(gateway: Gateway) -> tuple[str, ...]:
    return (f"check_client_access {INSIDE}",) if restricts_senders(gateway) else ()


def _hours(name: str) -> MainCf:
    settings = {
        "maximal_queue_lifetime": "lifetime_hours",
        "bounce_queue_lifetime": "bounce_lifetime_hours",
        "delay_warning_time": "warn_after_hours",
    }
    return MainCf(name, lambda g: f"{getattr(g.queue, settings[name])}h")


def _minutes(name: str, times: int = 1) -> MainCf:
    return MainCf(name, lambda g: f"{g.queue.retry_minutes * times}m")


# In front of what strangers are asked: hosts inside are let off that, and must not be let off this.
SENDERS_FIRST = (
    Defence(
        id="mta.outbound-senders",
        title="Hosts inside send as the house, and as nobody else",
        why="A host that was taken over sends in other people's names; what it sends is known by that, and the house's good "
        "name is not lent to forgeries.",
        rows=("A01", "A09"),
        sets=(
            TableRestrictions("smtpd_sender_restrictions", _looks),
            MainCf("smtpd_restriction_classes", CLASS),
            MainCf(CLASS, f"check_sender_access {SENDERS}, reject"),
            AccessEntry(senders, DECLARED),
            SendmailRule("Local_check_mail", SENDER_RULES),
        ),
        claims=(
            Reply(
                about="forged-from-inside",
                lines=(EHLO, "MAIL FROM:<ceo@elsewhere.example>", _OUTSIDE),
                matches=REFUSED,
                refuted_by=TAKEN,
                vantage="lan",
            ),
            Reply(
                about="forged-from-inside-to-inside",
                lines=(EHLO, "MAIL FROM:<ceo@elsewhere.example>", "RCPT TO:<postmaster@{domain}>"),
                matches=REFUSED,
                refuted_by=TAKEN,
                vantage="lan",
            ),
        ),
        when=restricts_senders,
        weight=6,
    ),
)
DEFENCES = (
    Defence(
        id="mta.outbound",
        title="Declared hosts inside send out through the gateway, strangers do not",
        why="Mail that leaves by another way is scanned by nobody; a host that sends spam for others gets the house listed.",
        rows=("A01", "A09"),
        claims=(
            Reply(
                about="inside-to-outside",
                lines=(EHLO, _INSIDE, _OUTSIDE),
                matches=r"250[ -](?s:.*)",
                refuted_by="554 5.7.1 <friend@elsewhere.example>: Relay access denied",
                vantage="lan",
            ),
            Reply(
                about="outside-in-the-name-of-inside",
                lines=(EHLO, _INSIDE, _OUTSIDE),
                matches=REFUSED,
                refuted_by=TAKEN,
            ),
        ),
        when=lambda gateway: bool(gateway.relay_networks),
        weight=10,
    ),
    Defence(
        id="mta.inside-undeclared",
        title="A host inside sends out only where its network is declared",
        why="A network that merely looks private holds printers, guests and whatever was taken over last.",
        rows=("A01", "A09"),
        claims=(
            Reply(
                about="undeclared-inside-to-outside",
                lines=(EHLO, _INSIDE, "RCPT TO:<victim@elsewhere.example>"),
                matches=REFUSED,
                refuted_by=TAKEN,
                vantage="lan",
            ),
        ),
        when=lambda gateway: not gateway.relay_networks,
        weight=8,
    ),
    Defence(
        id="mta.outbound-way",
        title="Mail that goes out takes the declared way",
        why="Whoever changes the way out reads all mail of the house.",
        rows=("A01", "A02"),
        sets=(
            MainCf("relayhost", relayhost),
            MainCf("default_transport", "smtp"),
            SendmailMacro("SMART_HOST", smarthost, "S"),
        ),
        unseen="Which way mail takes shows where it arrives; the acceptance tests look there.",
    ),
    Defence(
        id="mta.outbound-trace",
        title="What goes out names no host of the inside",
        why="Each Received line with an inner name and address is a line of the map that an attacker draws.",
        rows=("A01", "A20"),
        sets=(
            HostAnswer(
                subject="header checks of the way out",
                command="postconf -P smtp/unix/smtp_header_checks",
                matches=f"smtp/unix/smtp_header_checks = {TRACE}",
                refuted_by="",
                mta="postfix",
            ),
            TableFiles(DIRECTORY, files),
            AccessEntry(inside, DECLARED),
            # Where no rule that accepts a client can pass it by.
            SendmailRule("Local_check_rcpt", inside_rules),
            HostAnswer(
                mta="sendmail",
                subject="what each mailer writes of who sent the mail: H within the house, O on the way out",
                command="sed -n 's/^H[?]H[?]Received: from .*/H from/p; s/^H[?]O[?]Received: [$][?]{Inside}by .*/O by/p' "
                "/etc/mail/sendmail.cf; "
                "sed -n 's/^M\\(hop\\|out\\)[0-9]*,.* F=\\([A-Za-z0-9]*\\),.*/\\1 \\2/p' /etc/mail/sendmail.cf | sort -u",
                matches="H from\nO by\nhop mFMXua8H\nout mFMXua8O",
                refuted_by="hop mFMXua8\nout mFMXua8",
            ),
        ),
        unseen="Only who gets the mail sees it; the acceptance tests receive some, and look at each byte.",
        weight=4,
    ),
    Defence(
        id="mta.backscatter",
        title="Notices of what could not be delivered go to the house alone",
        why="Mail from outside has whatever sender it says: a bounce to him hits a stranger, and block lists know who sends such. "
        "Who administers the gateway gets it instead, since the message was taken and is lost.",
        rows=("A01", "P14"),
        sets=(
            HostAnswer(
                subject="who writes notices into the queue",
                command="postconf -P bounce/unix/cleanup_service_name defer/unix/cleanup_service_name trace/unix/cleanup_service_name",
                matches="bounce/unix/cleanup_service_name = bounce-cleanup\n"
                "defer/unix/cleanup_service_name = bounce-cleanup\n"
                "trace/unix/cleanup_service_name = trace-cleanup",
                refuted_by="bounce/unix/cleanup_service_name = cleanup",
                mta="postfix",
            ),
            MainCf("soft_bounce", "no"),
            MainCf("notify_classes", "resource, software"),
            AccessEntry(house, DECLARED),
            SendmailRule("check_compat", NOTICE_RULES),
            SendmailMc("confCOPY_ERRORS_TO", lambda g: g.administrator_address),
            SendmailMc("confDOUBLE_BOUNCE_ADDRESS", lambda g: g.administrator_address),
            HostAnswer(
                subject="mail of whose loss nobody is told",
                command="sed -n '/^P[a-z]/p' /etc/mail/sendmail.cf | head -n 3",
                matches="Plist=0\nPbulk=0\nPjunk=0",
                refuted_by="Pfirst-class=0\nPspecial-delivery=100\nPlist=-30",
                mta="sendmail",
            ),
        ),
        unseen="It takes mail that cannot be delivered; the acceptance tests have a next hop that refuses.",
        weight=7,
    ),
    Defence(
        id="mta.queue-times",
        title="Mail that cannot be handed on waits for a declared time",
        why="Given up too soon it is lost over a weekend; given up too late nobody remembers it. Neither MTA has a time for "
        "each domain, so one holds for all.",
        rows=("A01", "A02"),
        sets=(
            _hours("maximal_queue_lifetime"),
            _hours("bounce_queue_lifetime"),
            _hours("delay_warning_time"),
            _minutes("queue_run_delay"),
            _minutes("minimal_backoff_time"),
            _minutes("maximal_backoff_time", 12),
            SendmailMc("confTO_QUEUERETURN", lambda g: f"{g.queue.lifetime_hours}h"),
            SendmailMc("confTO_QUEUERETURN_DSN", lambda g: f"{g.queue.bounce_lifetime_hours}h"),
            SendmailMc("confTO_QUEUEWARN", lambda g: f"{g.queue.warn_after_hours}h"),
            SendmailMc("confMIN_QUEUE_AGE", lambda g: f"{g.queue.retry_minutes}m"),
            SendmailMc("confMAX_QUEUE_AGE", lambda g: f"{g.queue.retry_minutes * 12}m"),
        ),
        unseen="It shows after days.",
    ),
)
