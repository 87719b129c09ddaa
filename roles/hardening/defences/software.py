"""Software: what has no place on a mail gateway."""

from roles.defence import Defence
from roles.kinds import HostAnswer, HostState
from roles.platforms import row
from roles.settings import Gateway

# Names, or patterns of them (glob(7)), that a host's own packages are compared with: a compiler is called by its version.
_INETD = (
    *("inetutils-inetd", "openbsd-inetd", "rlinetd", "xinetd", "telnetd", "telnetd-ssl", "inetutils-telnetd"),
    *("rsh-server", "rsh-redone-server", "rsh-client", "rsh-redone-client"),
    *("fingerd", "efingerd", "cfingerd", "talkd", "inetutils-talkd", "talk"),
    *("oidentd", "ident2", "pidentd", "nullidentd", "uucp", "tftpd", "tftpd-hpa", "atftpd"),
    *("nis", "ypserv", "ypbind-mt", "yp-tools"),
)
# No MTA: what installs ours has the package manager take another one away, and gives what needs one ours instead.
_SERVICES = (
    *("avahi-daemon", "cups", "cups-browsed", "cups-core-drivers", "cups-daemon"),
    *("rpcbind", "nfs-kernel-server", "nfs-common", "samba", "winbind", "autofs"),
    *(
        "apache2",
        "apache2-bin",
        "libapache2-mod-*",
        "nginx",
        "nginx-*",
        "libnginx-mod-*",
        "lighttpd",
        "lighttpd-mod*",
    ),
    *(
        "vsftpd",
        "proftpd-*",
        "pure-ftpd*",
        "ftpd",
        "rsync-daemon",
        "squid",
        "squid-openssl",
        "slapd",
        "snmpd",
    ),
    *("isc-dhcp-server", "isc-dhcp-server-*", "bind9", "dnsmasq", "dnsmasq-base*"),
    *("dovecot-*", "courier-imap", "courier-pop", "cyrus-imapd", "cyrus-pop3d", "cyrus-nntpd"),
    *("bluez", "modemmanager", "gpm", "xorg", "xserver-xorg", "xserver-xorg-*"),
    *("popularity-contest", "apport", "whoopsie"),
)
# Not make: Debian's Sendmail builds its configuration with it.
_BUILDERS = (
    *(
        "build-essential",
        "dpkg-dev",
        "gcc",
        "gcc-[0-9]*",
        "gcc-multilib",
        "g++",
        "g++-[0-9]*",
        "g++-multilib",
    ),
    *("gfortran", "gfortran-[0-9]*", "gnat", "gnat-[0-9]*", "gdc", "gdc-[0-9]*", "gobjc", "gobjc-[0-9]*"),
    *(
        "clang",
        "clang-[0-9]*",
        "clang-tools*",
        "tcc",
        "binutils",
        "binutils-*-linux-gnu*",
        "nasm",
        "yasm",
        "fpc*",
        "ghc",
    ),
    *(
        "golang",
        "golang-go",
        "golang-[0-9]*",
        "gccgo-*",
        "rustc",
        "cargo",
        "gdb",
        "gdb-*",
        "lldb",
        "lldb-[0-9]*",
    ),
)
_CLIENTS = (
    *("telnet", "inetutils-telnet", "ftp", "tnftp", "tftp"),
    *("netcat-traditional", "netcat-openbsd", "ncat", "nmap"),
)
# What these patterns take in that brings no program: the first is below every library of C's.
_HARMLESS = ("gcc-[0-9]*-base", "*-doc", "*-locales")
# What they are called, wherever they came from; behind a triplet of the machine's too.
_PROGRAMS = (
    *(
        "gcc",
        "gcc-[0-9]*",
        "*-gcc",
        "*-gcc-[0-9]*",
        "cc",
        "g++",
        "g++-[0-9]*",
        "*-g++",
        "*-g++-[0-9]*",
        "c++",
        "tcc",
    ),
    *(
        "clang",
        "clang-[0-9]*",
        "clang++",
        "clang++-[0-9]*",
        "gfortran",
        "gfortran-[0-9]*",
        "go",
        "rustc",
        "ghc",
        "fpc",
    ),
    *(
        "as",
        "*-as",
        "ld",
        "ld.bfd",
        "ld.gold",
        "*-ld",
        "*-ld.bfd",
        "nasm",
        "yasm",
        "gdb",
        "lldb",
        "lldb-[0-9]*",
    ),
)
_WHERE = "/usr/bin /usr/sbin /usr/local /usr/lib/llvm-* /usr/lib/go-* /usr/lib/go /opt"


_ABSENT = (
    ("hardening.no-inetd", "services of the inetd age", _INETD),
    ("hardening.no-other-services", "services of other kinds of server", _SERVICES),
    ("hardening.no-compilers", "compilers and debuggers", _BUILDERS),
    ("hardening.no-idle-clients", "clients that the gateway does not use", _CLIENTS),
)


def _there(gateway: Gateway, subject: str, names: tuple[str, ...]) -> str:
    """Return the script that names those of some packages that are installed, and are not to be kept."""
    here = row(gateway)
    return here.manager.there(
        here.unwanted.get(subject, names), but=[*_HARMLESS, *gateway.hardening.keep_packages]
    )


def _unwanted(gateway: Gateway) -> str:
    """Return the script that names all that are to go: at once, for one may need another."""
    return "\n".join(
        _there(gateway, subject, names) for id_, subject, names in _ABSENT if _by_id(id_).stands(gateway)
    )


def _by_id(id_: str) -> Defence:
    return next(each for each in DEFENCES if each.id == id_)


def hindered(gateway: Gateway) -> str:
    """Return the question why what is to go from a host cannot: a line each, the package and what needs it."""
    return row(gateway).manager.hindered(_unwanted(gateway))


def _absent(subject: str, names: tuple[str, ...]) -> HostState:
    """Return the state of a host on which some packages are not installed; their configuration is kept."""
    return HostState(
        subject=subject,
        command=lambda gateway: _there(gateway, subject, names),
        value="",
        remedy=lambda gateway: row(gateway).manager.removed(_unwanted(gateway)),
    )


def _programs(gateway: Gateway) -> str:
    """Return the question which compilers can be run, whoever brought them, but those of packages that are to be kept."""
    named = " -o ".join(f"-name '{name}'" for name in _PROGRAMS)
    kept = gateway.hardening.keep_packages
    found = f"find -L {_WHERE} -maxdepth 4 -type f -perm /111 '(' {named} ')' 2>/dev/null | sort -u"
    if not kept:
        return found
    owner = row(gateway).manager.owner('"$(realpath "$f")"')
    return (
        f'{found} | while read -r f; do case $({owner}) in {" | ".join(kept)}) ;; *) echo "$f" ;; esac; done'
    )


DEFENCES = (
    Defence(
        id="hardening.no-inetd",
        title="No service of the inetd age is installed",
        why="telnet, rsh, finger and tftp take passwords in the clear or none at all.",
        rows=("H08",),
        sets=(_absent(*_ABSENT[0][1:]),),
        unseen="The packet filter closes their ports too; firewall.default-drop sees that from outside.",
        weight=7,
    ),
    Defence(
        id="hardening.no-other-services",
        title="No service that a mail gateway does not need is installed",
        why="Each one is a way in, and has to be kept new for nothing.",
        rows=("H08",),
        sets=(_absent(*_ABSENT[1][1:]),),
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
        sets=(
            _absent(*_ABSENT[2][1:]),
            HostAnswer(
                subject="programs that compile or debug",
                command=_programs,
                matches="",
                refuted_by="/usr/bin/gcc-12",
            ),
        ),
        unseen="What is installed is seen from the host alone.",
        level="moderate",
        cost="Kernel modules and programs are built elsewhere. Compilers that no package brought are named, and left to you.",
        weight=3,
    ),
    Defence(
        id="hardening.no-idle-clients",
        title="There are no tools to look at or carry things to other hosts",
        why="They save an attacker the upload; the gateway itself uses none of them.",
        rows=("H08",),
        sets=(_absent(*_ABSENT[3][1:]),),
        unseen="What is installed is seen from the host alone.",
        level="paranoid",
        cost="Network faults are looked for from another host.",
        weight=2,
    ),
)
