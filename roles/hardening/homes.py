"""Home directories: which are their account's own, so that nobody else has any business there."""

from typing import Final

# Where a system's own things are: no account's to shut, whoever is said to live there (hier(7)).
_SYSTEMS: Final = (
    *("/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/run", "/sbin", "/srv", "/sys"),
    *("/tmp", "/usr", "/usr/local", "/var", "/var/cache", "/var/lib", "/var/log", "/var/mail", "/var/spool", "/var/tmp", "/var/www"),  # noqa: S108 - names to be left alone
)  # fmt: skip
# Print "own" or "other", and the home, of root's account and each of people's whose home is there. It is an account's own if that
# one owns it, nobody else's home is it or lies below it, and neither does a directory of the system's. A chroot of sftp's, for one, is
# root's (sshd_config(5), ChrootDirectory), and may be / or /srv.
_JUDGED: Final = f"""all=$(while IFS=: read -r _ _ u _ _ d _; do
  case $d in /*) ;; *) continue ;; esac
  d=$(realpath -m -- "$d")
  o=-
  [ "$u" != 0 ] && [ "$u" -lt 1000 -o "$u" -ge 65000 ] || o=$(stat -c %u -- "$d" 2>/dev/null || echo -)
  printf '%s %s %s\\n' "$u" "$o" "$d"
done </etc/passwd) && [ "$all" ] || exit 1
judged() {{ printf '%s\\n' "$all" | awk -v systems='{" ".join(_SYSTEMS)}' '
  function above(a, b) {{ return a == "/" || index(b "/", a "/") == 1 }}
  {{ u[NR] = $1; o[NR] = $2; d = $0; sub(/^[^ ]+ [^ ]+ /, "", d); p[NR] = d }}
  END {{
    n = split(systems, s, " ")
    for (i = 1; i <= NR; i++) {{
      if (o[i] == "-") continue
      own = o[i] == u[i]
      for (j = 1; j <= n; j++) if (above(p[i], s[j])) own = 0
      for (j = 1; j <= NR; j++) if (u[j] != u[i] && above(p[i], p[j])) own = 0
      print (own ? "own" : "other") " " p[i]
    }}
  }}' | sort -u; }}
"""
_OPEN: Final = "judged | sed -n 's/^own //p' | while read -r d; do find \"$d\" -maxdepth 0 -type d -perm /077 {deed}; done"
# The homes of one account alone that others can enter, and what shuts them.
OPEN: Final = _JUDGED + _OPEN.format(deed="-print")
SHUT: Final = _JUDGED + _OPEN.format(deed="-exec chmod go-rwx {} +")
# The homes that are let alone though others can enter them.
NOT_THEIRS: Final = (
    _JUDGED
    + "judged | sed -n 's/^other //p' | while read -r d; do find \"$d\" -maxdepth 0 -type d -perm /077; done"
)
