"""Encryption on the way (docs/tls.md)."""

from roles.claims import Handshake, StarttlsInjection, TlsHandshake, TlsRenegotiation, TlsSuites, TlsVersions
from roles.defence import Defence
from roles.kinds import (
    AccessEntry,
    FileMode,
    HostAnswer,
    MainCf,
    PostfixMap,
    SendmailFeature,
    SendmailMc,
    SendmailRule,
    UnitOption,
)
from roles.kinds.sendmail import asked, option
from roles.mta.defences.dialogue import TELLTALE
from roles.mta.tls.policy import (
    CIPHERS,
    CLIENT_SSL_OPTIONS,
    MTA_STS_ADDRESS,
    MTA_STS_UNIT,
    PAIR,
    RECIPIENT_RULES,
    SCRIPT,
    SERVER_SSL_OPTIONS,
    TIMER,
    fetches_policies,
    next_hop_policies,
    recipient_requirements,
)
from roles.platforms import row
from roles.settings import Gateway

_FLOOR = ">=TLSv1.2"
# The words of a Postfix that knows no `>=` yet: all that was before it, one by one.
_ONE_BY_ONE = "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"
_FROM_A_FLOOR = (3, 6)
_GRADE = "high"
_WEAK = frozenset({"null", "export", "rc4", "des", "3des", "anonymous", "static-rsa", "idea-seed"})
_POLICY_MAP = "texthash:/etc/postfix/tls_policy"


def _floor(gateway: Gateway) -> str:
    return _FLOOR if row(gateway).postfix_release >= _FROM_A_FLOOR else _ONE_BY_ONE


def _policy_maps(gateway: Gateway) -> str:
    return f"{_POLICY_MAP} socketmap:inet:{MTA_STS_ADDRESS}:postfix" if gateway.tls.mta_sts else _POLICY_MAP


DEFENCES = (
    Defence(
        id="mta.tls-certificate",
        title="STARTTLS is offered with a certificate of the gateway's own name",
        why="Without one every sender sends in clear. Its key is made on the gateway, or is put there, and never leaves.",
        rows=("H13",),
        sets=(
            FileMode(path=PAIR, mode="600", mta="postfix"),
            # Sendmail runs without root, and reads the key itself.
            FileMode(path=PAIR, mode="600", owner="smmta", group="smmta", mta="sendmail"),
            HostAnswer(
                subject="the certificate in use",
                command=f"{SCRIPT} state",
                matches="good",
                refuted_by="",
            ),
            UnitOption(unit=TIMER, option="ActiveState", value="active"),
            MainCf("smtpd_tls_security_level", "may"),
            MainCf("smtpd_tls_chain_files", PAIR),
            # No other key, which a client could be shown instead.
            MainCf("smtpd_tls_cert_file", ""),
            MainCf("smtpd_tls_eccert_file", ""),
            MainCf("tls_server_sni_maps", ""),
            # A certificate of a stranger proves nothing to us, and some clients hang up when asked for theirs.
            MainCf("smtpd_tls_ask_ccert", "no"),
            MainCf("smtpd_tls_req_ccert", "no"),
            # Whoever reads the message later sees whether its way to us was encrypted; the software is not named.
            MainCf("smtpd_tls_received_header", "yes"),
            MainCf("smtpd_tls_loglevel", "1"),
            SendmailMc("confSERVER_CERT", PAIR),
            SendmailMc("confSERVER_KEY", PAIR),
            SendmailMc("confCACERT", lambda g: row(g).here(g.tls.authorities)),
            SendmailMc("confCACERT_PATH", "/etc/ssl/certs"),
            # V: no certificate is asked for.
            SendmailMc("confTLS_SRV_OPTIONS", "V"),
        ),
        claims=(
            TlsHandshake(
                unnamed=TELLTALE,
                refuted_by=Handshake(
                    hostname="mx1.example.org",
                    names=frozenset({"mx1.example.org"}),
                    text="CN=mx1.example.org, O=Debian; mx1.example.org",
                ),
            ),
        ),
        weight=7,
    ),
    Defence(
        id="mta.tls-floor",
        title="TLS 1.2 is the least, in both directions, and each suite has forward secrecy",
        why="TLS 1.0 and 1.1 are deprecated (RFC 8996); who records traffic today must not read it when a key leaks tomorrow.",
        rows=("H13",),
        sets=(
            *(
                MainCf(f"{side}_tls_{which}protocols", _floor)
                for side in ("smtpd", "smtp")
                for which in ("", "mandatory_")
            ),
            *(
                MainCf(f"{side}_tls_{which}ciphers", _GRADE)
                for side in ("smtpd", "smtp")
                for which in ("", "mandatory_")
            ),
            MainCf("tls_high_cipherlist", CIPHERS),
            MainCf("tls_preempt_cipherlist", "yes"),
            MainCf("tls_ssl_options", "NO_COMPRESSION, NO_RENEGOTIATION"),
            SendmailMc("confCIPHER_LIST", CIPHERS),
            SendmailMc("confSERVER_SSL_OPTIONS", SERVER_SSL_OPTIONS),
            SendmailMc("confCLIENT_SSL_OPTIONS", CLIENT_SSL_OPTIONS),
            # A built-in group of 2048 bits (RFC 7919).
            SendmailMc("confDH_PARAMETERS", "2"),
        ),
        claims=(
            TlsVersions(
                exactly=frozenset({"TLS 1.2", "TLS 1.3"}),
                refuted_by=frozenset({"TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"}),
            ),
            TlsSuites(asked=_WEAK, refuted_by=frozenset({"3des"})),
            TlsRenegotiation(refuted_by="done"),
        ),
        weight=6,
    ),
    Defence(
        id="mta.tls-sessions",
        title="No ticket opens the sessions of yesterday: its key changes within the hour, or there are none",
        why="A ticket key that lives for days opens all sessions of those days, forward secrecy or not (RFC 9325 3.4).",
        rows=("H13",),
        sets=(
            MainCf("smtpd_tls_session_cache_timeout", "3600s"),
            # Tickets need no cache: nothing about sessions is kept on disk.
            MainCf("smtpd_tls_session_cache_database", ""),
            MainCf("smtp_tls_session_cache_database", "lmdb:$data_directory/smtp_scache"),
            MainCf("smtp_tls_session_cache_timeout", "3600s"),
            # OpenSSL would keep the key of Sendmail's tickets for as long as the process lives.
            HostAnswer(
                mta="sendmail",
                subject="whether the server gives tickets",
                command=f"{option('ServerSSLOptions')} | grep -o SSL_OP_NO_TICKET",
                matches="SSL_OP_NO_TICKET",
                refuted_by="",
            ),
        ),
        unseen="How long a key lives, an outsider would have to wait for.",
        weight=4,
    ),
    Defence(
        id="mta.tls-no-injection",
        title="What came before TLS counts for nothing within it",
        why="A command slipped in behind STARTTLS would be obeyed as if the authenticated client had sent it (CVE-2011-0411).",
        rows=("H13", "P26"),
        sets=(
            # Nobody logs in here; if somebody ever does, not in clear.
            MainCf("smtpd_tls_auth_only", "yes"),
        ),
        claims=(StarttlsInjection(refuted_by="250-mx1.example.org\n250 PIPELINING"),),
        weight=8,
    ),
    Defence(
        id="mta.tls-outbound",
        title="Mail to other servers is encrypted wherever they offer it",
        why="Opportunistic TLS costs nothing and keeps mail from who merely listens (RFC 7435).",
        rows=("H13",),
        sets=(
            MainCf("smtp_tls_security_level", "dane"),
            # Not written: from 3.9 on Postfix complains of each main.cf that names it.
            HostAnswer(
                mta="postfix",
                subject="smtp_tls_per_site",
                command="postconf -h smtp_tls_per_site",
                matches="",
                refuted_by="hash:/etc/postfix/tls_per_site",
            ),
            MainCf("smtp_tls_loglevel", "1"),
            # Where nothing says that there must be TLS, a handshake that fails is no reason to keep mail back.
            SendmailMc("confTLS_FALLBACK_TO_CLEAR", "true"),
            # Sendmail encrypts wherever it is offered unless the access database forbids it.
            HostAnswer(
                mta="sendmail",
                subject="whether encryption is forbidden towards any server",
                command=asked(".D{server_addr}192.0.2.1", ".D{server_name}x.invalid", "try_tls x.invalid")
                + " | grep '^try_tls *returns: '",
                matches=r"(try_tls +returns: )(?!.*error).+",
                refuted_by="try_tls          returns: $# error $@ 5 . 7 . 1 $: 550 do not try TLS",
            ),
        ),
        unseen="Only the next hop sees it; the acceptance tests are next hops of every kind.",
        weight=7,
    ),
    Defence(
        id="mta.tls-mandatory",
        title="What TLS a domain must have by declaration, it has, or its mail waits",
        why="Who sits in the way removes the offer of STARTTLS, and opportunistic TLS then sends in clear.",
        rows=("H13",),
        sets=(
            MainCf("smtp_tls_policy_maps", _policy_maps),
            PostfixMap(_POLICY_MAP, next_hop_policies),
            MainCf("smtp_tls_CAfile", lambda g: row(g).here(g.tls.authorities)),
            MainCf("smtp_tls_CApath", ""),
            MainCf("smtp_tls_fingerprint_digest", "sha256"),
            AccessEntry(recipient_requirements),
            SendmailRule("Local_tls_rcpt", RECIPIENT_RULES),
            # Names beside the common name count (RFC 6125 6.4).
            SendmailFeature(
                feature="check_cert_altnames",
                asks=("=STLS_req",),
                shows=r"cert_altnames",
                refuted_by="R< CN > $* $| < $+ >",
            ),
        ),
        unseen="Only the next hop sees it; the acceptance tests are next hops of every kind.",
        weight=7,
    ),
    Defence(
        id="mta.dane",
        title="Mail goes to the server that DNSSEC names, where it names one",
        why="TLSA records (RFC 7672) stop who answers in the server's place, without asking any authority.",
        rows=("H13",),
        sets=(
            MainCf("smtp_dns_support_level", "dnssec"),
            # Where only the address of a server is known to be right, its TLSA records are not asked for.
            MainCf("smtp_tls_dane_insecure_mx_policy", "may"),
        ),
        unseen="Only domains with TLSA records see it; the acceptance tests publish some.",
        lacks={
            "sendmail": "Debian builds Sendmail without DANE; a domain of weight is named in `tls.mandatory` in its place, and "
            "MTA-STS covers what publishes a policy."
        },
        weight=6,
    ),
    Defence(
        id="mta.mta-sts",
        title="What other domains promise by MTA-STS is held to",
        why="Whoever sits in the way strips the offer of STARTTLS; a policy that came over HTTPS and is kept on disk says that it "
        "must be there, and with whose certificate (RFC 8461).",
        rows=("H13",),
        when=fetches_policies,
        sets=(
            SendmailFeature(
                feature="sts",
                # The domains that it relays for first: what they ask of the world is not for their own mail server.
                arguments=("sequence relayed stsdaemon",),
                asks=("/map sts bastide.invalid",),
                shows=r"no match|map_lookup.*not found|returns \(bastide.invalid\) no match",
                refuted_by='map named "sts" not found',
            ),
            UnitOption(unit=MTA_STS_UNIT, option="ActiveState", value="active"),
            UnitOption(unit=MTA_STS_UNIT, option="UnitFileState", value="enabled"),
            HostAnswer(
                subject="who reaches the daemon",
                command=f"ss -Hltn 'sport = :{MTA_STS_ADDRESS.rpartition(':')[2]}' | awk '{{ print $4 }}'",
                matches=MTA_STS_ADDRESS,
                refuted_by="0.0.0.0:8461",
            ),
        ),
        unseen="Only domains with a policy see it; the acceptance tests publish some.",
        weight=6,
    ),
)
