"""A message is one message, the same on both sides of the gateway."""

from roles.claims import FalseEnds, Reply
from roles.defence import Defence
from roles.kinds import AccessEntry, HostAnswer, MainCf, Restriction, SendmailFeature, SendmailMc
from roles.kinds.sendmail import asked
from roles.mta.defences.dialogue import EHLO, MAIL, RCPT
from roles.mta.defences.relay import LOOPBACK

DEFENCES = (
    Defence(
        id="mta.headers-unchanged",
        title="No header is dropped or written anew on the way",
        why="Postfix removes some headers by default, and with them signatures over them.",
        rows=("P17",),
        sets=(MainCf("message_drop_headers", ""),),
        unseen="filterd.clean-unchanged looks at whole messages; the acceptance tests send these very cases.",
        lacks={
            "sendmail": "Sendmail removes Return-Path, empties Bcc, and writes the address lists of From, To and Cc with "
            "blanks, folds and quotes of its own, of a name with a dot in it for instance; of 24 such forms five break a DKIM "
            "signature of relaxed form (RFC 6376 3.4.2). No setting of its keeps it from that: where signatures must hold, take Postfix.",
        },
    ),
    Defence(
        id="mta.unchanged",
        title="Long lines are not folded and headers not cut on the way",
        why="Postfix breaks lines over 998 octets by default, Sendmail those over 990, and with them signatures.",
        rows=("P17", "A22"),
        sets=(
            MainCf("smtp_line_length_limit", "0"),
            # A body of 8 bits goes as it came to a next hop that does not offer 8BITMIME, too: written anew its signature is broken.
            MainCf("disable_mime_output_conversion", "yes"),
            # The paper sets 512 to bound recipients. That is not what it does: it cuts each header of a message off there, and
            # recipients are bounded by mta.recipient-limit. So it stands above filterd's limit for a header, which refuses
            # what Postfix would cut short in silence.
            MainCf("header_size_limit", "1048576"),
            # What is longer the milter protocol of Sendmail cannot hand to filterd.
            SendmailMc("confMAX_HEADERS_LENGTH", "65535"),
            SendmailMc("confMAX_MIME_HEADER_LENGTH", "0/0"),
            SendmailMc("confEIGHT_BIT_HANDLING", "pass8"),
            HostAnswer(
                mta="sendmail",
                subject="headers that Sendmail writes where they lack: none into mail that came by SMTP ($r)",
                command="sendmail -d31.6 -bt </dev/null | sed -n 's/^chompheader: ?[^?]*?//p' | "
                "awk -F: '{ last[$1] = substr($0, length($1) + 1) } END { for (name in last) print name last[name] }' | "
                # A blank behind the colon would be written, and an empty field with it.
                "grep -Ei '^(resent-)?(from|message-id):' | grep -cv ':[$][?]r[$]|' || true",
                matches="0",
                refuted_by="3",
            ),
            HostAnswer(
                mta="sendmail",
                subject="mailers of next hops: lines as they are (L=0), 8 bits as they are (8), no Date (D), no Return-Path (P)",
                command=asked("=M")
                + " | sed -n 's/^mailer [0-9]* (hop[0-9]*): .* F=\\([^ ]*\\) L=\\([0-9]*\\) .*/\\1 \\2/p'",
                matches=r"((?=[^ ]*8)[^ DP]+ 0\n?)+",
                refuted_by="DFMXamu 990",
            ),
        ),
        unseen="filterd.clean-unchanged looks at whole messages; the acceptance tests send these very cases.",
        weight=6,
    ),
    Defence(
        id="mta.smtputf8",
        title="SMTPUTF8 is offered where it was declared, and nowhere else",
        why="Mail that needs it is taken and then bounced where the next hop does not offer it, and no notice goes to a stranger. What "
        "is not offered the sender's own server returns to him.",
        rows=("A19",),
        sets=(MainCf("smtputf8_enable", "no"),),
        claims=(
            Reply(
                about="ehlo-without-smtputf8",
                lines=(EHLO,),
                matches=r"250-(?s:(?!.*\bSMTPUTF8\b).*)",
                refuted_by="250-mx\n250-8BITMIME\n250 SMTPUTF8",
            ),
        ),
        when=lambda gateway: not gateway.mta_rules.smtputf8,
    ),
    Defence(
        id="mta.headers-7bit",
        title="Headers hold ASCII alone",
        why="A choice for houses whose mail servers know nothing else: raw bytes in a header are read by everybody in another way. "
        "Elsewhere it only loses mail, since addresses and subjects in UTF-8 are a standard (RFC 6532).",
        rows=("A19",),
        sets=(MainCf("strict_7bit_headers", "yes"),),
        claims=(
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
        lacks={"sendmail": "Sendmail passes headers on as they come; the setting is refused under it."},
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
            # Milliseconds before the greeting: who talks in them meets firewall.early-talker, and what gets past that (many
            # packets at once) is told nothing but refusals.
            SendmailFeature(
                feature="greet_pause",
                arguments=("1000",),
                asks=("Translate,greet_pause x.invalid $| 192.0.2.1",),
                shows=r"(?m)^greet_pause +returns: \$# 1000$",
                refuted_by="greet_pause      returns: $# 0",
            ),
            AccessEntry(lambda _: {"GreetPause:127.0.0.1": "0", "GreetPause:IPv6:0:0:0:0:0:0:0:1": "0"}),
        ),
        claims=(
            Reply(
                about="early-talker",
                lines=(EHLO, MAIL, RCPT, "DATA"),
                early=True,
                # Not merely refused: told why and cut off, so that nothing of what was sent ahead is obeyed.
                # The greeting's first line may have been on its way.
                matches=r"closed"
                r"|(220-[^\n]*\n)?(421|521|554|503)[ -](?i:(?s:.*)(synchroni[sz]ation|pipelin|out of turn|protocol error)(?s:.*))"
                r"|550 5\.0\.0 Command rejected",
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
            # Only CR LF . CR LF ends a message; a NUL, which hides a line end from some, is refused (CVE-2023-51765).
            # A bare CR or LF becomes a blank (g2, u2): refused, such mail would be sent again for days.
            AccessEntry(lambda _: {"Srv_Features:": "o g2 u2"}),
            HostAnswer(
                mta="sendmail",
                subject="features of the server, for any client",
                command=asked(
                    ".D{client_addr}192.0.2.1", ".D{client_name}x.invalid", "srv_features x.invalid"
                )
                + " | sed -n 's/^srv_features *returns: //p'",
                matches=r"\$# o g2 u2",
                refuted_by="OK",
            ),
            SendmailMc("confREJECT_NUL", "true"),
        ),
        claims=(FalseEnds(refuted_by=frozenset({"LF . CRLF"})),),
        weight=9,
    ),
    Defence(
        id="mta.long-queue-ids",
        title="Queue ids are never used twice",
        why="A log line must name one message for ever, or an account of all mail cannot be drawn up.",
        rows=("A25",),
        sets=(
            MainCf("enable_long_queue_ids", "yes"),
            HostAnswer(
                mta="sendmail",
                subject="a version whose queue ids hold year, day, second and process (since 8.12)",
                command="sendmail -d0.1 -bt </dev/null | sed -n 's/^Version //p'",
                matches=r"8\.(1[2-9]|[2-9]\d)\..*|9\..*",
                refuted_by="8.11.7",
            ),
        ),
        unseen="The id stands in replies, but one reply does not show that it stays unique.",
        weight=3,
    ),
)
