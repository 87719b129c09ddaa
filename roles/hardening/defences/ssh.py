"""sshd: who gets in, by what, and what a login can be used for."""

from roles.claims import SshAlgorithms, SshMethods, SshVersion
from roles.defence import Defence
from roles.kinds import HostAnswer, HostState, SshdOption
from roles.kinds.questions import counted
from roles.platforms import row

# Key exchange, ciphers and MACs that have no known weakness and that OpenSSH 8.5 and later offers on all platforms. The first
# one keeps what is recorded today from who has a quantum computer one day; paramiko, by which a deploy comes, has none such.
# No finite-field groups: a stranger has the server compute one for nothing, again and again (CVE-2002-20001).
KEX = (
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
)
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
)
MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com")
HOST_KEYS = ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")
# Each file that sshd reads, as far as Include leads; what names no directory is in /etc/ssh (sshd_config(5)).
_EVERY_FILE = (
    'cd /etc/ssh || exit 1; files=; todo=/etc/ssh/sshd_config; while [ "$todo" ]; do more=; for f in $todo; do '
    'case " $files " in *" $f "*) continue ;; esac; [ -e "$f" ] || [ "$f" = /etc/ssh/sshd_config ] || continue; files="$files $f"; '
    'more="$more $(sed -n \'s/^[[:space:]]*include[[:space:]=]*//Ip\' "$f" | tr -d \'"\')"; done; todo=$(echo $more); done'
)
# What of sshd's options brings keys from elsewhere than the user's own .ssh or root's /etc/ssh.
_OTHER_KEYS = r"""awk '
/^(authorizedkeyscommand|authorizedprincipalscommand|authorizedprincipalsfile|trustedusercakeys) / && $2 != "none" { print }
$1 == "authorizedkeysfile" { for (i = 2; i <= NF; i++) if ($i !~ /^(\.ssh|%h\/\.ssh|\/etc\/ssh)\// || $i ~ /\.\./) { print; next } }'"""

DEFENCES = (
    Defence(
        id="hardening.ssh-keys-only",
        title="sshd takes public keys and nothing else",
        why="A password can be guessed and stolen; a key that is not on the host cannot.",
        rows=("H13",),
        sets=(
            SshdOption("PubkeyAuthentication", "yes"),
            SshdOption("PasswordAuthentication", "no"),
            SshdOption("KbdInteractiveAuthentication", "no"),
            SshdOption("PermitEmptyPasswords", "no"),
            SshdOption("HostbasedAuthentication", "no"),
            SshdOption("PermitRootLogin", "prohibit-password"),
        ),
        claims=(
            SshMethods(exactly=frozenset({"publickey"}), refuted_by=frozenset({"publickey", "password"})),
        ),
        weight=10,
    ),
    Defence(
        id="hardening.ssh-algorithms",
        title="sshd offers only algorithms without known weakness",
        why="An old algorithm that both sides still speak is the one that an attacker in the middle picks.",
        rows=("H13",),
        sets=(
            SshdOption("KexAlgorithms", ",".join(KEX)),
            SshdOption("Ciphers", ",".join(CIPHERS)),
            SshdOption("MACs", ",".join(MACS)),
            SshdOption("HostKeyAlgorithms", ",".join(HOST_KEYS)),
        ),
        claims=(
            SshAlgorithms(
                about="kex",
                within=frozenset(KEX),
                refuted_by=frozenset({*KEX, "diffie-hellman-group14-sha1"}),
            ),
            SshAlgorithms(
                about="cipher", within=frozenset(CIPHERS), refuted_by=frozenset({*CIPHERS, "aes128-cbc"})
            ),
            SshAlgorithms(about="mac", within=frozenset(MACS), refuted_by=frozenset({*MACS, "hmac-sha1"})),
            SshAlgorithms(
                about="host-key", within=frozenset(HOST_KEYS), refuted_by=frozenset({*HOST_KEYS, "ssh-rsa"})
            ),
        ),
        weight=6,
    ),
    Defence(
        id="hardening.ssh-port",
        title="sshd listens on its one declared port",
        why="A second port that was left open by another file is covered by no rule that was written for the first.",
        rows=("H13",),
        sets=(SshdOption("Port", lambda g: str(g.sshd_port)),),
        unseen="The packet filter closes all other ports; firewall.default-drop sees that from outside.",
        weight=4,
    ),
    Defence(
        id="hardening.ssh-no-match",
        title="sshd's options hold for every user and address alike",
        why="A Match block lifts any of them for some, and is not shown by the daemon when it is asked what it runs with.",
        rows=("H13",),
        sets=(
            HostAnswer(
                subject="Match blocks in sshd's files",
                command=f"{_EVERY_FILE}; "
                + counted(
                    """text=$(cat $files) && { printf '%s\\n' "$text" | grep -iE '^[[:space:]]*match' || true; }"""
                ),
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="Which user or address an exception is for, a stranger cannot guess.",
        weight=8,
    ),
    Defence(
        id="hardening.ssh-pam",
        title="sshd has PAM judge each login",
        why="Without it limits, the umask and locked accounts count for no login by ssh, and root, whose password is locked here, gets "
        "in by no key either.",
        rows=("H13", "H08"),
        sets=(SshdOption("UsePAM", "yes"),),
        unseen="Who has no key does not come as far as PAM.",
        weight=6,
    ),
    Defence(
        id="hardening.ssh-own-keys",
        title="Keys and authorities that sshd believes are root's or the user's own to give",
        why="A command that is asked for keys, an authority that signs them, or a list in another place is a way in that no list of a "
        "user's keys shows.",
        rows=("H13",),
        sets=(
            HostAnswer(
                subject="where else sshd takes keys from",
                command=f"said=$(sshd -T) || exit 1; printf '%s\\n' \"$said\" | {_OTHER_KEYS}",
                matches="",
                refuted_by="trustedusercakeys /etc/ssh/authority.pub",
            ),
        ),
        unseen="Whose keys are believed shows to who has one.",
        level="moderate",
        cost="A command or an authority that gives out keys for your logins stays, and is named as broken until you take it away.",
        weight=6,
    ),
    Defence(
        id="hardening.ssh-limits",
        title="sshd gives strangers few tries and little time",
        why="Slow guessing and hanging connections use up a login service; both are bounded.",
        rows=("H13",),
        sets=(
            SshdOption("LoginGraceTime", "30"),
            SshdOption("MaxStartups", "10:30:60"),
            SshdOption("MaxSessions", "10"),
            SshdOption("ClientAliveInterval", "300"),
            SshdOption("ClientAliveCountMax", "2"),
            SshdOption("LogLevel", "VERBOSE"),
        ),
        unseen="To see the limits bite, the audit would have to lock itself out for as long as they last.",
    ),
    Defence(
        id="hardening.ssh-few-tries",
        title="A connection has three tries to log in",
        why="Each refused key or password counts, so that guessing takes a connection anew, which is slowed down and logged.",
        rows=("H13",),
        sets=(SshdOption("MaxAuthTries", "3"),),
        unseen="To see the limit bite, the audit would have to try keys that are not its own.",
        level="moderate",
        cost="An agent that offers three other keys first never gets to the right one: write `IdentityFile` and `IdentitiesOnly yes` for "
        "this host into ~/.ssh/config.",
        weight=2,
    ),
    Defence(
        id="hardening.ssh-no-tunnels",
        title="A login cannot be used as a tunnel",
        why="Forwarding turns one stolen key into access to every network that the gateway has a leg in.",
        rows=("H13",),
        sets=(
            SshdOption("AllowTcpForwarding", "no"),
            SshdOption("AllowStreamLocalForwarding", "no"),
            SshdOption("AllowAgentForwarding", "no"),
            SshdOption("X11Forwarding", "no"),
            SshdOption("PermitTunnel", "no"),
            SshdOption("GatewayPorts", "no"),
            SshdOption("PermitUserEnvironment", "no"),
        ),
        unseen="Only who has logged in meets it; the audit's own login is asked for nothing more than a shell.",
        weight=7,
    ),
    Defence(
        id="hardening.ssh-groups",
        title="Only members of the administrators' groups may log in by ssh",
        why="Any account of the host, a daemon's too, could otherwise be given a key and be logged in to.",
        rows=("H13", "H08"),
        sets=(SshdOption("AllowGroups", lambda g: " ".join(map(row(g).group, g.hardening.ssh_groups))),),
        unseen="Which accounts there are a stranger cannot tell: sshd answers all names alike.",
        level="moderate",
        cost="An administrator's account must be in one of the groups of `hardening.ssh_groups`.",
        weight=7,
    ),
    Defence(
        id="hardening.ssh-quiet",
        title="sshd tells no release of itself, asks no name server and runs no file of the user's",
        why="Debian adds its own release to the version; a name server's answer is the client's; ~/.ssh/rc runs before the shell.",
        rows=("H13",),
        sets=(
            SshdOption("Banner", "/etc/issue.net"),
            SshdOption("UseDNS", "no"),
            SshdOption("PermitUserRC", "no"),
            SshdOption("IgnoreRhosts", "yes"),
            SshdOption("StrictModes", "yes"),
            SshdOption("PrintLastLog", "yes"),
            SshdOption("Compression", "no"),
            SshdOption("TCPKeepAlive", "no"),
        ),
        claims=(
            SshVersion(
                matches=r"SSH-2\.0-OpenSSH_[0-9.]+(p[0-9]+)?",
                refuted_by="SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7",
            ),
        ),
        weight=3,
    ),
    Defence(
        id="hardening.ssh-host-keys",
        title="sshd has no host keys of old or doubted kinds, and no small groups for a key exchange",
        why="ECDSA leaks its key to whoever predicts a random number once, DSA and short RSA keys and groups can be computed.",
        rows=("H13",),
        sets=(
            HostState(
                subject="host keys that are not Ed25519 or RSA of 3072 bits and more",
                command="for f in /etc/ssh/ssh_host_*_key; do ssh-keygen -l -f $f; done | "
                "awk '!/\\(ED25519\\)$/ && !(/\\(RSA\\)$/ && $1 >= 3072)'",
                value="",
                # Never the last one: sshd without any does not start.
                remedy="[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
                "for f in /etc/ssh/ssh_host_*_key; do case $(ssh-keygen -l -f $f) in *'(ED25519)') ;; "
                """*'(RSA)') [ "$(ssh-keygen -l -f $f | cut -d' ' -f1)" -ge 3072 ] || rm -f $f $f.pub ;; """
                "*) rm -f $f $f.pub ;; esac; done",
            ),
            HostState(
                subject="groups of less than 3072 bits in /etc/ssh/moduli",
                command=counted("awk '!/^#/ && $5 < 3071' /etc/ssh/moduli"),
                value="0",
                remedy="awk '/^#/ || $5 >= 3071' /etc/ssh/moduli >/etc/ssh/moduli.bastide-new && "
                "[ -s /etc/ssh/moduli.bastide-new ] && chmod 644 /etc/ssh/moduli.bastide-new && "
                "mv -f /etc/ssh/moduli.bastide-new /etc/ssh/moduli",
            ),
        ),
        unseen="hardening.ssh-algorithms sees that no other kind is offered.",
        weight=6,
    ),
)
