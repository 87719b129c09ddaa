"""A ClamAV signature database that knows the EICAR test file and nothing else.

The lab serves it in place of ClamAV's own databases, which are hundreds of megabytes on hosts it cannot reach.
"""

from audit.samples import EICAR

DATABASE_NAME = "bastide-lab.ndb"
SIGNATURE_NAME = "Eicar-Test-Signature"


def database() -> bytes:
    """Return the database: one extended signature, ``name:target:offset:hex`` (ClamAV manual, signature formats).

    Target 0 is any file, offset * is anywhere in it.
    """
    return f"{SIGNATURE_NAME}:0:*:{EICAR.hex()}\n".encode()
