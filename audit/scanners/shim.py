"""Kernel parameters inside a container, as far as a scanner can be shown them.

A container's /proc/sys is read-only but for its network, so nothing of the kernel, the memory and the file systems can be set or
scored there. For a scanner, and for it alone, writable copies are laid over them in a mount namespace of its own, and what the deploy
has written to sysctl.d is put into those, also what the kernel around this container lacks: its figure then says "was deployed", not
"is in force". The kernel sees none of it, nor does anybody else on the host; the audit never looks at such a copy.
"""

from typing import Final

from roles.hardening.paths import SYSCTL
from roles.kinds import IN_CONTAINER

_TREES: Final = "kernel vm fs dev"
_LAY: Final = f"""for tree in {_TREES}; do
  copy=$(mktemp -d) && mount -t tmpfs -o mode=755 scan $copy || exit 1
  (cd /proc/sys/$tree && find . -xdev -type f) | while read -r each; do
    mkdir -p "$copy/${{each%/*}}"
    timeout 1 cat "/proc/sys/$tree/$each" >"$copy/$each" 2>/dev/null
  done
  mount --move $copy /proc/sys/$tree || exit 1
  rmdir $copy
done
sed -n 's/^\\(\\(kernel\\|vm\\|fs\\|dev\\)\\.[a-z0-9_.-]*\\) *= *\\(.*\\)/\\1 \\3/p' {SYSCTL} | while read -r key value; do
  path=/proc/sys/$(echo $key | tr . /)
  mkdir -p ${{path%/*}}
  echo "$value" >$path
done
"""


def shown(script: str) -> str:
    """Return a script that runs another one: in a container beside such copies, on a machine as it is."""
    inner = f"{_LAY}{script}".replace("'", "'\\''")
    plain = script.replace("'", "'\\''")
    return f"if {IN_CONTAINER}; then unshare --mount sh -c '{inner}'; else sh -c '{plain}'; fi"
