"""The MTA's defences. Restrictions are evaluated in the order of the records that name them."""

from functools import partial

from roles.claims import Greeting, Reply, Verdict
from roles.defence import Defence
from roles.kinds import HostAnswer, MainCf, PostfixMap, Restriction, RestrictionList, UnitOption
from roles.mta.injection import INJECTION_DEFENCE, OVERRIDES

# Replies of a server that takes what it should refuse.
_TAKEN = "250 2.1.5 Ok"
_REFUSED = r"5\d\d[ -](?s:.*)"
_ANONYMOUS = (
    r"(?s)(?!421)\d{3}[ -](?!.*(?i:postfix|sendmail|exim|debian|ubuntu|red ?hat|rocky|milter|version)).*"
)

_EHLO = "EHLO client.sender.example"
_MAIL = "MAIL FROM:<alice@sender.example>"
_RCPT = "RCPT TO:<bob@{domain}>"

# A recipient elsewhere, in the spellings that relays were talked into: by plain address, routed by percent and bang,
# by source route (RFC 5321 appendix C), quoted, by address literal, and hidden behind the gateway's own names.
RELAY_SPELLINGS = (
    ("plain", "<victim@elsewhere.example>"),
    ("percent", "<victim%elsewhere.example@{domain}>"),
    ("bang", "<elsewhere.example!victim@{domain}>"),
    ("source-route", "<@{domain}:victim@elsewhere.example>"),
    ("quoted", '<"victim@elsewhere.example"@{domain}>'),
    ("double-at", "<victim@elsewhere.example@{domain}>"),
    ("address-literal", "<victim@[198.51.100.53]>"),
    ("own-name", "<victim%elsewhere.example@{hostname}>"),
)


def _relay_attempt(name: str, recipient: str) -> Reply:
    return Reply(
        about=f"relay-{name}",
        lines=(_EHLO, _MAIL, f"RCPT TO:{recipient}"),
        matches=_REFUSED,
        refuted_by=_TAKEN,
    )


def _anonymous(about: str, *lines: str) -> Reply:
    """Return the claim that a reply names neither product nor system."""
    return Reply(
        about=about, lines=lines, matches=_ANONYMOUS, refuted_by="250-mx Postfix (Debian/GNU)\n250 HELP"
    )


def _entries(name: str) -> tuple[str, ...]:
    """Return the entries of a restriction list, made of all records of this file."""
    return tuple(
        setting.entry
        for defence in DEFENCES
        for setting in defence.sets
        if isinstance(setting, Restriction) and setting.list == name
    )


DEFENCES = (
    Defence(
        id="mta.banner",
        title="The SMTP greeting names no software",
        why="A version in the greeting lets a scanner pick its exploit.",
        rows=("A20", "H11"),
        sets=(MainCf("smtpd_banner", "$myhostname ESMTP"),),
        claims=(
            Greeting(
                matches=r"220 [\w.-]+ ESMTP", refuted_by="220 mx.example.org ESMTP Postfix (Debian/GNU)"
            ),
            Greeting(
                matches=r"220 [\w.-]+ ESMTP", refuted_by="220 mx.example.org ESMTP Postfix", vantage="lan"
            ),
        ),
    ),
    Defence(
        id="mta.anonymous",
        title="No reply and no trace header names the software",
        why="A greeting without a name is worth little if HELP, an error text or a Received line gives it away.",
        rows=("A20",),
        sets=(MainCf("mail_name", "ESMTP"),),
        claims=(
            _anonymous("ehlo", _EHLO),
            _anonymous("help", _EHLO, "HELP"),
            _anonymous("unknown-command", _EHLO, "XBASTIDE"),
            _anonymous("refusal", _EHLO, _MAIL, "RCPT TO:<victim@elsewhere.example>"),
        ),
    ),
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
                lines=(_EHLO, _MAIL, "RCPT TO:<bob@host>"),
                matches=r"504[ -]5\.5\.2 (?s:.*)",
                refuted_by=_TAKEN,
            ),
        ),
    ),
    Defence(
        id="mta.no-open-relay",
        title="Mail is relayed for the declared domains only",
        why="An open relay sends other people's spam until every block list knows its address.",
        rows=("A03", "A09", "A10"),
        sets=(
            MainCf("mynetworks", "127.0.0.0/8 [::1]/128"),
            MainCf("relay_domains", "texthash:/etc/postfix/transport"),
            MainCf("mydestination", ""),
            MainCf("allow_untrusted_routing", "no"),
            MainCf("parent_domain_matches_subdomains", ""),
            Restriction("smtpd_relay_restrictions", "permit_mynetworks"),
            Restriction("smtpd_relay_restrictions", "reject_unauth_destination"),
        ),
        claims=tuple(_relay_attempt(name, recipient) for name, recipient in RELAY_SPELLINGS),
    ),
    Defence(
        id="mta.no-vrfy",
        title="VRFY and EXPN do not tell which addresses exist",
        why="They hand a spammer a verified address list without a single message sent.",
        rows=("A20", "H11"),
        sets=(MainCf("disable_vrfy_command", "yes"), MainCf("show_user_unknown_table_name", "no")),
        claims=tuple(
            Reply(
                about=verb.lower(),
                lines=(_EHLO, f"{verb} bob@{{domain}}"),
                # RFC 5321 3.5.3: 252 also tells nothing; 500 is Postfix's answer to a verb that it never had.
                matches=r"(500|502|252)[ -][^\n]*",
                refuted_by="250 2.1.5 <bob@example.org>",
            )
            for verb in ("VRFY", "EXPN")
        ),
    ),
    Defence(
        id="mta.no-etrn",
        title="ETRN is neither offered nor obeyed",
        why="Anybody could have the queue flushed, again and again.",
        rows=("H11",),
        sets=(
            MainCf("smtpd_etrn_restrictions", "reject"),
            MainCf("smtpd_discard_ehlo_keywords", "etrn, silent-discard"),
        ),
        claims=(
            Reply(
                about="etrn",
                lines=(_EHLO, "ETRN {domain}"),
                matches=_REFUSED,
                refuted_by="250 2.0.0 Queuing started",
            ),
            Reply(
                about="ehlo-without-etrn",
                lines=(_EHLO,),
                matches=r"250-(?s:(?!.*\bETRN\b).*)",
                refuted_by="250-mx\n250-SIZE 1000\n250 ETRN",
            ),
        ),
    ),
    Defence(
        id="mta.size-limit",
        title="Messages over the size limit are refused before they are sent",
        why="What is larger than filterd and clamd look at must not be taken; it would be taken unseen.",
        rows=("A21",),
        sets=(MainCf("message_size_limit", lambda g: str(g.message_size_limit)),),
        claims=(
            Reply(
                about="size-announced",
                lines=(_EHLO,),
                matches=r"250-(?s:.*)\n250-SIZE [1-9]\d*\n(?s:.*)",
                refuted_by="250-mx\n250-SIZE\n250 8BITMIME",
            ),
            Reply(
                about="size-exceeded",
                lines=(_EHLO, f"{_MAIL} SIZE={{size_over}}"),
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
    Defence(
        id="mta.helo-required",
        title="A client says who it is before it sends",
        why="Much spam software skips HELO; every mail server says it (RFC 5321 4.1.1.1).",
        rows=("A17",),
        sets=(MainCf("smtpd_helo_required", "yes"),),
        claims=(
            Reply(
                about="mail-without-helo",
                lines=(_MAIL,),
                matches=r"503[ -](?s:.*)",
                refuted_by="250 2.1.0 Ok",
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
                lines=(_EHLO, "MAIL FROM: alice@sender.example"),
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
                lines=(_EHLO, "MAIL FROM:<alice@host>", _RCPT),
                matches=r"504[ -](?s:.*)",
                refuted_by=_TAKEN,
            ),
            Reply(
                about="null-sender-welcome",
                lines=(_EHLO, "MAIL FROM:<>", _RCPT),
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
    Defence(
        id="mta.unchanged",
        title="Headers are not dropped and long lines not folded on the way",
        why="Postfix removes some headers and breaks lines over 998 octets by default, and with them signatures over both.",
        rows=("P17", "A22"),
        sets=(
            MainCf("message_drop_headers", ""),
            MainCf("smtp_line_length_limit", "0"),
            # Above filterd's limit for a header, so that filterd refuses what Postfix would cut short in silence.
            MainCf("header_size_limit", "1048576"),
        ),
        unseen="filterd.clean-unchanged looks at whole messages; the acceptance tests send these very cases.",
    ),
    Defence(
        id="mta.early-talker",
        title="A client that talks before it was asked is cut off",
        why="Spam software sends its whole dialogue at once; waiting for replies costs it time that it does not take.",
        rows=("A05",),
        sets=(
            MainCf("smtpd_forbid_unauth_pipelining", "yes"),
            Restriction("smtpd_data_restrictions", "reject_unauth_pipelining"),
        ),
        claims=(
            Reply(
                about="early-talker",
                lines=(_EHLO, _MAIL, _RCPT, "DATA"),
                early=True,
                # Not merely refused: told why and cut off, so that nothing of what was sent ahead is obeyed.
                matches=r"(421|521|554|503)[ -](?i:(?s:.*)(synchroni[sz]ation|pipelin|out of turn)(?s:.*))",
                refuted_by="503 5.5.1 Error: need RCPT command",
            ),
        ),
    ),
    Defence(
        id="mta.no-smuggling",
        title="A bare line feed does not end a message",
        why="Two servers that disagree where a message ends let a second one in with the first one's good name (CVE-2023-51764).",
        rows=("P26",),
        sets=(
            MainCf("smtpd_forbid_bare_newline", "normalize"),
            MainCf("smtpd_forbid_bare_newline_exclusions", "$mynetworks"),
        ),
        unseen="One reply does not tell one message from two; the acceptance tests look at what arrives.",
    ),
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
    Defence(
        id="mta.tls-outbound",
        title="Mail to next hops is encrypted wherever they offer it",
        why="Opportunistic TLS costs nothing and keeps mail from who merely listens (RFC 7435).",
        rows=("H13",),
        sets=(MainCf("smtp_tls_security_level", "may"),),
        unseen="Only the next hop sees it.",
    ),
    Defence(
        id="mta.long-queue-ids",
        title="Queue ids are never used twice",
        why="A log line must name one message for ever, or an account of all mail cannot be drawn up.",
        rows=("A25",),
        sets=(MainCf("enable_long_queue_ids", "yes"),),
        unseen="The id stands in replies, but one reply does not show that it stays unique.",
    ),
    Defence(
        id="mta.restriction-order",
        title="Restriction lists hold the declared entries in the declared order",
        why="The first entry that decides ends the list: a permit moved up switches off all that stands behind it.",
        rows=("A04",),
        sets=tuple(
            RestrictionList(name, partial(_entries, name))
            for name in (
                "smtpd_recipient_restrictions",
                "smtpd_relay_restrictions",
                "smtpd_data_restrictions",
            )
        ),
        unseen="Each entry's own record looks from outside at what it refuses.",
    ),
    Defence(
        id="mta.no-exceptions",
        title="No client, service or domain is let around the rules",
        why="One line for one address is enough to relay or to pass unfiltered, and the settings for all look as before.",
        rows=("A02", "A03", "P01"),
        sets=(
            MainCf("smtpd_milter_maps", ""),
            PostfixMap(
                "texthash:/etc/postfix/transport",
                lambda g: {domain: f"relay:{hop}" for domain, hop in g.relay_domains.items()},
            ),
            HostAnswer(
                subject="parameters that a service of master.cf overrides",
                command="postconf -P | sed 's/ *$//' | LC_ALL=C sort",
                matches=OVERRIDES,
                refuted_by="smtp/inet/milter_default_action = accept",
            ),
            HostAnswer(
                subject="services that listen on the network",
                command="postconf -M | awk '$2 == \"inet\" { print $1, $8 }'",
                matches="smtp smtpd",
                refuted_by="smtp smtpd\n2525 smtpd",
            ),
            UnitOption(unit="postfix.service", option="UnitFileState", value="enabled"),
        ),
        unseen="Whom an exception is for, the audit would have to guess.",
    ),
)
