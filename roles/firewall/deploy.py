"""Put the packet filter on a host."""

from roles.firewall import others
from roles.firewall.defences import DEFENCES, FILTERING
from roles.firewall.defences.kernel import MODULES
from roles.firewall.defences.whole import CLOSED, UNIT
from roles.firewall.loading import ruleset_loaded
from roles.firewall.owners import users_made
from roles.firewall.ruleset import BOOT_DIRECTORY, closed, ruleset
from roles.firewall.sets import BANNED, PROBED, sets_file
from roles.kinds import Sysctl
from roles.kinds.packets import TOOLS
from roles.operations import converged, files_owned, layer, packages_installed, unit_current
from roles.parameters import parameters_set
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered
from roles.settings import Gateway

SETS_FILE = f"{BOOT_DIRECTORY}/ipsets"
USERS_FILE = "/etc/sysusers.d/bastide-firewall.conf"
MODULES_FILE = "/etc/modules-load.d/bastide-firewall.conf"
# The last but one, for the reason of roles/hardening/paths.py: 99-sysctl.conf is the administrator's /etc/sysctl.conf.
SYSCTL_FILE = "/etc/sysctl.d/zz-bastide-firewall.conf"
# What it was called before.
_FORMER_SYSCTL_FILE = "/etc/sysctl.d/91-bastide-firewall.conf"
UNITS = "/etc/systemd/system"
UNIT_FILE = f"{UNITS}/{UNIT}.d/bastide.conf"


_BOOT_TEMPLATES = ("netfilter-persistent.conf.j2", "bastide-firewall.service.j2")
_LOADED = {tool: f"{BOOT_DIRECTORY}/rules.v{family}" for family, tool in TOOLS.items()}


@layer("Firewall")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Load both families' rulesets and have them loaded at boot, before the network is up."""
    packages_installed(
        name="Install the packet filter's tools",
        packages=platform.packages["firewall"],
        manager=platform.manager,
    )
    _named_by_rules(gateway, platform)
    ruleset_loaded(
        name="Load the rulesets",
        v4=ruleset(FILTERING, gateway, 4),
        v6=ruleset(FILTERING, gateway, 6),
        confirm_seconds=gateway.firewall_confirm_seconds,
    )
    # Behind ours, so that the host is at no time without any; at boot only one of them is to load.
    converged(
        name="Have no other packet filter",
        question=others.FOUND,
        wanted="",
        remedy=others.ENDED,
    )
    _kernel(gateway)  # behind the rules, with which the kernel loads the modules whose parameters these are
    # Its plugins read /etc/iptables at boot; the rules are live already, so nothing reloads it here.
    unit_current(
        name="Load the rulesets at boot",
        unit=platform.unit(UNIT),
        files=_boot_files(platform),
        on_change="start",
    )


def _boot_files(platform: Platform) -> tuple[str, ...]:
    """Return the files of the unit that loads the rules: what is done first, and the unit itself where no package brings it."""
    own = () if platform.loads_rules else (f"{UNITS}/{platform.unit(UNIT)}",)
    return (platform.here(UNIT_FILE), *own)


def _named_by_rules(gateway: Gateway, platform: Platform) -> None:
    """Have what the rules name, without which the kernel refuses them: users and sets; and what stands in for them."""
    users = users_made(gateway)
    files_owned(
        name="Write what the rules need",
        files=[
            _file(USERS_FILE, "sysusers.conf.j2", gateway, users=users),
            OwnedFile(path=SETS_FILE, content=sets_file()),
            *(OwnedFile(path=path, content=closed(gateway, family)) for family, path in CLOSED.items()),
            *(
                _file(path, template, gateway, closed=CLOSED, sets=SETS_FILE, loaded=_LOADED)
                for path, template in zip(_boot_files(platform), _BOOT_TEMPLATES, strict=False)
            ),
        ],
        check=f"iptables-restore --test $stage{CLOSED[4]}; ip6tables-restore --test $stage{CLOSED[6]}; "
        f"systemd-sysusers --dry-run $stage{USERS_FILE} >/dev/null",
    )
    converged(
        name="Make the users that the rules name",
        question=f"for u in {' '.join(users)}; do getent passwd $u >/dev/null || echo $u; done",
        wanted="",
        remedy=f"systemd-sysusers {USERS_FILE}",
    )
    converged(
        name="Make the sets of bans",
        question=f"for s in {' '.join((*BANNED.values(), *PROBED.values()))}; do ipset list -t $s >/dev/null || echo $s; done",
        wanted="",
        remedy=f"ipset restore -exist <{SETS_FILE}",
    )


def _kernel(gateway: Gateway) -> None:
    """Set how much the kernel keeps of connections, now and at boot."""
    files = [
        _file(MODULES_FILE, "modules.conf.j2", gateway, modules=MODULES),
        _file(SYSCTL_FILE, "sysctl.conf.j2", gateway, sysctls=list(lines(DEFENCES, Sysctl, gateway))),
    ]
    parameters_set(gateway, DEFENCES, files, SYSCTL_FILE)
    converged(
        name="Have one file of the packet filter's parameters",
        question=f"[ ! -e {_FORMER_SYSCTL_FILE} ] || echo former",
        wanted="",
        remedy=f"rm -f {_FORMER_SYSCTL_FILE}",
    )


def _file(path: str, template: str, gateway: Gateway, **values: object) -> OwnedFile:
    return OwnedFile(path=path, content=rendered("firewall", template, gateway, **values))
