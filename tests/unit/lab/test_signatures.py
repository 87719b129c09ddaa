"""The signature database: one line that finds the EICAR test file."""

import hashlib

from audit.samples import EICAR
from lab.signatures import database

# Published with the file: eicar.org, anti-malware test file.
EICAR_SHA256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


def test_eicar_is_the_published_file() -> None:
    assert hashlib.sha256(EICAR).hexdigest() == EICAR_SHA256


def test_database_is_one_extended_signature_for_any_file_and_offset() -> None:
    name, target, offset, signature = database().decode().rstrip("\n").split(":")
    assert (name, target, offset) == ("Eicar-Test-Signature", "0", "*")
    assert bytes.fromhex(signature) == EICAR
