"""Archives are opened in every way; what differs, is locked or cannot be read is a finding."""

import gzip
import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
from filterd.parse.archive_members import Members
from filterd.parse.harvest import Content, Harvest, LimitReachedError
from filterd.parse.openers import open_content, openers_of
from filterd.parse.passwords import candidates
from filterd.stages import archive
from tests.corpus.mail import file_part, mixed, text_part
from tests.corpus.writers.oldarchives import arj, cabinet
from tests.corpus.writers.rars import rar4, rar5, rar5_enciphered
from tests.corpus.writers.zips import Member, scrambled, zip_of, zipped

PAYLOAD = b"The quick brown fox jumps over the lazy dog." * 3
PARSE = Path(archive.__file__).parent.parent / "parse"


def opened(
    data: bytes, name: bytes = b"a.bin", words: bytes = b"Good morning.\r\n"
) -> tuple[Anatomy, list[bytes]]:
    return anatomise(mixed("test", text_part(words), file_part(data, name)), Inspection())


def rules(anatomy: Anatomy) -> set[str]:
    return {found.rule for found in anatomy.findings if found.rule.startswith(("archive.", "limit."))}


def test_every_rule_that_an_opener_notes_is_declared() -> None:
    declared = {rule.id for rule in archive.STAGE.rules}
    noted = {
        word
        for file in PARSE.glob("*.py")
        for word in file.read_text().split('"')
        if word.startswith("archive.") and " " not in word
    }
    assert noted == declared


def test_an_ordinary_zip_is_read_once_and_without_a_finding() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(50):
            made.writestr(f"folder/{number}.txt", PAYLOAD + b"%d" % number)
    anatomy, contents = opened(file.getvalue())
    assert rules(anatomy) == set()
    members = [leaf for leaf in anatomy.leaves if leaf.via == "zip"]
    assert len(members) == 50
    assert members[3].name == "folder/3.txt"
    assert PAYLOAD + b"7" in contents


@pytest.mark.parametrize(
    "data",
    [rar4(PAYLOAD), rar5(PAYLOAD), arj(PAYLOAD), cabinet(PAYLOAD), cabinet(PAYLOAD, mszip=True),
     gzip.compress(PAYLOAD), gzip.compress(zip_of(PAYLOAD)), zlib.compress(PAYLOAD)],
    ids=["rar4-stored", "rar5-stored", "arj", "cab", "cab-mszip", "gz", "gz-zip", "zlib"],
)  # fmt: skip
def test_formats_that_clamav_or_others_cannot_open(data: bytes) -> None:
    # C01
    anatomy, contents = opened(data)
    assert PAYLOAD in contents
    assert rules(anatomy) == set()


@pytest.mark.parametrize(
    "prefix", [b"\x89PNG\r\n\x1a\n" + bytes(100), b"MZ" + bytes(200), b"%PDF-1.4\n", b"GIF89a"]
)
@pytest.mark.parametrize("archived", [zip_of(PAYLOAD), rar5(PAYLOAD), rar4(PAYLOAD), cabinet(PAYLOAD)])
def test_an_archive_behind_other_content_is_opened(prefix: bytes, archived: bytes) -> None:
    anatomy, contents = opened(prefix + archived)
    assert PAYLOAD in contents
    assert "archive.broken" not in rules(anatomy)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (zipped(Member(content=PAYLOAD, local_name=b"b.txt")), "archive.ambiguous"),
        (zip_of(b"decoy") + zip_of(PAYLOAD), "archive.ambiguous"),
        (zip_of(PAYLOAD)[:-40], "archive.broken"),
        (zip_of(PAYLOAD, b"../a"), "archive.name"),
        (zip_of(PAYLOAD, b"a\0.txt"), "archive.name"),
        (zip_of(PAYLOAD, b"/etc/a"), "archive.absolute-name"),
        (zipped(Member(content=PAYLOAD, crc=5)), "archive.checksum"),
        (gzip.compress(PAYLOAD, mtime=0)[:-15], "archive.broken"),
        (rar5_enciphered(PAYLOAD, b"unknown"), "archive.encrypted"),
        (bytes(4096) + b"conectix" + bytes(504), "archive.unreadable"),
        (zip_of(PAYLOAD)[:-18] + struct.pack("<HH", 2, 2) + zip_of(PAYLOAD)[-14:], "archive.unreadable"),
    ],
)
def test_findings(data: bytes, rule: str) -> None:
    anatomy, _ = opened(data)
    assert rule in rules(anatomy)


NOISE = bytes(number * number * 7919 >> 5 & 255 for number in range(1, 4000))


@pytest.mark.parametrize("name", [b"a.z01", b"a.r00", b"a.7z.002", b"a.ZIP.003", b"a.001", b"a.part2.rar"])
def test_later_volumes_are_known_by_their_names(name: bytes) -> None:
    anatomy, _ = opened(NOISE, name)
    assert rules(anatomy) == {"archive.unreadable"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (b"a.bin", NOISE),
        (b"a.r", NOISE),
        (b"scan.001", b"II*\0" + NOISE),
        (b"log.002", b"A line of a log.\n" * 99),
    ],
)
def test_other_names_and_known_content_are_no_volumes(name: bytes, data: bytes) -> None:
    anatomy, _ = opened(data, name)
    assert rules(anatomy) == set()


def test_a_volume_of_rar_4_says_so() -> None:
    data = bytearray(rar4(PAYLOAD))
    data[10] |= 1
    data[7:9] = struct.pack("<H", zlib.crc32(data[9:20]) & 0xFFFF)
    anatomy, contents = opened(bytes(data))
    assert PAYLOAD in contents
    assert "archive.unreadable" in rules(anatomy)


def test_both_readings_of_an_ambiguous_zip_are_offered() -> None:
    _, contents = opened(zip_of(PAYLOAD, b"a") + zip_of(b"other" * 9, b"b"))
    assert PAYLOAD in contents
    assert b"other" * 9 in contents


def test_gzip_members_are_offered_joined_and_alone_with_what_trails_them() -> None:
    anatomy, contents = opened(gzip.compress(b"one") + gzip.compress(b"two") + PAYLOAD)
    assert {b"onetwo", b"one", b"two", PAYLOAD} <= set(contents)
    assert rules(anatomy) == set()


def _locked(tmp_path: Path, method: str) -> bytes:
    plain, packed = tmp_path / "notes.txt", tmp_path / "a.zip"
    plain.write_bytes(PAYLOAD)
    subprocess.run(
        ("bsdtar", "--format", "zip", "--options", f"zip:encryption={method}", "--passphrase", "Tulip-42",
         "-C", str(tmp_path), "-cf", str(packed), "notes.txt"),
        check=True,
    )  # fmt: skip
    return packed.read_bytes()


@pytest.fixture(params=["zipcrypt", "aes128", "aes256"])
def locked(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[bytes]:
    try:
        yield _locked(tmp_path, request.param)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("bsdtar with encryption is not installed")


@pytest.mark.parametrize(
    "words", [b"The password is: Tulip-42\r\n", b"Passwort\r\n\r\nTulip-42", b"mot de passe 'Tulip-42'."]
)
def test_a_password_in_the_body_opens_an_archive(locked: bytes, words: bytes) -> None:
    # P09
    anatomy, contents = opened(locked, words=words)
    assert PAYLOAD in contents
    assert rules(anatomy) == {"archive.password-in-body"}


@pytest.mark.parametrize("code", ["utf-8", "cp1252", "cp850"])
def test_a_password_with_umlauts_is_tried_as_packers_spell_it(code: str) -> None:
    # P09: Windows' packers take the code page of the system.
    locked = zipped(scrambled(PAYLOAD, "Schl\u00fcssel-7".encode(code)))
    anatomy, contents = opened(locked, words="Das Passwort lautet: Schl\u00fcssel-7\r\n".encode())
    assert PAYLOAD in contents
    assert rules(anatomy) == {"archive.password-in-body"}


def test_without_a_password_names_are_seen_and_the_class_is_encrypted(locked: bytes) -> None:
    # P09
    anatomy, contents = opened(locked)
    assert PAYLOAD not in contents
    assert rules(anatomy) == {"archive.encrypted"}
    assert "notes.txt" in {leaf.name for leaf in anatomy.leaves}


def test_the_number_of_passwords_tried_is_bounded() -> None:
    harvest = Harvest(Inspection().parse, {}, lambda _: None)
    harvest.texts.append(("1", "password: " + " ".join(f"word{number}x" for number in range(1000))))
    assert len(candidates(harvest)) <= Inspection().parse.passwords


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("\u30d1\u30b9\u30ef\u30fc\u30c9\uff1aZx91ab", "Zx91ab"),
        ("\u89e3\u51cd\u30d1\u30b9\u30ef\u30fc\u30c9\u306fZx91ab\u3067\u3059\u3002", "Zx91ab"),
        ("\u89e3\u538b\u5bc6\u7801\uff1aabcdef", "abcdef"),
        ("\u538b\u7f29\u5305\u5bc6\u7801\u662f8899", "8899"),
        ("\ube44\ubc00\ubc88\ud638\ub294 Zx91ab\uc785\ub2c8\ub2e4", "Zx91ab"),
        ('Password: "two blue birds"', "two blue birds"),
        ("Das Kennwort lautet: \u201ezwei V\u00f6gel\u201c.", "zwei V\u00f6gel"),
    ],
)
def test_passwords_are_found_as_people_write_them(text: str, password: str) -> None:
    # P09
    harvest = Harvest(Inspection().parse, {}, lambda _: None)
    harvest.texts.append(("1", f"see the file.\n{text}\n"))
    assert password in candidates(harvest)[:4]


def test_a_container_that_holds_itself_is_over_limit() -> None:
    content = Content(data=b"quine", path="1.2")
    members = Members(content, Harvest(Inspection().parse, {}, lambda _: None), "gz")
    with pytest.raises(LimitReachedError) as caught:
        list(members.offer(("a",), b"quine"))
    assert caught.value.rule == "limit.depth"


def test_a_tar_with_wrong_checksums_is_broken_and_read_all_the_same() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(PAYLOAD)
        made.addfile(entry, io.BytesIO(PAYLOAD))
    data = bytearray(file.getvalue())
    data[148:154] = b"000000"
    anatomy, contents = opened(bytes(data))
    assert PAYLOAD in contents
    assert "archive.broken" in rules(anatomy)


def test_paths_of_several_openers_do_not_collide() -> None:
    anatomy, _ = opened(b"MZ" + bytes(200) + zip_of(PAYLOAD) + rar5(b"second" * 9))
    paths = [leaf.path for leaf in anatomy.leaves]
    assert len(paths) == len(set(paths))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from((rar4(PAYLOAD), rar5(PAYLOAD), arj(PAYLOAD), cabinet(PAYLOAD), zip_of(PAYLOAD), gzip.compress(PAYLOAD))),
       st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.integers(0, 400))  # fmt: skip
def test_damaged_archives_never_raise(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(data[: len(data) - cut // 4])
    for place, value in changes:
        if place < len(damaged):
            damaged[place] = value
    opened(bytes(damaged))


def test_a_kind_without_opener_is_left_to_the_virus_engine() -> None:
    content = Content(data=b"\x89PNG\r\n\x1a\n", path="1", kind="png")
    assert list(open_content(content, Harvest(Inspection().parse, {}, lambda _: None))) == []
    assert openers_of(content)
