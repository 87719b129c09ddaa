"""What TLS is to be, for both MTAs: protocols, ciphers, and what is asked of which next hop."""

from typing import Final

from roles.forms import next_hops
from roles.mta.tls.settings import NextHopTls
from roles.settings import Gateway

# The gateway's key and certificate chain in one file, so that one rename changes both.
DIRECTORY: Final = "/etc/bastide/tls"
PAIR: Final = f"{DIRECTORY}/mta.pem"
# What keeps it, and when.
SCRIPT: Final = "/usr/local/sbin/bastide-certificate"
TIMER: Final = "bastide-certificate.timer"

# RFC 9325 4.2, as openssl-ciphers(1) writes it, for TLS 1.2; those of TLS 1.3 are all good. All with forward secrecy; first those
# with authenticated encryption. CBC comes last, for servers of the last decade: without it they would be sent to in clear.
CIPHERS: Final = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!AESCCM:!aDSS:!aNULL:!eNULL"
)

MTA_STS_ADDRESS: Final = "127.0.0.1:8461"
MTA_STS_UNIT: Final = "postfix-mta-sts-resolver.service"


def fetches_policies(gateway: Gateway) -> bool:
    """Say whether the gateway fetches other domains' MTA-STS policies."""
    return gateway.tls.mta_sts


def next_hop_policies(gateway: Gateway) -> dict[str, str]:
    """Return Postfix's TLS policy by next hop (smtp_tls_policy_maps of postconf(5)).

    Every relayed domain's next hop is in it: what it must do is declared, not asked of the domain's MTA-STS policy,
    and mail inwards does not wait for the daemon that fetches those.
    """
    wanted = gateway.tls.mandatory
    hops = {
        hop: wanted.get(domain) for domain, named in gateway.relay_domains.items() for hop in next_hops(named)
    }
    others = {domain: policy for domain, policy in wanted.items() if domain not in gateway.relay_domains}
    return {hop: _words(policy) for hop, policy in sorted({**hops, **others}.items())}


def _words(policy: NextHopTls | None) -> str:
    if policy is None:
        return "dane"
    matched = policy.fingerprints if policy.level == "fingerprint" else policy.names
    separator = "|" if policy.level == "fingerprint" else ":"
    match = f" match={separator.join(matched)}" if matched else ""
    return f"{policy.level}{match}"
