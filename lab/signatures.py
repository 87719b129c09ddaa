"""A ClamAV signature database that knows the EICAR test file and nothing else.

The lab serves it in place of ClamAV's own databases, which are hundreds of megabytes on hosts it cannot reach.
"""

DATABASE_NAME = "bastide-lab.ndb"
SIGNATURE_NAME = "Eicar-Test-Signature"

# In two pieces: whole, it would make virus scanners remove this file.
_EICAR = (rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR", b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")


def eicar() -> bytes:
    """Return the EICAR test file, 68 bytes (eicar.org, anti-malware test file)."""
    return b"".join(_EICAR)


def database() -> bytes:
    """Return the database: one extended signature, ``name:target:offset:hex`` (ClamAV manual, signature formats).

    Target 0 is any file, offset * is anywhere in it.
    """
    return f"{SIGNATURE_NAME}:0:*:{eicar().hex()}\n".encode()
