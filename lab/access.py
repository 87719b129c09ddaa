"""Who may log in to a lab's hosts and how they are recognised: keys made for this lab alone."""

from collections.abc import Sequence
from pathlib import Path

from lab.plan import Host, LabState
from lab.tools import run


def make_keys(lab: LabState) -> None:
    """Make the key that logs in, each host's own key, and the known-hosts file. Raises LabError."""
    folder = next(iter(lab.hosts.values())).ssh_key.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_key(folder / "key", comment=f"lab-{lab.name}")
    known = []
    for host in lab.hosts.values():
        _make_key(host_key(host), comment=host.fqdn)
        kind, key = public(host_key(host)).split()[:2]
        known.append(f"{host.ssh_host},{host.fqdn} {kind} {key}\n")
    (folder / "known_hosts").write_text("".join(known))


def host_key(host: Host) -> Path:
    """Return the file of the host's private key on this machine."""
    return host.ssh_key.parent / f"host-{host.name}"


def public(key: Path) -> str:
    """Return the public half of a key file, one line of ``type key comment``."""
    return key.with_name(f"{key.name}.pub").read_text()


def ssh_argv(host: Host, *, options: Sequence[str] = ()) -> list[str]:
    """Return the ssh command for a host, to which a remote command can be appended.

    It reads no configuration of the user, knows the host's key beforehand and refuses any other.
    """
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(host.ssh_key),
        "-p",
        str(host.ssh_port),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        f"UserKnownHostsFile={host.known_hosts}",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
        *options,
        f"{host.ssh_user}@{host.ssh_host}",
    ]


def _make_key(path: Path, *, comment: str) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])
