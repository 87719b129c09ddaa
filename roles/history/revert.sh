#!/bin/sh
# Takes back what Bastide's deploys have changed of this host, as root; it asks no control host and needs no Python.
#
#   revert                          say what would be done
#   revert --yes [--even-with-mail] do it; it goes on when the session ends that began it, and can be begun again
#   revert --confirm                in a new login, when it is asked for: the former packet filter lets you in
#   revert --start                  as --yes, without waiting for its end; both take --even-with-mail
#   revert --state                  wait ten seconds for its end; print "running", "never" or "ended CODE" and what it said; confirms too
#
# Exit codes: 0 the host is what it was, 1 it is not, or nothing was done (it says why), 2 a wrong command line.
set -eu
umask 077
H=/var/lib/bastide-history
LOG=$H/revert.log
CODE=$H/revert.code
UNIT=bastide-revert
# Of a run, whatever it does; a deploy (roles/locking.py) holds it by its session.
RUN=/run/bastide-run.lock
. "$H/packages"
. "$H/restore"
. "$H/filter"

usage() { sed -n '2,11p' "$0" >&2; exit 2; }
fail() { echo "$*" >&2; exit 1; }
busy() { fail "another run is at work here: $(cat "$RUN"); wait for its end, or end that process if nobody is at it; nothing was changed"; }

# Print each place where mail waits or is kept, with how much.
mail() {
  for place in /var/spool/postfix/incoming /var/spool/postfix/active /var/spool/postfix/deferred /var/spool/postfix/hold \
    /var/spool/postfix/maildrop /var/spool/mqueue /var/spool/mqueue-client /var/lib/bastide/handover /var/lib/filterd/store; do
    case $place in */store) what='??' ;; */handover) what='*.eml' ;; */mqueue*) what='[qh]f*' ;; *) what='*' ;; esac
    depth=1
    [ "$what" != '??' ] || { depth=2 what='*'; }
    files=$(find $place -mindepth $depth -type f -name "$what" 2>/dev/null || true)
    [ -z "$files" ] || echo "$place: $(printf '%s\n' "$files" | wc -l) messages"
  done
}

counted() { printf '%s\n' "$1" | grep -c . || true; }
listed() { # TITLE LINES
  [ -n "$2" ] || return 0
  echo "$1 ($(counted "$2")):"
  printf '%s\n' "$2" | sed 's/^/  /'
}

# The same of many short ones: several a line.
named() {
  [ -z "$2" ] || { echo "$1 ($(counted "$2")):"; printf '%s\n' "$2" | tr '\n' ' ' | fold -s -w 100 | sed 's/^/  /; s/ *$//'; echo; }
}

# What is in the tables, in words. "By hand" is what is no longer as the last deploy left it.
plan() {
  [ ! -e "$H/note" ] || cat "$H/note"
  listed "files and directories put back" "$(state files | awk -F'\t' '$2 != "-" && $2 != $4 { print $1 }')"
  brought >"$X/brought"
  # A directory stands for what deploys put into it.
  listed "removed, as they were not there" "$(state files |
    awk -F'\t' 'FILENAME == ARGV[1] { skip[$1] = 1; next } $2 == "-" && $4 != "-" && !($1 in skip) { add[$1] = 1 }
      END { for (k in add) { d = k; sub(/\/[^\/]*$/, "", d); if (!(d in add) && k !~ /__pycache__/) print k } }' "$X/brought" - | sort)"
  listed "of these changed by hand since the last deploy; copies are kept" \
    "$(state files | awk -F'\t' '$3 != $4 && $2 != $4 && $3 ~ /^f .* [0-9a-f]+$/ { print $1 }')"
  named "packages removed" "$(added packages)"
  listed "packages installed again" "$(state packages | awk -F'\t' '$2 ~ /^ii/ && $2 != $4 { print $1 " " $2 }')"
  named "units stopped" "$(added active)"
  listed "units started" "$(taken active)"
  named "accounts removed" "$(added accounts)"
  named "kernel parameters set back" "$(state sysctl | awk -F'\t' '$2 != "-" && $2 != $4 { print substr($1, 11) }')"
  listed "packet filters set back" "$(state firewall | awk -F'\t' '$2 != $4 { print "IPv" $1 }')"
  listed "mail" "$(mail)"
}

# Begin: nothing is changed before all of what will be is copied. What the host has to be like in the end is settled here.
kept() {
  say "keeping copies in $X"
  sed 's/^/  /' "$X/plan"
  awk -F'\t' 'FILENAME == ARGV[1] { changed[$1] = 1; next } ($1 in changed) && $2 ~ /^f .* [0-9a-f]+$/ && length($2) > 64 { print substr($1, 2) }' \
    "$H/changed/files" "$X/now/files" | tr '\n\001\002' '\000\n\t' >"$X/copied"
  tar -cf "$X/files.tar" -C / --null --no-recursion --verbatim-files-from -T "$X/copied"
  state files | awk -F'\t' '$3 != $4 && $4 != "-" { print $1 }' >"$X/changed-by-hand"
  # What others have put into directories that deploys made.
  awk -F'\t' 'FILENAME == ARGV[1] { changed[$1] = $2; next } { d = $1; sub(/\/[^\/]*$/, "", d) }
    !($1 in changed) && (d in changed) && changed[d] == "-" && $2 ~ /^[fl] / { if (!seen[d]++) print substr(d, 2); print substr($1, 2) }' "$H/changed/files" "$X/now/files" |
    tr '\n\001\002' '\000\n\t' >"$X/theirs"
  tar -cf "$X/theirs.tar" -C / --null --no-recursion --verbatim-files-from -T "$X/theirs"
  mkdir -p "$X/expected"
  for section in files caps acls flags packages auto overrides diversions units; do
    awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { was[$1] = $2; next } !($1 in was) { print }
      END { for (k in was) if (was[k] != "-") print k, was[k] }' "$H/changed/$section" "$X/now/$section" >"$X/expected/$section"
  done
  # What goes takes with it what people have added to it.
  for section in acls flags; do
    awk -F'\t' 'FILENAME == ARGV[1] { if ($2 == "-") gone[$1] = 1; next } !($1 in gone)' "$H/changed/files" "$X/expected/$section" >"$X/expected/left"
    mv "$X/expected/left" "$X/expected/$section"
  done
  sync -f "$X"
  printf '%s\n' "$X" >"$H/reverting.new"
  mv "$H/reverting.new" "$H/reverting"
}

# Compare the host with what it was, print what differs, and count it.
different() {
  seen
  : >"$X/different"
  cat "$X/stays" "$X/needed" "$X/brought" >"$X/skipped"
  for section in files caps acls flags packages auto overrides diversions units; do
    awk -F'\t' -v OFS='\t' -v s="$section" 'FILENAME == ARGV[1] { skip[$1] = 1; next } FILENAME == ARGV[2] { merged[$1] = $2; next }
      FILENAME == ARGV[3] { want[$1] = $2; if ($1 in merged) sub(/[^ ]*$/, merged[$1], want[$1]); next }
      { is[$1] = $2; if (want[$1] != $2 && !($1 in skip)) print s, $1, ($1 in want) && want[$1] != "" ? want[$1] : "-", $2 }
      END { for (k in want) if (want[k] != "" && !(k in is)) print s, k, want[k], "-" }' \
      "$X/skipped" "$X/accounts" "$X/expected/$section" "$X/now/$section" >>"$X/different"
  done
  # What comes and goes by itself is compared where a deploy had changed it; a module's parameters stay as long as it is loaded.
  for section in active sysctl mounts firewall ipsets; do
    state $section | awk -F'\t' -v OFS='\t' -v s="$section" '$2 != $4 && !(s == "sysctl" && $2 == "-") { print s, $1, $2, $4 }' >>"$X/different"
  done
  : >"$X/restart"
  # These the kernel takes back only when it starts anew (Documentation/admin-guide/sysctl/kernel.rst).
  pattern="^sysctl$TAB/proc/sys/kernel/\\(kexec_load_disabled\\|unprivileged_bpf_disabled\\|modules_disabled\\|yama/ptrace_scope\\)$TAB"
  grep "$pattern" "$X/different" >"$X/restart" || true
  grep -v "$pattern" "$X/different" >"$X/left" || true
}

ended() {
  listed "stays, as it holds what no deploy made" "$(cat "$X/stays")"
  named "packages that stay, as others need them" "$(cat "$X/needed")"
  listed "as before from the next start on" "$(cut -f2 "$X/restart")"
  listed "copies of what was changed by hand are in $X/files.tar" "$(cat "$X/changed-by-hand")"
  listed "could not be taken back" "$(cat "$X/lacking" 2>/dev/null || true)"
  listed "different from before (section, name, before, now)" "$(cat "$X/left")"
  if [ -s "$X/left" ]; then
    say "$(wc -l <"$X/left") differences: the host is not what it was; mend what hinders it and run this again"
    return 1
  fi
  rm -f "$H/reverting"
  mkdir -p "$X/history"
  for part in changed ours originals runs note; do [ ! -e "$H/$part" ] || mv -T "$H/$part" "$X/history/$part"; done
  # Kept things have no owner any more; who they had stands in $X/owners.
  chown -R root:root "$X/removed" 2>/dev/null || true
  rm -rf "$X/now" "$X/todo" "$X/brought" "$X/copied" /run/bastide /run/bastide-notes
  say "0 differences: the host is what it was; what was taken from it is kept in $X"
}

begin() {
  if [ -d "$H/begin" ]; then
    say "a deploy has not ended: what it had changed is filed first"
    sh "$H/record" end unfinished
  fi
  if [ -e "$H/reverting" ]; then
    X=$(cat "$H/reverting")
    say "going on with the revert that began as $X"
    seen
    return
  fi
  waiting=$(mail)
  if [ -n "$waiting" ] && [ "$1" != yes ]; then
    fail "mail waits or is kept here:
$waiting
let it out (flush the queue, release or delete what is kept), or say --even-with-mail: it is moved to $H/kept, none is deleted"
  fi
  X=$H/kept/$(date -u +%Y%m%dT%H%M%SZ)
  mkdir -p "$X"
  seen
  free=$(df -Pk "$H" | awk 'NR == 2 { print $4 }')
  [ "$free" -gt 65536 ] || fail "$H has $free KiB left, which is not enough for copies; nothing was changed"
  plan >"$X/plan"
  kept
}

run() {
  exec 8<>"$RUN"
  flock -n 8 || busy
  echo "a revert, since $(date -u '+%F %T') UTC, process $$" >"$RUN"
  exec 9>"$H/lock"
  flock -w 10 9 || fail "a deploy or another revert is at work here ($H/lock)"
  export BASTIDE_HISTORY_LOCKED=1
  begin "$1"
  : >"$X/lacking"
  units_stopped
  profiles_gone
  data_kept
  overrides_back
  say "putting files back"
  files_back
  systemctl daemon-reexec
  # For a moment it answers nothing.
  for _ in $(seq 50); do ! systemctl --quiet is-active basic.target 2>/dev/null || break; sleep 0.2; done
  systemctl --quiet try-restart systemd-journald.service
  sshd_back
  seen
  kernel_back
  filter_back
  seen
  packages_back
  seen
  files_back
  accounts_back
  systemctl daemon-reload
  seen
  acls_back
  flags_back
  units_back
  different
  ended
}

# Whether a revert runs. While systemd starts itself anew it answers nothing, but the lock is held.
alive() {
  for _ in 1 2 3; do
    [ ! -e "$CODE" ] || return 1
    # What it says while it starts itself anew is no part of the answer.
    ! systemctl is-active --quiet $UNIT.service 2>/dev/null || return 0
    flock -n "$H/lock" true || return 0
    sleep 1
  done
  return 1
}

detached() {
  ! systemctl is-active --quiet $UNIT.service || fail "a revert is at work already: see $LOG"
  [ ! -e "$RUN" ] || flock -n "$RUN" true || busy
  systemctl reset-failed $UNIT.service 2>/dev/null || true
  rm -f "$CODE"
  : >"$LOG"
  # Neither the end of this session nor the stop of a unit that it came by ends it.
  systemd-run --quiet --collect --unit=$UNIT --property=KillMode=mixed \
    sh -c "sh '$H/revert' --run $1 >>'$LOG' 2>&1; code=\$?; [ \$code = 0 ] || [ ! -e '$H/reverting' ] || echo 'ended before it was done; run it again: it goes on' >>'$LOG'; echo \$code >'$CODE'"
}

followed() {
  tail -n +1 -f "$LOG" &
  tail=$!
  while alive; do sleep 0.5; done
  sleep 0.5
  kill $tail
  [ -e "$CODE" ] || fail "the revert was ended from outside; run it again, it goes on where it was"
  exit "$(cat "$CODE")"
}

[ "$(id -u)" = 0 ] || fail "this takes root"
yes= even=no
for word; do
  case $word in
    --yes) yes=1 ;;
    --even-with-mail) even=yes ;;
    --start) yes=start ;;
    --run) run "$2"; exit $? ;;
    --confirm) [ -e "$H/awaiting" ] || fail "no revert waits for that"; touch "$H/confirmed"; exit 0 ;;
    --state)
      # Only who has come in through the former packet filter confirms it, not who waits here since before.
      if [ -e "$H/awaiting" ]; then touch "$H/confirmed"; fi
      for _ in $(seq 20); do
        [ ! -e "$H/awaiting" ] && alive || break
        sleep 0.5
      done
      if alive; then echo running; elif [ -e "$CODE" ]; then echo "ended $(cat "$CODE")"; else echo never; fi
      cat "$LOG" 2>/dev/null || true
      exit 0
      ;;
    *) usage ;;
  esac
done
[ -s "$H/changed/files" ] || [ -d "$H/begin" ] || [ -e "$H/reverting" ] || fail "no deploy has changed anything here, or its record was reverted"
if [ -z "$yes" ]; then
  X=$(mktemp -d "$H/look.XXXXXX")
  trap 'rm -rf "$X"' EXIT
  seen
  plan
  echo "nothing was done; say --yes to do it"
  exit 0
fi
detached $even
[ "$yes" = start ] || followed
