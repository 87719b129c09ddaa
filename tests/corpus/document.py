"""Documents that carry a file: Office in its three formats, OpenDocument, RTF, PDF."""

import base64
import zlib
from collections.abc import Iterator
from typing import Final

from .mail import (
    ENCODED,
    attaching,
    base64_lines,
    entity,
    file_part,
    mixed,
    multipart,
    multipart_type,
    rows,
    text_part,
)
from .variant import BANNED, MALFORMED, NEVER, SUSPICIOUS, Content, Variant
from .writers.ole import compound, macro_project, object_1, package, package_file
from .writers.pdf import with_file, with_script
from .writers.zips import Member, zipped

_WORD: Final = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MACRO_WORD: Final = b"application/vnd.ms-word.document.macroEnabled.12"
_MACRO_EXCEL: Final = b"application/vnd.ms-excel.sheet.macroEnabled.12"
_ODT: Final = b"application/vnd.oasis.opendocument.text"
_RELATIONS: Final = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGED: Final = b"http://schemas.openxmlformats.org/package/2006/"
_HELD: Final = (
    (b"rels", b"vnd.openxmlformats-package.relationships+xml"),
    (b"xml", b"xml"),
    (b"bin", b"vnd.openxmlformats-officedocument.oleObject"),
)
# What carries a program or runs at opening is a policy's business; a harmless twin may be refused for it.
_ACTIVE: Final = SUSPICIOUS | BANNED


def _xml(text: bytes) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + text


def _open_xml(
    folder: bytes, main: bytes, members: dict[bytes, bytes], relation: tuple[bytes, bytes]
) -> bytes:
    """Return an Office Open XML package (ECMA-376 part 2) whose main part relates to one other."""
    kind, target = relation
    part = folder + b"/" + main
    relations = b'<Relationships xmlns="%brelationships"><Relationship Id="r1" Type="%b" Target="%b"/></Relationships>'
    types = b'<Types xmlns="%bcontent-types">' % _PACKAGED
    for extension, held in _HELD:
        types += b'<Default Extension="%b" ContentType="application/%b"/>' % (extension, held)
    types += b"</Types>"
    body = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>'
    files = {
        b"[Content_Types].xml": _xml(types),
        b"_rels/.rels": _xml(relations % (_PACKAGED, _RELATIONS + b"/officeDocument", part)),
        part: _xml(body),
        folder + b"/_rels/" + main + b".rels": _xml(relations % (_PACKAGED, kind, target)),
        **members,
    }
    return zipped(*(Member(content=content, name=name) for name, content in files.items()))


def _word_with(name: bytes, relation: bytes, make: Content) -> Content:
    def content(payload: bytes) -> bytes:
        return _open_xml(
            b"word", b"document.xml", {b"word/" + name: make(payload)}, (_RELATIONS + relation, name)
        )

    return content


def _macro(payload: bytes) -> bytes:
    return b'Sub AutoOpen()\r\n    notes = "' + payload + b'"\r\nEnd Sub\r\n'


def _macro_file(folder: bytes, main: bytes) -> Content:
    def content(payload: bytes) -> bytes:
        project = compound(macro_project(_macro(payload)))
        relation = (b"http://schemas.microsoft.com/office/2006/relationships/vbaProject", b"vbaProject.bin")
        return _open_xml(folder, main, {folder + b"/vbaProject.bin": project}, relation)

    return content


def _flat_xml(payload: bytes) -> bytes:
    """Flat OPC: the package as one XML file, binary parts in base64."""
    text = b'<?mso-application progid="Word.Document"?>\n<pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage">'
    text += b'<pkg:part pkg:name="/word/embeddings/notes.bin" pkg:compression="store"><pkg:binaryData>'
    return _xml(text + base64_lines(payload) + b"</pkg:binaryData></pkg:part></pkg:package>")


def _alt_chunk(payload: bytes) -> bytes:
    """A mail as part of a document: Word merges it when it opens the file."""
    return mixed("the inner mail", text_part(), file_part(payload))


def _old_word(payload: bytes) -> bytes:
    return compound(
        {
            "WordDocument": b"\xec\xa5\xc1\0" + bytes(5000),
            "ObjectPool": {"_1": {"\1Ole10Native": package(payload)}},
        }
    )


def _old_word_macro(payload: bytes) -> bytes:
    return compound(
        {"WordDocument": b"\xec\xa5\xc1\0" + bytes(5000), "Macros": macro_project(_macro(payload))}
    )


def _plain_stream(payload: bytes) -> bytes:
    return compound({"Contents": payload})


def _active_mime(payload: bytes) -> bytes:
    """Word's web archive keeps macros in editdata.mso: a compound file in zlib behind a header of 50 bytes."""
    start = b"ActiveMime\0\0\x01\xf0\x04\0\0\0".ljust(50, b"\0")
    file = start + zlib.compress(compound(macro_project(_macro(payload))))
    page = entity(
        b"<html><body></body></html>\r\n",
        b"Content-Location: file:///C:/notes.htm",
        b"Content-Type: text/html",
    )
    fields = (b"Content-Location: file:///C:/editdata.mso", b"Content-Type: application/x-mso", ENCODED)
    web = multipart(page, entity(base64_lines(file), *fields))
    return rows(b"MIME-Version: 1.0", multipart_type(b"related"), b"") + web


def _open_document(name: bytes, text: Content) -> Content:
    def content(payload: bytes) -> bytes:
        body = b'<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"/>'
        return zipped(
            Member(content=_ODT, name=b"mimetype", method=0),
            Member(content=_xml(body), name=b"content.xml"),
            Member(content=text(payload), name=name),
        )

    return content


def _basic(payload: bytes) -> bytes:
    source = b'Sub Main\n  notes = "' + payload.replace(b"&", b"&amp;").replace(b"<", b"&lt;") + b'"\nEnd Sub'
    return _xml(
        b'<script:module xmlns:script="http://openoffice.org/2000/script" script:name="M">'
        + source
        + b"</script:module>"
    )


def _rich(data: bytes) -> bytes:
    return (
        b"{\\rtf1\\ansi Good morning.\r\n{\\object\\objemb{\\*\\objclass Package}{\\*\\objdata %b}}}\r\n"
        % data
    )


def _hex(payload: bytes) -> bytes:
    return object_1(payload).hex().encode()


def _hex_lines(payload: bytes) -> bytes:
    text = _hex(payload)
    return b"".join(text[at : at + 7] + b"\r\n\t " for at in range(0, len(text), 7))


def _hex_words(payload: bytes) -> bytes:
    """Readers pass over control words and groups between the digits."""
    text = _hex(payload)
    return text[:40] + b"{\\*\\nothing}" + text[40:90].upper() + b"\\par " + text[90:]


def _rich_binary(payload: bytes) -> bytes:
    data = object_1(payload)
    return _rich(b"\\bin%d %b" % (len(data), data))


def _ascii_hex(content: bytes) -> bytes:
    return content.hex().encode() + b">"


def _ascii_85(content: bytes) -> bytes:
    return base64.a85encode(content) + b"~>"


def _run_length(content: bytes) -> bytes:
    """ISO 32000 7.4.5: runs of bytes as they are, then the end mark."""
    runs = (content[at : at + 20] for at in range(0, len(content), 20))
    return b"".join(bytes((len(run) - 1,)) + run for run in runs) + b"\x80"


def _lzw(content: bytes) -> bytes:
    """LZW (7.4.4) without a dictionary: codes of nine bits, the table cleared before it would grow."""
    codes = [256]
    for at, byte in enumerate(content, 1):
        codes += [byte, *((256,) if at % 200 == 0 else ())]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _script(payload: bytes) -> bytes:
    # In a PDF string backslash and parentheses are escaped (7.3.4.2).
    text = payload.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    return with_script(b"(var notes = '" + text + b"';)")


def _script_hex(payload: bytes) -> bytes:
    return with_script(b"<" + (b"var notes = '" + payload + b"';").hex().encode() + b">")


def word_document(payload: bytes, filler: bytes = b"") -> bytes:
    """Return a docx that carries the payload as a bare file, and ``filler`` as another."""
    members = {
        b"word/embeddings/notes.bin": payload,
        **({b"word/media/filler.bin": filler} if filler else {}),
    }
    return _open_xml(b"word", b"document.xml", members, (_RELATIONS + b"/package", b"embeddings/notes.bin"))


_OBJECT: Final = b"/oleObject"
_DOC: Final = b"application/msword"
_PDF: Final = b"application/pdf"
_RTF: Final = b"application/rtf"

# Slug, title, file, extension, type, what the twin may be.
_TABLE: Final = (
    ("docx-package", "OLE package in docx", _word_with(b"embeddings/oleObject1.bin", _OBJECT, package_file), b"docx", _WORD, _ACTIVE),
    ("docx-binary", "a bare file in docx", word_document, b"docx", _WORD, SUSPICIOUS),
    ("docx-media", "a picture in docx that is none", _word_with(b"media/image1.png", b"/image", bytes), b"docx", _WORD, SUSPICIOUS),
    ("docx-zip", "a document within docx",
        _word_with(b"embeddings/a.docx", b"/package", _word_with(b"media/a.bin", b"/image", bytes)), b"docx", _WORD, SUSPICIOUS),
    ("docx-chunk", "a mail within docx", _word_with(b"afchunk.mht", b"/aFChunk", _alt_chunk), b"docx", _WORD, SUSPICIOUS),
    ("docx-as-doc", "docx named doc", word_document, b"doc", _DOC, SUSPICIOUS | BANNED),
    ("docm", "macro in docm", _macro_file(b"word", b"document.xml"), b"docm", _MACRO_WORD, _ACTIVE),
    ("docm-as-docx", "docm named docx", _macro_file(b"word", b"document.xml"), b"docx", _WORD, _ACTIVE),
    ("xlsm", "macro in xlsm", _macro_file(b"xl", b"workbook.xml"), b"xlsm", _MACRO_EXCEL, _ACTIVE),
    ("flat-xml", "flat XML of Word", _flat_xml, b"xml", b"application/xml", SUSPICIOUS),
    ("doc-package", "OLE package in doc", _old_word, b"doc", _DOC, _ACTIVE),
    ("doc-macro", "macro in doc", _old_word_macro, b"doc", _DOC, _ACTIVE),
    ("ole-stream", "a stream of a compound file", _plain_stream, b"doc", _DOC, SUSPICIOUS),
    ("ole-package", "OLE package by itself", package_file, b"bin", b"application/octet-stream", _ACTIVE),
    ("active-mime", "macro in a web archive of Word", _active_mime, b"mht", b"application/octet-stream", _ACTIVE),
    ("active-mime-doc", "that web archive named doc", _active_mime, b"doc", _DOC, _ACTIVE),
    ("odt-object", "an object in odt", _open_document(b"ObjectReplacements/Object 1", bytes), b"odt", _ODT, NEVER),
    ("odt-ole", "OLE package in odt", _open_document(b"Object 1", package_file), b"odt", _ODT, _ACTIVE),
    ("odt-basic", "macro in odt", _open_document(b"Basic/Standard/M.xml", _basic), b"odt", _ODT, _ACTIVE),
    ("rtf", "OLE package in RTF", lambda p: _rich(_hex(p)), b"rtf", _RTF, _ACTIVE),
    ("rtf-lines", "RTF with blanks between the digits", lambda p: _rich(_hex_lines(p)), b"rtf", _RTF, _ACTIVE),
    ("rtf-words", "RTF with words between the digits", lambda p: _rich(_hex_words(p)), b"rtf", _RTF, _ACTIVE | MALFORMED),
    ("rtf-binary", "RTF with binary data", _rich_binary, b"rtf", _RTF, _ACTIVE | MALFORMED),
    ("rtf-as-doc", "RTF named doc", lambda p: _rich(_hex(p)), b"doc", _DOC, _ACTIVE),
    ("rtf-short", "RTF that begins with {\\rt", lambda p: _rich(_hex(p)).replace(b"{\\rtf1", b"{\\rt1"), b"rtf", _RTF, _ACTIVE | MALFORMED),
    ("pdf", "a file in PDF", with_file, b"pdf", _PDF, _ACTIVE),
    ("pdf-flate", "a file in PDF, Flate", lambda p: with_file(zlib.compress(p), b"/Filter /FlateDecode"), b"pdf", _PDF, _ACTIVE),
    ("pdf-hex", "a file in PDF, ASCIIHex", lambda p: with_file(_ascii_hex(p), b"/Filter /ASCIIHexDecode"), b"pdf", _PDF, _ACTIVE),
    ("pdf-85", "a file in PDF, ASCII85", lambda p: with_file(_ascii_85(p), b"/Filter /ASCII85Decode"), b"pdf", _PDF, _ACTIVE),
    ("pdf-run-length", "a file in PDF, RunLength", lambda p: with_file(_run_length(p), b"/Filter /RunLengthDecode"), b"pdf", _PDF, _ACTIVE),
    ("pdf-lzw", "a file in PDF, LZW", lambda p: with_file(_lzw(p), b"/Filter /LZWDecode"), b"pdf", _PDF, _ACTIVE),
    ("pdf-chain", "a file in PDF, ASCII85 of Flate",
        lambda p: with_file(_ascii_85(zlib.compress(p)), b"/Filter [/ASCII85Decode /FlateDecode]"), b"pdf", _PDF, _ACTIVE),
    ("pdf-short", "filters by their short names",
        lambda p: with_file(_ascii_hex(zlib.compress(p)), b"/Filter [/AHx /Fl]"), b"pdf", _PDF, _ACTIVE),
    ("pdf-escaped", "escapes in the filter's name",
        lambda p: with_file(zlib.compress(p), b"/F#69lter /#46lateDecode"), b"pdf", _PDF, _ACTIVE),
    ("pdf-kind", "escapes in the object's type",
        lambda p: with_file(zlib.compress(p), b"/Filter/FlateDecode", kind=b"/Embedded#46ile"), b"pdf", _PDF, _ACTIVE),
    ("pdf-no-table", "PDF without xref",
        lambda p: with_file(zlib.compress(p), b"/Filter /FlateDecode", table=False), b"pdf", _PDF, _ACTIVE | MALFORMED),
    ("pdf-prefixed", "junk before PDF",
        lambda p: with_file(zlib.compress(p), b"/Filter /FlateDecode", prefix=b"junk\n" * 100), b"pdf", _PDF, _ACTIVE | MALFORMED),
    ("pdf-script", "a script in PDF", _script, b"pdf", _PDF, _ACTIVE),
    ("pdf-script-hex", "a script in PDF, in hexadecimal", _script_hex, b"pdf", _PDF, _ACTIVE),
)  # fmt: skip


def _table() -> Iterator[Variant]:
    for slug, title, content, extension, kind, may in _TABLE:
        yield attaching(f"document.{slug}", title, content, b"notes." + extension, kind, may=may)


VARIANTS: Final = tuple(_table())
