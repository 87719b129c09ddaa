"""The lab's authority, its other mail domains, and their web servers."""

import ssl
import subprocess
from pathlib import Path

import pytest

from lab import ca, dns
from lab.partners import PARTNERS
from lab.plan import LabState, plan_lab


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    made = plan_lab(name="u1", index=0, gateways=1, directory=tmp_path)
    ca.make(made)
    return made


def verified(lab: LabState, folder: Path, chain: bytes, name: str) -> bool:
    for file, content in (("ca", ca.authority(lab)), ("chain", chain)):
        (folder / file).write_bytes(content)
    command = ["openssl", "verify", "-CAfile", f"{folder}/ca", "-verify_hostname", name, f"{folder}/chain"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_certificates_are_good_for_their_names_alone(lab: LabState, tmp_path: Path) -> None:
    chain, _ = ca.issued(lab, ["mx.a.example", "mx.b.example"])
    assert [verified(lab, tmp_path, chain, f"mx.{each}.example") for each in "abc"] == [True, True, False]


def test_a_certificate_whose_time_is_over_is_bad(lab: LabState, tmp_path: Path) -> None:
    chain, _ = ca.issued(lab, ["mx.a.example"], ended=True)
    assert not verified(lab, tmp_path, chain, "mx.a.example")


def test_a_certificate_says_where_its_revocation_would_stand(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "crl").write_bytes(ca.revoked(lab))
    (tmp_path / "leaf").write_bytes(ca.issued(lab, ["mx.a.example"])[0])
    (tmp_path / "ca").write_bytes(ca.authority(lab))
    shown = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "leaf", "-noout", "-ext", "crlDistributionPoints"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"URI:http://data.bastide.example/{ca.REVOKED}" in shown
    checked = subprocess.run(
        [
            *("openssl", "verify", "-crl_check", "-CAfile", f"{tmp_path}/ca", "-CRLfile", f"{tmp_path}/crl"),
            f"{tmp_path}/leaf",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_key_belongs_to_the_certificate(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "pair").write_bytes(b"".join(ca.issued(lab, ["mx.a.example"])))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "pair")


def test_tlsa_records_name_the_key_that_the_mail_servers_have(lab: LabState) -> None:
    pair = ca.partners_pair(lab)
    command = f"openssl x509 -in {pair} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum"
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()[
        0
    ]
    assert ca.partners_key(lab) == shown
    zones = {zone.name: zone for zone in dns.zones(1, partners_key=shown)}
    found = {
        each.domain: [record.value for record in zones[each.domain].records if record.type == "TLSA"]
        for each in PARTNERS
        if each.tlsa
    }
    assert found == {"dane.example": [f"3 1 1 {shown}"], "forged.example": [f"3 1 1 {'00' * 32}"]}


def test_a_policy_names_the_mail_server_that_its_domain_says() -> None:
    policies = {each.domain: each.policy() for each in PARTNERS if each.sts}
    assert "mx: mx.sts.example\r\n" in policies["sts.example"]
    assert "mx: mx.stray.example\r\n" not in policies["stray.example"]
