"""What a host has beyond its system and its gateway: packages and units, each declared with its reason or found."""

import re
from collections.abc import Iterable
from typing import Final

from roles.defence import Defence
from roles.kinds import HostAnswer
from roles.platforms import row
from roles.settings import Gateway

# What installers and providers of machines bring, by patterns (glob(7)): it boots, or knows the hardware below.
_MACHINE: Final = (
    *(
        "linux-*",
        "grub-*",
        "grub2-*",
        "shim-*",
        "efibootmgr",
        "initramfs-tools*",
        "firmware-*",
        "*-microcode",
    ),
    *(
        "cryptsetup*",
        "lvm2",
        "mdadm",
        "thin-provisioning-tools",
        "btrfs-progs",
        "xfsprogs",
        "dosfstools",
        "e2fsprogs",
    ),
    *("task-*", "tasksel*", "discover*", "installation-report", "laptop-detect", "os-prober", "eject"),
    *("locales*", "console-setup*", "keyboard-configuration", "kbd"),
    *("cloud-*", "netplan.io", "open-vm-tools", "qemu-guest-agent", "hyperv-daemons"),
    *(
        "ifupdown",
        "isc-dhcp-client",
        "dhcpcd-base",
        "systemd-*",
        "dbus-user-session",
        "usrmerge",
        "usr-is-merged",
    ),
)
# What deploys write into /etc/systemd/system, for whichever MTA: a test compares it with what they do write.
UNITS: Final = (
    *("bastide-certificate", "bastide-dnsbl", "bastide-door", "bastide-integrity", "bastide-mounts"),
    *(
        "bastide-reboot",
        "bastide-report",
        "bastide-resume",
        "bastide-update",
        "bastide-waiting",
        "bastide-watch",
    ),
    *("filterd", "sendmail", "sendmail-inject", "sm-client"),
)
_PLACES: Final = "/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system"

_FIELDS: Final = "\\t".join(
    (
        *("${db:Status-Status}", "${Package}", "${Priority}", "${Essential}", "${Provides}"),
        "${Depends}, ${Pre-Depends}, ${Recommends}\\n",
    )
)
# Beside what is named, a system's own packages (Debian Policy 2.5 and 3.8) and whatever one of them needs or recommends is
# expected, and what the package manager took along by itself; what is left somebody has installed.
_UNDECLARED: Final = r"""f=/var/lib/apt/extended_states; [ -e $f ] || f=/dev/null
dpkg-query --show --showformat='{fields}' |
awk -F '\t' -v named='{named}' '
!packages {{ if (/^Package: /) name = substr($0, 10); if (/^Auto-Installed: 1/) along[name] = 1; next }}
$1 == "installed" {{
  needs[$2] = $6; n = split($5, p, /, */); for (i = 1; i <= n; i++) {{ sub(/ .*/, "", p[i]); by[p[i]] = by[p[i]] " " $2 }}
  if ($3 ~ /^(required|important|standard)$/ || $4 == "yes" || $2 ~ named) todo[++count] = $2
}}
END {{
  while (done < count) {{
    name = todo[++done]; if (seen[name]++) continue
    n = split(needs[name], p, /[,|]/)
    for (i = 1; i <= n; i++) {{
      sub(/^ */, "", p[i]); sub(/[ :].*/, "", p[i]); if (p[i] in needs) todo[++count] = p[i]
      m = split(by[p[i]], q, " "); for (j = 1; j <= m; j++) todo[++count] = q[j]
    }}
  }}
  for (name in needs) if (!(name in seen) && !(name in along)) print name
}}' $f packages=1 - | sort"""


def _packages(gateway: Gateway) -> str:
    """Return the question which packages nobody declared, a name a line."""
    here = row(gateway)
    ours = {*here.every_package("postfix"), *here.every_package("sendmail")}
    own = (*gateway.hardening.packages, *gateway.hardening.keep_packages)
    return _UNDECLARED.format(fields=_FIELDS, named=_expression([*sorted(ours), *_MACHINE, *own]))


def _expression(patterns: Iterable[str]) -> str:
    """Return the regular expression, as awk(1) has them, of names that one of some patterns (glob(7)) matches."""
    each = (re.sub("[.+]", r"[\g<0>]", name).replace("*", ".*").replace("?", ".") for name in patterns)
    return f"^({'|'.join(each)})$"


def _units(gateway: Gateway) -> str:
    """Return the question which units start by themselves that no package brought, no deploy wrote and nobody declared."""
    ours = " | ".join(f"/etc/systemd/system/{name}.{kind}" for name in UNITS for kind in ("service", "timer"))
    own = " | ".join(gateway.hardening.units) or "-"
    owner = row(gateway).manager.owner('"$f" "${f#/usr}"')
    return f"""{{ systemctl list-unit-files --no-legend --no-pager --state=enabled,enabled-runtime,linked,linked-runtime |
while read -r unit rest; do
  for d in {_PLACES}; do [ -e "$d/$unit" ] || [ -L "$d/$unit" ] || continue; echo "$unit $(readlink -m "$d/$unit")"; break; done
done; for f in /etc/init.d/*; do [ ! -f "$f" ] || echo "${{f##*/}} $f"; done; }} | while read -r unit f; do
  case $unit in {own}) continue ;; esac
  case $f in {ours}) continue ;; esac
  [ -n "$({owner})" ] || echo "$unit"
done | sort -u"""


INSTALLED: Final = HostAnswer(
    subject="packages that nobody declared", command=_packages, matches="", refuted_by="sl"
)
STARTED: Final = HostAnswer(
    subject="units that nobody declared", command=_units, matches="", refuted_by="miner.service"
)

DEFENCES = (
    Defence(
        id="hardening.declared-packages",
        title="Nothing is installed that nobody declared",
        why="What has crept in is kept new by nobody, and nobody remembers that it is there.",
        rows=("H08",),
        sets=(INSTALLED,),
        unseen="What is installed is seen from the host alone.",
        level="moderate",
        cost="What you install beside the gateway is named in `hardening.packages`, with its reason.",
        weight=4,
    ),
    Defence(
        id="hardening.declared-units",
        title="Nothing starts by itself that nobody declared",
        why="A unit of its own is how what has broken in comes back after a reboot.",
        rows=("H08",),
        sets=(STARTED,),
        unseen="What starts is seen from the host alone; what then listens, firewall.agreement sees from outside.",
        level="moderate",
        cost="A unit that you write is named in `hardening.units`, with its reason.",
        weight=4,
    ),
)
