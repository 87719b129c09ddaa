"""What bytes are is told by the bytes; a name decides only among texts."""

import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.parse.kinds import KINDS, extension_of, kind_of


def _zip(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return file.getvalue()


def _tar_without_magic() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as made:
        made.addfile(tarfile.TarInfo("a"))
    head = bytearray(file.getvalue()[:512])
    head[257:265] = bytes(8)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


SAMPLES = (
    ("empty", b"", ""),
    ("pe", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(20), ""),
    ("pe", b"MZ\x90\0\x03\0", "cut.txt"),
    ("text", b"MZ is what the programs of one system begin with.", ""),
    ("elf", b"\x7fELF\2\1\1" + bytes(50), ""),
    ("macho", b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(50), ""),
    ("java-class", b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(50), ""),
    ("lnk", b"L\0\0\0\x01\x14\x02\0" + bytes(70), ""),
    ("zip", _zip("a.txt"), "a.docx"),
    ("ooxml", _zip("[Content_Types].xml", "word/document.xml"), "a.zip"),
    ("jar", _zip("META-INF/MANIFEST.MF", "A.class"), ""),
    ("apk", _zip("AndroidManifest.xml", "META-INF/MANIFEST.MF"), ""),
    ("zip", bytes(4000) + _zip("a.txt"), ""),
    ("rar", b"Rar!\x1a\x07\x01\0" + bytes(50), ""),
    ("7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(50), ""),
    ("gz", b"\x1f\x8b\x08\0" + bytes(30), ""),
    ("lzma", b"\x5d\0\0\x80\0" + b"\xff" * 8 + b"\0\1\2", ""),
    ("zst", b"\x50\x2a\x4d\x18\4\0\0\0abcd\x28\xb5\x2f\xfd", ""),
    ("tar", _tar_without_magic(), ""),
    ("iso", bytes(32768) + b"\1CD001\1" + bytes(2000), "a.txt"),
    ("udf", bytes(32768) + b"\0BEA01\1" + bytes(2000), ""),
    ("rare", b"SIT!\0\1" + bytes(range(40)), "a.sit"),
    ("rare", b"hsqs" + bytes(60), ""),
    ("text", b"StuffIt (c)1997 is what an old archive says of itself.", ""),
    ("vhd", bytes(4096) + b"conectix" + bytes(504), ""),
    ("lha", b"\x20\0-lh5-" + bytes(30), ""),
    ("ole", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ""),
    ("pdf", b"junk\n" * 100 + b"%PDF-1.4\n1 0 obj", ""),
    ("rtf", b"{\\rt\\ansi", ""),
    ("one", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"), ""),
    ("html", b"\xff\xfe" + "<html><script>".encode("utf-16-le"), ""),
    ("html", b"<p>Good morning</p>", "a.txt"),
    ("svg", b'<?xml version="1.0"?><svg xmlns="x">', ""),
    ("xml", b'<?xml version="1.0"?><a/>', ""),
    ("mail", b"From: a@example.com\r\nSubject: b\r\n\r\ntext", ""),
    ("mbox", b"From a@example.com Thu Jan  1 00:00:00 2026\nSubject: b\n\ntext", ""),
    ("card", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", ""),
    ("tnef", b"\x78\x9f\x3e\x22\0\0\1", ""),
    ("png", b"\x89PNG\r\n\x1a\n" + bytes(20), "a.exe"),
    ("script", b"WScript.Echo(1)", "a.js"),
    ("script", b"#!/bin/sh\n", "a.txt"),
    ("url", b"[InternetShortcut]\r\nURL=http://example.com", ""),
    ("text", b"Good morning, from: here to: there", ""),
    ("text", "Grüße".encode(), ""),
    ("unknown", bytes(range(1, 200)), ""),
)


@pytest.mark.parametrize(("kind", "data", "name"), SAMPLES)
def test_kind_of(kind: str, data: bytes, name: str) -> None:
    assert kind_of(data, name) == kind


@given(st.binary(max_size=3000), st.text(max_size=30))
def test_any_bytes_have_a_known_kind(data: bytes, name: str) -> None:
    assert kind_of(data, name) in KINDS


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.EXE", "exe"),
        ("a.exe. . ", "exe"),
        ("a.exe::$DATA", "exe"),
        ("folder.d/a", ""),
        ("..\\b\\a.pdf.scr", "scr"),
        (".bashrc", "bashrc"),
        ("a", ""),
        ("", ""),
        ("a.js\0.txt", "js"),
    ],
)
def test_extension_is_what_the_system_takes_it_for(name: str, extension: str) -> None:
    assert extension_of(name) == extension
