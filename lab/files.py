"""The files that turn a copy of an image into one particular host. Pure but for the keys it reads and what `write_file` writes."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from lab import ca, dns
from lab.access import host_key, public
from lab.partners import PARTNERS
from lab.plan import AUTHORITY, DOMAIN, VANTAGE, VM, WAN4, WAN6, WORLD, Host, LabState, v6
from lab.platforms import lab_platform
from lab.signatures import DATABASE_NAME, database


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFile:
    """One file of a host: its absolute path there, and either its content or where it links to."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link_to: str | None = None


_WANTS = "/etc/systemd/system/multi-user.target.wants"

# sshd takes the first value it meets and reads these files in order, so a role's own settings win over this one.
_SSHD = "PasswordAuthentication no\nUseDNS no\n"

_HTTP_UNIT = """\
[Unit]
Description=Data that hosts of the lab download
[Service]
ExecStart=/usr/bin/python3 -m http.server --directory /srv/http 80
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
"""

_HTTPS_UNIT = f"""\
[Unit]
Description=Web servers of other mail domains
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/bastide-lab/https.py --address {WAN4[WORLD]} --folder /srv/https --pair %d/pair
LoadCredential=pair:/etc/ssl/lab/web.pem
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
"""

# A small ACME authority (RFC 8555), with its own certificate from the lab's.
_PEBBLE_UNIT = f"""\
[Unit]
Description=An authority that certifies by ACME
After=named.service
[Service]
ExecStart=/usr/bin/pebble -config /etc/pebble.json -dnsserver {WAN4[WORLD]}:53
Environment=PEBBLE_VA_NOSLEEP=1
LoadCredential=chain:{ca.CHAIN}
LoadCredential=key:{ca.KEY}
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
"""
_PEBBLE = {
    "listenAddress": f"{WAN4[AUTHORITY]}:443",
    "managementListenAddress": "127.0.0.1:15000",
    "certificate": "/run/credentials/pebble.service/chain",
    "privateKey": "/run/credentials/pebble.service/key",
    "httpPort": 80,
    "tlsPort": 443,
}

# What the next hops are like: as they should be, without TLS, and with the certificate of another.
_SINK_UNIT = """\
[Unit]
Description=The protected mail server: a sink that records what arrives
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/bastide-lab/sink.py --spool /var/spool/sink \
  --listen 25=%d/mail --listen 26 --listen 27=%d/wrong
LoadCredential=mail:/etc/ssl/lab/mail.pem
LoadCredential=wrong:/etc/ssl/lab/wrong.pem
User=nobody
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
"""

# What a gateway's log is copied to; `lab.logs` keeps it where no gateway reaches.
LOG_PORT = 6514
LOG_FILE = "/var/log/house/log"
_LOG_UNIT = f"""\
[Unit]
Description=The house's log server
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/bastide-lab/logs.py --file {LOG_FILE} --port {LOG_PORT} --pair %d/pair
LoadCredential=pair:/etc/ssl/lab/mail.pem
DynamicUser=yes
LogsDirectory=house
[Install]
WantedBy=multi-user.target
"""


def files_of(lab: LabState, host: Host) -> Iterator[HostFile]:
    """Yield every file that the host has and its image has not."""
    yield from _identity(host)
    yield from _access(host)
    yield HostFile(path=ca.AUTHORITIES, content=ca.authority(lab))
    if host.kind == VM:
        yield from _network(lab, host)
    if host.role == "gateway":
        yield from _certificate(lab, host.fqdn)
        yield _text("/etc/resolv.conf", f"nameserver {WAN4[WORLD]}\n")
        # An EL-shaped gateway's root file system names the mirror itself.
        if not lab_platform(host.platform).rpm:
            yield _text("/etc/apt/sources.list.d/lab.list", "deb [trusted=yes] file:/srv/mirror ./\n")
    if host.role == "world":
        yield _text("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        yield from _name_server(lab)
        yield from _unit("lab-http.service", _HTTP_UNIT)
        yield from _policies(lab)
        yield from _certificate(lab, f"authority.{DOMAIN}")
        yield _text("/etc/pebble.json", json.dumps({"pebble": _PEBBLE}))
        yield from _unit("pebble.service", _PEBBLE_UNIT)
        yield HostFile(path=f"/srv/http/clamav/{DATABASE_NAME}", content=database())
        yield HostFile(path=f"/srv/http/{ca.REVOKED}", content=ca.revoked(lab))
    if host.role == "mailhost":
        # It has no leg in a network with a name server.
        yield _text("/etc/resolv.conf", "")
        sink = files("lab").joinpath("sink.py").read_bytes()
        yield HostFile(path="/usr/local/lib/bastide-lab/sink.py", content=sink)
        yield from _unit("sink.service", _SINK_UNIT)
        program = files("lab").joinpath("logs.py").read_bytes()
        yield HostFile(path="/usr/local/lib/bastide-lab/logs.py", content=program)
        yield from _unit("lab-logs.service", _LOG_UNIT)
        for name, certified in (("mail", host.fqdn), ("wrong", f"elsewhere.{DOMAIN}")):
            pair = b"".join(ca.issued(lab, [certified]))
            yield HostFile(path=f"{ca.FOLDER}/{name}.pem", content=pair, mode=0o600)


def write_file(root: Path, file: HostFile) -> None:
    """Write one file, or one symbolic link, into a root file system; parents are made as needed."""
    path = root / file.path.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if file.link_to is not None:
        path.symlink_to(file.link_to)
        return
    path.write_bytes(file.content)
    path.chmod(file.mode)


def _policies(lab: LabState) -> Iterator[HostFile]:
    """Yield what other domains publish by MTA-STS, and the web server that they share."""
    partners = [each for each in PARTNERS if each.sts]
    for each in partners:
        yield _text(f"/srv/https/{each.web_server}/.well-known/mta-sts.txt", each.policy())
    pair = b"".join(ca.issued(lab, [each.web_server for each in partners]))
    yield HostFile(path=f"{ca.FOLDER}/web.pem", content=pair, mode=0o600)
    program = files("lab").joinpath("https.py").read_bytes()
    yield HostFile(path="/usr/local/lib/bastide-lab/https.py", content=program)
    yield from _unit("lab-https.service", _HTTPS_UNIT)


def _identity(host: Host) -> Iterator[HostFile]:
    yield _text("/etc/hostname", f"{host.short}\n")
    yield _text("/etc/machine-id", f"{uuid.uuid4().hex}\n", mode=0o444)
    yield _text(
        "/etc/hosts",
        "127.0.0.1\tlocalhost\n"
        f"127.0.1.1\t{host.fqdn} {host.short}\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n",
    )


def _network(lab: LabState, host: Host) -> Iterator[HostFile]:
    """Yield what a virtual machine needs to name its legs and to wake them (systemd.link(5), systemd.network(5))."""
    for leg, network in host.legs.items():
        yield _text(
            f"/etc/systemd/network/10-{leg}.link",
            f"[Match]\nMACAddress={host.mac(leg)}\n[Link]\nName={leg}\n",
        )
        lines = ["[Match]", f"Name={leg}", "[Network]", "IPv6AcceptRA=no"]
        if network == "mgmt":
            lines.append(f"Address={host.ssh_host}/{lab.mgmt.prefixlen}")
        else:
            address4, address6 = (host.wan4, host.wan6) if network == "wan" else (host.lan4, host.lan6)
            lines += [f"Address={address4}/24", f"Address={address6}/64"]
        if network == "wan":
            lines += [f"Gateway={WAN4[VANTAGE]}", f"Gateway={v6(WAN6, VANTAGE)}"]
        yield _text(f"/etc/systemd/network/10-{leg}.network", "\n".join([*lines, ""]))


def _access(host: Host) -> Iterator[HostFile]:
    key = host_key(host)
    yield _text("/etc/ssh/sshd_config.d/zz-lab.conf", _SSHD)
    yield HostFile(path="/etc/ssh/ssh_host_ed25519_key", content=key.read_bytes(), mode=0o600)
    yield _text("/etc/ssh/ssh_host_ed25519_key.pub", public(key))
    yield _text("/root/.ssh/authorized_keys", public(host.ssh_key), mode=0o600)


def _certificate(lab: LabState, *names: str) -> Iterator[HostFile]:
    chain, key = ca.issued(lab, names)
    yield HostFile(path=ca.CHAIN, content=chain)
    yield HostFile(path=ca.KEY, content=key, mode=0o600)


def _name_server(lab: LabState) -> Iterator[HostFile]:
    zones = dns.zones(len(lab.gateways), partners_key=ca.partners_key(lab))
    yield _text("/etc/bind/named.conf", dns.named_conf(zones))
    for zone in zones:
        yield _text(f"{dns.ZONE_FOLDER}/{zone.file}", zone.text())
    yield HostFile(path=f"{_WANTS}/named.service", link_to="/lib/systemd/system/named.service")


def _unit(name: str, text: str) -> Iterator[HostFile]:
    yield _text(f"/etc/systemd/system/{name}", text)
    yield HostFile(path=f"{_WANTS}/{name}", link_to=f"/etc/systemd/system/{name}")


def _text(path: str, content: str, *, mode: int = 0o644) -> HostFile:
    return HostFile(path=path, content=content.encode(), mode=mode)
