"""What fuzzing has found, each made small: none of these may come out of `anatomise` or into a notice as it did."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.anatomy import Anatomy
from filterd.carry.notices import Facts, Notices
from filterd.config import Config, NotifySettings
from filterd.config.inspection import Inspection
from filterd.disposition import Disposition, Side
from filterd.findings import Verdict
from filterd.message import Envelope
from filterd.parse.anatomise import anatomise
from tests.corpus.mail import file_part, mixed, single, text_part
from tests.corpus.writers.ole import compound


def _attached(content: bytes) -> bytes:
    return mixed("found by fuzzing", text_part(), file_part(content, b"a.doc"))


def _root_in_itself() -> bytes:
    """A compound file whose root storage is its own child: olefile lists it without end."""
    file = bytearray(compound({"A": bytes(5000)}))
    directory = 512 * (1 + struct.unpack_from("<I", file, 48)[0])
    file[directory + 66] = 1  # an ordinary storage, by its type
    struct.pack_into("<I", file, directory + 76, 0)
    return bytes(file)


def _broken_agile() -> bytes:
    """An enciphered Office file whose description is no XML: expat's error is no ValueError."""
    info = struct.pack("<HHI", 4, 4, 0x40) + b'<?xml version="1.0"?><encryption <'
    return compound({"EncryptionInfo": info, "EncryptedPackage": bytes(5000)})


def _levels(count: int) -> bytes:
    """Multiparts within each other: the second parser calls itself for each, and 33,000 end an 8 MiB stack."""
    fields = (
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (at, at) for at in range(count)
    )
    return b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + b"".join(fields) + b"\r\nhi\r\n"


_CASES = {
    "eight-bit-body-without-header": b"\r\n\r\n\x80",
    "yenc-that-never-begins": single("found by fuzzing", b"=ybegin line=128\r\n=yend\r\n"),
    "ole-root-in-itself": _attached(_root_in_itself()),
    "office-encryption-no-xml": _attached(_broken_agile()),
}


_READ = """
import sys
from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
print({found.verdict.value for found in anatomise(sys.stdin.buffer.read(), Inspection())[0].findings})
"""


@pytest.mark.parametrize("name", _CASES)
def test_it_returns(name: str) -> None:
    anatomy, leaves = anatomise(_CASES[name], Inspection())
    assert len(leaves) == len(anatomy.contents)


@pytest.mark.parametrize("folded", [b":", b" :", b":\r\n ", b": =?utf-8?q??="])
def test_levels_without_end_do_not_end_the_process(folded: bytes) -> None:
    """SIGSEGV in fast-mail-parser 0.10.0: so this runs in a child, whose end is looked at."""
    raw = _levels(130_000).replace(b"Content-Type:", b"Content-Type" + folded)
    done = subprocess.run(
        [sys.executable, "-c", _READ], input=raw, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert b"over-limit" in done.stdout


@pytest.mark.parametrize(
    "encoded", ["=?utf-8?Q?=0D=0ABcc:_x@y.example?=", "=?utf-8?B?DQpCY2M6IHhAeS5leGFtcGxl?="]
)
def test_an_encoded_word_of_a_subject_is_no_header_of_a_notice(encoded: str, tmp_path: Path) -> None:
    """CVE-2024-6923: the standard library decodes it and writes the line end as it is."""
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "admin.txt").write_text("Subject: About ${SUBJECT}\n\nLook at it.\n")
    notices = Notices(Config(notify=NotifySettings(admin="soc@gw.example", templates=str(tmp_path))))
    disposition = Disposition(
        recipients=(b"<b@rcpt.example>",),
        verdict=Verdict.MALFORMED,
        fate="move",
        wanted="move",
        sides=(Side(action="notify", argument="admin"),),
    )
    facts = Facts(
        envelope=Envelope(sender=b"<a@sender.example>", recipients=[b"<b@rcpt.example>"]),
        anatomy=Anatomy(headers=(("subject", f"hello {encoded}"),)),
        findings=(),
        host="mx.example",
        queue_id="1",
    )
    (letter,), _ = notices.letters([disposition], facts)
    head, _, _ = b"".join(letter.content).partition(b"\r\n\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in head.split(b"\r\n"))
