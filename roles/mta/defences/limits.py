"""How much of it the gateway takes."""

from ipaddress import ip_network

from roles.claims import Reply, Verdict
from roles.defence import Defence
from roles.kinds import AccessEntry, MainCf, SendmailFeature, SendmailMc, SendmailOption, SendmailRule
from roles.mta.defences.dialogue import EHLO, MAIL
from roles.mta.defences.relay import own_networks, postfix_network
from roles.mta.networks import access_keys
from roles.settings import Gateway

# What serves clients at the same time, under either MTA.
_PROCESSES = 100


def _exempt(gateway: Gateway) -> str:
    """Return the networks whose connections, messages and recipients are not counted."""
    declared = (postfix_network(ip_network(network)) for network in gateway.mta_limits.exempt)
    return " ".join((own_networks(gateway), *declared))


def _counted(gateway: Gateway) -> dict[str, str]:
    """Return the access database's entries about connections: one for all clients, others for those not counted."""
    limits = gateway.mta_limits
    networks = [ip_network(text) for text in limits.exempt]
    networks += [ip_network(entry.network) for entry in gateway.relay_networks]
    loopback = ("127.0.0.1", "IPv6:0:0:0:0:0:0:0:1")
    exempt = (*loopback, *(key for network in networks for key in access_keys(network)))
    return {
        "ClientConn:": str(limits.connections),
        "ClientRate:": str(limits.connections_per_minute),
        **{f"{word}:{key}": "0" for word in ("ClientConn", "ClientRate") for key in exempt},
    }


def _counted_up(digit: str, macro: str, limit: int) -> tuple[str, ...]:
    """Return the rules that count a command by its reply's first digit; beyond the limit it becomes TRUE, else FALSE."""
    return (
        f"R<{digit}>\t$: <{digit}> $| $&{{{macro}}}",
        f"R<{digit}> $| $+\t$: <{digit}> $(add + $@ $1 $@ 1 $)",
        f"R<{digit}> $|\t$: <{digit}> 1",
        f"R<{digit}> $+\t$: <{digit}> $1 $(kept {{{macro}}} $@ $1 $)",
        f"R<{digit}> $+\t$: <{digit}> $(add l $@ {limit} $@ $1 $)",
    )


def _ended(gateway: Gateway) -> tuple[str, ...]:
    """Return the rules that end a session of commands without a message: the unknown ones, and too many idle ones.

    The workspace is the command and the first digit of its reply (cf/README, check_other). What they count begins anew
    with each message.
    """
    limits = gateway.mta_limits
    return (
        "R$* $| $-\t$: <$2>",
        *_counted_up("2", "Idle", limits.idle_commands),
        "R<2> TRUE\t$: <5>",
        *_counted_up("5", "Errors", limits.errors - 1),
        'R<5> TRUE\t$#error $@ 4.7.0 $: "421 Too many errors (rule mta.error-limits)"',
        "R$*\t$@ OK",
    )


def _at_connect(feature: str, ruleset: str) -> SendmailFeature:
    """Return a limit that is looked at when a client connects, and ends the session by 421."""
    return SendmailFeature(
        feature=feature,
        arguments=("nodelay", "terminate"),
        asks=("=Scheck_relay",),
        shows=rf'\$> ?"?{ruleset}\b',
        refuted_by="R$*		$: $> Other dummy",
    )


DEFENCES = (
    Defence(
        id="mta.size-limit",
        title="Messages over the size limit are refused before they are sent",
        why="What is larger than filterd and clamd look at must not be taken; it would be taken unseen.",
        rows=("A21",),
        sets=(
            MainCf("message_size_limit", lambda g: str(g.message_size_limit)),
            SendmailMc("confMAX_MESSAGE_SIZE", lambda g: str(g.message_size_limit)),
        ),
        claims=(
            Reply(
                about="size-announced",
                lines=(EHLO,),
                matches=r"250-(?s:.*)\n250-SIZE [1-9]\d*\n(?s:.*)",
                refuted_by="250-mx\n250-SIZE\n250 8BITMIME",
            ),
            Reply(
                about="size-exceeded",
                lines=(EHLO, f"{MAIL} SIZE={{size_over}}"),
                matches=r"552[ -](?s:.*)",
                refuted_by="250 2.1.0 Ok",
            ),
            Verdict(
                sample="oversize",
                matches=r"552[ -](?s:.*)",
                refuted_by="250 2.0.0 Ok: queued as 4abcDE1234z",
            ),
        ),
        weight=7,
    ),
    Defence(
        id="mta.recipient-limit",
        title="A message has a bounded number of recipients",
        why="One connection must not make the gateway hold a whole mailing list in memory.",
        rows=("A22",),
        sets=(
            MainCf("smtpd_recipient_limit", lambda g: str(g.recipient_limit)),
            SendmailMc("confMAX_RCPTS_PER_MESSAGE", lambda g: str(g.recipient_limit)),
        ),
        unseen="Seeing it needs a hundred recipients that exist; the acceptance tests do that against the lab.",
        weight=4,
    ),
    Defence(
        id="mta.client-limits",
        title="One client takes a bounded share of the gateway",
        why="A hundred processes serve everybody; whoever opens a hundred connections, or sends without pause, has them all.",
        rows=("A22", "H10"),
        sets=(
            MainCf("smtpd_client_connection_count_limit", lambda g: str(g.mta_limits.connections)),
            # postscreen (mta.screened) knows no exceptions, and holds every stranger for some seconds: its own bound is only
            # against a flood, that of smtpd behind it holds for everybody else.
            MainCf("postscreen_client_connection_count_limit", "50"),
            MainCf("smtpd_client_connection_rate_limit", lambda g: str(g.mta_limits.connections_per_minute)),
            MainCf("anvil_rate_time_unit", "60s"),
            MainCf("smtpd_client_event_limit_exceptions", _exempt),
            _at_connect("conncontrol", "ConnControl"),
            _at_connect("ratecontrol", "RateControl"),
            SendmailMc("confCONNECTION_RATE_WINDOW_SIZE", "60s"),
            AccessEntry(_counted),
        ),
        unseen="Seeing it would take the audit over the limit, and keep it out; the acceptance tests do that in the lab.",
        weight=6,
    ),
    Defence(
        id="mta.client-rates",
        title="One client sends a bounded number of messages, to a bounded number of recipients",
        why="What comes by one connection without pause is bounded by no limit of connections.",
        rows=("A22", "H10"),
        sets=(
            MainCf("smtpd_client_message_rate_limit", lambda g: str(g.mta_limits.messages_per_minute)),
            MainCf("smtpd_client_recipient_rate_limit", lambda g: str(g.mta_limits.recipients_per_minute)),
        ),
        unseen="Seeing it would take the audit over the limit, and keep it out; the acceptance tests do that in the lab.",
        lacks={
            "sendmail": "Sendmail counts connections alone; what comes by them is bounded by their number, by the recipients of "
            "one message and by the pauses after bad ones.",
        },
    ),
    Defence(
        id="mta.error-limits",
        title="A session of errors is slowed down, and then ended",
        why="Who guesses addresses or tries command after command gets few of them, and holds no process for long.",
        rows=("H10",),
        sets=(
            MainCf("smtpd_soft_error_limit", lambda g: str(g.mta_limits.errors_slow)),
            MainCf("smtpd_hard_error_limit", lambda g: f"${{stress?{{1}}:{{{g.mta_limits.errors}}}}}"),
            MainCf(
                "smtpd_junk_command_limit", lambda g: f"${{stress?{{1}}:{{{g.mta_limits.idle_commands}}}}}"
            ),
            MainCf("smtpd_error_sleep_time", "1s"),
            # Sendmail counts the bad recipients of a message; our ruleset all other errors, and idle commands, since the last
            # message. Those of a whole session the program counts itself: 25 unknown commands end it, and after so many idle
            # ones each reply takes twice as long as the one before.
            SendmailMc("confBAD_RCPT_THROTTLE", lambda g: str(g.mta_limits.errors_slow)),
            SendmailOption("BadRcptShutdown", lambda g: str(g.mta_limits.errors)),
            # However many good ones stand beside them.
            SendmailOption("BadRcptShutdownGood", "0"),
            SendmailMc(
                "confMAX_NOOP_COMMANDS", lambda g: str(g.mta_limits.idle_commands + g.mta_limits.errors)
            ),
            SendmailRule("check_other", _ended),
        ),
        unseen="Seeing it takes dozens of errors in one session; the acceptance tests do that in the lab.",
    ),
    Defence(
        id="mta.silent-clients",
        title="A client that falls silent is left, and all clients together hold a bounded number of processes",
        why="Whoever connects and says nothing holds a process; a thousand of them hold the memory of the whole host.",
        rows=("H10",),
        sets=(
            # Who is slow while all processes are taken is cut off sooner.
            MainCf("smtpd_timeout", lambda g: f"${{stress?{{10}}:{{{g.mta_limits.command_seconds}}}}}s"),
            MainCf("default_process_limit", str(_PROCESSES)),
            # An hour each unless told otherwise, and no bound on processes.
            *(
                SendmailMc(key, lambda g: f"{g.mta_limits.command_seconds}s")
                for key in ("confTO_COMMAND", "confTO_DATABLOCK", "confTO_STARTTLS")
            ),
            SendmailMc("confMAX_DAEMON_CHILDREN", str(_PROCESSES)),
        ),
        unseen="Seeing it takes minutes of silence; the acceptance tests do that in the lab.",
        weight=6,
    ),
    Defence(
        id="mta.slow-clients",
        title="A client that sends octet by octet has no more time for a command than others",
        why="Where each octet is given the whole time anew, one a minute holds a process for a day.",
        rows=("H10",),
        sets=(
            # Content must come at 500 octets a second on average (smtpd_min_data_rate), which any line does.
            MainCf("smtpd_per_request_deadline", "yes", since=(3, 7), formerly="smtpd_per_record_deadline"),
        ),
        unseen="Seeing it takes minutes of dawdling; the acceptance tests do that in the lab.",
        lacks={
            "sendmail": "Sendmail gives each octet the time of a command; how many such sessions there are is bounded for a client "
            "(mta.client-limits) and for all together (mta.silent-clients).",
        },
        weight=6,
    ),
)
