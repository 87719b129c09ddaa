"""A server that somebody has used before Bastide comes: a stock MTA with mail, leftovers, other rules, people's own things."""

from typing import Final

# Where its mail would go: nobody answers there.
NOWHERE: Final = "192.0.2.1"
PORT: Final = 8080
# Contents of files that a deploy changes or stands beside; each must be found again.
OWN: Final = {
    "/etc/ssh/sshd_config.d/05-own.conf": "PasswordAuthentication yes\nPermitRootLogin yes\n",
    "/etc/sysctl.d/50-own.conf": "net.ipv4.ip_forward = 1\n",
    "/etc/motd": "Welcome to the old server\n",
    "/etc/cron.d/own": "17 4 * * * root /usr/local/bin/own\n",
    "/etc/cron.daily/own": "#!/bin/sh\ntrue\n",
    "/var/spool/cron/crontabs/root": "5 5 * * * /usr/local/bin/own\n",
    "/usr/local/bin/own": "#!/bin/sh\necho own\n",
    "/etc/postfix/own": "own.example OK\n",
    "/etc/exim4/exim4.conf.localmacros": "MAIN_TLS_ENABLE = yes\n",
    "/etc/nftables.conf": "#!/usr/sbin/nft -f\nflush ruleset\ntable inet own {\n  chain input {\n"
    "    type filter hook input priority 10; policy accept;\n    tcp dport 2525 drop\n  }\n}\n"
    # Of a name that iptables has too, which shows of it that everything passes (iptables 1.8.9), and would take it away.
    "table ip filter {\n  chain input {\n    type filter hook input priority 0; policy drop;\n"
    "    ct state established,related accept\n    iifname lo accept\n"
    f"    iifname mgmt0 tcp dport 22 accept\n    tcp dport {PORT} accept\n  }}\n}}\n",
    "/root/notes": "do not lose me\n",
    "/etc/systemd/system/own-web.service": "[Unit]\nDescription=Own pages\n[Service]\n"
    f"ExecStart=/usr/bin/python3 -m http.server --directory /srv/drop {PORT}\n[Install]\nWantedBy=multi-user.target\n",
}
# Debian's own way to leave a package's configuration behind: it was installed, and removed without --purge.
_LEFTOVER: Final = """d=$(mktemp -d)
mkdir -p $d/DEBIAN $d/etc/exim4 $d/usr/sbin
cat >$d/DEBIAN/control <<'END'
Package: exim4-daemon-light
Version: 4.96-15
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: an MTA
END
echo /etc/exim4/exim4.conf >$d/DEBIAN/conffiles
echo '# left over' >$d/etc/exim4/exim4.conf
dpkg-deb -b $d $d.deb >/dev/null
dpkg -i $d.deb >/dev/null
dpkg --remove exim4-daemon-light >/dev/null
rm -rf $d $d.deb"""
# Files that a deploy writes anew or gives another mode, each with a list by which its group, unlike what the mode says, gets
# nothing (system.posix_acl_access of acl(5): owner rw, user odd r, group none, mask rw, others none); and one that nobody may change.
LISTED: Final = ("/etc/motd", "/etc/ssh/sshd_config", "/var/spool/cron/crontabs/root")
FIXED: Final = "/etc/own-fixed"
_LISTS: Final = f"""python3 - <<'END'
import os, pwd, struct
nobody = 0xFFFFFFFF
entries = ((1, 6, nobody), (2, 4, pwd.getpwnam("odd").pw_uid), (4, 0, nobody), (16, 6, nobody), (32, 0, nobody))
text = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)
for path in {LISTED!r}:
    os.setxattr(path, "system.posix_acl_access", text)
END
echo fixed >{FIXED}
chattr +i {FIXED} 2>/dev/null || true"""
_FILES: Final = "\n".join(
    f"mkdir -p $(dirname {path}); cat >{path} <<'END'\n{text}END" for path, text in OWN.items()
)
MADE: Final = f"""set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
apt-get -q -y --no-install-recommends install postfix iptables nftables >/dev/null
{_LEFTOVER}
mkdir -m 1777 -p /srv/drop
mkdir -m 777 -p /var/lib/own-drop
{_FILES}
chmod 755 /usr/local/bin/own /etc/cron.daily/own
chmod 600 /var/spool/cron/crontabs/root
chmod 644 /etc/ssh/sshd_config.d/05-own.conf
useradd --create-home --shell /bin/bash odd
useradd --system --shell /bin/bash sysodd
echo 'odd:secret' | chpasswd
{_LISTS}
echo 'postmaster: odd' >>/etc/aliases
newaliases
sysctl -q -p /etc/sysctl.d/50-own.conf
postconf -e relayhost=[{NOWHERE}] defer_transports=smtp
systemctl restart postfix
systemctl daemon-reload
systemctl --quiet enable --now own-web
systemctl reload ssh
systemctl --quiet enable --now nftables
for n in 1 2; do printf 'Subject: old mail %s\\n\\nold\\n' $n | sendmail -f odd@old.example 'someone@[{NOWHERE}]'; done
ip6tables -N own
ip6tables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
ip6tables -A INPUT -i lo -j ACCEPT
ip6tables -A INPUT -i mgmt0 -p tcp --dport 22 -j ACCEPT
ip6tables -A INPUT -j own
ip6tables -A own -p tcp --dport {PORT} -j ACCEPT
ip6tables -P INPUT DROP
iptables -t nat -A POSTROUTING -o wan0 -s 10.9.0.0/24 -j MASQUERADE
for s in $(seq 20); do [ $(find /var/spool/postfix/deferred /var/spool/postfix/active -type f | wc -l) -ge 2 ] && break; sleep 0.5; done
"""
# What stays with Postfix is on hold, so that no later try moves it while a picture is taken. Held mail is carried to no other MTA.
HELD: Final = """postsuper -h ALL
[ $(find /var/spool/postfix/hold -type f | wc -l) -eq 2 ]
"""
