"""The files of each host: who it is, who may log in, what it serves."""

from pathlib import Path

import msgspec
import pytest

from lab import ca
from lab.files import HostFile, files_of, write_file
from lab.hosts import nspawn_argv
from lab.plan import VM, LabState, plan_lab
from lab.platforms import EL


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    planned = plan_lab(name="u1", index=0, gateways=1, directory=tmp_path)
    folder = tmp_path / "ssh"
    folder.mkdir()
    for key in ("key", *(f"host-{name}" for name in planned.hosts)):
        (folder / key).write_text(f"private {key}\n")
        (folder / f"{key}.pub").write_text(f"ssh-ed25519 {key} comment\n")
    ca.make(planned)
    return planned


def of(lab: LabState, name: str) -> dict[str, HostFile]:
    return {file.path: file for file in files_of(lab, lab.hosts[name])}


def test_gateway_knows_its_name_and_its_name_server(lab: LabState) -> None:
    files = of(lab, "gw1")
    assert files["/etc/hostname"].content == b"mx1\n"
    assert b"127.0.1.1\tmx1.bastide.example mx1\n" in files["/etc/hosts"].content
    assert files["/etc/resolv.conf"].content == b"nameserver 198.51.100.53\n"
    assert files["/etc/apt/sources.list.d/lab.list"].content == b"deb [trusted=yes] file:/srv/mirror ./\n"


def test_an_el_shaped_gateway_is_told_of_no_apt(lab: LabState) -> None:
    gateway = msgspec.structs.replace(lab.hosts["gw1"], platform=EL)
    assert not [file.path for file in files_of(lab, gateway) if "apt" in file.path]


@pytest.mark.parametrize("name", ["gw1", "world", "mailhost"])
def test_each_host_has_its_own_key_and_lets_the_labs_key_in(lab: LabState, name: str) -> None:
    files = of(lab, name)
    key = files["/etc/ssh/ssh_host_ed25519_key"]
    assert (key.content, key.mode) == (f"private host-{name}\n".encode(), 0o600)
    assert files["/root/.ssh/authorized_keys"].content == b"ssh-ed25519 key comment\n"
    assert len(files["/etc/machine-id"].content) == 33


def test_services_are_where_they_belong(lab: LabState) -> None:
    wants = "/etc/systemd/system/multi-user.target.wants/"
    started = {
        name: {p.removeprefix(wants) for p in of(lab, name) if p.startswith(wants)} for name in lab.hosts
    }
    assert started == {
        "gw1": set(),
        "world": {"named.service", "lab-http.service", "lab-https.service", "pebble.service"},
        "mailhost": {"sink.service", "lab-logs.service"},
    }
    assert of(lab, "world")["/srv/http/clamav/bastide-lab.ndb"].content.startswith(b"Eicar-Test-Signature:")


def test_boot_command_binds_the_mirror_to_gateways_and_the_sink_to_the_mail_server(lab: LabState) -> None:
    argv = {host.name: nspawn_argv(lab, host, mirror=Path("/m")) for host in lab.hosts.values()}
    assert "--bind-ro=/m:/srv/mirror" in argv["gw1"]
    assert f"--bind={lab.sink}:/var/spool/sink" in argv["mailhost"]
    assert not [word for word in argv["world"] if word.startswith("--bind")]
    assert all(f"--machine=bastide-u1-{name}" in words for name, words in argv.items())


def test_write_file_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/resolv.conf").symlink_to(outside)
    write_file(root, HostFile(path="/etc/resolv.conf", content=b"new", mode=0o600))
    assert outside.read_text() == "kept"
    assert (root / "etc/resolv.conf").read_bytes() == b"new"
    assert (root / "etc/resolv.conf").stat().st_mode & 0o777 == 0o600


def test_write_file_makes_links(tmp_path: Path) -> None:
    write_file(tmp_path, HostFile(path="/a/b", link_to="/x"))
    assert (tmp_path / "a/b").readlink() == Path("/x")


def test_a_virtual_machine_alone_wakes_its_network_itself(lab: LabState) -> None:
    assert not [path for path in of(lab, "gw1") if "/systemd/network/" in path]
    host = msgspec.structs.replace(lab.hosts["gw1"], kind=VM)
    files = {file.path: file.content.decode() for file in files_of(lab, host)}
    folder = "/etc/systemd/network/10-"
    assert files[f"{folder}wan0.link"] == f"[Match]\nMACAddress={host.mac('wan0')}\n[Link]\nName=wan0\n"
    wan, lan, mgmt = (files[f"{folder}{leg}.network"].splitlines() for leg in ("wan0", "lan0", "mgmt0"))
    assert {"Address=198.51.100.21/24", "Address=2001:db8:51::21/64", "Gateway=198.51.100.10"} < set(wan)
    assert {"Address=198.18.0.21/24", "Address=2001:db8:18::21/64"} < set(lan)
    assert "Address=198.18.100.21/24" in mgmt
    # Nothing of its network is anybody else's to say, and only wan leads elsewhere.
    assert all("IPv6AcceptRA=no" in lines for lines in (wan, lan, mgmt))
    assert not [line for line in (*lan, *mgmt) if line.startswith("Gateway")]
