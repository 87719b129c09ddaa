# The package manager's part of record and revert, for dnf and rpm; both read this file. What the functions print are a section's lines.

# Print "package TAB ii version": as of apt's packages, ii is installed. Of some there are several versions at a time.
pm_packages() {
  rpm -qa --queryformat '%{NAME}\t%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' | sort | awk -F'\t' -v OFS='\t' '
    $2 == "(none)" { k = $1 "-" $3; sub(/-[0-9]*:/, "-", k); $1 = k } $2 != "(none)" { $1 = $1 "." $2 }
    $1 in all { all[$1] = all[$1] "," $3; next } { all[$1] = $3 } END { for (k in all) print k, "ii " all[k] }' | sort
}

# dnf's own history says why each package came, and goes with it; rpm keeps no modes of its own, and diverts nothing.
pm_auto() { :; }
pm_overrides() { :; }
pm_diversions() { :; }

# Print the paths that a package brought.
pm_brought() { rpm -ql "$1" 2>/dev/null || true; }

# Print when a package was last installed or upgraded, in seconds since 1970; 0 if that is not known.
pm_changed() { t=$(rpm -q --queryformat '%{INSTALLTIME}\n' "$1" 2>/dev/null | sed -n '1s/^\([0-9]*\)$/\1/p'); echo "${t:-0}"; }

pm_installed() { rpm -q --quiet "$1" 2>/dev/null; }

# rpm starts nothing.
pm_begin() { :; }
pm_end() { :; }

# Remove packages, each that nobody needs; a package of the administrator's keeps what it stands on. rpm(8) removes all that it is
# told of or none, and leaves changed configuration behind by another name.
pm_purge() {
  saved=$(rpm -qc "$@" | while read -r path; do [ -e "$path.rpmsave" ] || printf '%s.rpmsave\n' "$path"; done)
  rpm --erase --allmatches "$@" || {
    again=1
    while [ -n "$again" ]; do
      again=
      for package; do
        ! pm_installed "$package" || ! rpm --erase --allmatches "$package" 2>/dev/null || again=1
      done
    done
  }
  printf '%s\n' "$saved" | while read -r path; do [ -z "$path" ] || rm -f "$path"; done
}
pm_remove() { rpm --erase --allmatches "$1"; }
pm_install() { # PACKAGE VERSION
  dnf -q -y --setopt=install_weak_deps=False install "${1%.*}-$2.${1##*.}" || dnf -q -y downgrade "${1%.*}-$2.${1##*.}"
}
pm_forget() { :; }
pm_mark() { :; }
pm_override_back() { :; }
pm_diversion_gone() { :; }
