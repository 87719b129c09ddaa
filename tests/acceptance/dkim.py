"""DKIM signatures (RFC 6376), simple/simple and relaxed/relaxed, written for these tests from the standard alone.

Nothing of filterd is in it: it says whether mail that went through the gateway is still what its sender signed.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNED: Final = ("from", "to", "subject", "message-id", "mime-version", "content-type")


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(message: bytes, key: rsa.RSAPrivateKey, form: str, names: Sequence[str] = SIGNED) -> bytes:
    """Return the message with a signature of ``form`` ("simple" or "relaxed") over these fields on top."""
    header, body = _halves(message)
    digest = base64.b64encode(hashlib.sha256(_body(body, form)).digest()).decode()
    field = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c={form}/{form}; d=sender.example; s=test;\r\n"
        f"\th={':'.join(names)};\r\n\tbh={digest};\r\n\tb="
    ).encode()
    signature = key.sign(_covered(header, field, form), padding.PKCS1v15(), hashes.SHA256())
    return field + base64.b64encode(signature) + b"\r\n" + message


def verifies(message: bytes, key: rsa.RSAPrivateKey) -> bool:
    """Return whether the first DKIM-Signature still fits the message."""
    header, body = _halves(message)
    field = next(one for one in _fields(header) if one.lower().startswith(b"dkim-signature:"))
    tags = dict(re.findall(rb"(\w+)=([^;]*)", re.sub(rb"\s+", b"", field.split(b":", 1)[1])))
    form = tags[b"c"].split(b"/")[0].decode()
    if base64.b64encode(hashlib.sha256(_body(body, form)).digest()) != tags[b"bh"]:
        return False
    bare = re.sub(rb"(\bb=)[^;]*\Z", rb"\1", field)
    try:
        key.public_key().verify(
            base64.b64decode(tags[b"b"]), _covered(header, bare, form), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    return True


def _halves(message: bytes) -> tuple[bytes, bytes]:
    header, _, body = message.partition(b"\r\n\r\n")
    return header + b"\r\n", body


def _fields(header: bytes) -> list[bytes]:
    return re.findall(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*", header)


def _covered(header: bytes, signature: bytes, form: str) -> bytes:
    """Return what is signed: of each name the last field (RFC 6376 5.4.2), then the signature without its b=."""
    fields = _fields(header)
    chosen = []
    covered = re.search(rb"[;\s]h=([^;]*)", signature)
    for name in covered[1].decode().split(":") if covered else ():
        found = [one for one in fields if one.lower().startswith(name.encode() + b":")]
        chosen += [_field(found[-1], form)] if found else []
    return b"".join(chosen) + _field(signature.rstrip(b"\r\n") + b"\r\n", form).removesuffix(b"\r\n")


def _field(field: bytes, form: str) -> bytes:
    if form == "simple":
        return field
    name, value = field.split(b":", 1)
    return (
        name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip() + b"\r\n"
    )


def _body(body: bytes, form: str) -> bytes:
    if form == "relaxed":
        body = re.sub(rb"[ \t]+(?=\r\n)", b"", re.sub(rb"[ \t]+", b" ", body))
    body = re.sub(rb"(?:\r\n)*\Z", b"", body)
    return body + b"\r\n" if body or form == "simple" else b""
