"""Ordinary mail as real software writes it, generated: none of it may be refused, delayed or changed.

`MESSAGES` are (kind, name, message); `NAMED` says of the few that end in another class than "clean" which one.
"""

import base64
import gzip
import quopri
import random
import textwrap
import zlib
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias
from urllib.parse import quote

from tests.corpus.writers import ole, pdf, tnef

from .ordinary_parts import HEAD, crlf, docx, file, lines, mail, mixed, tarred, zipped

Named: TypeAlias = Iterator[tuple[str, bytes]]
_RANDOM: Final = random.Random(20261121)  # noqa: S311 - the same mail every time is what is wanted
TEXT: Final = (
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello,\r\n\r\nsee the file.\r\n\r\n-- \r\nSender"
)
PICTURE: Final = b"\x89PNG" + bytes(60)
PDF: Final = pdf.document((b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"))
ORIGINAL: Final = (
    "Received: from a.example (a.example [192.0.2.1])\n\tby b.example with ESMTP id 1\nFrom: <a@sender.example>\n"
    'To: x@other.example\nSubject: Hello\nContent-Type: multipart/mixed; boundary="inner"\nMessage-ID: <9@x.example>\n'
)


def _page(depth: int) -> str:
    token = base64.urlsafe_b64encode(_RANDOM.randbytes(200)).decode().rstrip("=")
    rows = "".join(
        f'<tr><td><a href="https://click.sender.example/f/a/{token[number:]}~">offer</a>'
        f'<img src="https://img.sender.example/{number}.gif" width=1 height=1></td></tr>\n'
        for number in range(100)
    )
    nested = "<table><tr><td>" * depth + "text" + "</td></tr></table>" * depth
    return f"<!DOCTYPE html><html><head><style>p{{color:#111}}</style></head><body><table>{rows}</table>{nested}</body></html>"


def outlook() -> Named:
    """Yield what Outlook and Exchange send."""
    for name, stream in (
        ("winmail", tnef.tnef(PDF, b"a.pdf")),
        ("property", tnef.tnef_property(PDF, b"a.pdf")),
    ):
        yield name, mixed(TEXT, file(stream, "winmail.dat", "application/ms-tnef"))
    yield (
        "msg",
        mixed(TEXT, file(ole.outlook_message(PDF, "a.pdf"), "mail.msg", "application/vnd.ms-outlook")),
    )
    yield (
        "related",
        mail(
            'Content-Type: multipart/related; boundary="_004_X_"; type="text/html"\n\n--_004_X_\n'
            'Content-Type: text/html; charset="iso-8859-1"\nContent-Transfer-Encoding: quoted-printable\n\n'
            '<html xmlns:v=3D"urn:schemas-microsoft-com:vml"><style>p {behavior:url(#default#VML);}</style><p>Gr=FC=DFe=20\n'
            '<img src=3D"cid:image001.png@01DA1B2C">\n\n--_004_X_\nContent-Type: image/png; name="image001.png"\n'
            'Content-Disposition: inline; filename="image001.png"; size=9\nContent-ID: <image001.png@01DA1B2C>\n'
            f"Content-Transfer-Encoding: base64\n\n{lines(PICTURE)}\n--_004_X_--\n"
        ),
    )
    for method in ("REQUEST", "CANCEL", "REPLY"):
        event = f"BEGIN:VCALENDAR\nMETHOD:{method}\nBEGIN:VEVENT\nUID:{'04' * 40}\nSUMMARY:Meeting\nEND:VEVENT\nEND:VCALENDAR\n"
        fields = f"Content-Type: text/calendar; method={method}; charset=utf-8\nContent-Transfer-Encoding: base64\n"
        yield f"calendar {method}", mail(f"{fields}\n{lines(crlf(event))}")
    yield "out of office", mail("Auto-Submitted: auto-replied\nX-Auto-Response-Suppress: All\n\nI am away.\n")
    yield (
        "read receipt",
        mail(
            'Content-Type: multipart/report; report-type=disposition-notification; boundary="r"\n\n--r\n\nIt was read.\n--r\n'
            "Content-Type: message/disposition-notification\n\nFinal-Recipient: RFC822;b@bastide.example\n"
            "Disposition: automatic-action/MDN-sent-automatically; displayed\n\n--r--\n"
        ),
    )
    yield (
        "forwarded inline",
        mail("\nFYI\n\n-----Original Message-----\nFrom: A\nSent: Friday\nTo: B\nSubject: x\n\ntext\n"),
    )


_NAMES: Final = (
    "Angebot März 2026.pdf", "Übersicht \u2013 final (2).pdf", "資料.pdf", "Договор № 5.pdf",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf",
    "מסמך\u200f.pdf", "\u202aReport.pdf", "Ent\u00adwicklung.pdf", "👨\u200d👩\u200d👧.pdf", "u\u0308.pdf", "Invoice No. 12.pdf ",
    "very " * 60 + ".pdf", "100% done.pdf", "a;b,c=d.pdf", "report.pdf.pdf", "v1.2.3 draft.docx.pdf",
)  # fmt: skip


def names() -> Named:
    """Yield files under names as people and their systems choose them, in each way to write them."""
    for number, name in enumerate(_NAMES):
        word = f"=?utf-8?B?{base64.b64encode(name.encode()).decode()}?="
        for way, shown in (
            ("2047", f'filename="{word}"'),
            ("2231", f"filename*=UTF-8''{quote(name, safe='')}"),
        ):
            kind = f'Content-Type: application/pdf; name="{word}"\nContent-Transfer-Encoding: base64\n'
            yield (
                f"{way} {number}",
                mixed(TEXT, crlf(f"{kind}Content-Disposition: attachment; {shown}\n\n{lines(PDF)}")),
            )
    raw = crlf(
        f"Content-Disposition: attachment; filename=NAME\nContent-Transfer-Encoding: base64\n\n{lines(PDF)}"
    )
    yield "iso-2022-jp as it is", mixed(TEXT, raw.replace(b"NAME", b'"\x1b$B8+@Q=q\x1b(B.pdf"'))


def charsets() -> Named:
    """Yield mail in other sets than UTF-8, declared or not."""
    for charset, text in (
        ("iso-2022-jp", "見積書"),
        ("koi8-r", "Добрый"),
        ("gb18030", "您好"),
        ("windows-1252", "„Grüße“"),
    ):
        head = crlf(f"{HEAD}Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n")
        yield charset, head + text.encode(charset) + b"\r\n"
    yield "undeclared", crlf(HEAD) + b"\r\nGr\xfc\xdfe\r\n"
    yield "like UTF-7", mail("\nHi, +AGEAYgBj- and 1+1-2 and a+b-c\n")
    yield (
        "EAI",
        crlf(HEAD.replace("a@sender", "jörg@bücher").replace("Subject: S", "Subject: Grüße S"))
        + b"\r\nx\r\n",
    )


def report(status: str, original: str, kind: str = "message/rfc822") -> bytes:
    """Return a bounce (RFC 3464)."""
    return mail(
        'Content-Type: multipart/report; report-type=delivery-status; boundary="9B095B5A/mail.x.example"\n\n'
        "This is a MIME-encapsulated message.\n\n--9B095B5A/mail.x.example\n\nI could not deliver your message.\n\n"
        "--9B095B5A/mail.x.example\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.x.example\n\n"
        f"Final-Recipient: rfc822; x@other.example\nAction: failed\nStatus: 5.1.1\n{status}\n\n"
        f"--9B095B5A/mail.x.example\nContent-Type: {kind}\n\n{original}\n--9B095B5A/mail.x.example--\n"
    )


def bounces() -> Named:
    """Yield what comes back: whole, as a header, cut off, with diagnostics of every sort."""
    whole = f"{ORIGINAL}\n--inner\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n"
    code = "Diagnostic-Code: smtp; 550 5.1.1 User unknown"
    yield "header", report(code, ORIGINAL, "text/rfc822-headers")
    yield "header as a message", report(code, ORIGINAL)
    yield "cut header", report(code, ORIGINAL + "X-Spam-Sta")
    yield "cut in the boundary", report(code, ORIGINAL[:-55], "text/rfc822-headers")
    yield (
        "diagnostics not folded",
        report(f"{code}\n550 5.7.1 see https://x.example/\nsay postmaster", ORIGINAL),
    )
    yield "whole", report(code, f"{whole}{lines(zipped(a__txt=b'text' * 99))}--inner--\n")
    cut = lines(zipped(a__txt=_RANDOM.randbytes(900), b__txt=b"b" * 99))[:600]
    yield (
        "of Exim, cut",
        mail(f"\nThis is a copy of the message.\n------ only the first 500 bytes\n\n{whole}{cut}\n"),
    )


def lists() -> Named:
    """Yield digests, footers, patches, mailboxes."""
    entries = "".join(f"--d2\n\n{ORIGINAL}\n--inner\n\nhello {number}\n--inner--\n\n" for number in range(20))
    yield "digest", mail(f'Content-Type: multipart/digest; boundary="d2"\n\n{entries}--d2--\n')
    encoded = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{lines(b'Hello there, all.' * 9)}"
    yield "footer", mail(f"{encoded}\n_______________________________________________\nlist@lists.example\n")
    yield (
        "footer of one word",
        mail(f"{encoded}\n-- \nNewsletter-Subscriptions-and-Settings\nhttps://lists.example/\n"),
    )
    patch = (
        "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+" + "x" * 1500 + "\n-- \n2.47.0\n"
    )
    letter = f"From {'0123456789' * 4} Mon Sep 17 00:00:00 2001\nFrom: C <c@x.example>\nSubject: [PATCH] Mend\n\n---\n{patch}"
    yield "patch", mail(f"\nFrom: C <c@x.example>\n\nMend it.\n---\n{patch}")
    yield "patch attached", mixed(TEXT, file(letter.encode(), "0001-mend.patch", "text/x-patch"))
    letters = "".join(
        f"From a@x.example Sat Nov 21 10:00:00 2026\nFrom: A <a@x.example>\nSubject: {number}\n"
        f"Content-Type: multipart/alternative; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: text/html\n\n<html><form><p>{number}"
        "\n--b--\n\n"
        for number in range(400)
    )
    yield "mailbox", mixed(TEXT, file(letters.encode(), "2026-11.mbox", "application/mbox"))


def files() -> Named:
    """Yield documents, archives, reports, keys."""
    named = {
        "report.docx": docx(
            "hyperlink https://x.example/\nimage https://x.example/a.png\nhyperlink file:///C:/a.docx"
        ),
        "template.docx": docx("attachedTemplate file:///C:/Users/u/Templates/Normal.dotm"),
        "intranet.docx": docx("attachedTemplate http://intranet/templates/letter.dotx"),
        "white.docx": docx(word___media___image1__bmp=b"BM" + b"\xff" * 20_000_000),
        "sheet.docx": docx(word___embeddings___Sheet1__xlsx=docx()),
        "plain.pdf": PDF,
        "label.pdf": pdf.with_script(b"(this.print\\(true\\);)"),
        "links.pdf": pdf.document((b"<</Type/Catalog>>", b"<</S/Launch/F(annex/table.docx)>>")),
        "zugferd.pdf": pdf.with_file(b"<?xml version='1.0'?><rsm:CrossIndustryInvoice/>"),
        "mac.zip": zipped(**{"Folder/Icon\r": b"", "Folder/__DS_Store": bytes(99), "a__txt": b"text"}),
        "persian.zip": zipped(
            **{"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645__txt": b"text", "מסמך\u200f__txt": b"text"}
        ),
        "src.tar.gz": tarred(),
        "mails.zip": zipped(
            old__eml=b"From: A\nTo: B\nSubject: C\nHello there\nContent-Type: multipart/mixed\n\nx\n"
        ),
        "app.log.gz": gzip.compress(b"2026-11-21 10:00:00 heartbeat ok\n" * 400_000),
        "x.example!bastide.example!1.xml.gz": gzip.compress(b"<feedback><record/></feedback>" * 99),
        "random.dat": bytes(8) + _RANDOM.randbytes(5000),
        "photo.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF" + _RANDOM.randbytes(3000),
        "data.csv": b"name;phone;rest\nA;+49 30 123;=SUM(A1:A9)\n@user;-1|b;+cmd key\n",
        "stored.z": zlib.compress(b"text" * 99),
    }
    for name, data in named.items():
        yield name, mixed(TEXT, file(data, name))
    key = lines(_RANDOM.randbytes(900))
    yield (
        "keys",
        mail(f"\n-----BEGIN CERTIFICATE-----\n{key}-----END CERTIFICATE-----\nssh-ed25519 {key[:68]} a@x\n"),
    )


def texts() -> Named:
    """Yield texts that quote headers, MIME, SMTP, and what programs print."""
    for number, text in enumerate(
        (
            "From: A B <a@x.example>\nTo: C\nSubject: x\nHello there, this is text\n",
            "From: A\nTo: B\nContent-Type: multipart/mixed\n\nI get this header and nothing works\n",
            'Date: 3.4.\nSubject: x\nContent-Type: multipart/mixed; boundary="a"; boundary="b"\n\n--a\n\n--b\n',
            "From: a\nTo: b\nContent-Type: multipart/mixed; boundary=f\n\n--f g\nContent-Type: text/plain\n\nx\n--f--\n",
        )
    ):
        yield f"quoted head {number}", mail(f"\n{text}")
        yield f"quoted head {number}, attached", mixed(TEXT, file(text.encode(), "notes.txt", "text/plain"))
    yield "uuencode", mail("\nuuencode prints\nbegin 644 name\nand lines, then\nend\n")
    yield (
        "progress",
        mail("\n") + b" % Total\r\n\r  0  --:--:--     0\r100  --:--:--\r\n\r--- 20%\r--- 40%\r\n",
    )
    yield "NUL printed", mail("\n") + b"backup: \0\0\0 done\r\n"
    yield "escapes printed", mail("\n") + b"\x1b[31mFAILED\x1b[0m \x07\x08\r\n"
    yield "newsletter", mail(f"Content-Type: text/html; charset=utf-8\n\n{_page(60)}\n")
    page = quopri.encodestring(_page(9).encode()).decode()
    yield (
        "newsletter, AMP",
        mail(
            'Content-Type: multipart/alternative; boundary="amp"\nList-Unsubscribe: <https://x.example/u>\n\n--amp\n\ntext\n--amp\n'
            "Content-Type: text/x-amp-html\n\n<!doctype html><html amp4email><script async src=https://x.example/v0.js></script>\n"
            f"--amp\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{page}\n--amp--\n"
        ),
    )
    for number, link in enumerate(
        (
            "https://first.name@git.x.example/scm/p.git", "https://john.info@host.example/", "ftp://anonymous@ftp.x.example/",
            "file://server/public/a.docx", "\\\\server\\public", "file://192.168.1.5/p", "ms-word:ofe|u|https://x.example/a.docx",
        )
    ):  # fmt: skip
        yield f"link {number}", mail(f'Content-Type: text/html\n\n<p><a href="{link}">see</a></p>\n')


def _seal() -> str:
    return textwrap.fill(base64.b64encode(_RANDOM.randbytes(256)).decode(), 57, subsequent_indent=" ")


def headers() -> Named:
    """Yield old, sloppy and long headers, and legal rarities."""
    yield "no MIME", crlf("From: a@x.example\nSubject: x\n\nhi\n")
    yield "nothing but a header", crlf(HEAD)
    yield "LF only", (HEAD + "\nhi\n").encode()
    yield "references", mail("References:" + "\n <0123456789abcdef@mail.x.example>" * 400 + "\n\nx\n")
    hop = "Received: from a.x.example (a [IPv6:2001:db8::1])\n\tby b.example with ESMTPS id 4C\n\tfor <b@bastide.example>; x\n"
    seal = _seal()
    yield (
        "hops and seals",
        mail(
            "\nx\n",
            hop * 60 + f"ARC-Seal: i=1; a=rsa-sha256; b={seal}\nDKIM-Signature: v=1; b={seal}\n" * 5 + HEAD,
        ),
    )
    yield (
        "a hundred recipients",
        mail("\nx\n", HEAD.replace("To: <b", "To: " + '"U, Dept" <u@bastide.example>,\n ' * 100 + "<b")),
    )
    yield "version twice", mail("Mime-Version: 1.0 (Software)\n\nx\n")
    yield (
        "type twice",
        mail(
            'Content-type: text/html; charset=utf-8\nContent-Type: text/html; charset="iso-8859-1"\n\n<p>x\n'
        ),
    )
    yield "encoding twice", mail("Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: 7bit\n\nx\n")
    yield "subject twice", mail("Subject: =?utf-8?Q?Subject?=\n\nx\n")
    yield (
        "sender twice",
        mail("\nx\n", HEAD.replace("Sender <a@sender.example>", "a@sender.example, a@sender.example")),
    )
    yield "plain said to be base64", mail("Content-Transfer-Encoding: base64\n\nHello, this is plain text.\n")
    for name, boundary in (
        ("in pieces", 'boundary*0="ab";\n boundary*1="c"'),
        ("encoded", "boundary*=us-ascii''abc"),
    ):
        yield f"boundary {name}", mail(f"Content-Type: multipart/mixed; {boundary}\n\n--abc\n\nx\n--abc--\n")


def oddly_built() -> Named:
    """Yield messages within messages, and such as are said to be something else."""
    seal = _seal()
    yield "multipart without parts", mail("Content-Type: multipart/mixed\n\nJust text\n-- \nSender\n")
    inner = mail("\nthe first\n").decode().replace("\r\n", "\n")
    for number in range(6):
        mark = f"level{number}x"
        inner = (
            f'{HEAD}Content-Type: multipart/mixed; boundary="{mark}"\n\n--{mark}\n\nsee below\n--{mark}\n'
            f"Content-Type: message/rfc822\n\n{inner}\n--{mark}--\n"
        )
    yield "forwarded six times", crlf(inner)
    attached = crlf('Content-Type: message/rfc822; name="x"\nContent-Disposition: attachment\n\n') + mail(
        "\ntext\n"
    )
    for subject in (b"Re: your mail of 3.11.", b"Delivery to the U.S.A."):
        yield subject.decode(), mixed(TEXT, attached.replace(b'"x"', b'"%b"' % subject))
    signature = f"Content-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n\n{seal}\n-----END PGP SIGNATURE-----\n"
    yield (
        "signed",
        mail(
            f'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="s"\n\n--s\n\nx\n--s\n{signature}\n--s--\n'
        ),
    )
    yield "encrypted", mail(f"\n-----BEGIN PGP MESSAGE-----\n\n{seal}\n-----END PGP MESSAGE-----\n")


_KINDS: Final[tuple[Callable[[], Named], ...]] = (
    outlook,
    names,
    charsets,
    bounces,
    lists,
    files,
    texts,
    headers,
    oddly_built,
)
MESSAGES: Final = tuple((kind.__name__, name, raw) for kind in _KINDS for name, raw in kind())
# Whose class is another than "clean"; they are delivered all the same.
NAMED: Final = {("oddly_built", "encrypted"): "encrypted"}
