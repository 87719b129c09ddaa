"""What belongs to the site: logs, copies and watchers elsewhere, and the networks around."""

from roles.forms import is_address
from roles.tasks.task import Task

TASKS = (
    Task(
        id="site.time",
        title="One time server is known by its address",
        why="After a boot with a dead clock the resolver believes no signature, finds no name, and the clock stays wrong for want of one.",
        how="Write the address of a time server (your provider's, your router's) beside the names in `hardening.time_servers`, and deploy.",
        settled=lambda gateway: any(is_address(server) for server in gateway.hardening.time_servers),
        defence="hardening.clock",
    ),
    Task(
        id="site.remote-log",
        title="A copy of the log goes to another host",
        why="Who has broken in edits what is here; what has left he cannot take back.",
        how="Set `hardening.remote_log.host` to a server that takes syslog by TLS (docs/hardening.md, A copy of the log), and deploy.",
        settled=lambda gateway: bool(gateway.hardening.remote_log.host),
        defence="hardening.remote-log",
    ),
    Task(
        id="site.zones",
        title="The networks around the gateway are declared",
        why="Only by its interface can a forged packet that bears an inner address be told from a true one.",
        how="Name each interface with what is behind it in `firewall.zones` (docs/firewall.md), and deploy.",
        settled=lambda gateway: bool(gateway.firewall.zones),
        defence="firewall.spoofed",
    ),
    Task(
        id="site.backup",
        title="There is a copy off the host, and it was once restored",
        why="The host is built anew by a deploy; its ledger, kept mail, certificates and what SpamAssassin learned are not.",
        how="Copy the inventory, /var/lib/filterd, /etc/bastide and /var/lib/spamassassin to a host that the gateway cannot write to, "
        "with a dump of the ledger where it is in PostgreSQL (docs/ledger.md, Where it is), and restore them once onto a fresh one.",
    ),
    Task(
        id="site.store-key",
        title="The key of kept mail is kept apart from it",
        why="Without it nobody opens what was kept; beside it anybody does.",
        how="Copy /etc/filterd/store.key to a place that the copies of /var/lib/filterd do not go to (docs/ledger.md).",
        when=lambda gateway: gateway.filterd_store_encrypted,
    ),
    Task(
        id="site.watched",
        title="Something outside of the gateway sees whether mail passes",
        why="A gateway that is off sends no alert.",
        how="Have your monitoring send a message through it, and read `/health` (setting `filterd_metrics_port`; docs/failures.md).",
    ),
    Task(
        id="site.inventory",
        title="The inventory and the key that deploys are guarded as the gateway is",
        why="Who has them is root on every gateway.",
        how="Keep the inventory in a repository of few, the key on one machine and with a passphrase, and that machine up to date.",
    ),
)
