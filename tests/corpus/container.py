"""Files that hold a file and are neither archive nor document: TNEF, mail programs' own, the Macintosh's, CMS."""

import base64
import zlib
from collections.abc import Iterator
from typing import Final

from .mail import (
    BOUNDARY,
    CRLF,
    ENCODED,
    attaching,
    base64_lines,
    entity,
    file_part,
    head,
    mixed,
    multipart,
    multipart_type,
    rows,
    single,
    text_part,
    variant,
)
from .variant import ENCRYPTED, MALFORMED, NEVER, SUSPICIOUS, Variant
from .writers.der import compressed, opaque_signed, opaque_signed_in_pieces
from .writers.oldarchives import apple_single, mac_binary
from .writers.ole import outlook_message
from .writers.pack import pack
from .writers.textcodes import binhex, uuencode, xxencode, yencode
from .writers.tnef import tnef, tnef_property
from .writers.zips import zip_of

_OCTETS: Final = b"application/octet-stream"
_TNEF: Final = b"application/ms-tnef"
_PKCS7: Final = b"application/pkcs7-mime"


def _inner(payload: bytes) -> bytes:
    return mixed("the inner mail", text_part(), file_part(payload)).replace(BOUNDARY, b"=_inner")


def _mbox(payload: bytes) -> bytes:
    line = b"From corpus@sender.example Sat Nov 21 10:00:00 2026\r\n"
    return line + single("the first mail", b"Good morning.\r\n") + CRLF + line + _inner(payload) + CRLF


def _maildir_tar(payload: bytes) -> bytes:
    return pack(_inner(payload), "ustar", name="new/1.eml")


def _web_archive(payload: bytes) -> bytes:
    page = entity(
        b'<html><img src="notes.png"></html>\r\n', b"Content-Type: text/html", b"Content-Location: a.htm"
    )
    fields = (b"Content-Type: image/png", b"Content-Location: notes.png", ENCODED)
    body = multipart(page, entity(base64_lines(payload), *fields), boundary=b"=_web")
    return (
        rows(b"From: <Saved by a browser>", b"MIME-Version: 1.0", multipart_type(b"related", b"=_web"), b"")
        + body
    )


def _calendar(payload: bytes) -> bytes:
    """A calendar entry with its file inside (RFC 5545 3.8.1.1), folded at 75 (3.1)."""
    text = b"ATTACH;FMTTYPE=application/octet-stream;ENCODING=BASE64;VALUE=BINARY:" + base64.b64encode(
        payload
    )
    folded = CRLF.join((b" " if at else b"") + text[at : at + 74] for at in range(0, len(text), 74))
    return rows(
        b"BEGIN:VCALENDAR", b"VERSION:2.0", b"BEGIN:VEVENT", b"UID:1", folded, b"END:VEVENT", b"END:VCALENDAR"
    )


def _card(payload: bytes) -> bytes:
    """A card with a picture in it (RFC 2426 3.1.4), folded."""
    text = b"PHOTO;ENCODING=b;TYPE=PNG:" + base64.b64encode(payload)
    folded = CRLF.join((b" " if at else b"") + text[at : at + 74] for at in range(0, len(text), 74))
    return rows(b"BEGIN:VCARD", b"VERSION:3.0", b"FN:Corpus", b"N:Corpus", folded, b"END:VCARD")


def _card_uri(payload: bytes) -> bytes:
    uri = b"PHOTO:data:image/png;base64," + base64.b64encode(payload)
    return rows(b"BEGIN:VCARD", b"VERSION:4.0", b"FN:Corpus", uri, b"END:VCARD")


def _shell_archive(payload: bytes) -> bytes:
    return b"#!/bin/sh\r\nuudecode << 'END_OF_FILE'\r\n" + uuencode(payload) + b"END_OF_FILE\r\n"


def _property_list(payload: bytes) -> bytes:
    start = b'<?xml version="1.0" encoding="UTF-8"?>\r\n<plist version="1.0"><dict><key>WebResourceData</key><data>\r\n'
    return start + base64_lines(payload) + b"</data></dict></plist>\r\n"


def _tnef_in_tnef(payload: bytes) -> bytes:
    return tnef_property(tnef(payload), b"mail", embedded=True)


def _entity(payload: bytes) -> bytes:
    return entity(base64_lines(payload), b'Content-Type: application/octet-stream; name="notes.dat"', ENCODED)


def _signed(payload: bytes) -> bytes:
    return opaque_signed(_entity(payload))


def _signed_pieces(payload: bytes) -> bytes:
    return opaque_signed_in_pieces(_entity(payload))


def _compressed(payload: bytes) -> bytes:
    return compressed(zlib.compress(_entity(payload)))


def _message_in_message(payload: bytes) -> bytes:
    return outlook_message(outlook_message(payload), "old.msg")


# Slug, title, file, name, type, what the twin may be.
_FILES: Final = (
    ("tnef", "TNEF", tnef, b"winmail.dat", _TNEF, NEVER),
    ("tnef-octets", "TNEF of no type", tnef, b"notes.dat", _OCTETS, NEVER),
    ("tnef-vnd", "TNEF by its other type", tnef, b"winmail.dat", b"application/vnd.ms-tnef", NEVER),
    ("tnef-checksum", "TNEF with a wrong checksum", lambda p: tnef(p, good=False), b"winmail.dat", _TNEF, MALFORMED),
    ("tnef-property", "TNEF, file as a property", tnef_property, b"winmail.dat", _TNEF, NEVER),
    ("tnef-tnef", "TNEF in TNEF", _tnef_in_tnef, b"winmail.dat", _TNEF, NEVER),
    ("tnef-zip", "a zip in TNEF", lambda p: tnef(zip_of(p), b"notes.zip"), b"winmail.dat", _TNEF, NEVER),
    ("msg", "an Outlook message", outlook_message, b"old.msg", b"application/vnd.ms-outlook", SUSPICIOUS),
    ("msg-msg", "an Outlook message in another", _message_in_message, b"old.msg", b"application/vnd.ms-outlook", SUSPICIOUS),
    ("msg-zip", "a zip in an Outlook message",
        lambda p: outlook_message(zip_of(p), "notes.zip"), b"old.msg", b"application/vnd.ms-outlook", SUSPICIOUS),
    ("mbox", "a mailbox", _mbox, b"old.mbox", b"application/mbox", NEVER),
    ("mbox-octets", "a mailbox of no type", _mbox, b"old", _OCTETS, NEVER),
    ("maildir-tar", "a mail in tar", _maildir_tar, b"old.tar", b"application/x-tar", NEVER),
    ("eml-zip", "a mail in a zip", lambda p: zip_of(_inner(p), b"old.eml"), b"old.zip", b"application/zip", NEVER),
    ("mht", "a web archive", _web_archive, b"page.mht", b"application/octet-stream", SUSPICIOUS),
    ("mht-related", "a web archive by its type", _web_archive, b"page.mhtml", b"message/rfc822", SUSPICIOUS | MALFORMED),
    ("uu", "a uuencoded file", uuencode, b"notes.uue", _OCTETS, NEVER),
    ("uu-text", "a uuencoded file as text", uuencode, b"notes.txt", b"text/plain", NEVER),
    ("xx", "an xxencoded file", xxencode, b"notes.xxe", _OCTETS, NEVER),
    ("yenc", "a yEnc file", yencode, b"notes.ync", _OCTETS, NEVER),
    ("binhex", "a BinHex file", binhex, b"notes.hqx", b"application/mac-binhex40", NEVER),
    ("binhex-zip", "a zip in BinHex", lambda p: binhex(zip_of(p), b"notes.zip"), b"notes.hqx", b"application/mac-binhex40", NEVER),
    ("macbinary", "a MacBinary file", mac_binary, b"notes.bin", b"application/x-macbinary", NEVER),
    ("applesingle", "an AppleSingle file", apple_single, b"notes.as", b"application/applefile", NEVER),
    ("base64-file", "a file of base64", base64_lines, b"notes.b64", _OCTETS, NEVER),
    ("calendar", "a file in a calendar entry", _calendar, b"invite.ics", b"text/calendar", NEVER),
    ("card", "a picture in a card", _card, b"person.vcf", b"text/vcard", NEVER),
    ("card-uri", "a data: URI in a card", _card_uri, b"person.vcf", b"text/vcard", NEVER),
    ("shar", "a shell archive", _shell_archive, b"notes.shar", b"application/x-shar", SUSPICIOUS),
    ("plist", "a property list with data", _property_list, b"page.webarchive", b"application/x-webarchive", NEVER),
    ("cms-signed", "a mail under an opaque signature", _signed, b"smime.p7m", _PKCS7 + b"; smime-type=signed-data", ENCRYPTED),
    ("cms-pieces", "an opaque signature in pieces", _signed_pieces, b"smime.p7m", _PKCS7 + b"; smime-type=signed-data", ENCRYPTED),
    ("cms-compressed", "a compressed mail", _compressed, b"smime.p7z", _PKCS7 + b"; smime-type=compressed-data", ENCRYPTED),
)  # fmt: skip


def _apple_double(payload: bytes) -> bytes:
    """RFC 1740: the Macintosh's own data in one part, the file in the next."""
    own = entity(
        base64_lines(apple_single(payload, double=True)), b"Content-Type: application/applefile", ENCODED
    )
    both = multipart(own, file_part(payload), boundary=b"=_apple")
    part = entity(both, multipart_type(b"appledouble", b"=_apple"))
    return head("AppleDouble", multipart_type()) + CRLF + multipart(text_part(), part)


def _binhex_part(payload: bytes) -> bytes:
    part = entity(binhex(payload), b'Content-Type: application/mac-binhex40; name="notes.hqx"')
    return mixed("BinHex as a part", text_part(), part)


def _cms_mail(payload: bytes) -> bytes:
    kind = b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"
    return single("a mail that is an opaque signature", base64_lines(_signed(payload)), kind, ENCODED)


def _tnef_mail(payload: bytes) -> bytes:
    kind = b"Content-Type: application/ms-tnef; name=winmail.dat"
    return single("a mail that is TNEF", base64_lines(tnef(payload)), kind, ENCODED)


def _table() -> Iterator[Variant]:
    for slug, title, content, name, kind, may in _FILES:
        yield attaching(f"container.{slug}", title, content, name, kind, may=may)


VARIANTS: Final = (
    *_table(),
    variant("container.appledouble", "AppleDouble", _apple_double),
    variant("container.binhex-part", "BinHex as a part", _binhex_part),
    variant("container.cms-mail", "a mail that is an opaque signature", _cms_mail, ENCRYPTED),
    variant("container.tnef-mail", "a mail that is TNEF", _tnef_mail),
)
