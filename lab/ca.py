"""The lab's certificate authority: made anew for each lab, known to its own hosts alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.partners import PARTNERS
from lab.plan import DOMAIN, LabState

# On the lab's hosts.
FOLDER: Final = "/etc/ssl/lab"
AUTHORITIES: Final = f"{FOLDER}/authority.pem"
CHAIN: Final = f"{FOLDER}/chain.pem"
KEY: Final = f"{FOLDER}/key.pem"

# Where the authority says what it has revoked, below the lab's web server's folder: nothing, as senders find who look.
REVOKED: Final = "authority.crl"

# Longer than a lab lives, shorter than what browsers and servers take for absurd.
_DAYS: Final = 90


def make(lab: LabState) -> None:
    """Make the authority's key and certificate in the lab's directory."""
    folder = _folder(lab)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lab {lab.name}")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _begun(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(_key_pem(key))
    authority_file(lab).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    partners_pair(lab).write_bytes(b"".join(issued(lab, [each.mail_server for each in PARTNERS])))


def authority(lab: LabState) -> bytes:
    """Return the authority's certificate as PEM."""
    return authority_file(lab).read_bytes()


def authority_file(lab: LabState) -> Path:
    """Return the file with the authority's certificate, on this machine."""
    return _folder(lab) / "authority.pem"


def partners_pair(lab: LabState) -> Path:
    """Return the PEM file of certificate and key that the mail servers of other domains have."""
    return _folder(lab) / "partners.pem"


def partners_key(lab: LabState) -> str:
    """Return the SHA-256 of those servers' public key, as a TLSA record has it (RFC 6698 2.1: 1 1)."""
    certificate = x509.load_pem_x509_certificate(partners_pair(lab).read_bytes())
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(key).hexdigest()


def issued(lab: LabState, names: Sequence[str], *, ended: bool = False) -> tuple[bytes, bytes]:
    """Return a fresh certificate for some host names, and its key, both PEM; ``ended``: its time is over."""
    signer, issuer = _authority(lab)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = _begun(subject, issuer.subject, key.public_key(), age=timedelta(days=_DAYS if ended else 0))
    certificate = (
        builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.CRLDistributionPoints([_revocations()]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)


def revoked(lab: LabState) -> bytes:
    """Return the authority's list of what it has revoked (RFC 5280 5), DER: an empty one."""
    signer, issuer = _authority(lab)
    now = datetime.now(UTC)
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now - timedelta(hours=1))
        .next_update(now + timedelta(days=_DAYS))
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def _revocations() -> x509.DistributionPoint:
    where = x509.UniformResourceIdentifier(f"http://data.{DOMAIN}/{REVOKED}")
    return x509.DistributionPoint(full_name=[where], relative_name=None, reasons=None, crl_issuer=None)


def _authority(lab: LabState) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    signer = serialization.load_pem_private_key((_folder(lab) / "key.pem").read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not one that make() made")
    return signer, x509.load_pem_x509_certificate(authority(lab))


def _folder(lab: LabState) -> Path:
    return lab.directory / "authority"


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, age: timedelta = timedelta()
) -> x509.CertificateBuilder:
    """Begin a certificate that holds from an hour ago, and ``age`` earlier."""
    start = datetime.now(UTC) - timedelta(hours=1) - age
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=_DAYS))
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
