"""What is published by DNS: `python -m publish` prints all of it and looks for it; these say what becomes of each."""

from roles.tasks.task import Task

_PUBLISH = "Run `.venv/bin/python -m publish INVENTORY` and give {what} (docs/dns.md, What you publish)."


def _how(what: str) -> str:
    return _PUBLISH.format(what=what)


TASKS = (
    Task(
        id="publish.addresses",
        title="The gateway's name has its addresses",
        why="Other servers compare the name that the gateway greets with to its address, and refuse mail where they differ.",
        how=_how(
            "its A and AAAA records to the zone of `hostname`; `publish.addresses` must name the addresses"
        ),
        settled=lambda gateway: bool(gateway.publish.addresses),
        publishes=(("A", ""), ("AAAA", "")),
    ),
    Task(
        id="publish.ptr",
        title="Each address of the gateway has the gateway's name (PTR)",
        why="Large receivers refuse mail from addresses without a name, or with a provider's.",
        how=_how("its PTR records to whoever leases you the addresses; nobody else can set them"),
        settled=lambda gateway: bool(gateway.publish.addresses),
        publishes=(("PTR", ""),),
    ),
    Task(
        id="publish.mx",
        title="The domains' MX records name the gateways, and nobody else (the cut-over)",
        why="Until then no mail comes this way; afterwards another MX, also one of less preference, is the way past the gateway.",
        how=_how(
            "the MX records to the domains' zones. Audit the gateway first, lower the old records' TTL a day before, keep the "
            "old server up until it gets nothing more, then take its MX records away"
        ),
        publishes=(("MX", ""),),
    ),
    Task(
        id="publish.spf",
        title="SPF says who sends in the domains' names",
        why="Without it anybody does, also to you: `own_domains_proven` asks for it.",
        how=_how("the SPF records to the zones, after `publish.spf` names everybody else who sends for you"),
        publishes=(("TXT", "v=spf1"),),
    ),
    Task(
        id="publish.dkim",
        title="The keys that your mail is signed with are published",
        why="A signature that nobody can check proves nothing, and DMARC then rests on SPF alone, which forwarding breaks.",
        how=_how(
            "the DKIM records to the zones, after `publish.dkim` holds the public keys of your mail server"
        ),
        settled=lambda gateway: bool(gateway.publish.dkim),
        publishes=(("TXT", "v=DKIM1"),),
    ),
    Task(
        id="publish.dmarc",
        title="DMARC asks others to refuse forgeries of your domains",
        why="With `none` others report forgeries and let them in.",
        how=_how(
            "the DMARC records to the zones; read the reports for some weeks, then set `publish.dmarc` to `quarantine`, then "
            "`reject`"
        ),
        settled=lambda gateway: gateway.publish.dmarc != "none",
        publishes=(("TXT", "v=DMARC1"),),
    ),
    Task(
        id="publish.mta-sts",
        title="MTA-STS makes other servers insist on TLS with the gateway",
        why="Whoever is between takes STARTTLS away, and mail comes in clear; a policy that is only tested stops nobody.",
        how=_how(
            "the record to the zones and the policy to a web server at https://mta-sts.DOMAIN/.well-known/mta-sts.txt; when "
            "reports are clean set `publish.mta_sts` to `enforce`. It takes a certificate of a public authority"
        ),
        settled=lambda gateway: gateway.publish.mta_sts == "enforce",
        publishes=(("TXT", "v=STSv1"), ("HTTPS", "/.well-known/mta-sts.txt")),
    ),
    Task(
        id="publish.tls-reports",
        title="Other servers know where to report failures of TLS",
        why="It is the only way to hear that somebody's mail does not come because of it.",
        how=_how("the TLS-RPT records to the zones, and somebody to read what comes to `tls.report_address`"),
        publishes=(("TXT", "v=TLSRPTv1"),),
    ),
    Task(
        id="publish.dane",
        title="The gateway's key is published in a signed zone (DANE)",
        why="It is what servers that heed DANE hold the gateway's certificate against, whoever signed it.",
        how="Sign the zone of `hostname` with DNSSEC, copy the certificate from the gateway and run "
        "`.venv/bin/python -m publish INVENTORY --certificate FILE --check` (docs/dns.md); a zone that is not signed needs none.",
    ),
)
