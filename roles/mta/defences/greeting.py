"""What the gateway says of itself before it knows anybody."""

from roles.claims import Greeting, Reply
from roles.defence import Defence
from roles.kinds import HostAnswer, MainCf, SendmailMc
from roles.kinds.sendmail import asked, option
from roles.mta.defences.dialogue import EHLO, MAIL, RCPT, REFUSED, TELLTALE

# A client that is new may get the first line some seconds before the last, so that it shows whether it waits.
_GREETING = r"(220-[\w.-]+ ESMTP\n)?220 [\w.-]+ ESMTP"
_ANONYMOUS = rf"(?s)(?!421)\d{{3}}[ -](?!.*({TELLTALE})).*"
# postconf(5) smtpd_command_filter, before smtpd_forbidden_commands and the header that stands for a command are looked
# for: HELP is a NOOP, and what browsers and other strangers to SMTP say ends the session by another word. A file, for releases before
# 3.7 take no table within main.cf.
COMMANDS = "/etc/postfix/commands.regexp"
COMMAND_FILTER = """\
# Written by Bastide; changes are undone by the next deploy. See smtpd_command_filter in postconf(5). mta.anonymous.
/^HELP/ NOOP
/^(GET|POST|PUT|HEAD|CONNECT|OPTIONS)[[:space:]]/ QUIT
/^[^A-Z]/ QUIT
/^[^[:space:]]+:/ QUIT
"""


# What speaks no SMTP: a browser, a scanner of nmap's (NessusTPv12), a letter.
_STRANGERS = (("browser", "GET / HTTP/1.0"), ("scanner", "< NTP/1.2 >"), ("letter", "Subject: x"))


def _anonymous(about: str, *lines: str) -> Reply:
    """Return the claim that a reply names neither product nor system."""
    return Reply(
        about=about, lines=lines, matches=_ANONYMOUS, refuted_by="250-mx Postfix (Debian/GNU)\n250 HELP"
    )


# Operations Guide, PrivacyOptions: what `goaway` stands for (novrfy, noexpn, noverb, need*helo), but for authwarnings,
# which writes into the messages of others (X-Authentication-Warning) and breaks their signatures; and some that it
# leaves out.
PRIVACY = (
    "needmailhelo",
    "needexpnhelo",
    "needvrfyhelo",
    "noexpn",
    "novrfy",
    "noverb",
    "noetrn",
    "nobodyreturn",
    "noactualrecipient",
    "restrictmailq",
    "restrictqrun",
    "restrictexpand",
)


def _private(flag: str) -> HostAnswer:
    """Return the check that PrivacyOptions, which mta.no-vrfy sets as a whole, have a flag."""
    return HostAnswer(
        mta="sendmail",
        subject=f"PrivacyOptions {flag}",
        command=option("PrivacyOptions"),
        matches=rf"(.*,)?{flag}(,.*)?",
        refuted_by="authwarnings",
    )


DEFENCES = (
    Defence(
        id="mta.banner",
        title="The SMTP greeting names no software",
        why="A version in the greeting lets a scanner pick its exploit.",
        rows=("A20", "H11"),
        # Sendmail writes "ESMTP" behind the first word itself.
        sets=(MainCf("smtpd_banner", "$myhostname ESMTP"), SendmailMc("confSMTP_LOGIN_MSG", "$j")),
        claims=(
            Greeting(matches=_GREETING, refuted_by="220 mx.example.org ESMTP Postfix (Debian/GNU)"),
            Greeting(matches=_GREETING, refuted_by="220 mx.example.org ESMTP Postfix", vantage="lan"),
        ),
        weight=4,
    ),
    Defence(
        id="mta.anonymous",
        title="No reply and no trace header names the software",
        why="A greeting without a name is worth little if HELP, an error text or a Received line gives it away.",
        rows=("A20",),
        sets=(
            MainCf("mail_name", "ESMTP"),
            # Two replies whose very words service detection knows: to HELP, and the good-bye to a browser.
            MainCf("smtpd_command_filter", f"regexp:{COMMANDS}"),
            # Without a text of its own for HELP, Sendmail answers with its name and version.
            SendmailMc("HELP_FILE", "/etc/mail/helpfile"),
            HostAnswer(
                mta="sendmail",
                subject="the form of Received headers",
                command="sendmail -d31.6 -bt </dev/null | sed -n 's/^chompheader: .*Received: //p'",
                matches=r"(?s)from (?!.*\$[vZ]).*",
                refuted_by="from $s by $j with $r\nfrom $s by $j ($v/$Z) with $r id $i",
            ),
            # By those of cf/README's ratecontrol nmap 7.93 names Sendmail (nmap-service-probes, line 3102).
            HostAnswer(
                mta="sendmail",
                subject="the words that a client over its rate is told",
                command=asked("=SRateControl") + " | grep -c 'rate limit exceeded' || true",
                matches="0",
                refuted_by="1",
            ),
        ),
        claims=(
            _anonymous("ehlo", EHLO),
            _anonymous("help", EHLO, "HELP"),
            _anonymous("unknown-command", EHLO, "XBASTIDE"),
            _anonymous("refusal", EHLO, MAIL, "RCPT TO:<victim@elsewhere.example>"),
            # By these words nmap 7.93 names Postfix (nmap-service-probes, lines 3303 and 13295).
            Reply(
                about="help-tells-nothing",
                lines=(EHLO, "HELP"),
                matches=r"(?!.*Error: command not recognized)\d{3}[ -](?s:.*)",
                refuted_by="502 5.5.2 Error: command not recognized",
            ),
            *(
                Reply(
                    about=f"{name}-told-nothing",
                    lines=(line,),
                    matches=r"(?!.*I can break rules)(221|421|5\d\d)[ -](?s:.*)",
                    refuted_by="221 2.7.0 Error: I can break rules, too. Goodbye.",
                )
                for name, line in _STRANGERS
            ),
        ),
        weight=4,
    ),
    Defence(
        id="mta.no-vrfy",
        title="VRFY and EXPN do not tell which addresses exist",
        why="They hand a spammer a verified address list without a single message sent.",
        rows=("A20", "H11"),
        sets=(
            MainCf("disable_vrfy_command", "yes"),
            MainCf("show_user_unknown_table_name", "no"),
            SendmailMc("confPRIVACY_FLAGS", ",".join(PRIVACY)),
        ),
        claims=tuple(
            Reply(
                about=verb.lower(),
                lines=(EHLO, f"{verb} bob@{{domain}}"),
                # RFC 5321 3.5.3: 252 also tells nothing; 500 is Postfix's answer to a verb that it never had.
                matches=r"(500|502|252)[ -][^\n]*",
                refuted_by="250 2.1.5 <bob@example.org>",
            )
            for verb in ("VRFY", "EXPN")
        ),
        weight=4,
    ),
    Defence(
        id="mta.no-etrn",
        title="ETRN is neither offered nor obeyed",
        why="Anybody could have the queue flushed, again and again.",
        rows=("H11",),
        sets=(
            MainCf("smtpd_etrn_restrictions", "reject"),
            MainCf("smtpd_discard_ehlo_keywords", "dsn, etrn, silent-discard"),
            _private("noetrn"),
        ),
        claims=(
            Reply(
                about="etrn",
                lines=(EHLO, "ETRN {domain}"),
                matches=REFUSED,
                refuted_by="250 2.0.0 Queuing started",
            ),
            Reply(
                about="ehlo-without-etrn",
                lines=(EHLO,),
                matches=r"250-(?s:(?!.*\bETRN\b).*)",
                refuted_by="250-mx\n250-SIZE 1000\n250 ETRN",
            ),
        ),
        weight=3,
    ),
    Defence(
        id="mta.no-receipts",
        title="Strangers get no report of what was delivered",
        why="A report of success tells which addresses exist, goes to whoever the sender is said to be, and names next hops.",
        rows=("A20", "H11"),
        # mta.no-etrn has Postfix's list of what is not offered, dsn among it.
        claims=(
            Reply(
                about="ehlo-without-dsn",
                lines=(EHLO,),
                matches=r"250-(?s:(?!.*\bDSN\b).*)",
                refuted_by="250-mx\n250-SIZE 1000\n250 DSN",
            ),
            Reply(
                about="notify",
                lines=(EHLO, MAIL, f"{RCPT} NOTIFY=SUCCESS"),
                matches=REFUSED,
                refuted_by="250 2.1.5 Ok",
            ),
        ),
        lacks={
            "sendmail": "Without reports Sendmail takes no recipient that filterd adds with `NOTIFY=NEVER`, and a forwarded message "
            "would be lost. What would be reported to strangers is thrown away (mta.backscatter); who may ask for it learns that the next "
            "hop has taken a message, without its body (nobodyreturn) and without the address behind an address (noactualrecipient).",
        },
        weight=3,
    ),
    Defence(
        id="mta.helo-required",
        title="A client says who it is before it sends",
        why="Much spam software skips HELO; every mail server says it (RFC 5321 4.1.1.1).",
        rows=("A17",),
        sets=(MainCf("smtpd_helo_required", "yes"), _private("needmailhelo")),
        claims=(
            Reply(
                about="mail-without-helo",
                lines=(MAIL,),
                matches=r"503[ -](?s:.*)",
                refuted_by="250 2.1.0 Ok",
            ),
        ),
        weight=4,
    ),
)
