"""What the MTA may do on its host."""

from roles.defence import Defence
from roles.kinds import FileMode, HostAnswer, UnitOption
from roles.mta.agents import AGENTS
from roles.platforms import row

_UNITS = AGENTS["sendmail"].units


def _sandbox(unit: str) -> tuple[UnitOption, ...]:
    """Return what a unit of Sendmail's must have; the rest of the sandbox is in its file."""
    user = "smmsp" if unit == "sm-client.service" else "smmta"
    rights = "cap_net_bind_service" if unit == "sendmail.service" else ""
    wanted = {
        "User": user,
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": rights,
        "AmbientCapabilities": rights,
        "ProtectSystem": "strict",
        "PrivateDevices": "yes",
        "MemoryDenyWriteExecute": "yes",
    }
    return tuple(
        UnitOption(mta="sendmail", unit=unit, option=name, value=value) for name, value in wanted.items()
    )


DEFENCES = (
    Defence(
        id="mta.sandbox",
        title="What talks to strangers has few rights on the host",
        why="An MTA reads bytes from everybody; who makes it stumble must not have the host, nor its other files.",
        rows=("H10",),
        sets=(
            # Postfix separates its own rights: only master(8) is root, what talks to the network is shut in its queue.
            HostAnswer(
                mta="postfix",
                subject="services for the network that are not in the chroot",
                command="postconf -M | awk '$8 ~ /^(smtpd|smtp|cleanup|tlsmgr)$/ && $5 != \"y\" { print $1 }'",
                matches="",
                refuted_by="smtp",
            ),
            *(setting for unit in _UNITS for setting in _sandbox(unit)),
        ),
        unseen="It shows when somebody has broken in.",
        weight=8,
    ),
    Defence(
        id="mta.private-queue",
        title="Mail that waits can be read by the MTA alone",
        why="The queue is other people's mail, and who can write into it sends in their names.",
        rows=("H10",),
        sets=(
            FileMode(
                mta="postfix",
                path="/var/spool/postfix/active /var/spool/postfix/deferred /var/spool/postfix/incoming",
                mode="700",
                owner="postfix",
            ),
            FileMode(mta="sendmail", path="/var/spool/mqueue", mode="2750", owner="smmta", group="smmsp"),
            FileMode(
                mta="sendmail", path="/var/spool/mqueue-client", mode="2770", owner="smmsp", group="smmsp"
            ),
        ),
        unseen="File modes are seen from the host alone.",
        weight=8,
    ),
    Defence(
        id="mta.own-configuration",
        title="Only root can change what the MTA does",
        why="Who can write its tables can have each message sent to himself.",
        rows=("H10", "P28"),
        sets=(
            FileMode(mta="postfix", path="/etc/postfix/main.cf /etc/postfix/master.cf", mode="644"),
            # Debian gives the directory to the daemon's user.
            FileMode(mta="sendmail", path="/etc/mail", mode="755"),
            FileMode(
                mta="sendmail",
                path=" ".join(
                    f"/etc/mail/{name}"
                    for name in (
                        "gateway.mc",
                        "injection.mc",
                        "submit.mc",
                        "sendmail.cf",
                        "injection.cf",
                        "submit.cf",
                    )
                ),
                mode="644",
            ),
            FileMode(
                mta="sendmail",
                path="/etc/mail/access.db /etc/mail/declared.db /etc/mail/mailertable.db /etc/mail/recipients.db "
                "/etc/mail/relayed.db /etc/mail/virtusertable.db",
                mode="640",
                group="smmta",
            ),
        ),
        unseen="File modes are seen from the host alone.",
        weight=9,
    ),
    Defence(
        id="mta.private-keys",
        title="Keys that stand in block lists' names are kept from the filter and its engines",
        why="A vendor's list is asked by a name with your key in it; who has it asks on your account.",
        rows=("P18", "P28"),
        sets=(
            FileMode(mta="postfix", path="/etc/postfix/dnsbl_reply", mode="600"),
            # Both MTAs want their main file readable for everybody's programs: the daemons that read strangers' bytes are kept
            # from it. Who can log in is an administrator.
            *(
                UnitOption(unit=unit, option="InaccessiblePaths", value=lambda g: row(g).mta_files)
                for unit in ("clamav-daemon.service", "spamd.service", "filterd.service")
            ),
        ),
        unseen="File modes are seen from the host alone.",
        level="moderate",
        cost="A plugin of the filter's engines that is to read the MTA's configuration needs a drop-in that opens it.",
        weight=4,
    ),
)
