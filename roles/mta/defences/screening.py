"""Who is looked at before the MTA speaks: early talkers, and addresses that block lists hold."""

from roles.defence import Defence
from roles.kinds import AccessEntry, DnsblSites, HostAnswer, MainCf, SendmailPatterns, SendmailRule
from roles.kinds.sendmail import asked
from roles.mta.outbound import DECLARED
from roles.mta.rulesets import called, list_patterns, list_rules, unlisted

# Why Sendmail has none.
_PAUSE = (
    "It has no such guard: each client waits for its greeting (mta.early-talker), and none is remembered."
)


def _deep(name: str) -> MainCf:
    return MainCf(f"postscreen_{name}_enable", lambda g: "yes" if name in g.postscreen_deep else "no")


DEFENCES = (
    Defence(
        id="mta.screened",
        title="A client that is new is looked at before it reaches the MTA",
        why="Most connections are of spam software; one small process turns it away, and the MTA's are left for mail.",
        rows=("A14", "A05"),
        when=lambda g: g.postscreen,
        sets=(
            HostAnswer(
                subject="who answers the network's connections, and what stands behind",
                command="postconf -M smtp/inet smtpd/pass | awk '{ print $1, $2, $8 }'",
                matches="smtp inet postscreen\nsmtpd pass smtpd",
                refuted_by="smtp inet smtpd",
                mta="postfix",
            ),
            MainCf("postscreen_cache_map", "lmdb:$data_directory/postscreen_cache"),
            MainCf("postscreen_access_list", "permit_mynetworks, cidr:/etc/postfix/postscreen_access"),
            MainCf(
                "postscreen_denylist_action", "ignore", since=(3, 6), formerly="postscreen_blacklist_action"
            ),
        ),
        unseen="An early talker is cut off with and without it (mta.early-talker); the acceptance tests see who does it.",
        lacks={"sendmail": _PAUSE},
    ),
    Defence(
        id="mta.deep-tests",
        title="What clients are tried for beyond early talk is what was declared",
        why="Each of these tests makes every new client come again, which costs honest mail time; none is on unless declared.",
        rows=("A14", "A05"),
        when=lambda g: g.postscreen,
        sets=(
            *(_deep(name) for name in ("pipelining", "non_smtp_command", "bare_newline")),
            MainCf("postscreen_bare_newline_action", "enforce"),
        ),
        unseen="A test shows in the 450 that a new client gets after it passed, and only to one that passed.",
        lacks={"sendmail": _PAUSE},
        weight=2,
    ),
    Defence(
        id="mta.dnsbl",
        title="Clients that block lists hold are refused, by answers that mean so",
        why="Lists know who sends spam now; an answer that is an error code (127.255.255.x) must refuse nobody.",
        rows=("A14", "A16", "P18"),
        when=lambda g: bool(g.dnsbl),
        sets=(
            DnsblSites(),
            MainCf("postscreen_dnsbl_action", "enforce"),
            MainCf("postscreen_dnsbl_reply_map", "texthash:/etc/postfix/dnsbl_reply"),
            # A zone's name may hold a vendor's key: what the daemon shows is compared without it.
            HostAnswer(
                subject="block lists that a refusal would call by their zone",
                command="postconf -h postscreen_dnsbl_sites | tr -s ', ' '\\n' | sed 's/=.*//' | sed '/^$/d' | sort -u | "
                "while read zone; do postmap -q $zone texthash:/etc/postfix/dnsbl_reply | grep -q '^dnsbl\\.' || echo one; done",
                matches="",
                refuted_by="one",
                mta="postfix",
            ),
            SendmailPatterns(list_patterns),
            AccessEntry(unlisted, DECLARED),
            SendmailRule("Blocklists", list_rules),
            SendmailRule("Local_check_relay", called("Blocklists")),
        ),
        unseen="It takes an address that a list holds; the acceptance tests send from some.",
        weight=6,
    ),
    Defence(
        id="mta.dnsbl-weights",
        title="Lists are weighed, and an allow list outweighs",
        why="One list alone errs; two of little weight that agree, or one of trust that contradicts, say more.",
        rows=("A14",),
        when=lambda g: bool(g.dnsbl),
        sets=(
            MainCf("postscreen_dnsbl_threshold", lambda g: str(g.dnsbl_threshold)),
            # Who is on balance trusted is tried for nothing else.
            MainCf(
                "postscreen_dnsbl_allowlist_threshold",
                lambda g: "-1" if any(entry.counts < 0 for entry in g.dnsbl) else "0",
                since=(3, 6),
                formerly="postscreen_dnsbl_whitelist_threshold",
            ),
            HostAnswer(
                mta="sendmail",
                subject="from how many points on the ruleset refuses, and whether it adds them up",
                command=asked("=SBlocklists") + " | grep -o 'add [+l] .*'",
                matches=r"(add \+ (?s:.*)\n)+add l \$@ \$2 \$@ \d+(?s:.*)",
                refuted_by="",
            ),
        ),
        unseen="It takes addresses that lists hold; the acceptance tests send from some.",
        weight=4,
    ),
)
