"""What TLS is to be, for both MTAs: protocols, ciphers, and what is asked of which next hop."""

from typing import Final

from roles.forms import next_hops
from roles.international import spellings
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

# What Sendmail calls strong enough; every suite above is.
_LEAST_BITS: Final = 128

_TAG: Final = "Mandatory"

MTA_STS_ADDRESS: Final = "127.0.0.1:8461"
MTA_STS_UNIT: Final = "postfix-mta-sts-resolver.service"


# The same for Sendmail, by the names of SSL_CTX_set_options(3). Its daemon would keep one ticket key for as long as it lives.
_SSL_OPTIONS: Final = (
    "+SSL_OP_NO_SSLv2 +SSL_OP_NO_SSLv3 +SSL_OP_NO_TLSv1 +SSL_OP_NO_TLSv1_1 +SSL_OP_NO_COMPRESSION"
)
CLIENT_SSL_OPTIONS: Final = _SSL_OPTIONS
SERVER_SSL_OPTIONS: Final = (
    f"{_SSL_OPTIONS} +SSL_OP_NO_TICKET +SSL_OP_NO_RENEGOTIATION +SSL_OP_CIPHER_SERVER_PREFERENCE"
)


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
    # Postfix looks a domain up as the recipient's address has it.
    others = {
        name: policy
        for domain, policy in wanted.items()
        if domain not in gateway.relay_domains
        for name in spellings(gateway, domain)
    }
    return {hop: _words(policy) for hop, policy in sorted({**hops, **others}.items())}


def _words(policy: NextHopTls | None) -> str:
    if policy is None:
        return "dane"
    matched = policy.fingerprints if policy.level == "fingerprint" else policy.names
    separator = "|" if policy.level == "fingerprint" else ":"
    match = f" match={separator.join(matched)}" if matched else ""
    return f"{policy.level}{match}"


def recipient_requirements(gateway: Gateway) -> dict[str, str]:
    """Return what TLS to each domain must be, as entries of Sendmail's access database, in its words (cf/README, "STARTTLS").

    A failure of any of them is temporary: the mail waits. The tag is our own: what stands under Sendmail's (TLS_Rcpt) binds
    all that is below a domain, too, and Postfix looks up the domain alone.
    """
    return {
        f"{_TAG}:{domain}": f"TEMP+{_requirement(gateway, domain, policy)}"
        for domain, policy in sorted(gateway.tls.mandatory.items())
    }


# Called for each recipient, before Sendmail's own rules and what MTA-STS asks (cf/README, LOCAL_TLS_RCPT).
RECIPIENT_RULES: Final = (
    "R$*\t$: $(macro {TLS_Name} $@ $&{server_name} $) $>CanonAddr $1",
    "R$* < @ $+ . >\t$1 < @ $2 >",
    f"R$* < @ $+ >\t$: $2 $| $(access {_TAG}:$2 $: NO $)",
    "R$* $| NO\t$@ OK",
    'R$* $| $* <TMPF>\t$#error $@ 4.3.0 $: "451 What TLS this domain must have is not known now (rule mta.tls-mandatory)"',
    "R$* $| $+\t$@ $>TLS_connection $&{verify} $| <$2>",
    "R$*\t$@ OK",
)


def _requirement(gateway: Gateway, domain: str, policy: NextHopTls) -> str:
    if policy.level == "encrypt":
        return f"ENCR:{_LEAST_BITS}"
    if policy.level == "verify" and not policy.names:
        # The name of the server, which its MX record gives (verify of postconf(5)).
        return f"VERIFY:{_LEAST_BITS}+CN"
    hop = gateway.relay_domains.get(domain, domain)
    return f"VERIFY:{_LEAST_BITS}+CN:{(*policy.names, hop.strip('[').partition(']')[0])[0]}"
