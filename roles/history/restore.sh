# What revert does, deed by deed; it reads this file. Each deed asks what is there, so that a revert that died is finished by the next.
# $H is the history, $X where things are kept, $X/now the host's picture.
export LC_ALL=C
TAB=$(printf '\t')
ACCOUNTS="/etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid"
MERGED=" $ACCOUNTS "

say() { printf '%s\n' "$*"; }
# What could not be taken back, for the end.
lacks() { printf '%s\n' "$*" | tee -a "$X/lacking"; }
seen() {
  rm -rf "$X/now"
  sh "$H/record" picture "$X/now"
  # What an older record did not know.
  for section in acls flags; do
    for place in changed ours; do [ ! -d "$H/$place" ] || [ -e "$H/$place/$section" ] || : >"$H/$place/$section"; done
  done
}
plain() { case $1 in *"$(printf '\001')"* | *"$(printf '\002')"*) printf '%s' "$1" | tr '\001\002' '\n\t' ;; *) printf '%s' "$1" ;; esac; }

# Print "key TAB before TAB after the last deploy TAB now" of what deploys have changed in a section.
state() {
  awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { ours[$1] = $2; next } FILENAME == ARGV[2] { now[$1] = $2; next }
    { print $1, $2, ($1 in ours) ? ours[$1] : "-", ($1 in now) ? now[$1] : "-" }' "$H/ours/$1" "$X/now/$1" "$H/changed/$1"
}
# The keys of a section that deploys added, and those that they took away.
added() { state "$1" | awk -F'\t' '$2 == "-" && $4 != "-" { print $1 }'; }
taken() { state "$1" | awk -F'\t' '$2 != "-" && $4 == "-" { print $1 }'; }

# Print the paths that packages brought which deploys added.
brought() {
  awk -F'\t' '$2 == "-" { print $1 }' "$H/changed/packages" | while read -r p; do pm_brought "$p"; done | sort -u
}

# Move something out of the way, to where it is kept; what is there already keeps its name.
set_aside() {
  mkdir -p "$X/removed$(dirname "$1")"
  again=
  while [ -e "$X/removed$1$again" ]; do again=.$((${again#.} + 1)); done
  mv -T "$1" "$X/removed$1$again"
}

# Move the directories of data that deploys brought: mail, quarantine, ledger, keys of daemons. Packages would delete theirs.
data_kept() {
  added files | grep -E '^/var/(lib|spool|log)/(private/)?[^/]+$' | while read -r path; do
    [ -d "$path" ] && [ ! -L "$path" ] || continue
    # It was kept before this revert went on; a package may have an empty one now.
    [ ! -e "$X/removed$path" ] || ! rmdir "$path" 2>/dev/null || continue
    say "keeping $path"
    printf '%s\n' "$path" >>"$X/data"
    find "$path" -printf '%M %u %g %p\n' >>"$X/owners" || true
    set_aside "$path"
  done
}

# Print what a section says of a path: before the first deploy that changed it, else now; "-" for nothing.
told() { # SECTION PATH
  key=$(printf '%s' "$2" | tr '\n\t' '\001\002')
  KEY=$key awk -F'\t' '$1 == ENVIRON["KEY"] { found = 1; print $2; exit } END { if (!found) print "-" }' "$H/changed/$1" "$X/now/$1"
}

# Give a file or a directory an access control list, "-" for none, and its mode, of which the group's part is the list's mask. An
# empty one that tar(1) has given the list lends it: that takes nothing which not every host has.
acl_given() { # PATH ENTRIES MODE
  entries=$2
  if [ "$entries" = - ]; then
    chmod "$3" "$1"
    case $(ls -ld --time-style=+ "$1") in ??????????+*) ;; *) return 0 ;; esac
    entries=$(stat -c %A "$1" | tr sStT x-x- | sed 's/^.\(...\)\(...\)\(...\).*/user::\1,group::\2,other::\3/')
  fi
  rm -rf "$X/lent"
  mkdir -p "$X/lent/in" "$X/lent/out"
  if [ -d "$1" ]; then mkdir "$X/lent/in/it"; else : >"$X/lent/in/it"; fi
  access=$(printf '%s' "$entries" | tr ',' '\n' | sed '/^default:/d')
  default=$(printf '%s' "$entries" | tr ',' '\n' | sed -n 's/^default://p')
  if tar -cf - --format=pax --pax-option="SCHILY.acl.access:=$access" ${default:+--pax-option="SCHILY.acl.default:=$default"} -C "$X/lent/in" it |
    tar -xpf - --acls --no-same-owner -C "$X/lent/out" && cp -rT --attributes-only --preserve=mode "$X/lent/out/it" "$1"; then
    chmod "$3" "$1"
  else
    lacks "$1: access control list $entries"
  fi
  rm -rf "$X/lent"
}

# Give a path the owner, the mode and the access control list of before: "type mode uid gid ...".
owned() { # PATH WAS [THE PATH THAT IT IS TO HAVE]
  target=$1 final=${3:-$1}
  # shellcheck disable=SC2086
  set -- $2
  chown -h "$3:$4" "$target"
  case $1 in
    l) ;;
    f | d) acl_given "$target" "$(told acls "$final")" "$2" ;;
    *) chmod "$2" "$target" ;;
  esac
}

# Make changeable what a revert has to change, or what stands in a directory that it has to.
loosened() {
  awk -F'\t' 'FILENAME == ARGV[1] { changed[$1] = 1; sub(/\/[^\/]*$/, "", $1); changed[$1] = 1; next } ($1 in changed) { print $1 }' \
    "$H/changed/files" "$X/now/flags" | while read -r path; do chattr -ia -- "$(plain "$path")" || lacks "$path: it cannot be made changeable"; done
}

# Give lists and flags back that nothing else has given: those of what was not put back as a whole.
acls_back() {
  state acls | awk -F'\t' -v OFS='\t' '$2 != $4 { print $1, $2 }' | while IFS=$TAB read -r key was; do
    path=$(plain "$key")
    [ ! -e "$path" ] || [ -L "$path" ] || acl_given "$path" "$was" "$(stat -c %a "$path")"
  done
}
flags_back() {
  awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { want[$1] = $2; next } !($1 in want) { print $1, "-" } END { for (k in want) print k, want[k] }' \
    "$X/expected/flags" "$X/now/flags" | while IFS=$TAB read -r key want; do
    path=$(plain "$key")
    [ -e "$path" ] || continue
    if [ "$want" = - ]; then chattr -ia -- "$path"; else chattr "+$want" -- "$path"; fi || lacks "$path: flags $want"
  done
}

put_back() { # PATH WAS
  path=$1 was=$2
  case $was in
    "d "*)
      [ -d "$path" ] && [ ! -L "$path" ] || { [ ! -e "$path" ] && [ ! -L "$path" ] || set_aside "$path"; mkdir -p "$path"; }
      ;;
    "l "*)
      [ ! -d "$path" ] || [ -L "$path" ] || set_aside "$path"
      mkdir -p "$(dirname "$path")"
      ln -sfnT "$(printf '%s' "$was" | cut -d' ' -f5-)" "$path.bastide-new"
      mv -fT "$path.bastide-new" "$path"
      ;;
    f\ *\ *\ *\ *)
      case $MERGED in *" $path "*) [ ! -e "$path" ] || { owned "$path" "$was"; return; } ;; esac
      if [ "$(sha256sum <"$path" 2>/dev/null | cut -c1-64)" != "${was##* }" ]; then
        [ -f "$H/originals$path" ] || { lacks "$path: its content of before was not kept"; return; }
        [ ! -d "$path" ] || set_aside "$path"
        mkdir -p "$(dirname "$path")"
        cp "$H/originals$path" "$path.bastide-new"
        owned "$path.bastide-new" "$was" "$path"
        # What is mounted on cannot be renamed away.
        mv -fT "$path.bastide-new" "$path" 2>/dev/null || { cat "$path.bastide-new" >"$path"; rm -f "$path.bastide-new"; }
      fi
      ;;
    *) [ -e "$path" ] || return 0 ;;
  esac
  owned "$path" "$was"
}

# Remove what was not there: files whose content is kept, and what else is moved. A directory that holds something of another stays.
removed() { # PATH IS
  case $2 in
    "d "*)
      [ "$1" != /opt/filterd ] || rm -rf /opt/filterd
      rm -rf "$1/__pycache__"
      rmdir "$1" 2>/dev/null || [ ! -e "$1" ] || printf '%s\n' "$1" >>"$X/stays"
      ;;
    f\ *\ *\ *\ *) rm -f "$1" ;;
    *) [ ! -e "$1" ] && [ ! -L "$1" ] || set_aside "$1" ;;
  esac
}

# Put files back that are not as they were; what packages brought that are there still is left to the package manager.
files_back() {
  loosened
  brought >"$X/brought"
  : >"$X/stays"
  state files | awk -F'\t' -v OFS='\t' 'FILENAME == ARGV[1] { skip[$1] = 1; next } $2 != $4 && !($1 in skip) { print $1, $2, $4 }' \
    "$X/brought" - >"$X/todo"
  grep -v "^[^$TAB]*$TAB-$TAB" "$X/todo" | sort | while IFS=$TAB read -r path was _; do put_back "$(plain "$path")" "$was"; done
  grep "^[^$TAB]*$TAB-$TAB" "$X/todo" | sort -r | while IFS=$TAB read -r path _ is; do removed "$(plain "$path")" "$is"; done
  state caps | awk -F'\t' '$2 != $4' | while IFS=$TAB read -r path was _; do
    if [ "$was" = - ]; then setcap -r "$path"; else setcap "$was" "$path"; fi 2>/dev/null || lacks "$path: capabilities $was"
  done
  acls_back
}

# Put back the accounts that deploys changed, line by line: what an administrator has added or changed since stays.
accounts_back() {
  for path in $ACCOUNTS; do
    [ -f "$path" ] && [ -f "$H/originals$path" ] && [ -f "$H/ours$path" ] || continue
    grep -q "^$path$TAB" "$H/changed/files" || continue
    awk -F: 'FILENAME == ARGV[1] { base[$1] = $0; order[++n] = $1; next } FILENAME == ARGV[2] { ours[$1] = $0; next }
      { now[$1] = $0; if (!($1 in base) && !($1 in ours)) more[++m] = $0 }
      END {
        for (i = 1; i <= n; i++) {
          k = order[i]
          same = (k in ours) && base[k] == ours[k]
          if (same && (k in now)) print now[k]; else if (!same) print base[k]
        }
        for (i = 1; i <= m; i++) print more[i]
      }' "$H/originals$path" "$H/ours$path" "$path" >"$path.bastide-new"
    owned "$path.bastide-new" "$(awk -F'\t' -v k="$path" '$1 == k { print $2 }' "$H/changed/files")" "$path"
    if cmp -s "$path" "$path.bastide-new"; then rm "$path.bastide-new"; else mv -fT "$path.bastide-new" "$path"; fi
    printf '%s\t%s\n' "$path" "$(sha256sum <"$path" | cut -c1-64)"
  done >"$X/accounts"
}

units_stopped() {
  units=$(added active)
  [ -z "$units" ] || say "stopping $(printf '%s\n' "$units" | wc -l) units"
  # All at once, so that none starts another again; auditd lets nobody stop it but by a signal.
  # shellcheck disable=SC2086
  [ -z "$units" ] || systemctl --quiet stop $units 2>/dev/null ||
    for unit in $units; do systemctl --quiet stop "$unit" 2>/dev/null || systemctl --quiet kill "$unit" 2>/dev/null || true; done
}

overrides_back() {
  state overrides | awk -F'\t' '$2 != $4' | while IFS=$TAB read -r path was _ is; do
    pm_override_back "$path" "$was" "$is"
  done
  state diversions | awk -F'\t' '$2 == "-" && $4 ~ /^local diversion/ { print $1 }' | while read -r path; do
    pm_diversion_gone "$path"
  done
}

# Have the administrator's door as it was before anything is shut behind him. sshd keeps the sessions that are open.
sshd_back() {
  said=$(sshd -t 2>&1) || { lacks "sshd would not start with its former configuration: $said"; exit 1; }
  sshd=sshd.service
  ! systemctl cat ssh.service >/dev/null 2>&1 || sshd=ssh.service
  systemctl reload $sshd || { lacks "sshd was not reloaded"; exit 1; }
  systemctl is-active --quiet $sshd || { lacks "sshd does not run"; exit 1; }
}

# A parameter that has changed may change others, so all are looked at twice.
kernel_back() {
  for _ in 1 2; do
    state sysctl | awk -F'\t' -v OFS='\t' '$2 != "-" && $4 != "-" { print $1, $2 }' | while IFS=$TAB read -r file was; do
      [ "$(tr '\t' ' ' <"$file" 2>/dev/null)" = "$was" ] || printf '%s' "$was" 2>/dev/null >"$file" || true
    done
  done 2>/dev/null
  state mounts | awk -F'\t' '$2 != $4' | while IFS=$TAB read -r path was _ is; do
    many=$(($(printf '%s' "$is" | grep -o '|' | wc -l) - $(printf '%s' "$was" | grep -o '|' | wc -l)))
    [ "$was" != - ] || many=$((many + 1))
    while [ $many -gt 0 ]; do umount "$path" 2>/dev/null || umount -l "$path" || true; many=$((many - 1)); done
    [ "$was" = - ] || mount -o "remount,bind,exec,suid,dev,$(printf '%s' "${was##*| }" | cut -d' ' -f2 | sed 's/,relatime//; s/^relatime,//')" "$path" ||
      lacks "$path: mount options $was"
  done
}

packages_back() {
  pm_begin
  purged=$(added packages)
  [ -z "$purged" ] || say "removing $(printf '%s\n' "$purged" | wc -l) packages"
  # Some do not go where their data is not.
  touch "$X/data"
  while read -r path; do [ -e "$path" ] || mkdir "$path"; done <"$X/data"
  # shellcheck disable=SC2086
  [ -z "$purged" ] || pm_purge $purged >>"$X/packages.log" 2>&1 || true
  : >"$X/needed"
  for package in $purged; do
    ! pm_installed "$package" || printf '%s\n' "$package" >>"$X/needed"
  done
  [ -z "$purged" ] || pm_forget
  # Some remove the whole directory of their configuration, with what others had put there.
  tar -xpf "$X/theirs.tar" -C / --skip-old-files
  state packages | awk -F'\t' -v OFS='\t' '$2 != "-" && $2 != $4 { print $1, $2, $3, $4 }' | while IFS=$TAB read -r name was ours is; do
    case $was in
      ii*)
        # Upgraded since by the administrator: that stays.
        [ "$is" = "$ours" ] || [ "${is%% *}" != ii ] || continue
        pm_install "$name" "${was#* }" >>"$X/packages.log" 2>&1 ||
          lacks "the package $name ${was#* } cannot be had; look into $X/packages.log"
        ;;
      *) pm_remove "$name" >>"$X/packages.log" 2>&1 || lacks "the package $name could not be removed" ;;
    esac
  done
  state auto | awk -F'\t' '$2 != $4' | while IFS=$TAB read -r name was _; do
    pm_installed "$name" || continue
    if [ "$was" = - ]; then pm_mark "$name" manual; else pm_mark "$name" auto; fi
  done
  pm_end
}

# Let go of the AppArmor profiles that deploys brought, before their files go: the kernel would hold the MTA of before to ours until
# the next boot. In a container they were never loaded.
profiles_gone() {
  systemd-detect-virt --quiet --container && return
  added files | grep '^/etc/apparmor\.d/[^/]*$' | while read -r path; do
    [ ! -e "$path" ] || apparmor_parser --remove "$path" 2>/dev/null || true
  done
}

# Start what ran before, and start anew what runs with files that have been put back: those in whose path a unit's name stands.
units_back() {
  for unit in $(taken active); do
    systemctl reset-failed "$unit" 2>/dev/null || true
    systemctl --quiet start "$unit" || lacks "$unit ran before and does not start"
  done
  systemctl list-units --no-legend --no-pager --plain --state=active --type=service | awk '{ print $1 }' | while read -r unit; do
    name=${unit%.service}
    case $name in ssh | sshd | systemd-logind | user@* | *getty@* | bastide-revert | networking | dbus) continue ;; esac
    # They begin with a flush of the rules that are back already.
    ! printf '%s\n' "$name" | grep -qxE "$LOADERS" || continue
    grep -qE "^[^$TAB]*/(${name%%@*}|${name#systemd-})(\.|/|$TAB)" "$H/changed/files" || continue
    systemctl --quiet try-restart "$unit" || lacks "$unit does not start again"
  done
}
