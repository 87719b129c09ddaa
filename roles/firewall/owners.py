"""Owners: who on the gateway may open connections outwards, to which ports and where. A fact, a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Literal

from roles.firewall.settings import Egress
from roles.forms import is_address
from roles.mta.tls.policy import fetches_policies
from roles.platforms import row
from roles.settings import Gateway, Mta

# What Debian 12's packages call their users, and the home that each gives its own. They are made before the
# packages come, for a ruleset with a user that is not there cannot be loaded.
MTA_USERS: Final[Mapping[Mta, str]] = {"postfix": "postfix", "sendmail": "smmta"}
HOMES: Final[Mapping[str, str]] = {
    "postfix": "/var/spool/postfix",
    "smmta": "/var/lib/sendmail",
    "unbound": "/var/lib/unbound",
    "freshclam": "/var/lib/clamav",
    "debian-spamd": "/var/lib/spamassassin",
    "_mta-sts": "/var/lib/mta-sts",
    "_chrony": "/var/lib/chrony",
    "filterd": "/nonexistent",
}
# systemd.exec(5), DynamicUser: these are given to units while they run.
DYNAMIC: Final = "61184-65519"
_APT: Final = "_apt"

Ports = Callable[[Gateway], tuple[int, ...]]
Networks = Callable[[Gateway], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out: these users may open connections to these ports of these networks (none: any).

    ``when`` says which gateways have it, where not all.
    """

    about: str
    users: Callable[[Gateway], tuple[str, ...]]
    ports: Ports
    protocols: tuple[Literal["udp", "tcp"], ...] = ("tcp",)
    to: Networks = lambda _gateway: ()
    when: Callable[[Gateway], bool] = lambda _gateway: True

    def rules(self, gateway: Gateway, family: int) -> tuple[str, ...]:
        """Return the rules of one family, without a target; none where it names networks of the other one alone."""
        if not self.when(gateway):
            return ()
        named = [ip_network(each) for each in self.to(gateway)]
        targets = [f"-d {network} " for network in named if network.version == family] if named else [""]
        return tuple(
            f"{target}-p {protocol} -m {protocol} --dport {port} -m conntrack --ctstate NEW -m owner --uid-owner {user}"
            for user in self.users(gateway)
            for port in self.ports(gateway)
            for target in targets
            for protocol in self.protocols
        )


def _mta(gateway: Gateway) -> tuple[str, ...]:
    return (MTA_USERS[gateway.mta],)


def _fixed(*values: int) -> Ports:
    return lambda _gateway: values


def _users(*names: str) -> Callable[[Gateway], tuple[str, ...]]:
    return lambda gateway: tuple(dict.fromkeys(row(gateway).user(name) for name in names))


def _time_servers(gateway: Gateway) -> tuple[str, ...]:
    """Return their networks where all are addresses; what a name stands for changes, so one name opens the way to any."""
    servers = gateway.hardening.time_servers
    return servers if all(is_address(server) for server in servers) else ()


def _by_acme(gateway: Gateway) -> bool:
    return gateway.tls.certificate == "acme"


MAIL: Final = Way(about="mail to next hops and to the world", users=_mta, ports=lambda g: g.next_hop_ports)
# Root too, where there is a directory: a deploy asks it as root whether it understands the question (roles/mta/checking.py),
# before the MTA's own user may read what stands there, the password.
DIRECTORY: Final = Way(
    about="recipients, of declared directories",
    users=lambda g: (*_mta(g), "root"),
    ports=lambda g: g.directory_ports,
)
WAYS: Final = (
    Way(
        about="names: the resolver's own questions; the package manager's, before there is a resolver",
        users=_users("unbound", _APT),
        ports=_fixed(53),
        protocols=("udp", "tcp"),
        to=lambda g: g.resolvers,
    ),
    Way(
        about="packages and signatures",
        users=_users(_APT, "freshclam", "debian-spamd"),
        ports=_fixed(80, 443),
        to=lambda g: g.firewall.mirrors,
    ),
    Way(
        about="other domains' MTA-STS policies (RFC 8461 3.3)",
        users=_users("_mta-sts"),
        ports=_fixed(443),
        when=fetches_policies,
    ),
    Way(about="the authority of certificates", users=_users(DYNAMIC), ports=_fixed(443), when=_by_acme),
    # It looks whether its record has reached the name servers (lego's own check before it asks for the proof).
    Way(
        about="the authority's proof by DNS",
        users=_users(DYNAMIC),
        ports=_fixed(53),
        protocols=("udp", "tcp"),
        to=lambda g: g.resolvers,
        when=lambda g: _by_acme(g) and g.tls.acme.challenge == "dns-01",
    ),
    Way(
        about="time (RFC 5905)",
        users=_users("_chrony"),
        ports=_fixed(123),
        protocols=("udp",),
        to=_time_servers,
    ),
    Way(
        about="the ledger, in a PostgreSQL elsewhere",
        users=_users("filterd"),
        ports=lambda g: (g.ledger.server.port,),
        to=lambda g: (g.ledger.server.reached,),
        when=lambda g: g.ledger.elsewhere,
    ),
    # rsyslogd runs as root, and sends to no other port.
    Way(
        about="the copy of the log (RFC 5425)",
        users=_users("root"),
        ports=lambda g: (g.hardening.remote_log.port,),
        when=lambda g: bool(g.hardening.remote_log.host),
    ),
)


def declared(gateway: Gateway) -> tuple[Way, ...]:
    """Return the ways out that the site has declared."""
    return tuple(_of_site(each) for each in gateway.firewall.egress)


def _of_site(each: Egress) -> Way:
    return Way(
        about=each.reason,
        users=lambda _: (each.user,),
        ports=lambda _: each.ports,
        protocols=(each.protocol,),
        to=lambda _: each.networks,
    )


def reaches(gateway: Gateway, user: str, address: str, port: int) -> bool:
    """Return whether some way lets a user open a TCP connection to an address and port. ``user``: its name, or a number without one."""
    peer = ip_address(address)
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return any(
        way.when(gateway)
        and "tcp" in way.protocols
        and port in way.ports(gateway)
        and any(_is(user, each) for each in way.users(gateway))
        and (not (to := way.to(gateway)) or any(peer in ip_network(each) for each in to))
        for way in (MAIL, DIRECTORY, *WAYS, *declared(gateway))
    )


def _is(user: str, named: str) -> bool:
    """Return whether a user is the one that a rule names, or one of a range of numbers."""
    first, _, last = named.partition("-")
    if user.isdecimal() and first.isdecimal():
        return int(first) <= int(user) <= int(last or first)
    return user == named


def users_made(gateway: Gateway) -> dict[str, str]:
    """Return the users that this gateway's rules name and no base system has, in order, each with its home."""
    ways = (MAIL, *WAYS)
    named = {user for way in ways if way.when(gateway) for user in way.users(gateway)}
    homes = {row(gateway).user(user): home for user, home in HOMES.items()}
    return {user: homes[user] for user in sorted(named & homes.keys())}
