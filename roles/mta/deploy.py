"""Put Postfix on a host."""

from roles.dns.settings import refusals
from roles.kinds import DnsblSites, MainCf
from roles.mta.defences import DEFENCES
from roles.mta.injection import INJECTION
from roles.operations import converged, files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered, restriction_lists
from roles.settings import Gateway

DIRECTORY = "/etc/postfix"
# Postfix says "unused parameter" for a name that it does not know, and still succeeds; its other complaints go to the
# log where standard error is no terminal.
CHECK = f"""start=$(date +%s); rc=0
said=$(postconf -c $stage{DIRECTORY} -n 2>&1 >/dev/null) || rc=$?
postfix -c $stage{DIRECTORY} check || rc=$?
if [ $rc -ne 0 ] || [ -n "$said" ]; then
  echo "$said" >&2
  journalctl --quiet --no-pager --output=cat --since=@$start SYSLOG_FACILITY=2 >&2
  exit 1
fi"""
FILES = ("main.cf", "master.cf", "transport", "virtual", "postscreen_access", "dnsbl_reply")
# Opened before the daemon gives up root; a vendor's key may stand in it.
PRIVATE = "dnsbl_reply"
# Postfix's daemons run in a chroot with a copy of it, which Debian makes when the unit starts.
RESOLV_CONF = "/etc/resolv.conf"
COPY = f"/var/spool/postfix{RESOLV_CONF}"


@layer("MTA")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have Postfix relay for the declared domains; it answers only after its configuration is ours."""
    packages_installed(name="Install Postfix", packages=platform.packages["mta"])
    values = {
        "parameters": list(lines(DEFENCES, MainCf, gateway)),
        "restrictions": restriction_lists(DEFENCES, gateway),
        "injection": INJECTION,
        "sites": [
            (defence.id, setting.line(gateway))
            for defence in DEFENCES
            if defence.stands(gateway)
            for setting in defence.sets
            if isinstance(setting, DnsblSites)
        ],
        "texts": refusals(gateway.dnsbl),
    }
    files_owned(
        name="Write Postfix's configuration",
        files=[
            OwnedFile(
                path=f"{DIRECTORY}/{name}",
                content=rendered("mta", f"{name}.j2", gateway, **values),
                mode="600" if name == PRIVATE else "644",
            )
            for name in FILES
        ],
        check=CHECK,
    )
    unit_current(
        name="Run Postfix with its configuration",
        unit="postfix.service",
        files=[f"{DIRECTORY}/{name}" for name in FILES],
        on_change="reload",
    )
    converged(
        name="Have Postfix's daemons ask the host's resolver",
        question=f"cmp -s {RESOLV_CONF} {COPY} || echo another",
        wanted="",
        remedy=f"cp {RESOLV_CONF} {COPY}; postfix reload",
    )
