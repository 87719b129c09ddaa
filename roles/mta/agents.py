"""What differs between the two MTAs for those who talk to them: units, groups, sockets. A fact, a place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from roles.settings import Gateway, Mta


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One MTA as its neighbours see it.

    ``units`` are what runs it, the first is the one that faces the network. ``milter_directory`` holds filterd's
    socket, which ``milter_group`` may open; ``milter_address`` is how the MTA writes that down. filterd is in
    ``groups`` so that it can give its socket to the MTA and hand in mail at ``injection``, a unix socket.
    ``tls_user`` reads the key of the certificate: who opens it, before or without privileges being dropped.
    ``content_timeout_s`` is how long the MTA waits for filterd's answer to a message.
    """

    title: str
    units: tuple[str, ...]
    milter_directory: str
    milter_group: str
    groups: tuple[str, ...]
    injection: str
    tls_user: str
    content_timeout_s: int = 300

    @property
    def milter_socket(self) -> str:
        """The socket of filterd, as a path on the host."""
        return f"{self.milter_directory}/milter.sock"


AGENTS: Final[Mapping[Mta, Agent]] = {
    "postfix": Agent(
        title="Postfix",
        units=("postfix.service",),
        # Inside its queue directory, which its chrooted daemons see as their root.
        milter_directory="/var/spool/postfix/filterd",
        milter_group="postfix",
        # postdrop lets filterd hand in mail (mta.injection), and with it also look at the queue: Postfix keeps all its
        # public sockets in one directory. A listener on the network would be open to every user of the host, and
        # filterd has no network; an ACL on the directory would be undone by `postfix set-permissions`.
        groups=("postdrop", "postfix"),
        injection="/var/spool/postfix/public/filterd-inject",
        tls_user="root",
    ),
    "sendmail": Agent(
        title="Sendmail",
        units=("sendmail.service", "sendmail-inject.service", "sm-client.service"),
        # Sendmail opens no socket in a directory that others than root, itself and the socket's owner can write.
        milter_directory="/var/spool/filterd",
        milter_group="smmta",
        # smmta owns the queue, but its files and directory are closed to its group (mta.private-queue).
        groups=("smmta",),
        injection="/run/sendmail-inject/socket",
        tls_user="smmta",
    ),
}


def agent(gateway: Gateway) -> Agent:
    """Return the MTA of a gateway."""
    return AGENTS[gateway.mta]
