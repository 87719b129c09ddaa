"""A message is one message, the same on both sides of the gateway."""

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import MainCf, Restriction
from roles.mta.defences.dialogue import EHLO, MAIL, RCPT
from roles.mta.defences.relay import LOOPBACK

DEFENCES = (
    Defence(
        id="mta.unchanged",
        title="Headers are not dropped and long lines not folded on the way",
        why="Postfix removes some headers and breaks lines over 998 octets by default, and with them signatures over both.",
        rows=("P17", "A22"),
        sets=(
            MainCf("message_drop_headers", ""),
            MainCf("smtp_line_length_limit", "0"),
            # The paper sets 512 to bound recipients. That is not what it does: it cuts each header of a message off there, and
            # recipients are bounded by mta.recipient-limit. So it stands above filterd's limit for a header, which refuses
            # what Postfix would cut short in silence.
            MainCf("header_size_limit", "1048576"),
        ),
        unseen="filterd.clean-unchanged looks at whole messages; the acceptance tests send these very cases.",
    ),
    Defence(
        id="mta.headers-7bit",
        title="Headers hold ASCII alone, and SMTPUTF8 is not offered",
        why="A choice for houses whose mail servers know nothing else: raw bytes in a header are read by everybody in another way. "
        "Elsewhere it only loses mail, since addresses and subjects in UTF-8 are a standard (RFC 6532).",
        rows=("A19",),
        sets=(MainCf("strict_7bit_headers", "yes"), MainCf("smtputf8_enable", "no")),
        claims=(
            Reply(
                about="ehlo-without-smtputf8",
                lines=(EHLO,),
                matches=r"250-(?s:(?!.*\bSMTPUTF8\b).*)",
                refuted_by="250-mx\n250-8BITMIME\n250 SMTPUTF8",
            ),
            Reply(
                about="raw-header-refused",
                lines=(
                    EHLO,
                    MAIL,
                    RCPT,
                    "DATA",
                    "From: alice@sender.example",
                    "Subject: Gr\xfc\xdfe",
                    "",
                    "x",
                    ".",
                ),
                matches=r"5\d\d[ -](?s:.*)",
                refuted_by="250 2.0.0 Ok: queued as 4abcDE1234z",
            ),
        ),
        when=lambda gateway: gateway.mta_rules.headers_7bit,
    ),
    Defence(
        id="mta.early-talker",
        title="A client that talks before it was asked is cut off",
        why="Spam software sends its whole dialogue at once; waiting for replies costs it time that it does not take.",
        rows=("A05",),
        sets=(
            MainCf("smtpd_forbid_unauth_pipelining", "yes"),
            # Where postscreen (mta.screened) looks at new clients it is the one that does it.
            MainCf("postscreen_greet_action", "drop"),
            Restriction(
                "smtpd_data_restrictions",
                "reject_unauth_pipelining",
                says="Data command rejected: Improper use of SMTP command pipelining",
            ),
        ),
        claims=(
            Reply(
                about="early-talker",
                lines=(EHLO, MAIL, RCPT, "DATA"),
                early=True,
                # Not merely refused: told why and cut off, so that nothing of what was sent ahead is obeyed.
                # The greeting's first line may have been on its way.
                matches=r"(220-[^\n]*\n)?(421|521|554|503)[ -](?i:(?s:.*)(synchroni[sz]ation|pipelin|out of turn|protocol error)(?s:.*))",
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
            # filterd hands in what it has looked at already, byte for byte; nobody else is let off, not even own hosts.
            MainCf("smtpd_forbid_bare_newline_exclusions", " ".join(LOOPBACK)),
        ),
        unseen="One reply does not tell one message from two; the acceptance tests look at what arrives.",
    ),
    Defence(
        id="mta.long-queue-ids",
        title="Queue ids are never used twice",
        why="A log line must name one message for ever, or an account of all mail cannot be drawn up.",
        rows=("A25",),
        sets=(MainCf("enable_long_queue_ids", "yes"),),
        unseen="The id stands in replies, but one reply does not show that it stays unique.",
    ),
)
