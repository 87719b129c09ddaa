"""Which messages meet a decoder in C that ordinary ones do not: libarchive, bzip2, LZMA.

The attack it stops: an archive that takes such a decoder over and waits for the next message. zlib is met by every PDF
and most archives; whatever a message has needed beyond it ends its parse worker (child.py).
"""

_asked = [0]


def asked() -> int:
    """Return how often this process has asked one of them."""
    return _asked[0]


def note() -> None:
    """Note that one is about to be asked: call it wherever one gets bytes of a message."""
    _asked[0] += 1
