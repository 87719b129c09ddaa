"""Things broken by hand are seen: the audit names the defence and exits 2."""

import subprocess

import pytest

from lab.access import ssh_argv
from lab.plan import LabState
from roles.mta.relaying import FIRST
from tests.acceptance import labs
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.lacking import missing

FINDINGS = 2


def audited(lab: LabState, only: str) -> subprocess.CompletedProcess[str]:
    return labs.audited(labs.INVENTORY, "--only", only, lab=lab.name)


# What is done by hand, how it is undone, and the check that must name it.
BROKEN = {
    "port": (
        "systemd-run --quiet --unit=by-hand python3 -m http.server 8099; iptables -I INPUT -p tcp --dport 8099 -j ACCEPT; sleep 1",
        "systemctl stop by-hand; iptables -D INPUT -p tcp --dport 8099 -j ACCEPT",
        "firewall.default-drop",
        ("firewall.default-drop:syn-ipv4-wan",),
    ),
    "secret": (
        "chmod 666 /etc/filterd/filterd.toml",
        "chmod 640 /etc/filterd/filterd.toml",
        "filterd.private-files",
        ("filterd.private-files:/etc/filterd/filterd.toml",),
    ),
    "passwords": (
        "stat -c %a /etc/shadow >/run/by-hand; chmod 666 /etc/shadow",
        "chmod $(cat /run/by-hand) /etc/shadow; rm /run/by-hand",
        "hardening.secret-files",
        ("hardening.secret-files:/etc/shadow",),
    ),
    "egress": (
        "iptables -I OUTPUT -j ACCEPT",
        "iptables -D OUTPUT -j ACCEPT",
        "firewall.nothing-else",
        ("firewall.nothing-else:IPv4 filter table",),
    ),
    "translation": (
        "iptables -t nat -A PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22",
        "iptables -t nat -D PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22",
        "firewall.nothing-else",
        ("firewall.nothing-else:IPv4 rules in other tables",),
    ),
    "boot": (
        "systemctl --quiet disable netfilter-persistent.service",
        "systemctl --quiet enable netfilter-persistent.service",
        "firewall.at-boot",
        ("firewall.at-boot:netfilter-persistent.service UnitFileState",),
    ),
    "boot-rules": (
        "sed -i 's/^:INPUT DROP/:INPUT ACCEPT/' /etc/iptables/rules.v4",
        "sed -i 's/^:INPUT ACCEPT/:INPUT DROP/' /etc/iptables/rules.v4",
        "firewall.at-boot",
        ("firewall.at-boot:IPv4 filter table at boot",),
    ),
    # A question that cannot be asked is not an answer.
    "tool": (
        "mv /usr/sbin/ip6tables-save /usr/sbin/by-hand",
        "mv /usr/sbin/by-hand /usr/sbin/ip6tables-save",
        "firewall.nothing-else",
        ("firewall.nothing-else:IPv6 filter table", "firewall.nothing-else:IPv6 rules in other tables"),
    ),
    "interface": (
        "sysctl -qw net.ipv6.conf.wan0.accept_ra=1",
        "sysctl -qw net.ipv6.conf.wan0.accept_ra=0",
        "hardening.no-router-advertisements",
        ("hardening.no-router-advertisements:net.ipv6.conf.*.accept_ra",),
    ),
    "match": (
        "printf 'Match User nobody\\n PasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/zz-by-hand.conf",
        "rm /etc/ssh/sshd_config.d/zz-by-hand.conf",
        "hardening.ssh-no-match",
        ("hardening.ssh-no-match:Match blocks in sshd's files",),
    ),
    "policy": (
        'sed -i \'s/^not_inspected.*/not_inspected = ["ignore"]/; s/^precision.*/precision = "low"/\' /etc/filterd/filterd.toml',
        'sed -i \'s/^not_inspected.*/not_inspected = ["tempfail"]/; s/^precision.*/precision = "medium"/\' /etc/filterd/filterd.toml',
        "filterd.policy",
        ("filterd.policy:policy.chains.not_inspected", "filterd.policy:policy.precision"),
    ),
    "code": (
        "chmod o+w /opt/filterd/current/bin/filterd",
        "chmod o-w /opt/filterd/current/bin/filterd",
        "filterd.own-code",
        ("filterd.own-code:files of filterd",),
    ),
    "signatures": (
        "systemctl stop clamav-freshclam; journalctl --quiet --rotate; sleep 1; journalctl --quiet --vacuum-time=1s",
        (
            "systemctl start clamav-freshclam; timeout 30 sh -c "
            "'until journalctl -q -o cat -t freshclam | grep -q up-to-date; do sleep 0.2; done'"
        ),
        "clamav.fresh",
        ("clamav.fresh:clamav-freshclam.service ActiveState", "clamav.fresh:checks for new signatures"),
    ),
    "sysctl": (
        "sysctl -qw net.ipv4.conf.all.accept_redirects=1",
        "sysctl -qw net.ipv4.conf.all.accept_redirects=0",
        "hardening.no-redirects",
        ("hardening.no-redirects:net.ipv4.conf.*.accept_redirects",),
    ),
    "second-root": (
        "echo 'toor:x:0:0::/root:/bin/sh' >>/etc/passwd",
        "sed -i /^toor:/d /etc/passwd",
        "hardening.one-root",
        ("hardening.one-root:accounts with user id 0",),
    ),
    "setuid": (
        "chmod u+s /usr/bin/chfn",
        "chmod u-s /usr/bin/chfn",
        "hardening.few-privileged-programs",
        (
            "hardening.few-privileged-programs:programs that need not run as their owner",
            "hardening.few-privileged-programs:programs that run as their owner and are on no list",
        ),
    ),
    # On file systems of their own, as the task machine.partitions asks for them.
    "setuid-elsewhere": (
        "mkdir /home/by-hand; mount -t tmpfs -o mode=755 by-hand /home/by-hand; install -m 4755 /usr/bin/id '/home/by-hand/an id'",
        "umount /home/by-hand; rmdir /home/by-hand",
        "hardening.few-privileged-programs",
        ("hardening.few-privileged-programs:programs that run as their owner and are on no list",),
    ),
    "writable-elsewhere": (
        (
            "mkdir /home/by-hand; mount -t tmpfs -o mode=777 by-hand /home/by-hand; touch /home/by-hand/all; chmod 666 /home/by-hand/all; "
            "chown 61234 /home/by-hand/all"
        ),
        "umount /home/by-hand; rmdir /home/by-hand",
        "hardening.sticky",
        (
            "hardening.sticky:directories that all may write, without the sticky bit",
            "hardening.sticky:files that all may write",
            "hardening.sticky:files without an owner or a group",
        ),
    ),
    "su": (
        "sed -i '1i -auth\\tsufficient pam_permit.so' /etc/pam.d/su",
        "sed -i 1d /etc/pam.d/su",
        "hardening.su",
        ("hardening.su:what su asks first",),
    ),
    "match-elsewhere": (
        (
            "mkdir /etc/ssh/by-hand; printf 'Match User nobody\n PasswordAuthentication yes\n' >/etc/ssh/by-hand/a.conf; "
            "echo 'include \"by-hand/*.conf\"' >/etc/ssh/sshd_config.d/zz-by-hand.conf"
        ),
        "rm -r /etc/ssh/by-hand /etc/ssh/sshd_config.d/zz-by-hand.conf",
        "hardening.ssh-no-match",
        ("hardening.ssh-no-match:Match blocks in sshd's files",),
    ),
    "authority": (
        "echo 'TrustedUserCAKeys /etc/ssh/by-hand.pub' >/etc/ssh/sshd_config.d/zz-by-hand.conf",
        "rm /etc/ssh/sshd_config.d/zz-by-hand.conf",
        "hardening.ssh-own-keys",
        ("hardening.ssh-own-keys:where else sshd takes keys from",),
    ),
    "pam": (
        "echo 'UsePAM no' >/etc/ssh/sshd_config.d/00-a-by-hand.conf",
        "rm /etc/ssh/sshd_config.d/00-a-by-hand.conf",
        "hardening.ssh-pam",
        ("hardening.ssh-pam:UsePAM",),
    ),
    # What cannot be counted is not none.
    "uncounted": (
        "mv /etc/ssh/moduli /etc/ssh/by-hand",
        "mv /etc/ssh/by-hand /etc/ssh/moduli",
        "hardening.ssh-host-keys",
        ("hardening.ssh-host-keys:groups of less than 3072 bits",),
    ),
    "mount": (
        "mount -o remount,bind,exec,nosuid,nodev /var/tmp",
        "mount -o remount,bind,noexec,nosuid,nodev /var/tmp",
        "hardening.shared-directories",
        ("hardening.shared-directories:/var/tmp",),
    ),
    "tries": (
        "cp -p /etc/pam.d/common-auth /root/by-hand; sed -i '/pam_faillock.so authfail/d' /etc/pam.d/common-auth",
        "mv /root/by-hand /etc/pam.d/common-auth",
        "hardening.password-tries",
        ("hardening.password-tries:what counts wrong passwords",),
    ),
    "sandbox": (
        (
            "mkdir -p /run/systemd/system/clamav-daemon.service.d; printf '[Service]\\nPrivateNetwork=no\\nProtectSystem=no\\n' "
            ">/run/systemd/system/clamav-daemon.service.d/zz-by-hand.conf; systemctl daemon-reload"
        ),
        "rm -r /run/systemd/system/clamav-daemon.service.d; systemctl daemon-reload",
        "sandbox.clamd",
        (
            "sandbox.clamd:clamav-daemon.service PrivateNetwork",
            "sandbox.clamd:clamav-daemon.service ProtectSystem",
        ),
    ),
}


def by_hand(change: str) -> tuple[str, str]:
    """Return how Sendmail's built files are changed, and how they become what they were."""
    kept = "/root/mail.kept"
    restart = "systemctl restart sendmail"
    return (
        f"set -e; cp -a /etc/mail {kept}; cd /etc/mail; {change}; {restart}",
        f"cp -a {kept}/. /etc/mail/; rm -r {kept}; {restart}",
    )


def table(name: str, line: str) -> tuple[str, str]:
    return by_hand(f"printf '{line}\\n' >>{name}; makemap hash {name}.db <{name}")


# The same of each MTA.
OF_MTA = {
    "postfix": {
        "banner": (
            "postconf -e 'smtpd_banner=$myhostname ESMTP Postfix (Debian/GNU)'; postfix reload",
            "postconf -e 'smtpd_banner=$myhostname ESMTP'; postfix reload",
            "mta.banner",
            ("mta.banner:smtpd_banner", "mta.banner:greeting-25-wan"),
        ),
        "exception": (
            (
                "postconf -e 'smtpd_relay_restrictions=reject_non_fqdn_recipient permit_mynetworks "
                "check_client_access inline:{198.51.100.66=OK} reject_unauth_destination'"
            ),
            "postconf -e 'smtpd_relay_restrictions=reject_non_fqdn_recipient permit_mynetworks reject_unauth_destination'",
            "mta.restriction-order",
            ("mta.restriction-order:smtpd_relay_restrictions",),
        ),
        "unfiltered": (
            "postconf -e 'smtpd_milter_maps=inline:{198.51.100.66=DISABLE}'; postconf -P smtp/inet/milter_default_action=accept",
            "postconf -X smtpd_milter_maps; postconf -PX smtp/inet/milter_default_action",
            "mta.no-exceptions",
            ("mta.no-exceptions:smtpd_milter_maps", "mta.no-exceptions:parameters that a service"),
        ),
        "domain": (
            "echo 'elsewhere.example relay:[198.18.0.25]:25' >>/etc/postfix/transport",
            "sed -i /elsewhere/d /etc/postfix/transport",
            "mta.no-exceptions",
            ("mta.no-exceptions:texthash:/etc/postfix/transport",),
        ),
        "smuggling": (
            "postconf -e smtpd_forbid_bare_newline=no; postfix reload",
            "postconf -e smtpd_forbid_bare_newline=normalize; postfix reload",
            "mta.no-smuggling",
            ("mta.no-smuggling:smtpd_forbid_bare_newline", "mta.no-smuggling:false-ends-of-data"),
        ),
        "relay": (
            # And the table that asks first where Postfix has the lists the other way round.
            f"postconf -e 'mynetworks=198.51.100.0/24'; sed -i.by-hand 's/^/#/' {FIRST} 2>/dev/null || true; postfix reload",
            (
                "postconf -e 'mynetworks=127.0.0.0/8 [::1]/128 198.18.0.0/26'; "
                f"mv {FIRST}.by-hand {FIRST} 2>/dev/null || true; postfix reload"
            ),
            "mta.no-open-relay",
            ("mta.no-open-relay:mynetworks", "mta.no-open-relay:relay-percent"),
        ),
    },
    "sendmail": {
        "banner": (
            *by_hand(
                "sed -i 's#^O SmtpGreetingMessage=.*#O SmtpGreetingMessage=$j Sendmail $v/$Z#' sendmail.cf"
            ),
            "mta.banner",
            ("mta.banner:confSMTP_LOGIN_MSG", "mta.banner:greeting-25-wan"),
        ),
        "exception": (
            *by_hand("sed -i '/^SLocal_check_rcpt/a R$*\\t$#OK' sendmail.cf"),
            "mta.restriction-order",
            ("mta.restriction-order:Local_check_rcpt",),
        ),
        "unfiltered": (
            *by_hand("sed -i 's/^O InputMailFilters=.*/O InputMailFilters=/' sendmail.cf"),
            "mta.filtered-or-later",
            ("mta.filtered-or-later:filters that each message passes",),
        ),
        "domain": (
            *table("mailertable", "elsewhere.example\\thop25:[198.18.0.25]"),
            "mta.no-exceptions",
            ("mta.no-exceptions:/etc/mail/mailertable",),
        ),
        "smuggling": (
            *by_hand(
                "sed -i 's/^Srv_Features:.*/Srv_Features:\\tO G U/' access; makemap hash access.db <access"
            ),
            "mta.no-smuggling",
            ("mta.no-smuggling:false-ends-of-data",),
        ),
        "relay": (
            *table("access", "Connect:198.51.100\\tRELAY"),
            "mta.no-",
            ("mta.no-exceptions:/etc/mail/access", "mta.no-open-relay:relay-plain"),
        ),
    },
}
CASES = {**BROKEN, **OF_MTA[SETTINGS.mta]}


@pytest.mark.parametrize("name", list(CASES))
def test_found(name: str, lab: LabState, gateway: GatewayHost) -> None:
    change, undo, only, named = CASES[name]
    if why := missing(only):
        pytest.skip(why)
    with gateway.altered(change, undo):
        found = audited(lab, only)
        assert found.returncode == FINDINGS, found.stdout + found.stderr
        broken = [line for line in found.stdout.splitlines() if line.strip().startswith("broken")]
        for item in named:
            assert any(item in line for line in broken), found.stdout
    healed = audited(lab, only)
    assert healed.returncode == 0, healed.stdout + healed.stderr


def test_unreachable_host_is_not_a_finding(lab: LabState, gateway: GatewayHost) -> None:
    rule = "INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j DROP"
    # A session that is there stays; when its input ends, with this process at the latest, the way is open again.
    held = [*ssh_argv(gateway.host), f"iptables -I {rule}; echo closed; read -r _; iptables -D {rule}"]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"closed\n"
        said = audited(lab, "hardening.syncookies")
    assert said.returncode == 3, said.stdout + said.stderr
    assert audited(lab, "hardening.syncookies").returncode == 0
