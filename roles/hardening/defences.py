"""The operating system's defences: kernel network parameters and sshd."""

from roles.claims import SshAlgorithms, SshMethods
from roles.defence import Defence
from roles.kinds import FileMode, HostAnswer, InterfaceSysctl, SshdOption, Sysctl

# Key exchange, ciphers and MACs that have no known weakness and that OpenSSH 8.4 and later offers on all platforms.
KEX = (
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group16-sha512",
)
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
)
MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com")
HOST_KEYS = ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")

_NOT_ECHOED = "The kernel acts on it silently; an outsider cannot tell its absence from a lost packet."


def _per_interface(family: str, key: str, value: str) -> tuple[InterfaceSysctl]:
    """Return a parameter for every interface, those that come later (``default``) and all of them (``all``)."""
    return (InterfaceSysctl(f"net.{family}.conf.*.{key}", value),)


DEFENCES = (
    Defence(
        id="hardening.no-forwarding",
        title="The host routes no packets",
        why="A gateway for mail that also forwards packets is a way around every other control between its networks.",
        rows=("H05",),
        sets=(
            Sysctl("net.ipv4.ip_forward", "0"),
            *_per_interface("ipv4", "forwarding", "0"),
            *_per_interface("ipv6", "forwarding", "0"),
        ),
        unseen="firewall.default-drop drops forwarded packets too, so an outsider sees one answer for both.",
    ),
    Defence(
        id="hardening.rp-filter",
        title="Packets whose source is not reachable by the way they came are dropped",
        why="A forged source address is the first step of spoofing and of reflected floods (RFC 3704).",
        rows=("H05",),
        sets=_per_interface("ipv4", "rp_filter", "1"),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.no-redirects",
        title="ICMP redirects are neither believed nor sent",
        why="A redirect lets a neighbour pull the gateway's traffic through himself.",
        rows=("H05",),
        sets=(
            *_per_interface("ipv4", "accept_redirects", "0"),
            *_per_interface("ipv4", "secure_redirects", "0"),
            *_per_interface("ipv4", "send_redirects", "0"),
            *_per_interface("ipv6", "accept_redirects", "0"),
        ),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.no-source-route",
        title="Source-routed packets are dropped",
        why="The sender of a packet must not choose the path that the answer takes.",
        rows=("H05",),
        sets=(
            *_per_interface("ipv4", "accept_source_route", "0"),
            *_per_interface("ipv6", "accept_source_route", "0"),
        ),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.log-martians",
        title="Packets with impossible addresses are logged",
        why="They are either a misrouted network or somebody who tries; both want to be known.",
        rows=("H05",),
        sets=_per_interface("ipv4", "log_martians", "1"),
        unseen="Log lines are written for the administrator; an outsider sees nothing of them.",
    ),
    Defence(
        id="hardening.syncookies",
        title="A flood of half-open connections does not fill the backlog",
        why="Without SYN cookies a few hundred forged packets a second keep honest senders from connecting (RFC 4987).",
        rows=("H04",),
        sets=(Sysctl("net.ipv4.tcp_syncookies", "1"),),
        unseen="Cookies are only sent under a flood, which the audit does not make.",
    ),
    Defence(
        id="hardening.rfc1337",
        title="A reset does not end a connection in TIME-WAIT",
        why="A stray or forged RST could let old segments into a new connection (RFC 1337).",
        rows=("H05",),
        sets=(Sysctl("net.ipv4.tcp_rfc1337", "1"),),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.no-router-advertisements",
        title="IPv6 router advertisements are ignored",
        why="Any neighbour can send one and become the gateway's default route; a server's route is configured.",
        rows=("H05",),
        sets=_per_interface("ipv6", "accept_ra", "0"),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.no-broadcast-echo",
        title="Broadcast echo and bogus ICMP errors are ignored",
        why="Answering a broadcast makes the host an amplifier for floods against others.",
        rows=("H05",),
        sets=(
            Sysctl("net.ipv4.icmp_echo_ignore_broadcasts", "1"),
            Sysctl("net.ipv4.icmp_ignore_bogus_error_responses", "1"),
        ),
        unseen=_NOT_ECHOED,
    ),
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
    ),
    Defence(
        id="hardening.ssh-port",
        title="sshd listens on its one declared port",
        why="A second port that was left open by another file is covered by no rule that was written for the first.",
        rows=("H13",),
        sets=(SshdOption("Port", lambda g: str(g.sshd_port)),),
        unseen="The packet filter closes all other ports; firewall.default-drop sees that from outside.",
    ),
    Defence(
        id="hardening.ssh-no-match",
        title="sshd's options hold for every user and address alike",
        why="A Match block lifts any of them for some, and is not shown by the daemon when it is asked what it runs with.",
        rows=("H13",),
        sets=(
            HostAnswer(
                subject="Match blocks in sshd's files",
                command="options=$(cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf) && "
                """{ printf '%s' "$options" | grep -ciE '^[[:space:]]*match' || true; }""",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="Which user or address an exception is for, a stranger cannot guess.",
    ),
    Defence(
        id="hardening.ssh-limits",
        title="sshd gives strangers few tries and little time",
        why="Slow guessing and hanging connections use up a login service; both are bounded.",
        rows=("H13",),
        sets=(
            SshdOption("MaxAuthTries", "3"),
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
    ),
    Defence(
        id="hardening.secret-files",
        title="Private keys and password hashes are readable by their owner alone",
        why="Who can read the host key can pretend to be this host to its administrators.",
        rows=("H13", "H08"),
        sets=(
            FileMode(path="/etc/ssh/ssh_host_*_key", mode="600"),
            FileMode(path="/etc/shadow", mode="640", group="shadow"),
        ),
        unseen="File modes are seen from the host alone.",
    ),
)
