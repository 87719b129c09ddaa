"""What ordinary mail is made of: messages, parts, archives and documents, as bytes."""

import base64
import io
import tarfile
import zipfile
from typing import Final

HEAD: Final = (
    "From: Sender <a@sender.example>\nTo: <b@bastide.example>\nSubject: Subject\n"
    "Date: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <1.2@sender.example>\nMIME-Version: 1.0\n"
)


def crlf(text: str | bytes) -> bytes:
    """Return a text as SMTP carries it."""
    data = text.encode() if isinstance(text, str) else text
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def mail(body: str, head: str = HEAD) -> bytes:
    """Return a message; ``body`` begins with further fields, or with a line end."""
    return crlf(head + body)


def lines(data: bytes) -> str:
    """Return base64 in lines."""
    return base64.encodebytes(data).decode()


def file(data: bytes, name: str, kind: str = "application/octet-stream") -> bytes:
    """Return a part with a file, named as Outlook does."""
    fields = f'Content-Type: {kind};\n\tname="{name}"\nContent-Transfer-Encoding: base64\n'
    return crlf(f'{fields}Content-Disposition: attachment;\n\tfilename="{name}"\n\n{lines(data)}')


def mixed(*parts: bytes) -> bytes:
    """Return a message of parts, with boundary and preamble as Outlook writes them."""
    mark = b"----=_NextPart_000_0012_01DA1B2C.5E6F7A80"
    head = crlf(
        f'{HEAD}Content-Type: multipart/mixed;\n\tboundary="{mark.decode()}"\n\nThis is a multi-part message\n'
    )
    return head + b"".join(b"\r\n--%b\r\n%b\r\n" % (mark, part) for part in parts) + b"--%b--\r\n" % mark


def zipped(**members: bytes) -> bytes:
    """Return a zip of members, their names given with dots and slashes as two and three underscores."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("___", "/").replace("__", "."), content)
    return data.getvalue()


def tarred() -> bytes:
    """Return the source of a program."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, to in (("p-1.0/README", ""), ("p-1.0/lib.so", "../lib/lib.so.1"), ("p-1.0/configure", "")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = (tarfile.SYMTYPE, to) if to else (tarfile.REGTYPE, "")
            member.size = 0 if to else 18
            archive.addfile(member, io.BytesIO(b"#!/bin/sh\necho yes"))
    return data.getvalue()


_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"


def docx(relations: str = "", **members: bytes) -> bytes:
    """Return a Word document; ``relations`` are "kind target" of external relations, one a line."""
    rows = "".join(
        f'<Relationship Id="r{number}" Type="{_RELATIONS}{row.split()[0]}" Target="{row.split()[1]}" TargetMode="External"/>'
        for number, row in enumerate(relations.splitlines())
    )
    parts = {
        "[Content_Types]__xml": b'<?xml version="1.0"?><Types/>',
        "_rels/__rels": b'<?xml version="1.0"?><Relationships/>',
        "word___document__xml": b'<?xml version="1.0"?><w:document><w:t>text</w:t></w:document>',
        "word____rels/document__xml__rels": f'<?xml version="1.0"?><Relationships>{rows}</Relationships>'.encode(),
    }
    return zipped(**(parts | members))
