"""What belongs to the mail: its servers, certificates, lists, and who reads what the gateway writes."""

from roles.kinds import HostAnswer
from roles.mta.tls.policy import PAIR
from roles.tasks.task import Task

TASKS = (
    Task(
        id="mail.certificate",
        title="The certificate is an authority's, not self-signed",
        why="Servers that verify, as MTA-STS has them do, refuse one that nobody vouches for.",
        how="Set `tls.certificate` to `acme` or `files` (docs/tls.md, The gateway's certificate) and deploy; "
        "`journalctl -u bastide-certificate` on the gateway says why one was refused.",
        settled=lambda gateway: gateway.tls.certificate != "self-signed",
        asks=HostAnswer(
            subject="who signed the certificate in use",
            command=f"openssl x509 -noout -in {PAIR} -subject_hash && openssl x509 -noout -in {PAIR} -issuer_hash",
            matches=r"([0-9a-f]+)\n(?!\1$)[0-9a-f]+",
            refuted_by="1a2b3c4d\n1a2b3c4d",
        ),
        defence="mta.tls-certificate",
    ),
    Task(
        id="mail.only-way",
        title="The protected server takes mail from the gateway alone",
        why="Spammers keep old MX records and scan for servers: what they hand in there directly was looked at by nobody.",
        how="Let that server's own packet filter open port 25 to the gateways' addresses alone; then try it from elsewhere: "
        "`nc -w 5 SERVER 25` must get no answer.",
    ),
    Task(
        id="mail.administrator",
        title="Somebody reads the gateway's own mail",
        why="Alerts, reports, and what others write to postmaster and abuse (RFC 2142) come there.",
        how="Set `administrator` to a mailbox that several people read, deploy, and send it a message from outside.",
        settled=lambda gateway: bool(gateway.administrator),
    ),
    Task(
        id="mail.block-lists",
        title="Block lists are chosen",
        why="Most of what spammers send is refused by the sender's address alone; each list has terms of use that only you can accept.",
        how="Name lists in `dnsbl` (docs/dns.md, Block lists), at first with `mode` `warn`.",
        settled=lambda gateway: bool(gateway.dnsbl),
        defence="mta.dnsbl",
    ),
    Task(
        id="mail.rules-that-warn",
        title="No rule of the MTA only warns",
        why="What a rule in its dry run would refuse is let in, for as long as nobody thinks of it.",
        how="`.venv/bin/python -m audit INVENTORY --layer mta` names them; read what they would have refused (docs/mta-rules.md), "
        "then take them out of `mta_rules.warn_only`.",
        settled=lambda gateway: not gateway.mta_rules.warn_only,
    ),
    Task(
        id="mail.quarantine",
        title="Somebody looks through what is kept",
        why="What was wrongly kept is missed by its recipient, who does not know of it.",
        how="Agree on who does it and how often: `filterd quarantine list` on the gateway and the daily report name it "
        "(docs/ledger.md, docs/reports.md).",
    ),
)
