"""What the tests do to the gateway's MTA by hand, once an MTA: shell scripts, run as root on the gateway."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lab import blocklists
from roles.mta.agents import AGENTS, Agent
from roles.settings import Mta

# A change and what undoes it.
Pair = tuple[str, str]

_BLOCKED: Final = (
    "iptables -I OUTPUT -p tcp --dport 25 -j REJECT",
    "iptables -D OUTPUT -p tcp --dport 25 -j REJECT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """The ways to look at one MTA's queue and to set it by hand.

    ``queue`` prints the ids of the messages that wait, ``reasons`` why each of them does, with a blank line between them,
    ``flush`` has them tried now, ``dropped`` removes them. ``awake``: next hops that were dead are asked again.
    ``held``: nothing is delivered.
    ``queued`` prints the envelope of a message by its id (``{id}``). ``limited`` sets its size limit
    (``{bytes}``), ``inside`` that of filterd's way in as well (``{inside}``). ``away``: filterd cannot hand in mail.
    ``hold`` keeps what waits until ``unhold``. ``owned`` is a file of its configuration, ``operation`` what writes it.
    ``asked`` matches in ``queued`` what test_quarantine asks for, none where strangers may not;
    ``international``: it takes addresses beyond ASCII
    (RFC 6531). ``said`` is how the log calls what a rule's verb did. ``forgotten`` makes each client a new one, ``points``
    matches in the log that a list which refuses nobody holds ``{address}``. ``kept`` prints the ids of messages that wait for
    a person, ``release`` lets one go. ``summed_up``: pflogsumm(1) reads its log.
    ``submitted`` sends on what the host's own programs wrote.
    ``killed`` kills its processes. ``refuses`` matches what the MTA itself says of a content that it takes from nobody.
    ``opened`` asks who may relay by address, and is the answer of test_mta_choices;
    ``maps`` prints a line a table of rules about clients, ``live`` tells one configuration and process from another.
    ``stray`` opens such a table by hand, ``found`` are the record and the check that see it.
    """

    agent: Agent
    queue: str
    reasons: str
    flush: str
    dropped: str
    awake: str
    queued: str
    held: Pair
    limited: Pair
    inside: Pair
    away: Pair
    hold: str
    unhold: str
    owned: str
    operation: str
    quiet: str
    processes: Mapping[str, str]
    asked: tuple[str, ...]
    said: Mapping[str, str]
    refuses: str
    submitted: str
    killed: str
    opened: Pair
    maps: str
    live: str
    stray: Pair
    found: Pair
    forgotten: str
    points: str
    kept: str
    release: str
    international: bool
    summed_up: bool

    @property
    def blocked(self) -> Pair:
        """The next hop does not answer; afterwards what waits is tried."""
        return (_BLOCKED[0], f"{_BLOCKED[1]}; {self.flush}")

    @property
    def ready(self) -> str:
        """Wait until filterd can be asked."""
        return f"timeout 30 sh -c 'until [ -S {self.agent.milter_socket} ]; do sleep 0.2; done'"


_POSTFIX_KEPT: Final = "mv /root/main.cf.kept /etc/postfix/main.cf; postfix reload 2>/dev/null; sleep 1"
_POSTFIX_LIMITED: Final = (
    "set -e; cp -p /etc/postfix/main.cf /root/main.cf.kept; "
    "postconf -e message_size_limit={bytes}; postfix reload 2>/dev/null; sleep 1"
)
_SOCKET: Final = AGENTS["postfix"].injection


def _option(name: str, configuration: str, unit: str) -> Pair:
    """Set an option of a .cf file of Sendmail's, and put the file back."""
    path = f"/etc/mail/{configuration}"
    return (
        (
            f"set -e; cp -p {path} /root/{configuration}.kept; sed -i 's/^O {name}=.*/O {name}={{bytes}}/' {path}; "
            f"systemctl restart {unit}"
        ),
        f"mv /root/{configuration}.kept {path}; systemctl restart {unit}",
    )


_SENDMAIL: Final = "/usr/libexec/sendmail/sendmail"
# As its own user: what root writes into the queue, the daemon could not change.
_FLUSH: Final = f"runuser -u smmta -- {_SENDMAIL} -q -OMinQueueAge=0 -OTimeout.hoststatus=0"
_QUEUE: Final = "find /var/spool/mqueue -name '[qh]f*' -printf '%f\\n' | cut -c3-"
_LIMITED: Final = _option("MaxMessageSize", "sendmail.cf", "sendmail")
_INSIDE: Final = _option("MaxMessageSize", "injection.cf", "sendmail-inject")

HANDS: Final[Mapping[Mta, Hands]] = {
    "postfix": Hands(
        agent=AGENTS["postfix"],
        queue='postqueue -j | sed -n \'s/.*"queue_id": "\\([^"]*\\)".*/\\1/p\'',
        reasons="postqueue -p",
        flush="postqueue -f",
        dropped="postsuper -d ALL deferred",
        awake="postfix reload 2>/dev/null",
        queued="postcat -e -q {id}",
        held=(
            "postconf -e defer_transports=relay,smtp && postfix reload",
            "postconf -X defer_transports && postfix reload",
        ),
        limited=(_POSTFIX_LIMITED, _POSTFIX_KEPT),
        inside=(
            (
                f"cp -p /etc/postfix/master.cf /root/master.cf.kept; {_POSTFIX_LIMITED}; "
                "postconf -P filterd-inject/unix/message_size_limit={inside}; postfix reload 2>/dev/null; sleep 1"
            ),
            f"mv /root/master.cf.kept /etc/postfix/master.cf; {_POSTFIX_KEPT}",
        ),
        away=(f"chmod 600 {_SOCKET}", f"chmod 666 {_SOCKET}"),
        hold="postsuper -h ALL",
        unhold="postsuper -H ALL",
        owned="/etc/postfix/main.cf",
        operation="Write Postfix's configuration",
        quiet="postfix/postfix-script[1]",
        processes={"smtpd": "postfix", "qmgr": "postfix"},
        asked=(),
        international=True,
        summed_up=True,
        # Its master starts what is asked for; that it is gone itself is systemd's business.
        submitted="postkick public pickup W",
        killed="pkill -KILL -x 'smtpd|cleanup|qmgr|smtp|bounce|trivial-rewrite|postscreen|dnsblog|tlsproxy' || true",
        # It looks into MIME for the declared rules about content.
        refuses=r"550 5\.6\.0 MIME nesting exceeds safety limit",
        opened=("postconf -h mynetworks", "127.0.0.0/8 [::1]/128 198.18.0.10/32"),
        maps="ls /etc/postfix/rules | grep client",
        live="cat /etc/postfix/rules/* /etc/postfix/main.cf | sha256sum; cat /var/spool/postfix/pid/master.pid",
        stray=(
            (
                "sed -i.kept 's/^198.51.100.72 .*/198.51.100.0\\/24 OK/' /etc/postfix/rules/client-1.cidr; "
                "mv /etc/postfix/rules/*.kept /root/"
            ),
            "mv /root/client-1.cidr.kept /etc/postfix/rules/client-1.cidr",
        ),
        found=("mta.content-rules", "/etc/postfix/rules"),
        forgotten="systemctl stop postfix; rm -f /var/lib/postfix/postscreen_cache.lmdb; systemctl start postfix",
        points=f"addr {{address}} listed by domain {re.escape(blocklists.GREY_LIST)}",
        said={"warn": "reject_warning: RCPT", "discard": "discard:", "hold": "hold:"},
        kept='postqueue -j | grep \'"queue_name": "hold"\' | sed \'s/.*"queue_id": "\\([^"]*\\)".*/\\1/\'',
        release="postsuper -H {id}; postqueue -f",
    ),
    "sendmail": Hands(
        agent=AGENTS["sendmail"],
        queue=_QUEUE,
        # What TLS lacked stands in the log alone.
        reasons="cd /var/spool/mqueue; for file in qf*; do grep '^[MR]' $file; "
        'journalctl -q -o cat --since -5min | grep "^${file#qf}: "; echo; done',
        dropped="rm -f /var/spool/mqueue/[dqhx]f*",
        awake="true",
        flush=_FLUSH,
        queued="tr -cd '\\11\\12\\40-\\176' </var/spool/mqueue/qf{id}",
        held=_BLOCKED,
        limited=_LIMITED,
        inside=(
            f"{_LIMITED[0]}; {_INSIDE[0].replace('{bytes}', '{inside}')}",
            f"{_INSIDE[1]}; {_LIMITED[1]}",
        ),
        away=(
            f"chmod 600 {AGENTS['sendmail'].injection}; chmod 700 $(dirname {AGENTS['sendmail'].injection})",
            f"chmod 750 $(dirname {AGENTS['sendmail'].injection}); chmod 660 {AGENTS['sendmail'].injection}",
        ),
        hold=f"for id in $({_QUEUE}); do runuser -u smmta -- {_SENDMAIL} -qI$id -Qheld; done",
        unhold=f"for id in $({_QUEUE}); do runuser -u smmta -- {_SENDMAIL} -qQ -qI$id -Q; done",
        owned="/etc/mail/gateway.mc",
        operation="Write Sendmail's configuration",
        quiet="sendmail[1]",
        processes={"sendmail": "sendmail sm-client"},
        asked=(
            r"^ZQQ314159$",
            r"^F.*n",
            r"^Qrfc822;a@old\.example$",
            r"^R(?=[A-Z]*F)(?=[A-Z]*D)(?=[A-Z]*N)(?![A-Z]*S)",
        ),
        international=False,
        summed_up=False,
        submitted=f"runuser -u smmsp -- {_SENDMAIL} -Ac -q",
        killed="pkill -KILL -x sendmail || true",
        refuses=r"554 5\.6\.1 NUL byte not allowed|552 5\.6\.0 Headers too large \(\d+ max\)",
        opened=("makemap -u hash /etc/mail/access.db | grep ^connect:", "connect:198.18.0.10\tRELAY"),
        maps="sed -n 's/^K\\(rule_client_[a-z_]*\\) .*/\\1/p' /etc/mail/sendmail.cf",
        live="cat /etc/mail/*.cf /etc/mail/*.mc /etc/mail/*.db | sha256sum; cat /run/sendmail-mta/sendmail.pid",
        stray=(
            (
                "cp -p /etc/mail/sendmail.cf /root/sendmail.cf.kept; "
                "sed -i 's/^\\(Krule_client_partner regex -aMATCH\\) .*/\\1 ^198[.]51[.]100[.]/' /etc/mail/sendmail.cf"
            ),
            "mv /root/sendmail.cf.kept /etc/mail/sendmail.cf",
        ),
        found=("mta.client-rules", "maps of declared patterns"),
        forgotten="true",
        points=r"would count: dnsbl\.lab-warned.*relay=\[{address}\]",
        said={"warn": ": would re", "discard": "discarded:", "hold": "quarantine="},
        kept="find /var/spool/mqueue -name 'hf*' -printf '%f\\n' | cut -c3-",
        release=f"runuser -u smmta -- {_SENDMAIL} -qQ -qI{{id}} -Q; {_FLUSH}",
    ),
}
