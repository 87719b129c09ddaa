# The package manager's part of record and revert, for apt and dpkg; both read this file. What the functions print are a section's lines.
GUARD=/usr/sbin/policy-rc.d

# Print "package TAB state version": two letters of the state, of which ii is installed.
pm_packages() { dpkg-query -W -f='${binary:Package}\t${db:Status-Abbrev}${Version}\n' | sort; }

# Print the packages that came by themselves, of those in a file. Not by apt-mark(8): that writes apt's cache, whose age says when
# the lists were fetched.
pm_auto() { # PACKAGES
  awk -v OFS='\t' 'FILENAME == ARGV[1] { sub(/:.*/, "", $1); if ($2 == "ii") there[$1] = 1; next }
    /^Package:/ { p = $2 } /^Auto-Installed: 1/ && (p in there) { print p, "auto" }' \
    "$1" /var/lib/apt/extended_states 2>/dev/null | sort -u
}
pm_overrides() { dpkg-statoverride --list | awk -v OFS='\t' '{ print $4, $1 " " $2 " " $3 }' | sort; }
pm_diversions() { dpkg-divert --list | awk -v OFS='\t' '{ k = $0; sub(/^.*diversion of /, "", k); sub(/ to .*/, "", k); print k, $0 }' | sort; }

# Print the paths that a package brought. Debian's lists still speak of /bin and /lib.
pm_brought() {
  cat "/var/lib/dpkg/info/$1.list" "/var/lib/dpkg/info/${1%%:*}.list" 2>/dev/null | sed -E 's#^/(bin|sbin|lib|lib32|lib64|libx32)(/|$)#/usr/\1\2#' || true
}

# Print when a package was last installed or upgraded, in seconds since 1970; 0 if that is not known.
pm_changed() { stat -c %Y "/var/lib/dpkg/info/$1.list" 2>/dev/null || stat -c %Y "/var/lib/dpkg/info/${1%%:*}.list" 2>/dev/null || echo 0; }

pm_installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Before the first change of packages, and after the last one: nothing starts meanwhile.
pm_begin() {
  export DEBIAN_FRONTEND=noninteractive
  if ! [ -e $GUARD ] || grep -q bastide $GUARD; then
    printf '#!/bin/sh\n# bastide: nothing starts while packages go\nexit 101\n' >$GUARD
    chmod 755 $GUARD
  fi
}
pm_end() { ! grep -qs bastide $GUARD || rm -f $GUARD; }

# Remove packages, each that nobody needs; a package of the administrator's keeps what it stands on.
pm_purge() { dpkg --purge "$@"; }
pm_remove() { dpkg --remove "$1"; }
pm_install() { # PACKAGE VERSION
  apt-get -q -y --no-install-recommends --allow-downgrades --allow-change-held-packages -o DPkg::Lock::Timeout=120 \
    -o Dpkg::Options::=--force-confold install "$1=$2"
}

# Forget which of the packages that deploys added came by themselves: apt(8) would keep that for when they come again.
pm_forget() {
  [ -e /var/lib/apt/extended_states ] || return 0
  dpkg-query -W -f='${Package}\n' >"$X/left-packages"
  awk 'FILENAME == ARGV[1] { there[$1] = 1; next } FILENAME == ARGV[2] { sub(/:.*/, "", $1); if ($2 == "-") ours[$1] = 1; next }
    { text = text $0 "\n" } /^Package:/ { p = $2 }
    /^$/ { if (!(p in ours) || (p in there)) printf "%s", text; text = "" } END { if (!(p in ours) || (p in there)) printf "%s", text }' \
    "$X/left-packages" "$H/changed/packages" /var/lib/apt/extended_states >"$X/extended_states"
  cat "$X/extended_states" >/var/lib/apt/extended_states
}
pm_mark() { # PACKAGE manual|auto
  apt-mark "$2" "$1" >/dev/null
}

pm_override_back() { # PATH BEFORE NOW
  [ "$3" = - ] || dpkg-statoverride --quiet --remove "$1"
  # shellcheck disable=SC2086
  [ "$2" = - ] || dpkg-statoverride --quiet --force-statoverride-add --add $2 "$1"
}
pm_diversion_gone() { dpkg-divert --quiet --local --rename --remove "$1"; }
