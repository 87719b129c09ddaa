"""What the operator declares: rules about clients, names, senders, recipients and content."""

from functools import partial

from roles.defence import Defence
from roles.kinds import MainCf, TableFiles, TableRestrictions
from roles.mta.access import DIRECTORY, check_map, entries, rule_files
from roles.mta.rules import today
from roles.mta.rulesets import sets
from roles.settings import Gateway

_UNSEEN = "Whom a rule is about the audit would have to be; the acceptance tests are, for the lab's rules."


def _entries(word: str, gateway: Gateway) -> tuple[str, ...]:
    return entries(getattr(gateway.mta_rules, word), today())


def _access(word: str, listed: str, title: str, why: str, rows: tuple[str, ...], *, weight: int) -> Defence:
    """Return the record of one list of rules; gateways without such rules have none of it."""
    return Defence(
        id=f"mta.{word}-rules",
        title=title,
        why=why,
        rows=rows,
        sets=(TableRestrictions(listed, partial(_entries, word)), *sets(word)),
        unseen=_UNSEEN,
        when=lambda gateway: bool(_entries(word, gateway)),
        weight=weight,
    )


# The sender's side is one list: what accepts a client, HELO name or sender ends the checks of that side, and no others.
SENDING = (
    _access(
        "client",
        "smtpd_sender_restrictions",
        "Clients that the operator names are refused or let in",
        "Who is known to send nothing else costs no look at the message; who is known to be honest must not fail a check of names.",
        ("A11", "A16"),
        weight=6,
    ),
    _access(
        "helo",
        "smtpd_sender_restrictions",
        "HELO names that the operator lists are refused or let in",
        "Much spam software greets with a name that no mail server has, such as the gateway's own.",
        ("A16", "A17"),
        weight=4,
    ),
    _access(
        "sender",
        "smtpd_sender_restrictions",
        "Senders that the operator names are refused or let in",
        "A sender who is not wanted is told so in the dialogue, with the rule that he can quote.",
        ("A12", "A16"),
        weight=5,
    ),
)
RECEIVING = (
    _access(
        "recipient",
        "smtpd_recipient_restrictions",
        "Recipients that the operator names get nothing from outside, or get it unverified",
        "Some mailboxes are for the house alone, and some next hops cannot say whether a mailbox exists.",
        ("A16",),
        weight=5,
    ),
)
CONTENT = (
    Defence(
        id="mta.content-rules",
        title="Headers and lines that the operator names are refused, removed, held or counted",
        why="A flood of one kind is stopped by a word of its headers before any engine is asked; what must be decoded is filterd's. "
        "header_checks(5) knows a verb `filter` as well, which hands a message to a content filter behind the queue: here every "
        "message goes through filterd before it is taken, whose `[[content]]` rules are that filter, so there is no such verb.",
        rows=("A15", "A16"),
        sets=(
            MainCf("header_checks", lambda g: check_map(g, "header_checks")),
            # Left unset it would be $header_checks, and the headers of parts would be looked at by rules for the message's.
            MainCf("mime_header_checks", lambda g: check_map(g, "mime_header_checks")),
            MainCf("nested_header_checks", ""),
            MainCf("body_checks", lambda g: check_map(g, "body_checks")),
            TableFiles(DIRECTORY, rule_files),
        ),
        unseen=_UNSEEN,
        lacks={
            "sendmail": "Sendmail looks at single headers by rulesets of its own language, and at no body. In its place stand "
            "filterd's `[[content]]` rules, which see decoded text, refuse, tag or only count, and are the same on both MTAs."
        },
        weight=4,
    ),
)
