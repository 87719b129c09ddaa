"""Files under a password. Where the mail itself tells the password a filter can open them too; a twin may be refused
for being encrypted in any case.
"""

import hashlib
import io
from collections.abc import Iterator
from typing import Final

import msoffcrypto.format.ooxml

from .document import word_document
from .mail import attaching, entity, file_part, mixed, single, text_part, variant
from .variant import ENCRYPTED, MALFORMED, Content, Variant
from .writers.pack import pack
from .writers.pdf import enciphered_with_file
from .writers.rars import rar4, rar5_enciphered, rar5_headers_enciphered
from .writers.sevenzip import sevenzip_enciphered
from .writers.zips import STORED, Member, scrambled, zip_of, zipped

PASSWORD: Final = "Winter-1887"  # noqa: S105 - what the corpus is enciphered with
_KEY: Final = PASSWORD.encode("ascii")
_TOLD: Final = b"Good morning,\r\n\r\npassword: " + _KEY + b"\r\n"


def _scrambled(payload: bytes) -> bytes:
    return zipped(scrambled(payload, _KEY))


def _scrambled_stored(payload: bytes) -> bytes:
    return zipped(scrambled(payload, _KEY, method=STORED))


def _second_scrambled(payload: bytes) -> bytes:
    return zipped(Member(content=b"Nothing.", name=b"a.txt"), scrambled(payload, _KEY))


def _scrambled_zip(payload: bytes) -> bytes:
    return zipped(scrambled(zip_of(payload), _KEY, name=b"inner.zip"))


def _zip_scrambled(payload: bytes) -> bytes:
    return zip_of(_scrambled(payload), b"inner.zip")


def _aes(strength: int) -> Content:
    def content(payload: bytes) -> bytes:
        return pack(payload, "zip", options=f"zip:encryption=aes{strength}", password=PASSWORD)

    return content


def _office(payload: bytes) -> bytes:
    # msoffcrypto loses itself in files that a compound file would keep in its mini stream, below 4096 bytes.
    filler = b"".join(hashlib.sha256(bytes((at,))).digest() for at in range(200))
    file = msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(word_document(payload, filler)))
    out = io.BytesIO()
    file.encrypt(PASSWORD, out)
    return out.getvalue()


_ZIP: Final = b"application/zip"
_7Z: Final = b"application/x-7z-compressed"
_RAR: Final = b"application/vnd.rar"
_PDF: Final = b"application/pdf"
_WORD: Final = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document"

# Slug, title, file, extension, type; each once with the password in the mail's text and once with it nowhere.
_FILES: Final = (
    ("zip", "zip under ZipCrypto", _scrambled, b"zip", _ZIP),
    ("zip-stored", "zip under ZipCrypto, stored", _scrambled_stored, b"zip", _ZIP),
    ("zip-second", "zip whose second member is enciphered", _second_scrambled, b"zip", _ZIP),
    ("zip-outer", "zip in an enciphered zip", _scrambled_zip, b"zip", _ZIP),
    ("zip-inner", "enciphered zip in a zip", _zip_scrambled, b"zip", _ZIP),
    ("zip-aes128", "zip under AES-128", _aes(128), b"zip", _ZIP),
    ("zip-aes256", "zip under AES-256", _aes(256), b"zip", _ZIP),
    ("7z", "7z under AES", lambda p: sevenzip_enciphered(p, PASSWORD), b"7z", _7Z),
    (
        "7z-names",
        "7z under AES, names too",
        lambda p: sevenzip_enciphered(p, PASSWORD, names=True),
        b"7z",
        _7Z,
    ),
    ("rar5", "RAR 5 under AES", lambda p: rar5_enciphered(p, _KEY), b"rar", _RAR),
    ("rar5-names", "RAR 5 under AES, names too", lambda p: rar5_headers_enciphered(p, _KEY), b"rar", _RAR),
    ("pdf", "PDF under RC4", lambda p: enciphered_with_file(p, _KEY), b"pdf", _PDF),
    ("docx", "docx under a password", _office, b"docx", _WORD),
)

# Slug, what the mail's text says.
_TEXTS: Final = (
    ("is", b"The password is " + _KEY + b".\r\n"),
    ("equals", b"pw=" + _KEY + b"\r\n"),
    ("quoted", b'Please use "' + _KEY + b'" as password.\r\n'),
    ("next-line", b"Password:\r\n" + _KEY + b"\r\n"),
    ("german", b"Das Passwort lautet: " + _KEY + b"\r\n"),
    ("french", b"Mot de passe : " + _KEY + b"\r\n"),
    ("word", b"Open it with " + _KEY + b" as we said.\r\n"),
)


def _in_subject(payload: bytes) -> bytes:
    return mixed(
        f"your file, password {PASSWORD}", text_part(), file_part(_scrambled(payload), b"a.zip", _ZIP)
    )


def _in_html(payload: bytes) -> bytes:
    page = b"<html><body><p>pass<b></b>word: <b>" + _KEY + b"</b></p></body></html>\r\n"
    html = entity(page, b"Content-Type: text/html; charset=us-ascii")
    return mixed("the password in HTML", html, file_part(_scrambled(payload), b"a.zip", _ZIP))


def _in_file(payload: bytes) -> bytes:
    note = file_part(b"password: " + _KEY + b"\r\n", b"read me.txt", b"text/plain")
    return mixed("the password in a file", text_part(), note, file_part(_scrambled(payload), b"a.zip", _ZIP))


def _in_mail(payload: bytes) -> bytes:
    inner = mixed("the inner mail", text_part(), file_part(_scrambled(payload), b"a.zip", _ZIP))
    part = entity(inner.replace(b"=_part", b"=_inner"), b"Content-Type: message/rfc822")
    return mixed("the password outside", text_part(_TOLD), part)


def _in_comment(payload: bytes) -> bytes:
    return zipped(scrambled(payload, _KEY), comment=b"password: " + _KEY)


def _all_of_it(payload: bytes) -> bytes:
    kind = b'Content-Type: application/zip; name="notes.zip"'
    return single(
        f"password {PASSWORD}",
        file_part(_scrambled(payload)).partition(b"\r\n\r\n")[2],
        kind,
        b"Content-Transfer-Encoding: base64",
    )


def _table() -> Iterator[Variant]:
    for slug, title, content, extension, kind in _FILES:
        name = b"notes." + extension
        yield attaching(f"encryption.{slug}", title, content, name, kind, may=ENCRYPTED)
        yield attaching(
            f"encryption.{slug}-told", f"{title}, told", content, name, kind, words=_TOLD, may=ENCRYPTED
        )
    for slug, words in _TEXTS:
        title = f"the password in words, {slug}"
        yield attaching(
            f"encryption.words-{slug}", title, _scrambled, b"a.zip", _ZIP, words=words, may=ENCRYPTED
        )


VARIANTS: Final = (
    *_table(),
    variant("encryption.in-subject", "the password in the subject", _in_subject, ENCRYPTED),
    variant("encryption.in-html", "the password in HTML", _in_html, ENCRYPTED),
    variant("encryption.in-file", "the password in a file", _in_file, ENCRYPTED),
    variant("encryption.in-mail", "the password outside of the attached mail", _in_mail, ENCRYPTED),
    variant("encryption.whole", "a mail that is an enciphered zip", _all_of_it, ENCRYPTED),
    attaching("encryption.in-name", "the password in the name", _scrambled, b"a " + _KEY + b".zip", _ZIP, may=ENCRYPTED),
    attaching("encryption.in-comment", "the password in the comment", _in_comment, b"a.zip", _ZIP, may=ENCRYPTED),
    attaching("encryption.as-text", "an enciphered zip that says it is text",
        _scrambled, b"a.txt", b"text/plain", may=ENCRYPTED | MALFORMED | frozenset({"suspicious", "banned"})),
    attaching("encryption.pdf-empty", "PDF under an empty password",
        lambda p: enciphered_with_file(p, b""), b"a.pdf", _PDF, may=ENCRYPTED | frozenset({"suspicious", "banned"})),
    attaching("encryption.rar4-said", "RAR 4 that is only said to be enciphered",
        lambda p: rar4(p, file_flags=4), b"a.rar", _RAR, may=ENCRYPTED | MALFORMED),
)  # fmt: skip
