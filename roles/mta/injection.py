"""How filterd hands mail in: a service of the MTA for it alone, and what differs there from mail of the network.

The attack it stops: a way past the filter that somebody else finds, or that mail is lost on.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from roles.defence import Defence
from roles.kinds import HostAnswer
from roles.kinds.sendmail import option
from roles.mta.agents import AGENTS
from roles.platforms import row

SERVICE: Final = "filterd-inject"
_LOGGED_AS: Final = f"postfix/{SERVICE}"  # by which `filterd reconcile` tells it from mail of the network
CLEANUP: Final = "filterd-cleanup"
INJECTION_CF: Final = "/etc/mail/injection.cf"
_PLACE: Final = str(PurePosixPath(AGENTS["sendmail"].injection).parent)

# Its services by their names in master.cf, with the parameters that differ there. Postfix sees filterd as the client
# "localhost[127.0.0.1]".
INJECTION: Final[Mapping[str, Mapping[str, str]]] = {
    SERVICE: {
        "syslog_name": _LOGGED_AS,
        # It was filtered, or filterd wrote it: once more would be a loop, and waits for the filter that waits for this.
        # The rules about content have been asked when it came, and would find in a notice what it quotes.
        "receive_override_options": "no_milters,no_header_body_checks",
        # Recipients were verified when the message came; those of notices and forwards are the administrator's.
        "smtpd_sender_restrictions": "",
        "smtpd_relay_restrictions": "permit_mynetworks,reject",
        "smtpd_recipient_restrictions": "permit_mynetworks,reject",
        # Reports (DSN) are not for strangers (mta.no-receipts); filterd says here whom none may be sent to.
        "smtpd_discard_ehlo_keywords": "etrn,silent-discard",
        # mta.unchanged: no rewriting of addresses and no completing of headers, as for mail from outside.
        "local_header_rewrite_clients": "",
        # What came within the limit goes out a little longer, by a Received line and our marks: filterd's own bound
        # holds here. cleanup(8) counts as well, so this way has one of its own.
        "message_size_limit": "0",
        "cleanup_service_name": CLEANUP,
    },
    CLEANUP: {"syslog_name": _LOGGED_AS, "message_size_limit": "0"},
}
# The answer of `postconf -P`, its lines sorted.
OVERRIDES: Final = "\n".join(
    sorted(
        f"{service}/unix/{name} = {value}".strip()
        for service, settings in INJECTION.items()
        for name, value in settings.items()
    )
)

INJECTION_DEFENCE: Final = Defence(
    id="mta.injection",
    title="Only filterd hands in mail that is not filtered",
    why="A way past the filter must be no way for anybody else: no network reaches it, and no other user of the host.",
    rows=("P01", "P02"),
    sets=(
        HostAnswer(
            mta="postfix",
            subject="who may open the sockets of Postfix that are for its own programs",
            # A socket's own mode says nothing (unix(7)): the directory decides.
            command="stat -c '%a %U %G' /var/spool/postfix/public; getent group postdrop | cut -d: -f4",
            # From Debian 13 on without the group's bit, which is about whose new files are.
            matches="2?710 postfix postdrop\nfilterd",
            refuted_by="755 postfix postdrop\nfilterd",
        ),
        HostAnswer(
            mta="postfix",
            subject="the service for filterd",
            command="postconf -M filterd-inject/unix | awk '{ print $2, $3, $5, $8 }'",
            matches=lambda gateway: f"unix n {'y' if row(gateway).postfix_ready else 'n'} smtpd",
            refuted_by="inet n y smtpd",
        ),
        HostAnswer(
            mta="sendmail",
            subject="who may open the socket, which its directory decides",
            command=f"stat -c '%a %U %G' {_PLACE}; getent group smmta | cut -d: -f4",
            matches="750 smmta smmta\nfilterd",
            refuted_by="755 smmta smmta\nfilterd",
        ),
        HostAnswer(
            mta="sendmail",
            subject="where Sendmail listens for filterd, and what filters that again",
            command=f"{option('DaemonPortOptions', INJECTION_CF)}; {option('InputMailFilters', INJECTION_CF)}",
            matches=f"Name=filterd-inject, Family=local, Addr={AGENTS['sendmail'].injection}",
            refuted_by="Name=filterd-inject, Family=inet, Addr=127.0.0.1",
        ),
    ),
    unseen="It is a unix socket: there is nothing that an outsider could see.",
    weight=10,
)
