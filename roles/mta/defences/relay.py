"""Whom the gateway relays for."""

from ipaddress import ip_network

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import AccessEntry, HostAnswer, MainCf, Restriction, SendmailFeature, SendmailText
from roles.kinds.sendmail import asked
from roles.mta.defences.dialogue import EHLO, MAIL, REFUSED, TAKEN
from roles.mta.networks import access_keys
from roles.mta.relaying import ORDERED
from roles.mta.rules import Network
from roles.settings import Gateway

LOOPBACK = ("127.0.0.0/8", "[::1]/128")


def own_networks(gateway: Gateway) -> str:
    """Return the networks whose hosts may relay, in postconf(5)'s words: this host, and what is declared."""
    declared = (ip_network(entry.network) for entry in gateway.relay_networks)
    return " ".join((*LOOPBACK, *(postfix_network(network) for network in declared)))


def postfix_network(network: Network) -> str:
    """Return a network as Postfix's lists write it: an IPv6 one in brackets, or its colon would name a table type."""
    if network.version == 4:  # noqa: PLR2004 - the family
        return str(network)
    return f"[{network.network_address}]/{network.prefixlen}"


def _relayed(gateway: Gateway) -> dict[str, str]:
    """Return the access database's entries that relay: to the declared domains, and from the declared networks."""
    own = (key for entry in gateway.relay_networks for key in access_keys(ip_network(entry.network)))
    return {
        **{f"To:{domain}": "RELAY" for domain in gateway.domains},
        **{f"Connect:{key}": "RELAY" for key in own},
    }


# A recipient elsewhere, in the spellings that relays were talked into: by plain address, routed by percent and bang,
# by source route (RFC 5321 appendix C), quoted, by address literal, and hidden behind the gateway's own names.
RELAY_SPELLINGS = (
    ("plain", "<victim@elsewhere.example>"),
    ("percent", "<victim%elsewhere.example@{domain}>"),
    ("bang", "<elsewhere.example!victim@{domain}>"),
    ("source-route", "<@{domain}:victim@elsewhere.example>"),
    ("quoted", '<"victim@elsewhere.example"@{domain}>'),
    ("double-at", "<victim@elsewhere.example@{domain}>"),
    ("address-literal", "<victim@[198.51.100.53]>"),
    ("own-name", "<victim%elsewhere.example@{hostname}>"),
)


def _relay_attempt(name: str, recipient: str) -> Reply:
    return Reply(
        about=f"relay-{name}",
        lines=(EHLO, MAIL, f"RCPT TO:{recipient}"),
        matches=REFUSED,
        refuted_by=TAKEN,
    )


DEFENCES = (
    Defence(
        id="mta.no-open-relay",
        title="Mail is relayed for the declared domains only",
        why="An open relay sends other people's spam until every block list knows its address.",
        rows=("A03", "A09", "A10"),
        sets=(
            MainCf("mynetworks", own_networks),
            MainCf("relay_domains", "texthash:/etc/postfix/transport"),
            MainCf("mydestination", ""),
            MainCf("allow_untrusted_routing", "no"),
            MainCf("parent_domain_matches_subdomains", ""),
            Restriction("smtpd_relay_restrictions", "permit_mynetworks"),
            Restriction("smtpd_relay_restrictions", "reject_unauth_destination", says="Relay access denied"),
            SendmailText("confRELAY_MSG", "550 Relaying denied (rule mta.no-open-relay)", "Basic_check_rcpt"),
            # In front of all rules about recipients: none of them can open the relay, and strangers cannot have any address of
            # the world asked for.
            # What older releases have in its place: roles/mta/relaying.py.
            MainCf("smtpd_relay_before_recipient_restrictions", "yes", since=ORDERED),
            # To these domains, and not from them: class R and a plain RELAY would believe the client's name in DNS.
            AccessEntry(_relayed),
            HostAnswer(
                mta="sendmail",
                subject="domains and clients that Sendmail relays for without the access database",
                command=asked("$=R"),
                matches="",
                refuted_by="sender.example",
            ),
            # Else the name of a domain is also that of all below it.
            SendmailFeature(
                feature="relay_hosts_only",
                asks=(".D{client_addr}192.0.2.1", ".D{client_name}x.invalid", "Relay_ok x@sub.invalid"),
                shows=r"(?m)^Relay_ok +returns",
                refuted_by="undefined ruleset",
            ),
            SendmailFeature(
                feature="nouucp",
                arguments=("reject",),
                asks=("canonify elsewhere!victim",),
                shows=r"(?m)^canonify +returns: (?!.*< @ ).*",
                refuted_by="canonify         returns: victim < @ elsewhere . UUCP . >",
            ),
        ),
        claims=tuple(_relay_attempt(name, recipient) for name, recipient in RELAY_SPELLINGS),
        weight=10,
    ),
)
