"""Documents whose files are cut up, packed or referred to in ways of their own: compound files, XML, RTF, PDF."""

import base64
import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from .mail import attaching
from .variant import BANNED, ENCRYPTED, MALFORMED, SUSPICIOUS, Content, Variant
from .writers.ole import compound, object_1, package
from .writers.zips import STORED, Member, deflate, zip_of, zipped

_ACTIVE: Final = SUSPICIOUS | BANNED
_XML: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_MANIFEST: Final = (
    b'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry'
    b' manifest:full-path="content.xml"><manifest:encryption-data manifest:checksum-type="SHA1/1K" manifest:checksum="aaaa">'
    b'<manifest:algorithm manifest:algorithm-name="Blowfish CFB"/></manifest:encryption-data></manifest:file-entry></manifest:manifest>'
)


def _b64(payload: bytes) -> bytes:
    return base64.b64encode(payload)


def _sum(payload: bytes) -> bytes:
    text = _b64(payload)
    return b"'+'".join(text[at : at + 9] for at in range(0, len(text), 9))


def _packed_rtf(text: bytes) -> bytes:
    """Return LZFu ([MS-OXRTFCP] 2.1.3.1) without references: a zero byte before every eight letters."""
    body = b"".join(b"\0" + text[at : at + 8] for at in range(0, len(text), 8))
    return struct.pack("<II4sI", len(body) + 12, len(text), b"LZFu", 0) + body


def _rich(data: bytes) -> bytes:
    return b"{\\rtf1\\ansi Good.\r\n{\\object\\objemb{\\*\\objclass Package}{\\*\\objdata %b}}}\r\n" % data


def _outlook(payload: bytes) -> bytes:
    text = _packed_rtf(_rich(object_1(payload).hex().encode()))
    return compound({"__properties_version1.0": bytes(32), "__substg1.0_10090102": text})


def _slides(payload: bytes) -> bytes:
    """PowerPoint keeps embedded objects under zlib (MS-PPT 2.10.36)."""
    held = compound({"\1Ole10Native": package(payload)})
    packed = zlib.compress(held)
    record = struct.pack("<HHII", 0x0010, 0x1011, len(packed) + 4, len(held)) + packed
    return compound({"PowerPoint Document": bytes(600) + record, "Current User": bytes(60)})


def _hangul(folder: str, name: str, content: Content) -> Content:
    head = b"HWP Document File".ljust(256, b"\0")
    return lambda payload: compound({"FileHeader": head, folder: {name: deflate(content(payload))}})


def _flat(text: bytes) -> bytes:
    start = b'<pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage"><pkg:part pkg:name="/word/a.bin">'
    return _XML + start + b"<pkg:binaryData>" + text + b"</pkg:binaryData></pkg:part></pkg:package>"


def _entities(payload: bytes) -> bytes:
    text = _b64(payload)
    return b"<!DOCTYPE d [<!ENTITY a \"%b\"><!ENTITY b '%b'>]>" % (text[:40], text[40:])


def _style_sheet(payload: bytes) -> bytes:
    text = _b64(payload)
    start = b'<?xml-stylesheet type="text/xsl" href="#s"?><xsl:stylesheet id="s" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    value = b"<xsl:value-of select=\"concat('%b','%b')\"/>" % (text[:40], text[40:])
    return (
        _XML + start + b'<xsl:template match="/"><html>' + value + b"</html></xsl:template></xsl:stylesheet>"
    )


def _enciphered(payload: bytes) -> bytes:
    return zipped(
        Member(content=b"application/vnd.oasis.opendocument.text", name=b"mimetype", method=STORED),
        Member(content=bytes(byte ^ 0x5A for byte in payload * 20), name=b"content.xml"),
        Member(content=_XML + _MANIFEST, name=b"META-INF/manifest.xml"),
    )


def _page_in_rtf(payload: bytes) -> bytes:
    start, end = (
        b'<a href="data:application/octet-stream;base64,' + _b64(payload)[:40],
        _b64(payload)[40:] + b'">',
    )
    return b"{\\rtf1\\ansi\\fromhtml1 {\\*\\htmltag64 " + start + b"}{\\*\\htmltag64 " + end + b"}}"


def _hex_group(word: bytes) -> Content:
    return lambda payload: b"{\\rtf1{\\*\\" + word + b" " + zip_of(payload).hex().encode() + b"}}"


def _pdf(*objects: bytes, head: bytes = b"%PDF-1.7\n") -> bytes:
    body = b"".join(b"%d 0 obj\n%b\nendobj\n" % one for one in enumerate(objects, 1))
    return head + body + b"trailer\n<</Root 1 0 R/Size 20>>\n%%EOF\n"


def _stream(content: bytes, entries: bytes = b"/Filter/FlateDecode") -> bytes:
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (entries, len(content), content)


_CATALOG: Final = b"<</Type/Catalog/Names<</EmbeddedFiles<</Names[(a)2 0 R]>>>>>>"
_FILE: Final = b"<</Type/Filespec/F(a.dat)/EF<</F 3 0 R>>>>"


def _with_file(payload: bytes, head: bytes = b"%PDF-1.7\n") -> bytes:
    return _pdf(_CATALOG, _FILE, _stream(zlib.compress(payload)), head=head)


def _differences(payload: bytes) -> bytes:
    return payload[:1] + bytes((after - before) & 255 for before, after in itertools.pairwise(payload))


def _with_tiff(payload: bytes) -> bytes:
    entries = b"/Filter/FlateDecode/DecodeParms<</Predictor 2/Columns 68>>"
    return _pdf(_CATALOG, _FILE, _stream(zlib.compress(_differences(payload)), entries))


def _with_parameters(payload: bytes) -> bytes:
    held = _stream(zlib.compress(b"\1" + _differences(payload)), b"/Filter/FlateDecode/DecodeParms 4 0 R")
    return _pdf(_CATALOG, _FILE, held, b"<</Predictor 12/Columns 68>>")


def _as_picture(payload: bytes) -> bytes:
    held = _stream(zlib.compress(payload), b"/Subtype/Image/Filter/FlateDecode")
    return _pdf(_CATALOG, b"<</Type/Filespec/F(a.dat)/EF 4 0 R>>", held, b"<</F 3 0 R>>")


def _among_many(payload: bytes) -> bytes:
    others = (_stream(zlib.compress(b"notes %d" % at)) for at in range(5, 210))
    start = (_CATALOG, b"<</F(a)/EF 4 0 R>>", b"<<>>", b"<</F 210 0 R>>")
    return _pdf(*start, *others, _stream(zlib.compress(payload)))


def _script(what: bytes, *objects: bytes) -> bytes:
    return _pdf(b"<</Type/Catalog/OpenAction<</S/JavaScript/JS " + what + b">>>>", *objects)


def _form(payload: bytes) -> bytes:
    halves = (b"<xdp><chunk>" + _b64(payload)[:40], _b64(payload)[40:] + b"</chunk></xdp>")
    catalog = b"<</Type/Catalog/AcroForm<</XFA[(a)2 0 R(b)3 0 R]>>>>"
    return _pdf(catalog, *(_stream(zlib.compress(half)) for half in halves))


_PREFIXED: Final = b"<r xmlns:h=\"http://www.w3.org/1999/xhtml\"><h:script>x='%b'</h:script></r>"
_VECTORS: Final = b'%b<svg xmlns="http://www.w3.org/2000/svg"><a href="data:a/b;base64,&a;&b;">x</a></svg>'

# Slug, title, file, extension, what the twin may be.
_TABLE: Final = (
    ("msg-packed", "packed RTF in an Outlook message", _outlook, b"msg", _ACTIVE),
    ("ppt-packed", "a packed object in ppt", _slides, b"ppt", _ACTIVE),
    ("hwp", "a deflated picture in hwp", _hangul("BinData", "BIN0001.eps", lambda p: b"%!PS\n" + p), b"hwp", _ACTIVE),
    ("hwp-script", "a deflated script in hwp",
        _hangul("Scripts", "DefaultJScript", lambda p: p.decode("ascii").encode("utf-16-le")), b"hwp", _ACTIVE),
    ("xml-cdata", "CDATA in flat XML", lambda p: _flat(b"<![CDATA[" + _b64(p)[:30] + b"]]>" + _b64(p)[30:]), b"xml", _ACTIVE),
    ("xml-comment", "a comment in flat XML", lambda p: _flat(_b64(p)[:30] + b"<!-- x -->" + _b64(p)[30:]), b"xml", _ACTIVE),
    ("xml-reference", "a reference in flat XML", lambda p: _flat(_b64(p)[:30] + b"&#x%02x;" % _b64(p)[30] + _b64(p)[31:]), b"xml", _ACTIVE),
    ("xml-entities", "entities in XML", lambda p: _XML + _entities(p) + b"<d><binaryData>&a;&b;</binaryData></d>", b"xml", _ACTIVE),
    ("xml-script", "a script in XML", lambda p: _XML + _PREFIXED % _sum(p), b"xml", _ACTIVE),
    ("xml-style", "a style sheet in XML", _style_sheet, b"xml", _ACTIVE),
    ("svg-entities", "entities in SVG", lambda p: _XML + _VECTORS % _entities(p), b"svg", _ACTIVE),
    ("rtf-number", "a number behind RTF's objdata",
        lambda p: _rich(object_1(p).hex().encode()).replace(b"objdata", b"objdata0"), b"rtf", _ACTIVE | MALFORMED),
    ("rtf-page", "a page in RTF", _page_in_rtf, b"rtf", _ACTIVE),
    ("rtf-text", "the file as RTF's text",
        lambda p: b"{\\rtf1\\ansi " + b"".join(b"\\'%02x" % byte for byte in p) + b"}", b"rtf", _ACTIVE),
    ("rtf-datafield", "a data field in RTF", _hex_group(b"datafield"), b"rtf", _ACTIVE),
    ("rtf-svb", "a drawing's data in RTF", _hex_group(b"svb"), b"rtf", _ACTIVE),
    ("pdf-tiff", "TIFF's predictor in PDF", _with_tiff, b"pdf", _ACTIVE),
    ("pdf-parameters", "a filter's parameters elsewhere in PDF", _with_parameters, b"pdf", _ACTIVE),
    ("pdf-picture", "a file that says it is a picture", _as_picture, b"pdf", _ACTIVE),
    ("pdf-many", "a file behind two hundred streams", _among_many, b"pdf", _ACTIVE),
    ("pdf-postscript", "PDF that begins like PostScript",
        lambda p: _with_file(p, b"%!PS-Adobe-3.0 PDF-1.4\n"), b"pdf", _ACTIVE | MALFORMED),
    ("pdf-no-header", "PDF without its header", lambda p: _with_file(p, b""), b"pdf", _ACTIVE | MALFORMED),
    ("pdf-late-header", "PDF with a late header", lambda p: _with_file(p, b"x\n" * 1000 + b"%PDF-1.4\n"), b"pdf", _ACTIVE | MALFORMED),
    ("fdf", "a file in FDF", lambda p: _with_file(p, b"%FDF-1.2\n"), b"fdf", _ACTIVE),
    ("pdf-comment", "a comment in an object's number",
        lambda p: _with_file(p).replace(b"3 0 obj", b"3%x\n0 obj"), b"pdf", _ACTIVE | MALFORMED),
    ("pdf-blank", "a blank before Flate", lambda p: _pdf(_CATALOG, _FILE, _stream(b"\n" + zlib.compress(p))), b"pdf", _ACTIVE | MALFORMED),
    ("pdf-script-object", "a script in another object", lambda p: _script(b"2 0 R", b"<" + p.hex().encode() + b">"), b"pdf", _ACTIVE),
    ("pdf-script-sum", "a sum in a script", lambda p: _script(b"(x='" + _sum(p) + b"')"), b"pdf", _ACTIVE),
    ("pdf-form", "a form in two streams", _form, b"pdf", _ACTIVE),
)  # fmt: skip


def _table() -> Iterator[Variant]:
    for slug, title, content, extension, may in _TABLE:
        yield attaching(f"document.odd-{slug}", title, content, b"notes." + extension, may=may)


VARIANTS: Final = (
    *_table(),
    attaching(
        "encryption.odt", "odt under a password", _enciphered, b"notes.odt", may=ENCRYPTED, recoverable=False
    ),
)
