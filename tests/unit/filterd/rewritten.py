"""Messages that tests of rewriting change, and short ways to look at them."""

import email
from email.message import Message
from email.policy import compat32
from typing import Any

from filterd.anatomy import Edit, EditAction, RewriteOrder
from filterd.rewrite.outline import outline
from filterd.rewrite.transfer import as_base64


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


PLAIN = crlf("Content-Type: text/plain; charset=utf-8\n\nSalve   \n\n--not a boundary\n.dots\n")
HTML = crlf("Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p>a =3D b=\n c</p>\n")
ODD = b"Content-Type: text/plain\r\nX-Odd:\t folded\r\n\t and on  \r\n\r\nbare\nlf and \xff\xfe\rcr\n\n"


def attachment(content: bytes, name: str = "x.exe") -> bytes:
    head = f'Content-Type: application/x-msdownload; name="{name}"\nContent-Transfer-Encoding: base64\n'
    return crlf(f'{head}Content-Disposition: attachment; filename="{name}"\n\n') + as_base64(content)


def mixed(*parts: bytes, boundary: str = "=_b", kind: str = "mixed", head: str = "") -> bytes:
    start = crlf(
        f'From: a@sender.example\n{head}MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="{boundary}"\n\npreamble\n'
    )
    mark = f"--{boundary}".encode()
    return start + b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\nepilogue\r\n"


def order(*edits: tuple[str, EditAction], text: str = "gone", **more: Any) -> RewriteOrder:
    return RewriteOrder(
        edits=tuple(Edit(part=part, action=action, text=text) for part, action in edits), **more
    )


def part(raw: bytes, path: str) -> "Message[str, str]":
    return outline(raw)[path].message


def span(raw: bytes, path: str) -> bytes:
    one = outline(raw)[path]
    return raw[one.start : one.end]


def parsed(raw: bytes, path: str) -> "Message[str, str]":
    """The part as the standard library has it, its transfer encoding included."""
    found: Any = email.message_from_bytes(raw, policy=compat32)
    for number in path.split(".")[1:]:
        found = found.get_payload()[int(number) - 1]
    assert isinstance(found, Message)
    return found


def text(message: "Message[str, str]") -> str:
    """Return what a part says, decoded by its own charset."""
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode(message.get_content_charset("ascii"))
