"""What is asked of hosts that are not the gateway's own: how they name themselves, and that senders can be answered."""

from typing import Final

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import MainCf, Restriction, SendmailPatterns, SendmailRule
from roles.mta.defences.dialogue import EHLO, RCPT, TAKEN
from roles.mta.rulesets import (
    CLIENT_NAME,
    DECLARED_RULES,
    MATCH,
    OWN_HOST,
    PLAIN_SENDER,
    put_off_unless_answered,
)
from roles.settings import Gateway

_LIST: Final = "smtpd_sender_restrictions"
_RULES: Final = "Local_check_mail"
# Each form asks for all that the ones before it ask for.
_FORMS: Final = ("any", "syntax", "fqdn", "known")


# A host name's form (RFC 1123 2.1), a full one, and an address literal (RFC 5321 4.1.3).
_LABEL: Final = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_LITERAL: Final = r"\[([0-9.]+|IPv6:[0-9a-f:.]+)\]"
_NAME: Final = f"^({_LABEL}([.]{_LABEL})*[.]?|{_LITERAL})$$"
_FULL: Final = f"^({_LABEL}([.]{_LABEL})+[.]?|{_LITERAL})$$"


def _formed(name: str, form: str, refusal: str) -> tuple[SendmailPatterns, SendmailRule]:
    """Return what refuses a HELO name that is not of a form."""
    return (
        SendmailPatterns(lambda _: {name: f"regex -a{MATCH} {form}"}),
        SendmailRule(
            _RULES,
            (
                f"R$*\t$: $1 $| $({name} $&s $: NO $)",
                f'R$* $| NO\t$#error $@ 5.5.2 $: "{refusal}"',
                "R$* $| $*\t$: $1",
            ),
        ),
    )


def _asks(form: str, gateway: Gateway) -> bool:
    return _FORMS.index(gateway.mta_rules.helo_form) >= _FORMS.index(form)


DEFENCES = (
    Defence(
        id="mta.own-hosts-first",
        title="Hosts of the house are not asked what strangers are asked",
        why="A printer greets with whatever its maker thought of; it is known by its address.",
        rows=("A09",),
        sets=(
            Restriction(_LIST, "permit_mynetworks"),
            SendmailRule("ClientName", CLIENT_NAME),
            SendmailRule("PlainSender", PLAIN_SENDER),
            SendmailRule("OwnHost", OWN_HOST),
            SendmailRule("Declared", DECLARED_RULES),
            SendmailRule(_RULES, ("R$*\t$: $1 $| $>OwnHost $1", "R$* $| OWN\t$@ $1", "R$* $| $*\t$: $1")),
        ),
        unseen="It is about hosts inside; to strangers nothing shows.",
        weight=2,
    ),
    Defence(
        id="mta.helo-form",
        title="A client's name for itself is written as a host name",
        why="Spam software greets with whatever its author thought of; every mail server's name has a host name's form.",
        rows=("A17",),
        sets=(
            Restriction(_LIST, "reject_invalid_helo_hostname", says="Helo command rejected: Invalid name"),
            *_formed("helo_form", _NAME, "501 Helo command rejected: Invalid name (rule mta.helo-form)"),
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
        weight=4,
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
            *_formed(
                "helo_full",
                _FULL,
                "504 Helo command rejected: need fully-qualified hostname (rule mta.helo-fqdn)",
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
        weight=3,
    ),
    Defence(
        id="mta.helo-known",
        title="A client's name for itself is one that DNS knows",
        why="A name that does not exist is made up; since DNS may be wrong for a while the client is to come again.",
        rows=("A17",),
        sets=(
            Restriction(_LIST, "reject_unknown_helo_hostname", says="Helo command rejected: Host not found"),
            MainCf("unknown_hostname_reject_code", "450"),
            SendmailRule(
                _RULES,
                (
                    "R$*\t$: $1 $| $&s",
                    "R$* $| [ $* ]\t$: $1",
                    *put_off_unless_answered("Helo command rejected: Host not found (rule mta.helo-known)"),
                ),
            ),
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
        weight=3,
    ),
    Defence(
        id="mta.sender-domain",
        title="A sender's domain is one that could be answered",
        why="Nobody can be told at an address whose domain does not exist. DNS is sometimes wrong, so the refusal is never "
        "for good: 550 at NXDOMAIN, as often advised, has lost honest mail. Postfix refuses for good a domain that says itself that it "
        "takes no mail (RFC 7505); Sendmail takes its mail.",
        rows=("A08", "A13"),
        sets=(
            Restriction(
                _LIST,
                "reject_unknown_sender_domain",
                says=r"Sender address rejected: Domain (not found|\S+ does not accept mail \(nullMX\))",
            ),
            MainCf("unknown_address_reject_code", "450"),
            MainCf("unknown_address_tempfail_action", "defer_if_permit"),
            SendmailRule(
                _RULES,
                (
                    "R$*\t$: $1 $| $>CanonAddr $1",
                    "R$* $| $* < @ [ $* ] $* >\t$: $1",
                    "R$* $| $* < @ $* . >\t$: $1 $| $2 < @ $3 >",
                    "R$* $| $* < @ $+ >\t$: $1 $| $3",
                    "R$* $| $* < @ >\t$: $1",
                    *put_off_unless_answered(
                        "Sender address rejected: Domain not found (rule mta.sender-domain)"
                    ),
                ),
            ),
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
