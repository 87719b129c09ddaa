"""Software: what has no place on a mail gateway."""

from roles.defence import Defence
from roles.kinds import HostState
from roles.platforms import row
from roles.settings import Gateway

_INETD = (
    *("inetutils-inetd", "openbsd-inetd", "rlinetd", "xinetd", "telnetd", "telnetd-ssl", "inetutils-telnetd"),
    *(
        "rsh-server",
        "rsh-redone-server",
        "rsh-client",
        "rsh-redone-client",
        "fingerd",
        "efingerd",
        "cfingerd",
    ),
    *(
        "talkd",
        "inetutils-talkd",
        "talk",
        "oidentd",
        "ident2",
        "pidentd",
        "nullidentd",
        "uucp",
        "tftpd",
        "tftpd-hpa",
    ),
    *("atftpd", "nis", "ypserv", "yp-tools"),
)
_SERVICES = (
    *(
        "avahi-daemon",
        "cups",
        "cups-daemon",
        "rpcbind",
        "nfs-kernel-server",
        "nfs-common",
        "samba",
        "winbind",
    ),
    *(
        "apache2",
        "nginx-core",
        "lighttpd",
        "vsftpd",
        "proftpd-core",
        "pure-ftpd",
        "ftpd",
        "squid",
        "slapd",
        "snmpd",
    ),
    *(
        "isc-dhcp-server",
        "bind9",
        "dnsmasq",
        "dovecot-core",
        "courier-imap",
        "cyrus-imapd",
        "exim4-daemon-light",
    ),
    *(
        "exim4-daemon-heavy",
        "rsync-daemon",
        "bluez",
        "modemmanager",
        "gpm",
        "x11-common",
        "xserver-xorg-core",
    ),
    *("popularity-contest", "apport", "whoopsie", "autofs"),
)
# Not make: Debian's Sendmail builds its configuration with it.
_BUILDERS = ("build-essential", "gcc", "g++", "clang", "tcc", "binutils", "golang-go", "rustc", "gdb")
_CLIENTS = (
    "telnet",
    "inetutils-telnet",
    "ftp",
    "tnftp",
    "tftp",
    "netcat-traditional",
    "netcat-openbsd",
    "nmap",
)


def _there(gateway: Gateway, subject: str, names: tuple[str, ...]) -> str:
    """Return the script that names those of some packages that are installed, and are not to be kept."""
    here = row(gateway)
    kept = gateway.hardening.keep_packages
    return here.manager.there([name for name in here.unwanted.get(subject, names) if name not in kept])


def _absent(subject: str, names: tuple[str, ...]) -> HostState:
    """Return the state of a host on which some packages are not installed; their configuration is kept."""
    return HostState(
        subject=subject,
        command=lambda gateway: _there(gateway, subject, names),
        value="",
        remedy=lambda gateway: row(gateway).manager.removed(_there(gateway, subject, names)),
    )


DEFENCES = (
    Defence(
        id="hardening.no-inetd",
        title="No service of the inetd age is installed",
        why="telnet, rsh, finger and tftp take passwords in the clear or none at all.",
        rows=("H08",),
        sets=(_absent("services of the inetd age", _INETD),),
        unseen="The packet filter closes their ports too; firewall.default-drop sees that from outside.",
        weight=7,
    ),
    Defence(
        id="hardening.no-other-services",
        title="No service that a mail gateway does not need is installed",
        why="Each one is a way in, and has to be kept new for nothing.",
        rows=("H08",),
        sets=(_absent("services of other kinds of server", _SERVICES),),
        unseen="The packet filter closes their ports too; firewall.default-drop sees that from outside.",
        level="moderate",
        cost="What else the host did it does no more, unless `hardening.keep_packages` names its package; configurations stay.",
        weight=6,
    ),
    Defence(
        id="hardening.no-compilers",
        title="There is no compiler and no debugger",
        why="Exploits come as source, to be built for the kernel that they find.",
        rows=("H08",),
        sets=(_absent("compilers and debuggers", _BUILDERS),),
        unseen="What is installed is seen from the host alone.",
        level="moderate",
        cost="Kernel modules and programs are built elsewhere.",
        weight=3,
    ),
    Defence(
        id="hardening.no-idle-clients",
        title="There are no tools to look at or carry things to other hosts",
        why="They save an attacker the upload; the gateway itself uses none of them.",
        rows=("H08",),
        sets=(_absent("clients that the gateway does not use", _CLIENTS),),
        unseen="What is installed is seen from the host alone.",
        level="paranoid",
        cost="Network faults are looked for from another host.",
        weight=2,
    ),
)
