"""The resolver's defences."""

from roles.claims import DnsSilence
from roles.defence import Defence
from roles.kinds import HostAnswer, UnboundOption, UnitOption
from roles.settings import Gateway

PROGRAM = "/usr/local/lib/bastide/dnsbl.py"
ROOT_KEY = "/var/lib/unbound/root.key"

_PRIVATE = (
    *(
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
    ),
    *("::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10"),
)


def _fixed(**options: str) -> tuple[UnboundOption, ...]:
    """Return options that no setting changes; a name's underscores stand for hyphens."""
    return tuple(UnboundOption(name.replace("_", "-"), value) for name, value in options.items())


def _private_domains(gateway: Gateway) -> str:
    """Return the domains whose names may have private addresses: declared ones, next hops, and block lists' answers."""
    hops = {
        hop.partition(":")[0].strip("[]")
        for hop in gateway.every_next_hop
        if ":" not in hop.partition("]")[0]
    }
    names = {name for name in hops if any(letter.isalpha() for letter in name)}
    lists = {entry.zone.rstrip(".") for entry in gateway.dnsbl}
    return "\n".join(sorted({*gateway.dns.private_domains, *names, *lists}))


def _own_root(gateway: Gateway) -> bool:
    return any(anchor.split()[0] == "." for anchor in gateway.dns.trust_anchors)


DEFENCES = (
    Defence(
        id="dns.loopback",
        title="The resolver answers the gateway itself and nobody else",
        why="A resolver that others reach is asked for their victims' sake, and shows them what it has in its cache.",
        rows=("H06",),
        sets=(
            UnboundOption("interface", "127.0.0.1"),
            UnboundOption("access-control", "0.0.0.0/0 refuse\n::/0 refuse\n127.0.0.0/8 allow"),
            HostAnswer(
                subject="addresses that DNS is answered on",
                command="ss -H -l -t -u -n 'sport = :53' | awk '{ print $5 }' | sort -u",
                matches="127.0.0.1:53",
                refuted_by="0.0.0.0:53",
            ),
            UnitOption(unit="unbound.service", option="UnitFileState", value="enabled"),
            UnitOption(unit="unbound.service", option="ActiveState", value="active"),
        ),
        claims=tuple(
            DnsSilence(protocol=protocol, family=family, refuted_by="refused", vantage=vantage)
            for protocol in ("udp", "tcp")
            for family in (4, 6)
            for vantage in ("wan", "lan")
        ),
        weight=6,
    ),
    Defence(
        id="dns.resolver",
        title="Every program of the gateway asks the local resolver",
        why="Who answers decides where mail goes; and block lists refuse resolvers that serve the whole world.",
        rows=("H06", "P18"),
        sets=(
            HostAnswer(
                subject="resolvers that programs ask",
                # libc's own file, and its copy in Postfix's chroot where there is one: libc has nobody to ask for it.
                command="cat /etc/resolv.conf /var/spool/postfix/etc/resolv.conf 2>/dev/null "
                "| sed -n 's/^nameserver *//p' | sort -u",
                matches="127.0.0.1",
                refuted_by="127.0.0.1\n192.0.2.53",
            ),
        ),
        unseen="Whom the gateway asks is seen by nobody but those it asks.",
    ),
    Defence(
        id="dns.validating",
        title="Signed answers are checked, and a wrong signature is no answer",
        why="Who forges an MX, a policy or a TLSA record reads the mail; DNSSEC shows it (RFC 4035).",
        rows=("H06",),
        sets=(
            *_fixed(
                module_config="validator iterator",
                val_permissive_mode="no",
                val_clean_additional="yes",
                harden_dnssec_stripped="yes",
                harden_algo_downgrade="yes",
                harden_below_nxdomain="yes",
            ),
            UnboundOption("auto-trust-anchor-file", lambda g: "" if _own_root(g) else ROOT_KEY),
            UnboundOption("trust-anchor", lambda g: "\n".join(g.dns.trust_anchors)),
            UnboundOption("domain-insecure", lambda g: "\n".join(g.dns.insecure_domains)),
        ),
        unseen="An outsider would need a zone with a wrong signature; the acceptance tests have one.",
        weight=7,
    ),
    Defence(
        id="dns.no-private-answers",
        title="Foreign names do not point into private networks",
        why="A sender's MX or host name that answers 127.0.0.1 or 10.0.0.1 has the gateway speak to its own neighbours.",
        rows=("H06",),
        sets=(
            UnboundOption("private-address", "\n".join(_PRIVATE)),
            UnboundOption("private-domain", _private_domains),
        ),
        unseen="It shows only in what the gateway does not connect to; the acceptance tests ask it.",
    ),
    Defence(
        id="dns.hardened",
        title="Answers are hard to forge, and say no more than was asked",
        why="Off the path an attacker has to guess; small answers, bound questions and proof of absence leave little to guess.",
        rows=("H06",),
        sets=_fixed(
            qname_minimisation="yes",
            aggressive_nsec="yes",
            harden_glue="yes",
            harden_short_bufsize="yes",
            harden_large_queries="yes",
            deny_any="yes",
            minimal_responses="yes",
            rrset_roundrobin="yes",
            unwanted_reply_threshold="10000000",
            edns_buffer_size="1232",  # no fragments (the DNS flag day of 2020)
            max_udp_size="1232",
            hide_identity="yes",
            hide_version="yes",
            hide_trustanchor="yes",
        ),
        unseen="Only name servers that it asks see its questions.",
        weight=6,
    ),
    Defence(
        id="dns.fresh",
        title="No answer outlives what its owner said",
        why="An expired answer names a mail server that is gone, or a listing that was lifted hours ago.",
        rows=("H06", "A14"),
        sets=_fixed(serve_expired="no", prefetch="yes", cache_min_ttl="0", cache_max_negative_ttl="3600"),
        unseen="What is in the cache is known to the gateway alone.",
        weight=4,
    ),
    Defence(
        id="dns.lists-tested",
        title="A block list is tested before it is used, and every hour",
        why="A list that was closed, or dislikes our resolver, answers that everybody is listed; all mail would be refused.",
        rows=("A14", "P18"),
        sets=(
            HostAnswer(
                subject="block lists that are out of service or in doubt",
                command=f"python3 -I {PROGRAM} status",
                matches="",
                refuted_by="dnsbl.zen is out of service: it answers 127.255.255.254: it refuses our resolver",
            ),
            HostAnswer(
                subject="what a test of the block lists would change",
                command=f"python3 -I {PROGRAM} differences",
                matches="",
                refuted_by="dnsbl.zen is out of service: it lists 127.0.0.1, and so perhaps every address",
            ),
            UnitOption(unit="bastide-dnsbl.timer", option="ActiveState", value="active"),
            UnitOption(unit="bastide-dnsbl.timer", option="UnitFileState", value="enabled"),
        ),
        unseen="What the lists answer the gateway is seen by the lists.",
        weight=6,
    ),
)
