"""Questions that several records ask in the same way: counts that can fail, and searches of all of a host's own file systems."""

from typing import Final

# The file systems of a host's own, a directory each, from mountinfo (proc_pid_mountinfo(5)): those on a device, those of several
# devices and of memory, and whatever / is; of one that is mounted twice, or in part beside the whole, the first. Those of the network
# are another host's to look at, and what the kernel and systemd show of themselves below /proc, /sys and /dev are no files.
_OWN: Final = r"""awk '{
  for (i = 7; i < NF; i++) if ($i == "-") { type = $(i + 1); break }
  if ($5 != "/" && $3 ~ /^0:/ && type !~ /^(aufs|bcachefs|btrfs|overlay|ramfs|tmpfs|ubifs|zfs)$/) next
  if ($5 ~ /^\/(proc|sys|dev)(\/|$)/ && $5 != "/dev/shm") next
  top = $4 == "/" ? "" : $4
  for (n = 0; n < seen[$3]; n++) if (index($4 "/", tops[$3, n] "/") == 1) next
  tops[$3, seen[$3]++] = top
  gsub(/\\040/, " ", $5); gsub(/\\011/, "\t", $5); gsub(/\\134/, "\\", $5)
  print $5
}' /proc/self/mountinfo"""


def counted(command: str) -> str:
    """Return the question how many lines a command prints; it fails where the command does, which a pipe would not tell."""
    return f"found=$( {command}\n) || exit 1; printf '%s\\n' \"$found\" | awk 'NF {{ n++ }} END {{ print n + 0 }}'"


def everywhere(expression: str) -> str:
    """Return the command that looks on every file system of the host's own by an expression of find(1).

    What goes while it looks is no failure; a host that tells of no file system is one.
    """
    return (
        f"( set -f; IFS='\n'; set -- $({_OWN}); unset IFS; set +f; [ $# -gt 0 ] || exit 1; "
        f'find "$@" -ignore_readdir_race -xdev {expression} )'
    )
