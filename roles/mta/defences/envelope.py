"""Senders and recipients: what an envelope must be like (RFC 5321 3.3)."""

from typing import Final

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import MainCf, Restriction, SendmailPatterns, SendmailRule
from roles.mta.defences.dialogue import EHLO, MAIL, RCPT, REFUSED, TAKEN
from roles.mta.rulesets import MATCH

# A local part of RFC 5321 4.1.2 in ASCII, by pieces. In quotes stands nothing that some read as a route: no @ % or !.
_CHARACTERS: Final = "A-Za-z0-9#$&'*+/=?^_`{|}~"
_ATOM: Final = f"[{_CHARACTERS}%!-]+"
_QUOTED: Final = rf'"([{_CHARACTERS}., -]|\\["\\])*"'
_LOCAL: Final = f"({_ATOM}|{_QUOTED})([.]({_ATOM}|{_QUOTED}))*"
_DOMAIN: Final = r"([A-Za-z0-9._-]+|\[[A-Za-z0-9.:]+\])"
# A source route (RFC 5321 appendix C) may stand in front: relay control looks behind it.
_ROUTE: Final = f"(@{_DOMAIN}(,@{_DOMAIN})*:)?"
_SPELLING: Final = f"^<({_ATOM}|{_ROUTE}{_LOCAL}@{_DOMAIN})>$".replace("$", "$$").replace("#", r"\#")
# Of senders nothing is routed: quotes may hold anything, and dots stand where they like, as they do in some large domains.
_SENDER: Final = rf'^<({_ROUTE}([{_CHARACTERS}%!.-]|"([^"\\]|\\.)*")+(@{_DOMAIN})?)?>$'
_SENDER_SPELLING: Final = _SENDER.replace("$", "$$").replace("#", r"\#")


def _hidden(about: str, recipient: str) -> Reply:
    return Reply(about=about, lines=(EHLO, MAIL, f"RCPT TO:<{recipient}>"), matches=REFUSED, refuted_by=TAKEN)


DEFENCES = (
    # The first of its ruleset: others take the address apart.
    Defence(
        id="mta.recipient-spelling",
        title="A recipient is spelled so that whoever reads it reads the same address",
        why="Of quotes within quotes, a quoted @ or an eighth bit each program makes its own: what relay control read as a "
        "mailbox of ours went to another domain.",
        rows=("A03", "A18"),
        sets=(
            MainCf("resolve_dequoted_address", "yes"),
            # -q: with its quotes and backslashes as they came.
            SendmailPatterns(lambda _: {"spelling": f"regex -q -a{MATCH} {_SPELLING}"}),
            SendmailRule(
                "Local_check_rcpt",
                (
                    "R$*\t$: $1 $| $(spelling $1 $: NO $)",
                    'R$* $| NO\t$#error $@ 5.1.3 $: "553 need a recipient in plain words (rule mta.recipient-spelling)"',
                    "R$* $| $*\t$: $1",
                ),
            ),
        ),
        claims=(
            _hidden("escaped-at", r"victim\@elsewhere.example@{domain}"),
            _hidden("quotes-in-quotes", '"bob"victim"@elsewhere.example"@{domain}'),
            _hidden("quoted-quotes", r'"\"victim@elsewhere.example\""@{domain}'),
        ),
        weight=8,
    ),
    Defence(
        id="mta.fqdn-recipient",
        title="Recipients have a full domain",
        why="A recipient without a full domain has no mailbox that the gateway could relay to.",
        rows=("A06",),
        # In front of "relay access denied", which would hide from an honest sender what is wrong.
        sets=(
            Restriction(
                "smtpd_relay_restrictions",
                "reject_non_fqdn_recipient",
                says="Recipient address rejected: need fully-qualified address",
            ),
            SendmailRule(
                "Local_check_rcpt",
                (
                    # Kept for those that judge the recipient once relay control has had its say.
                    "R$*\t$: $1 $| $>CanonAddr $1",
                    "R$* $| $* < @ $* . >\t$: $1 $| $2 < @ $3 >",
                    "R$* $| $* < @ $* >\t$: $1 $| $(dequoted $2 $) @ $3",
                    "R$* $| $*\t$: $1 $| $2 $(kept {Recipient} $@ $2 $)",
                    'R$* $| $* @ $-\t$#error $@ 5.5.2 $: "504 need a recipient with a full domain (rule mta.fqdn-recipient)"',
                    "R$* $| $*\t$: $1",
                ),
            ),
        ),
        claims=(
            Reply(
                about="short-recipient",
                lines=(EHLO, MAIL, "RCPT TO:<bob@host>"),
                matches=r"504[ -]5\.5\.2 (?s:.*)",
                refuted_by=TAKEN,
            ),
        ),
        weight=3,
    ),
    Defence(
        id="mta.strict-envelope",
        title="Envelope addresses are written as the standard says",
        why="Two readers of a sloppy address may read two addresses; filters and mailboxes must agree on one.",
        rows=("A18",),
        sets=(
            MainCf("strict_rfc821_envelopes", "yes"),
            SendmailPatterns(lambda _: {"spelledsender": f"regex -q -a{MATCH} {_SENDER_SPELLING}"}),
            # Called at MAIL at once: what delay_checks puts off has other names.
            SendmailRule(
                "check_mail",
                (
                    "R$*\t$: $1 $| $(spelledsender $1 $: NO $)",
                    'R< $* > $| NO\t$#error $@ 5.1.7 $: "501 need a sender in plain words (rule mta.strict-envelope)"',
                    'R$* $| NO\t$#error $@ 5.5.2 $: "501 need the address in angle brackets (rule mta.strict-envelope)"',
                    "R$* $| $*\t$@ OK",
                ),
            ),
        ),
        claims=(
            Reply(
                about="mail-without-brackets",
                lines=(EHLO, "MAIL FROM: alice@sender.example"),
                matches=r"501[ -](?s:.*)",
                refuted_by="250 2.1.0 Ok",
            ),
        ),
        weight=4,
    ),
    Defence(
        id="mta.fqdn-sender",
        title="Senders have a full domain, or none at all",
        why="A sender that cannot be answered is forged or broken; the null sender of bounces stays welcome.",
        rows=("A07",),
        sets=(
            Restriction(
                "smtpd_sender_restrictions",
                "reject_non_fqdn_sender",
                says="Sender address rejected: need fully-qualified address",
            ),
            SendmailRule(
                "Local_check_mail",
                (
                    "R$*\t$: $1 $| $>CanonAddr $1",
                    "R$* $| $* < @ $* . >\t$: $1 $| $2 < @ $3 >",
                    'R$* $| $* < @ $- >\t$#error $@ 5.5.2 $: "504 need a sender with a full domain (rule mta.fqdn-sender)"',
                    "R$* $| $*\t$: $1",
                ),
            ),
        ),
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
        weight=4,
    ),
)
