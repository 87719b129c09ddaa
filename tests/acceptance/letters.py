"""Letters with attachments: sending one, and looking at what arrived of it."""

import base64
import email
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.policy import compat32
from typing import Any

from tests.acceptance.gateway import GatewayHost, Record
from tests.acceptance.outside import HELO, Outside, content, line
from tests.acceptance.policy import policy

BOB, CAROL, DAVE = (f"{name}@bastide.example" for name in ("bob", "carol", "dave"))
ADMIN = "postmaster@bastide.example"
PLAIN = (
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Gr\xfc\xdfe,   \r\n.dot\r\n\t\r\nlong " + b"word " * 180 + b"end"
)
PICTURE = b"Content-Type: application/octet-stream; name=data.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\nBgcICQ=="


def mark() -> str:
    return f"mark-{uuid.uuid4().hex}"


def attachment(data: bytes, name: str = "x.exe") -> bytes:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    return (
        f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode() + encoded


def letter(unique: str, *parts: bytes) -> bytes:
    head = (
        f"From: Alice <alice@sender.example>\r\nTo: bob@bastide.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        f"Message-ID: <{unique}@sender.example>\r\nx-odd:\tcase \r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed;\r\n\tboundary="=_b"\r\n\r\npreamble\r\n'
    ).encode()
    return head + b"".join(b"--=_b\r\n" + part + b"\r\n" for part in parts) + b"--=_b--\r\nepilogue\r\n"


def send(
    wan: Outside,
    message: bytes,
    *recipients: str,
    sender: str = "alice@sender.example",
    parameters: str = "BODY=8BITMIME",
    for_each: str = "",
) -> str:
    """Send one message and return the last reply. ``for_each``: parameters of each RCPT.

    Addresses beyond ASCII are written in UTF-8 (RFC 6531).
    """
    replies = wan.dialogue(
        line(f"EHLO {HELO}"),
        line(_octets(f"MAIL FROM:<{sender}> {parameters}")),
        *[line(_octets(f"RCPT TO:<{who}> {for_each}".rstrip())) for who in recipients or (BOB,)],
        line("DATA"),
        content(message),
        persist=False,
    )
    return replies[-1]


def _octets(text: str) -> str:
    """Return the text whose Latin-1 bytes are this one's UTF-8 ones."""
    return text.encode().decode("latin-1")


def delivered(gateway: GatewayHost, unique: str, *, count: int = 1) -> list[Record]:
    """Return what arrived of a message, without what the gateway's MTA puts on top of it."""
    return gateway.awaited(unique, count)


def own(record: Record) -> bytes:
    """Return a record's content without the traces of the way it took; none of these letters brings one along."""
    header, gap, body = record.content.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^Received:.*\r\n(?:[ \t].*\r\n)*", b"", header + b"\r\n") + gap[2:] + body


def nothing_arrived(wan: Outside, gateway: GatewayHost, unique: str) -> bool:
    """Send something clean behind it; when that is there and the queue is empty, the other will not come."""
    probe = mark()
    assert send(wan, letter(probe, PLAIN)).startswith("250 ")
    gateway.awaited(probe)
    return not gateway.received(unique)


def part(message: bytes, number: int) -> "Message[str, str]":
    tree = email.message_from_bytes(message, policy=compat32)
    found: Any = tree.get_payload()
    one = found[number - 1]
    assert isinstance(one, Message)
    return one


def data(message: "Message[str, str]") -> bytes:
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


@contextmanager
def banned(gateway: GatewayHost, *chain: str, **more: Any) -> Iterator[None]:
    with policy(gateway, {"banned": chain}, **more):
        yield


# Three recipients, three fates of what is infected.
GROUPS = (
    {"name": "lab", "recipients": [CAROL], "chains": {"infected": ["ignore"]}},
    {"name": "careful", "recipients": [DAVE], "chains": {"infected": ["move"]}},
)
