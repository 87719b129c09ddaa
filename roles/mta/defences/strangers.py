"""What is asked of hosts that are not the gateway's own: how they name themselves, and that senders can be answered."""

from typing import Final

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import MainCf, Restriction
from roles.mta.defences.dialogue import EHLO, RCPT, TAKEN
from roles.settings import Gateway

_LIST: Final = "smtpd_sender_restrictions"
# Each form asks for all that the ones before it ask for.
_FORMS: Final = ("any", "syntax", "fqdn", "known")


def _asks(form: str, gateway: Gateway) -> bool:
    return _FORMS.index(gateway.mta_rules.helo_form) >= _FORMS.index(form)


DEFENCES = (
    Defence(
        id="mta.own-hosts-first",
        title="Hosts of the house are not asked what strangers are asked",
        why="A printer greets with whatever its maker thought of; it is known by its address.",
        rows=("A09",),
        sets=(Restriction(_LIST, "permit_mynetworks"),),
        unseen="It is about hosts inside; to strangers nothing shows.",
    ),
    Defence(
        id="mta.helo-form",
        title="A client's name for itself is written as a host name",
        why="Spam software greets with whatever its author thought of; every mail server's name has a host name's form.",
        rows=("A17",),
        sets=(
            Restriction(_LIST, "reject_invalid_helo_hostname", says="Helo command rejected: Invalid name"),
        ),
        claims=(
            Reply(
                about="malformed-helo",
                lines=("EHLO mail..sender.example", "MAIL FROM:<alice@sender.example>", RCPT),
                matches=r"501[ -](?s:.*)",
                refuted_by=TAKEN,
            ),
        ),
        when=lambda gateway: _asks("syntax", gateway),
    ),
    Defence(
        id="mta.helo-fqdn",
        title="A client's name for itself is fully qualified",
        why="RFC 5321 4.1.1.1 asks for it; what greets as `localhost` or `user-pc` is rarely a mail server.",
        rows=("A17",),
        sets=(
            Restriction(
                _LIST,
                "reject_non_fqdn_helo_hostname",
                says="Helo command rejected: need fully-qualified hostname",
            ),
        ),
        claims=(
            Reply(
                about="short-helo",
                lines=("EHLO user-pc", "MAIL FROM:<alice@sender.example>", RCPT),
                matches=r"504[ -](?s:.*)",
                refuted_by=TAKEN,
            ),
        ),
        when=lambda gateway: _asks("fqdn", gateway),
    ),
    Defence(
        id="mta.helo-known",
        title="A client's name for itself is one that DNS knows",
        why="A name that does not exist is made up; since DNS may be wrong for a while the client is to come again.",
        rows=("A17",),
        sets=(
            Restriction(_LIST, "reject_unknown_helo_hostname", says="Helo command rejected: Host not found"),
            MainCf("unknown_hostname_reject_code", "450"),
        ),
        claims=(
            Reply(
                about="unknown-helo",
                lines=("EHLO no-such-host.invalid", "MAIL FROM:<alice@sender.example>", RCPT),
                matches=r"450[ -](?s:.*)",
                refuted_by=TAKEN,
            ),
        ),
        when=lambda gateway: _asks("known", gateway),
    ),
    Defence(
        id="mta.sender-domain",
        title="A sender's domain is one that could be answered",
        why="Nobody can be told at an address whose domain does not exist. DNS is sometimes wrong, so the refusal is never "
        "for good: 550 at NXDOMAIN, as often advised, has lost honest mail.",
        rows=("A08", "A13"),
        sets=(
            Restriction(
                _LIST, "reject_unknown_sender_domain", says="Sender address rejected: Domain not found"
            ),
            MainCf("unknown_address_reject_code", "450"),
            MainCf("unknown_address_tempfail_action", "defer_if_permit"),
        ),
        claims=(
            Reply(
                about="unknown-sender-domain",
                lines=(EHLO, "MAIL FROM:<alice@no-such-domain.invalid>", RCPT),
                matches=r"4\d\d[ -](?s:.*)",
                refuted_by="550 5.1.8 Sender address rejected: Domain not found",
            ),
        ),
    ),
)
