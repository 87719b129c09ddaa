"""How Postfix itself looks at what is staged, before any of it is live; shell text that sees the stage as ``$stage``."""

from typing import Final

from roles.mta.access import DIRECTORY as RULES
from roles.mta.known import LDAP_FILES

DIRECTORY: Final = "/etc/postfix"
# Types of tables that are text, read by whoever opens them (DATABASE_README); others are built, and known to be whole.
READ_WHOLE: Final = ("cidr", "pcre", "regexp", "texthash")
# Postfix says "unused parameter" for a name that it does not know, and still succeeds; its other complaints go to the
# log where standard error is no terminal. Of a table it complains on standard error, with the number of the line, and
# takes the rest of it; so each that the staged configuration names is asked for something once, wherever it lies, and any
# word of complaint is one too many.
CONFIGURATION: Final = f"""start=$(date +%s); rc=0
said=$(postconf -c $stage{DIRECTORY} -n 2>&1 >/dev/null) || rc=$?
postfix -c $stage{DIRECTORY} check || rc=$?
if [ $rc -ne 0 ] || [ -n "$said" ]; then
  echo "$said" >&2
  journalctl --quiet --no-pager --output=cat --since=@$start SYSLOG_FACILITY=2 >&2
  exit 1
fi
named=$(cd $stage{DIRECTORY}; grep -ohE '({"|".join(READ_WHOLE)}):{DIRECTORY}/[^],[:space:]}}]+' main.cf master.cf | sort -u)
for table in $named; do
  type=${{table%%:*}} file=$stage${{table#*:}}
  [ -e "$file" ] || {{
    echo "the configuration names $table, which is not written; what is live stays as it was" >&2
    exit 1; }}
  said=$(postmap -c $stage{DIRECTORY} -q 192.0.2.1 "$type:$file" 2>&1 >/dev/null) || [ $? -eq 1 ] || said="$said (failed)"
  if [ -n "$said" ]; then
    echo "$said" | sed "s#$stage##g" >&2
    case ${{table#*:}} in
      {RULES}/*) echo "mend the rule whose id stands above that line, in the setting mta_rules; what is live stays as it was" >&2 ;;
      *) echo "mend the setting that this line is made of; what is live stays as it was" >&2 ;;
    esac
    exit 1
  fi
done"""
# What the LDAP client says of a description that no server could use (ldap_err2string(3)). That none answers just now
# says nothing against it.
_UNREADABLE = "Bad search filter|Bad parameter|Invalid DN|unsupported|bad (string|numerical|boolean)"
DIRECTORIES: Final = f"""for directory in $stage{LDAP_FILES}; do
  [ -e $directory ] || continue
  said=$(postmap -q postmaster@$(sed -n 's/^domain = \\([^ ]*\\).*/\\1/p' $directory) ldap:$directory 2>&1 >/dev/null) || true
  if echo "$said" | grep -q -E '{_UNREADABLE}'; then
    echo "$said" | sed "s#$stage##g" >&2
    echo "mend what that file describes, in the setting recipients; what is live stays as it was" >&2
    exit 1
  fi
done"""
