# The packet filter's way back, part of revert. Where the former rules refuse anything, only a new login keeps them.
ROLLBACK=bastide-revert-rollback
CONFIRM_SECONDS=120
LOADERS='nftables|firewalld|ufw|fail2ban|sshguard|shorewall|shorewall6|ferm|iptables|ip6tables'

tool_of() { if [ "$1" = 4 ]; then echo iptables; else echo ip6tables; fi; }
bare() { "$1"-save | sed -e '/^#/d' -e 's/ \[[0-9]*:[0-9]*\]$//'; }

# Print the rules of before for a family; a table that there was none of is emptied, and lets everything pass.
former() { # TOOL FILE
  tables=$(bare "$1" | sed -n 's/^\*//p')
  for table in $tables; do
    grep -qsx "\*$table" "$2" || { echo "*$table"; bare "$1" | sed -n "/^\*$table\$/,/^COMMIT\$/s/^\(:[^ ]*\) [A-Z].*/\1 ACCEPT [0:0]/p"; echo COMMIT; }
  done
  [ ! -e "$2" ] || cat "$2"
}

refuses() { grep -qsE '^:(INPUT|OUTPUT) DROP|-j (DROP|REJECT)' "$H/originals/firewall4" "$H/originals/firewall6"; }

filter_loaded() {
  for family in $1; do "$(tool_of "$family")-restore" -w 10 "$X/filter$family.$2" || return 1; done
}

# Start what loads rules by itself and did so before; some of it begins with a flush, so it comes before the rules of before.
loaders_back() {
  for unit in $(taken active | grep -xE "($LOADERS)\.service"); do
    systemctl --quiet start "$unit" || lacks "$unit ran before and does not start"
  done
}

# Have both families' rules of before, each in one step.
filter_back() {
  loaders_back
  families=$(state firewall | awk -F'\t' '$2 != $4 { print $1 }')
  loaded=
  for family in $families; do
    tool=$(tool_of "$family")
    command -v "$tool-save" >/dev/null || continue
    [ -e "$X/filter$family.deployed" ] || "$tool-save" >"$X/filter$family.deployed"
    former "$tool" "$H/originals/firewall$family" >"$X/filter$family.former"
    [ ! -s "$X/filter$family.former" ] || "$tool-restore" --test "$X/filter$family.former" || { lacks "the former rules of IPv$family cannot be loaded"; exit 1; }
    loaded="$loaded $family"
  done
  [ -n "$loaded" ] || return 0
  rm -f "$H/confirmed" "$H/awaiting"
  if refuses; then
    undo=$(for family in $loaded; do printf '%s-restore %s; ' "$(tool_of "$family")" "$X/filter$family.deployed"; done)
    systemctl --quiet stop $ROLLBACK.timer 2>/dev/null || true
    systemd-run --quiet --collect --unit=$ROLLBACK --on-active=$CONFIRM_SECONDS --timer-property=AccuracySec=1s sh -c "$undo"
  fi
  filter_loaded "$loaded" former
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
