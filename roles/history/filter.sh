# The packet filter's way back, part of revert. Where the former rules refuse anything, only a new login keeps them.
ROLLBACK=bastide-revert-rollback
CONFIRM_SECONDS=120
LOADERS='nftables|firewalld|ufw|fail2ban|sshguard|shorewall|shorewall6|ferm|iptables|ip6tables'

tool_of() { if [ "$1" = 4 ]; then echo iptables; else echo ip6tables; fi; }
bare() { sh "$H/record" rules "$1"; }
theirs() { sed -n 's/^table ip6\{0,1\} \([a-z]*\) {$/\1/p' "$1" 2>/dev/null || true; }

# Print the rules of before for a family; a table that there was none of is emptied, and lets everything pass. One that was nft's is
# left to nft, which has it back in one step.
former() { # TOOL FILE
  tables=$(bare "$1" | sed -n 's/^\*//p')
  for table in $tables; do
    ! theirs "$2.nft" | grep -qx "$table" || continue
    grep -qsx "\*$table" "$2" || { echo "*$table"; bare "$1" | sed -n "/^\*$table\$/,/^COMMIT\$/s/^\(:[^ ]*\) [A-Z].*/\1 ACCEPT [0:0]/p"; echo COMMIT; }
  done
  [ ! -e "$2" ] || cat "$2"
}

# Print nft's tables of before for a family, each in the place of what bears its name now.
former_nft() { # FAMILY FILE
  name=ip; [ "$1" = 4 ] || name=ip6
  for table in $(theirs "$2"); do printf 'add table %s %s\ndelete table %s %s\n' $name "$table" $name "$table"; done
  cat "$2"
}

refuses() {
  grep -qsE '^:(INPUT|OUTPUT) DROP|-j (DROP|REJECT)' "$H/originals/firewall4" "$H/originals/firewall6" ||
    grep -qsE 'policy drop|(^|[^[:alnum:]])(drop|reject)' "$H/originals/firewall4.nft" "$H/originals/firewall6.nft" || [ -n "$(loaders)" ]
}

# Write what is loaded and, before anything is, try it.
former_tried() {
  for family in $1; do
    former "$(tool_of "$family")" "$H/originals/firewall$family" >"$X/filter$family.former"
    [ ! -s "$X/filter$family.former" ] || "$(tool_of "$family")-restore" --test "$X/filter$family.former" || return 1
    rm -f "$X/filter$family.nft"
    [ -e "$H/originals/firewall$family.nft" ] || continue
    former_nft "$family" "$H/originals/firewall$family.nft" >"$X/filter$family.nft"
    nft -c -f "$X/filter$family.nft" || return 1
  done
}

filter_loaded() {
  for family in $1; do
    [ ! -s "$X/filter$family.former" ] || "$(tool_of "$family")-restore" -w 10 "$X/filter$family.former" || return 1
    [ ! -e "$X/filter$family.nft" ] || nft -f "$X/filter$family.nft" || return 1
  done
}

loaders() { taken active | grep -xE "($LOADERS)\.service" || true; }
native() { ! command -v nft >/dev/null || nft list tables; }

# Start what loads rules by itself and did so before; some of it begins with a flush, so it comes before the rules of before.
loaders_back() {
  for unit in $(loaders); do
    systemctl --quiet start "$unit" || lacks "$unit ran before and does not start"
  done
}

# Print what has the deployed rules back: these first, each family's in one step, and then nothing beside them.
undone() { # FAMILIES
  for family in $1; do printf '%s-restore -w 10 %s; ' "$(tool_of "$family")" "$X/filter$family.deployed"; done
  printf 'nft list tables 2>/dev/null | grep -vxFf %s | while read -r _ family table; do nft delete table $family $table; done' "$X/filter.native"
}

# Have both families' rules of before, each in one step.
filter_back() {
  families=$(state firewall | awk -F'\t' '$2 != $4 { print $1 }')
  loaded=
  for family in $families; do
    ! command -v "$(tool_of "$family")-save" >/dev/null || loaded="$loaded $family"
  done
  [ -n "$loaded" ] || { loaders_back; return 0; }
  [ -e "$X/filter.native" ] || native >"$X/filter.native"
  for family in $loaded; do
    [ -e "$X/filter$family.deployed" ] || "$(tool_of "$family")-save" >"$X/filter$family.deployed"
  done
  former_tried "$loaded" || { lacks "the former rules cannot be loaded"; exit 1; }
  rm -f "$H/confirmed" "$H/awaiting"
  if refuses; then
    systemctl --quiet stop $ROLLBACK.timer 2>/dev/null || true
    systemd-run --quiet --collect --unit=$ROLLBACK --on-active=$CONFIRM_SECONDS --timer-property=AccuracySec=1s sh -c "$(undone "$loaded")"
  fi
  loaders_back
  # What they have loaded is what the rules of before take the place of.
  former_tried "$loaded" && filter_loaded "$loaded" || { lacks "the former rules cannot be loaded"; exit 1; }
  say "the packet filter is what it was"
  ! refuses || filter_confirmed
  for set in $(added ipsets); do ipset destroy "$set" || lacks "the set $set is still there"; done
}

filter_confirmed() {
  touch "$H/awaiting"
  say "log in anew within $CONFIRM_SECONDS seconds and run: sh $H/revert --confirm"
  while [ ! -e "$H/confirmed" ] && systemctl is-active --quiet $ROLLBACK.timer; do sleep 1; done
  rm -f "$H/awaiting"
  [ -e "$H/confirmed" ] || { lacks "nobody logged in through the former packet filter: the deployed one is back; run revert again"; exit 1; }
  systemctl --quiet stop $ROLLBACK.timer
  rm -f "$H/confirmed"
}
