#!/bin/sh
# Records what this host is and what Bastide's deploys change of it. It needs what every host has: coreutils, find, tar, awk; and
# beside it what asks the host's own package manager.
#
#   record begin           before the first change of a run: keep the host's picture; nothing while an earlier run has not ended
#   record end REVISION    after its last one: file what is different, and how it was before a deploy first touched it
#   record died            before the next run: file what one that has not ended did, without what others have done since
#   record picture DIR     write the host's picture into a new directory, a file a section
#   record show [SINCE]    print it, and what was filed since then (seconds since 1970), for `python -m roles drift`
#   record rules TOOL      print what iptables or ip6tables has, without counters and without tables that are nft's
#   record excluded        print what no picture holds, and why
#
# Each section is a text of lines "key TAB value". In keys that are paths, a newline stands as \001 and a tab as \002.
#
# In the history directory, which root alone enters:
#   begin/     the picture at the start of a run that has not ended, with files.tar of the files whose content is kept; of the run's last
#              moment: mark, running (while a command is at work), people; written: the files that it put there
#   changed/   by section: what deploys have changed, and its value before the first of them ("-": it was not there)
#   ours/      the same keys with their value after the last deploy
#   originals/ the contents that belong to changed/files, and firewall4, firewall6 (.nft: nft's part)
#   runs/      a file for each run that changed something: section, key, value before, value after
set -eu
umask 077
export LC_ALL=C
H=/var/lib/bastide-history
. "${0%/*}/packages"
ROOT=
# Content is kept of what deploys write into, of files up to this size in KiB: no configuration is larger.
CONTENT="/etc /usr/local /usr/share/pam-configs /boot/grub/grub.cfg /var/lib/pam /var/lib/ucf/registry /var/lib/ucf/hashfile /var/lib/ucf/cache /var/spool/cron \
/var/lib/systemd/deb-systemd-helper-enabled /var/lib/systemd/deb-systemd-helper-masked /var/lib/systemd/deb-systemd-user-helper-enabled"
LARGEST=8192
# What a run may add beside that, in KiB.
ROOM=65536
SECTIONS="files caps acls flags packages auto overrides diversions units active sysctl mounts firewall ipsets accounts listeners programs"
# These programs themselves: below the history nothing else is recorded.
PROGRAMS="record restore filter revert packages"

# What no picture holds: a pattern of find(1), and why.
EXCLUDED="/proc/* the kernel's own
/sys/* the kernel's own
/dev/* made anew at each start
/run/* made anew at each start
/tmp/* made anew at each start
/var/tmp/* for passing use
/lost+found the file system's own
$H the record itself, and what was kept
/var/cache/* made anew from elsewhere
/var/backups/* copies that Debian's own jobs make each day
/var/lib/dpkg/* the package manager's books; packages, overrides and diversions are asked for by name
/var/lib/apt/* the package manager's books
/var/lib/*/* data of services; a directory of it that a deploy made is kept whole when it is reverted
/var/spool/*/*/* queues
/var/spool/*/pid/* of running processes
/var/mail/* mail
/home/*/* people's own
/root/.bash_history what people typed
/root/.lesshst what people looked at
/root/.viminfo what people edited
/root/.cache made anew from elsewhere
/root/.ansible of another tool's session
/srv/* people's own
/mnt/* people's own
/media/* people's own
/opt/*/* releases and other software; a directory that a deploy made goes whole"
# Kernel parameters that change by themselves, or only count.
UNSTEADY='/proc/sys/(kernel/(random/|ns_last_pid|.*_next_id|pty/nr|perf_event_max_sample|tainted|usermodehelper|sched_domain|seccomp/actions_logged)|fs/(.*-nr|.*-state|binfmt_misc|quota|dentry|inode)|net/.*(flush|/nf_log|count|ipfrag_secret|stable_secret|fastopen_key|nf_conntrack_expect|neigh/)|vm/(compact|drop_caches|stat_refresh))'

fail() { echo "bastide-history: $*" >&2; exit 1; }

# Give each file system's root that belongs to the system: where /usr or /var are partitions of their own, / alone is not all.
roots() {
  echo "$ROOT/"
  for d in /usr /usr/local /boot /var /var/lib /var/spool /var/log /home /opt; do
    [ -n "$ROOT" ] || ! mountpoint -q "$d" || echo "$d"
  done
}

# Print "path TAB type mode uid gid [target]" of everything that is recorded.
walked() {
  set -f
  set -- '(' -path "$ROOT/var/log/*" ! -type d -o -path "$ROOT/var/spool/*/*" ! -type d ')' -prune
  kept=$IFS; IFS='
'
  for line in $EXCLUDED; do set -- "$@" -o -path "$ROOT${line%% *}" -prune; done
  IFS=$kept
  roots=$(roots)
  # shellcheck disable=SC2086
  find $roots -xdev "$@" -o -printf '%p\003%y %m %U %G %l\0' 2>/dev/null || true
  # What stands below a pattern above and is recorded nonetheless: data of services without an account, sockets of Postfix's.
  find "$ROOT/var/lib/private" "$ROOT/var/spool/postfix/private" "$ROOT/var/spool/postfix/public" -xdev -maxdepth 1 -printf '%p\003%y %m %U %G %l\0' 2>/dev/null || true
  for d in $CONTENT; do
    case $d in /var/*) [ ! -e "$ROOT$d" ] || find "$ROOT$d" -xdev -printf '%p\003%y %m %U %G %l\0' 2>/dev/null || true ;; esac
  done
  set +f
}

# Print the files whose content is kept, each ended by NUL.
contents() {
  for d in $CONTENT; do
    [ ! -e "$ROOT$d" ] || find "$ROOT$d" -xdev -type f -size -"$((LARGEST + 1))"k -print0 2>/dev/null || true
  done
  find "$ROOT/root" -xdev -maxdepth 2 -type f -size -1025k ! -path '*/.cache/*' ! -name .bash_history ! -name .lesshst ! -name .viminfo \
    -print0 2>/dev/null || true
}

files() {
  contents | xargs -0 -r sha256sum -z 2>/dev/null | tr '\n\t\000' '\001\002\n' | sed "s#^\([0-9a-f]*\)  $ROOT/#\1\t/#" >"$1.sums" || true
  walked >"$1.walked"
  tr '\n\t\003\000' '\001\002\t\n' <"$1.walked" | sed "s#^$ROOT/#/#; s/ \$//" |
    awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { sum[$2] = $1; next } !seen[$1]++ { print $1, $2 (($1 in sum) ? " " sum[$1] : "") }' "$1.sums" - |
    sort >"$1/files"
  # Links have neither of these. Nothing that deploys change has a newline in its name.
  sed -z -n '/\n/d; s/\x03[fd] .*//p' <"$1.walked" >"$1.paths"
  acls "$1.paths" | sort -u >"$1/acls"
  flags "$1.paths" | sort -u >"$1/flags"
  rm -f "$1.sums" "$1.walked" "$1.paths"
}

# Print "path TAB entries" of those among some paths (a file of them, each ended by NUL) that have access control lists (acl(5)).
# ls(1) marks these, and tar(1) reads what a host without getfacl(1) has too.
acls() {
  xargs -0 -r ls -ldgoN --time-style=+ -- <"$1" 2>/dev/null | sed -n 's/^[^ ]*+ [^/]*//p' | tr '\n' '\000' |
    tar -cf - -P --acls --no-recursion --hard-dereference --ignore-failed-read --null --verbatim-files-from -T - 2>/dev/null |
    tar -tvvvf - -P --acls --numeric-owner --quoting-style=literal 2>/dev/null | tr '\t' '\002' |
    awk -v OFS='\t' '/^  a: / { print name, substr($0, 6); next } { name = $0; sub(/^[^ ]+ +[^ ]+ +[^ ]+ [^ ]+ [^ ]+ /, "", name); sub(/\/$/, "", name) }' |
    sed "s#^$ROOT/#/#" || true
}

# The same of those that cannot be changed, or only be added to: "path TAB i, a or both" (chattr(1)).
flags() {
  ! have lsattr || xargs -0 -r lsattr -d -- <"$1" 2>/dev/null | tr '\t' '\002' |
    awk -v OFS='\t' '$1 ~ /^[-A-Za-z]*[ia]/ { set = $1; gsub(/[^ia]/, "", set); print substr($0, index($0, " ") + 1), set }' | sed "s#^$ROOT/#/#" || true
}

have() { command -v "$1" >/dev/null 2>&1; }

# What the packet filter is asked for: whole, without counters and without the time of asking. Of a table that bears a name of
# iptables' and is nft's, iptables says in a comment that it shows a part at most: nft says what is in it.
rules() { # TOOL
  "$1"-save 2>/dev/null | awk '/^# Table .*incompatible/ { n = $3; gsub(/[^a-z]/, "", n); theirs["*" n] = 1 } /^#/ || /^$/ { next }
    /^\*/ { out = $0 in theirs } !out { sub(/ \[[0-9]*:[0-9]*\]$/, ""); print }'
}
foreign() { # TOOL FAMILY-OF-NFT
  have nft || return 0
  "$1"-save 2>/dev/null | sed -n "s/^# Table .\([a-z]*\)' .*incompatible.*/\1/p" | while read -r table; do
    # nft prints the states that iptables asks for in another order than its own.
    nft -s list table "$2" "$table" 2>/dev/null | sed 's/ct state related,established /ct state established,related /'
  done
}

picture() {
  mkdir -p "$1"
  for section in $SECTIONS; do : >"$1/$section"; done
  files "$1"
  ! have getcap || getcap -r "$ROOT/usr" 2>/dev/null | sed 's/ \(= \)\{0,1\}/\t/' | sort >"$1/caps"
  pm_packages >"$1/packages"
  pm_auto "$1/packages" >"$1/auto" || true
  pm_overrides >"$1/overrides" || true
  pm_diversions >"$1/diversions"
  systemctl list-unit-files --no-legend --no-pager --plain | awk -v OFS='\t' '$2 !~ /generated|transient/ { print $1, $2 }' | sort >"$1/units"
  systemctl list-units --no-legend --no-pager --plain --state=active --type=service,socket,timer,path |
    awk -v OFS='\t' '$1 !~ /^(user|user-runtime-dir|getty|serial-getty|systemd-fsck|run-)[@-]/ { print $1, "active" }' | sort >"$1/active"
  find /proc/sys -type f -perm /200 2>/dev/null | grep -Ev "^$UNSTEADY" | xargs -r grep -sH '' 2>/dev/null |
    awk -v OFS='\t' '{ k = $0; sub(/:.*/, "", k); v = substr($0, length(k) + 2); gsub(/\t/, " ", v); if (k in all) v = all[k] " | " v; all[k] = v }
      END { for (k in all) print k, all[k] }' | sort >"$1/sysctl"
  # Of what is mounted in one place the first comes first; a mount is told by its file system's kind and its own options.
  awk -v OFS='\t' '$5 !~ /^\/(proc|sys|run|dev\/)/ || $5 == "/dev/shm" { v = $(NF - 2) " " $6; if ($5 in all) v = all[$5] " | " v; all[$5] = v }
    END { for (k in all) print k, all[k] }' /proc/self/mountinfo | sort >"$1/mounts"
  for family in 4 6; do
    tool=iptables nft=ip; [ $family = 4 ] || tool=ip6tables nft=ip6
    ! have $tool-save || { rules $tool >"$1/firewall$family"; foreign $tool $nft >"$1/firewall$family.nft"; }
    [ ! -s "$1/firewall$family" ] && [ ! -s "$1/firewall$family.nft" ] ||
      printf '%s\t%s\n' $family "$(cat "$1/firewall$family" "$1/firewall$family.nft" | sha256sum | cut -c1-64)" >>"$1/firewall"
  done
  ! have ipset || ipset list -n 2>/dev/null | sed 's/$/\tset/' | sort >"$1/ipsets"
  awk -F: -v OFS='\t' 'FILENAME ~ /passwd/ { print "user " $1, $3 " " $4 " " $6 " " $7; next } { print "group " $1, $3 " " $4 }' \
    "$ROOT/etc/passwd" "$ROOT/etc/group" | sort >"$1/accounts"
  # A resolver's questions go out from high ports, which come and go.
  ! have ss || ss -Hlntup 2>/dev/null | awk -v OFS='\t' '{ n = $5; sub(/.*:/, "", n) } $1 == "udp" && n + 0 >= 32768 { next } { p = $7; sub(/^users:\(\("/, "", p); sub(/".*/, "", p); print $1 " " $5, p }' |
    sort -u >"$1/listeners"
  for program in $PROGRAMS; do
    [ ! -e "$H/$program" ] || printf '%s\t%s\n' "$H/$program" "$(stat -c '%a %u %g' "$H/$program") $(sha256sum <"$H/$program" | cut -c1-64)"
  done | sort >"$1/programs"
}

# Print "key TAB value in the first TAB value in the second" of what differs between two texts of a section.
differences() {
  awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { was[$1] = $2; next }
    !($1 in was) { print $1, "-", $2; next } was[$1] != $2 { print $1, was[$1], $2 } { delete was[$1] }
    END { for (k in was) print k, was[k], "-" }' "$1" "$2"
}

# Print the values that some keys have in a section's text.
valued() {
  awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { now[$1] = $2; next } { print $1, ($1 in now) ? now[$1] : "-" }' "$2" "$1"
}

locked() {
  mkdir -p "$H/runs" "$H/changed" "$H/ours" "$H/originals"
  chmod 700 "$H"
  [ -n "${BASTIDE_HISTORY_LOCKED:-}" ] || { exec 9>"$H/lock"; flock -w 120 9 || fail "another run holds $H/lock"; }
}

begin() {
  locked
  [ ! -d "$H/begin" ] || exit 0
  need=$((ROOM + 2 * $(contents | du -ck --files0-from=- 2>/dev/null | tail -n 1 | cut -f1)))
  free=$(df -Pk "$H" | awk 'NR == 2 { print $4 }')
  [ "$free" -gt "$need" ] || fail "$H has $free KiB left and its record needs $need; nothing was changed: make room, and deploy again"
  # What a revert that did not end had in mind holds no longer; its copies stay.
  rm -rf "$H/begin.new" "$H/reverting"
  picture "$H/begin.new"
  contents | sed -z "s#^$ROOT/##" |
    tar -cf "$H/begin.new/files.tar" -C "$ROOT/" --null --no-recursion --ignore-failed-read --verbatim-files-from -T - 2>/dev/null || true
  tar -tf "$H/begin.new/files.tar" >/dev/null || fail "the files' contents could not be kept in $H; nothing was changed"
  if [ -d "$ROOT/opt/filterd" ] && [ ! -s "$H/changed/files" ]; then
    echo "An earlier Bastide had deployed this host before it kept a record: what it changed is not known, and stays as it was on $(date -I)." >"$H/note"
  fi
  date +%s >"$H/begin.new/time"
  # Each command of a run that ends leaves these as they are then (roles/operations.py).
  touch "$H/begin.new/mark"
  sync -f "$H/begin.new" 2>/dev/null || sync
  mv "$H/begin.new" "$H/begin"
}

# Add to changed/ what a run has changed; a key that has its value of before again goes from it.
filed() {
  for section in $SECTIONS; do
    # A run that began with an older one of this program may lack a section.
    [ -e "$H/begin/$section" ] || cp "$H/end/$section" "$H/begin/$section"
    differences "$H/begin/$section" "$H/end/$section" >"$H/end/$section.run"
    awk -v OFS='\t' -v s="$section" '{ print s, $0 }' "$H/end/$section.run" >>"$H/end/run"
    [ -e "$H/changed/$section" ] || : >"$H/changed/$section"
    awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { old[$1] = 1; print; next } !($1 in old) { print $1, $2 }' \
      "$H/changed/$section" "$H/end/$section.run" | sort >"$H/end/$section.all"
    valued "$H/end/$section.all" "$H/end/$section" >"$H/end/$section.ours"
    awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { now[$1] = $2; next } now[$1] != $2 { print }' \
      "$H/end/$section.ours" "$H/end/$section.all" >"$H/end/changed/$section"
    valued "$H/end/changed/$section" "$H/end/$section" >"$H/end/ours/$section"
  done
}

# Keep the contents of before that are new in changed/; nothing in there can be run, or read by others.
originals() {
  awk -F'\t' 'FILENAME == ARGV[1] { old[$1] = 1; next } !($1 in old) && $2 ~ /^f .* [0-9a-f]+$/ && length($2) > 64 { print substr($1, 2) }' \
    "$H/changed/files" "$H/end/changed/files" | tr '\n\001\002' '\000\n\t' >"$H/end/contents"
  if [ -s "$H/end/contents" ]; then
    tar -xf "$H/begin/files.tar" -C "$H/originals" --no-same-owner --no-recursion --no-wildcards --null --verbatim-files-from \
      -T "$H/end/contents" || fail "contents of before could not be kept in $H/originals"
    chmod -R u=rwX,go= "$H/originals"
    find "$H/originals" -type d -perm /6000 -exec chmod ug-s {} +
  fi
  for family in 4 6; do
    if cut -f1 "$H/end/changed/firewall" | grep -qx $family && ! cut -f1 "$H/changed/firewall" | grep -qsx $family; then
      for part in firewall$family firewall$family.nft; do
        rm -f "$H/originals/$part"
        [ ! -s "$H/begin/$part" ] || cp "$H/begin/$part" "$H/originals/"
      done
    fi
  done
}

# Take out of the picture at the end of a run that has died what others did behind its last moment (seconds since 1970): it is not the
# run's. A file that the run wrote is its own, whoever has changed it since, or what was there before it would be lost.
others() { # SINCE
  : >>"$H/begin/written"
  differences "$H/begin/files" "$H/end/files" | awk -F'\t' '$3 != "-" && $1 !~ /[\001\002]/ { printf "%s%s%c", root, $1, 0 }' root="$ROOT" |
    xargs -0 -r stat -c '%Z %n' 2>/dev/null | awk -v since="$1" -v root="$ROOT" '$1 + 0 > since { sub(/^[0-9]+ /, ""); print substr($0, length(root) + 1) }' |
    grep -vxFf "$H/begin/written" >"$H/end/theirs" || true
  differences "$H/begin/packages" "$H/end/packages" | awk -F'\t' '$3 != "-" { print $1 }' | while read -r p; do
    [ "$(pm_changed "$p")" -le "$1" ] || printf '%s\n%s\n' "$p" "${p%%:*}"
  done >"$H/end/theirs.packages"
  sed -n 's#^/etc/systemd/system/\([^/]*\)$#\1#p; s#^/etc/systemd/system/.*/\([^/]*\)$#\1#p' "$H/end/theirs" >"$H/end/theirs.units"
  for p in $(cat "$H/end/theirs.packages"); do pm_brought "$p"; done | sed -n 's#.*/systemd/system/\([^/]*\)$#\1#p' >>"$H/end/theirs.units"
  for section in files caps acls flags packages auto units active; do
    case $section in packages | auto) them=theirs.packages ;; units | active) them=theirs.units ;; *) them=theirs ;; esac
    awk -F'\t' 'FILENAME == ARGV[1] { them[$1] = 1; next } FILENAME == ARGV[2] { if ($1 in them) print; next } !($1 in them)' \
      "$H/end/$them" "$H/begin/$section" "$H/end/$section" | sort >"$H/end/without"
    mv "$H/end/without" "$H/end/$section"
  done
}

# Keep the lines that deploys have made of the accounts' files, and what was there before: who came in between runs is no deploy's.
accounts_filed() { # THE ROOT OF THE FILES AS THEY ARE
  mkdir -p "$H/ours/etc" "$H/end/was"
  for path in etc/passwd etc/group etc/shadow etc/gshadow etc/subuid etc/subgid; do
    [ -e "$1/$path" ] || continue
    tar -xf "$H/begin/files.tar" -C "$H/end/was" --no-same-owner "$path" 2>/dev/null || mkdir -p "$H/end/was/etc"
    touch "$H/end/was/$path"
    cp "$H/ours/$path" "$H/end/former" 2>/dev/null || cp "$H/end/was/$path" "$H/end/former"
    awk -F: 'FILENAME == ARGV[1] { line[$1] = $0; order[++n] = $1; next } FILENAME == ARGV[2] { was[$1] = $0; next }
      { is[$1] = $0; if (was[$1] != $0) { if (!($1 in line)) order[++n] = $1; line[$1] = $0 } }
      END { for (k in was) if (!(k in is)) delete line[k]; for (i = 1; i <= n; i++) if (order[i] in line) print line[order[i]] }' \
      "$H/end/former" "$H/end/was/$path" "$1/$path" >"$H/end/lines"
    mv "$H/end/lines" "$H/ours/$path"
  done
}

died() {
  [ -d "$H/begin" ] || exit 0
  # An older record of a run knows no last moment.
  [ -e "$H/begin/mark" ] || exit 0
  since=$(stat -c %Y "$H/begin/mark")
  # The connection has died, and the command may have gone on: for ten minutes at most, which is what fetching packages takes.
  [ ! -e "$H/begin/running" ] || since=$(($(stat -c %Y "$H/begin/running") + 600))
  SINCE=$since
  end died
}

end() {
  locked
  [ -d "$H/begin" ] || exit 0
  rm -rf "$H/end"
  picture "$H/end"
  [ -z "${SINCE:-}" ] || others "$SINCE"
  mkdir "$H/end/changed" "$H/end/ours"
  filed
  originals
  now=$(date -u +%Y%m%dT%H%M%SZ)
  { printf 'begun\t%s\nended\t%s\nrevision\t%s\n' "$(cat "$H/begin/time")" "$(date +%s)" "$1"; cat "$H/end/run"; } >"$H/end/file"
  # The tables first: a run that dies here is filed again, and what is in them already is not filed anew.
  for place in changed ours; do
    for section in $SECTIONS; do mv -f "$H/end/$place/$section" "$H/$place/$section"; done
  done
  now_in=$ROOT
  [ -z "${SINCE:-}" ] || [ -e "$H/begin/running" ] || [ ! -e "$H/begin/people/etc/passwd" ] || now_in=$H/begin/people
  accounts_filed "$now_in"
  mv "$H/end/file" "$H/runs/$now"
  sync -f "$H" 2>/dev/null || sync
  rm -rf "$H/begin"
  rm -rf "$H/end"
}

show() {
  mkdir -p "$H"
  place=$(mktemp -d "$H/show.XXXXXX")
  trap 'rm -rf "$place"' EXIT
  printf 'taken\t%s\n' "$(date +%s)"
  picture "$place/picture"
  for section in $SECTIONS; do
    awk -v OFS='\t' -v s="$section" '{ print s, $0 }' "$place/picture/$section"
  done
  for run in "$H"/runs/*; do
    [ -e "$run" ] || continue
    [ "$(awk -F'\t' '$1 == "ended" { print $2; exit }' "$run")" -ge "${1:-0}" ] || continue
    sed "s/^/run\t${run##*/}\t/" "$run"
  done
}

case ${1:-} in
  begin) begin ;;
  end) end "${2:-unknown}" ;;
  died) died ;;
  picture) picture "$2" ;;
  show) show "${2:-0}" ;;
  rules) rules "$2" ;;
  excluded) printf '%s\n' "$EXCLUDED" ;;
  *) sed -n '2,10p' "$0" >&2; exit 2 ;;
esac
