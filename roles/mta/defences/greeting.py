"""What the gateway says of itself before it knows anybody."""

from roles.claims import Greeting, Reply
from roles.defence import Defence
from roles.kinds import HostAnswer, MainCf, SendmailMc
from roles.kinds.sendmail import option
from roles.mta.defences.dialogue import EHLO, MAIL, REFUSED

# A client that is new may get the first line some seconds before the last, so that it shows whether it waits.
_GREETING = r"(220-[\w.-]+ ESMTP\n)?220 [\w.-]+ ESMTP"
# Words that tell what runs here.
PRODUCTS = "postfix|sendmail|exim|debian|ubuntu|red ?hat|rocky|milter|version"
_ANONYMOUS = rf"(?s)(?!421)\d{{3}}[ -](?!.*(?i:{PRODUCTS})).*"


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
    ),
    Defence(
        id="mta.anonymous",
        title="No reply and no trace header names the software",
        why="A greeting without a name is worth little if HELP, an error text or a Received line gives it away.",
        rows=("A20",),
        sets=(
            MainCf("mail_name", "ESMTP"),
            # Without a text of its own for HELP, Sendmail answers with its name and version.
            SendmailMc("HELP_FILE", "/etc/mail/helpfile"),
            HostAnswer(
                mta="sendmail",
                subject="the form of Received headers",
                command="sendmail -d31.6 -bt </dev/null | sed -n 's/^chompheader: Received: //p'",
                matches=r"from (?!.*\$[vZ]).*",
                refuted_by="from $s by $j ($v/$Z) with $r id $i",
            ),
        ),
        claims=(
            _anonymous("ehlo", EHLO),
            _anonymous("help", EHLO, "HELP"),
            _anonymous("unknown-command", EHLO, "XBASTIDE"),
            _anonymous("refusal", EHLO, MAIL, "RCPT TO:<victim@elsewhere.example>"),
        ),
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
    ),
    Defence(
        id="mta.no-etrn",
        title="ETRN is neither offered nor obeyed",
        why="Anybody could have the queue flushed, again and again.",
        rows=("H11",),
        sets=(
            MainCf("smtpd_etrn_restrictions", "reject"),
            MainCf("smtpd_discard_ehlo_keywords", "etrn, silent-discard"),
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
    ),
)
