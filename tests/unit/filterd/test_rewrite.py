"""Rewriting: what is changed is changed exactly, and not a byte beside it."""

import email
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.anatomy import EditAction, RewriteOrder
from filterd.fields import Change, changed, split
from filterd.rewrite import rewrite
from filterd.rewrite.naming import harmless_name
from filterd.rewrite.outline import outline
from filterd.rewrite.parts import exactly
from filterd.rewrite.transfer import as_base64, as_quoted, decoded
from tests.unit.filterd.rewritten import HTML, ODD, PLAIN, attachment, crlf, mixed, order, parsed, span

NESTED = mixed(
    PLAIN,
    mixed(HTML, attachment(b"MZ" + bytes(300)), ODD, boundary="inner").split(b"MIME-Version: 1.0\r\n", 1)[1],
    b"Content-Type: message/rfc822\r\n\r\n" + mixed(PLAIN, attachment(b"MZ"), boundary="third"),
    attachment(b"last"),
)


def test_order_without_edits_gives_the_same_bytes() -> None:
    result, whole = rewrite(NESTED, RewriteOrder())
    assert whole is NESTED
    assert (result.failed, result.headers, result.stamped) == ((), (), False)
    assert NESTED[result.body_offset :].startswith(b"preamble")


def test_outline_has_the_paths_of_the_standard_parser() -> None:
    found = outline(NESTED)
    assert list(found) == [
        "1", "1.1", "1.2", "1.2.1", "1.2.2", "1.2.3", "1.3", "1.3.1", "1.3.1.1", "1.3.1.2", "1.4",
    ]  # fmt: skip
    assert span(NESTED, "1.2.3") == ODD
    assert span(NESTED, "1.1") == PLAIN
    assert span(NESTED, "1.4") == attachment(b"last")


@pytest.mark.parametrize("action", [one for one in get_args(EditAction) if one != "disarm"])
@pytest.mark.parametrize("path", ["1.1", "1.2.1", "1.2.2", "1.2.3", "1.3.1.2", "1.4"])
def test_what_is_not_edited_stays_byte_for_byte(path: str, action: EditAction) -> None:
    result, whole = rewrite(NESTED, order((path, action)))
    assert result.failed == ()
    assert result.headers == ()
    before = {one: NESTED[e.start : e.end] for one, e in outline(NESTED).items() if not e.children}
    after = [whole[e.start : e.end] for e in outline(whole).values() if not e.children]
    kept = [text for one, text in before.items() if one != path]
    assert [text for text in after if text in kept] == kept
    assert whole.startswith(NESTED[: outline(NESTED)["1.1"].start])
    assert whole.endswith(b"epilogue\r\n")
    at = NESTED.index(span(NESTED, path))
    # Up to the part, and behind it, nothing moved at all; with a part goes its boundary line.
    assert NESTED[:at].startswith(whole[: at - 12])
    tail = NESTED[at + len(span(NESTED, path)) :]
    assert whole.endswith(tail.removeprefix(b"\r\n"))


@pytest.mark.parametrize("size", [0, 1, 10, 57, 250_000, 5_000_000])
def test_warn_has_exactly_the_size_of_what_it_replaces(size: int) -> None:
    # R14: 0 B, 10 B, 250 kB, 5 MB.
    raw = mixed(PLAIN, attachment(bytes(size)), HTML)
    text = "Der Anhang wurde gelöscht: Überprüfung\n"
    result, whole = rewrite(raw, order(("1.2", "warn"), text=text))
    assert result.failed == ()
    warn = parsed(whole, "1.2")
    content = warn.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert len(content) == size
    assert (warn.get_content_type(), warn.get_filename()) == ("text/plain", "warn.txt")
    assert warn.get_param("name") == "warn.txt"
    expected = text.replace("\n", "\r\n").encode()
    if size >= len(expected):
        assert content == expected.ljust(size)
    content.decode("utf-8")
    assert max(map(len, whole.split(b"\r\n"))) <= 998
    assert span(whole, "1.1") == PLAIN
    assert span(whole, "1.3") == HTML
    if size == 250_000:
        # The message does not change its size much either.
        assert abs(len(whole) - len(raw)) < 200


@given(st.text(max_size=80), st.integers(0, 200))
def test_warn_text_of_any_words_has_any_size(words: str, size: int) -> None:
    content = exactly(words, size)
    assert len(content) == size
    content.decode("utf-8", "strict")


def test_root_with_warn_edits_the_header() -> None:
    body = b"MZ" * 500
    raw = b"Subject: x\r\nX-Mine: \t 1\r\n" + attachment(body)
    result, whole = rewrite(raw, order(("1", "warn")))
    assert result.failed == ()
    assert [(one.name, one.index) for one in result.headers] == [
        ("MIME-Version", 0), ("Content-Type", 1), ("Content-Transfer-Encoding", 1), ("Content-Disposition", 1),
    ]  # fmt: skip
    assert whole.startswith(b"Subject: x\r\nX-Mine: \t 1\r\nContent-Type: text/plain; charset=utf-8; name=")
    message = parsed(whole, "1")
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert len(content) == len(body)
    assert whole[result.body_offset - 4 : result.body_offset] == b"\r\n\r\n"


def test_repeated_fields_of_the_root_are_one_field_then() -> None:
    raw = crlf("Content-Type: text/html\nSubject: x\ncontent-type: image/png\nCONTENT-ID: <a>\n\nbody\n")
    result, whole = rewrite(raw, order(("1", "notice")))
    assert [(one.name, one.index, one.value is None) for one in result.headers] == [
        ("MIME-Version", 0, False), ("Content-Type", 2, True), ("Content-Type", 1, False),
        ("Content-Transfer-Encoding", 0, False), ("Content-Disposition", 0, False), ("CONTENT-ID", 1, True),
    ]  # fmt: skip
    assert whole.lower().count(b"content-type:") == 1
    assert whole.endswith(b"\r\n\r\ngone\r\n")


def test_notice_is_a_short_text() -> None:
    result, whole = rewrite(NESTED, order(("1.2.2", "notice"), text="Ein Anhang fehlt: ähem\nZeile"))
    assert result.failed == ()
    notice = parsed(whole, "1.2.2")
    content = notice.get_payload(decode=True)
    assert content == "Ein Anhang fehlt: ähem\r\nZeile".encode()
    assert notice.get_content_disposition() == "inline"


def test_remove_takes_the_part_and_its_boundary() -> None:
    a, b, c = PLAIN, attachment(b"MZ"), HTML
    assert rewrite(mixed(a, b, c), order(("1.2", "remove")))[1] == mixed(a, c)
    assert rewrite(mixed(a, b, c), order(("1.3", "remove")))[1] == mixed(a, b)
    assert rewrite(mixed(a, b, c), order(("1.1", "remove")))[1] == mixed(b, c)
    assert rewrite(mixed(a, b, c), order(("1.2", "remove"), ("1.3", "remove")))[1] == mixed(a)
    assert rewrite(mixed(a, b, c), order(("1.3", "remove"), ("1.1", "remove")))[1] == mixed(b)


def test_emptied_multipart_keeps_one_empty_text() -> None:
    result, whole = rewrite(
        mixed(attachment(b"a"), attachment(b"b")), order(("1.1", "remove"), ("1.2", "remove"))
    )
    assert result.failed == ()
    assert list(outline(whole)) == ["1", "1.1"]
    only = parsed(whole, "1.1")
    assert (only.get_content_type(), only.get_payload()) == ("text/plain", "")


def test_unclosed_multipart_can_lose_its_last_part() -> None:
    raw = mixed(PLAIN, attachment(b"MZ")).split(b"\r\n--=_b--", 1)[0] + b"\r\n"
    result, whole = rewrite(raw, order(("1.2", "remove")))
    assert result.failed == ()
    assert list(outline(whole)) == ["1", "1.1"]
    assert b"msdownload" not in whole


def test_message_inside_a_message_is_emptied_not_removed() -> None:
    inner = b"Subject: inner\r\n" + attachment(b"MZ")
    raw = mixed(PLAIN, b"Content-Type: message/rfc822\r\n\r\n" + inner)
    result, whole = rewrite(raw, order(("1.2.1", "remove")))
    assert result.failed == ()
    assert parsed(whole, "1.2.1")["subject"] == "inner"
    assert parsed(whole, "1.2.1").get_payload() == ""
    assert b"msdownload" not in whole


def test_root_cannot_be_removed_and_nothing_else_is_done_then() -> None:
    result, whole = rewrite(NESTED, order(("1.1", "remove"), ("1", "remove"), ("1.9", "warn")))
    assert result.failed == (1, 2)
    assert whole == NESTED


def test_edits_inside_a_removed_part_do_not_matter() -> None:
    result, whole = rewrite(NESTED, order(("1.2.2", "warn"), ("1.2", "remove"), ("1.2.1", "rename")))
    assert result.failed == ()
    assert list(outline(whole)) == ["1", "1.1", "1.2", "1.2.1", "1.2.1.1", "1.2.1.2", "1.3"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ('Content-Type: application/x-msdownload; name="x.exe"\nContent-Disposition: attachment; filename="x.exe"\n', "x.exe.txt"),
        ("Content-Disposition: attachment; filename*=utf-8''r%C3%A4.exe\nContent-Description: r.exe\n", "rä.exe.txt"),
        ('Content-Disposition: attachment; filename*0="a\n b"; filename*1=".exe"\n', "a b.exe.txt"),
        ("Content-Type: application/octet-stream; name==?utf-8?q?r=C3=A4=2Eexe?=\n", "rä.exe.txt"),
        ("Content-Type: application/octet-stream\n", "attachment.txt"),
        ('Content-Type: x/y; name="..\\\\..\\\\x.exe. "\nContent-Location: x.exe\n', "_.._x.exe.txt"),
    ],
)  # fmt: skip
def test_renamed_part_has_one_harmless_name(fields: str, name: str) -> None:
    body = as_base64(b"MZ" + bytes(50))
    raw = mixed(PLAIN, crlf(fields + "Content-Transfer-Encoding: base64\n\n") + body)
    result, whole = rewrite(raw, order(("1.2", "rename")))
    assert result.failed == ()
    got = parsed(whole, "1.2")
    assert got.get_content_type() == "application/octet-stream"
    assert got.get_filename() == name
    kind: Any = got.get_param("name")
    assert email.utils.collapse_rfc2231_value(kind) == name
    assert got["content-description"] is got["content-location"] is None
    assert span(whole, "1.2").endswith(b"\r\n\r\n" + body)


@given(st.text(max_size=300))
def test_harmless_name_is_one_line_of_bounded_length(name: str) -> None:
    given_name = harmless_name(name)
    assert given_name.endswith(".txt")
    assert given_name.isprintable() or " " in given_name or not given_name.isascii()
    assert not set(given_name) & set('/\\"\r\n\0\u202e')
    assert len(given_name) <= 80


def test_renaming_the_root_is_header_edits_alone() -> None:
    raw = b"Subject: x\r\n" + attachment(b"MZ")
    result, whole = rewrite(raw, order(("1", "rename")))
    assert result.failed == ()
    assert whole[result.body_offset :] == as_base64(b"MZ")
    assert [one.name for one in result.headers] == ["MIME-Version", "Content-Type", "Content-Disposition"]
    assert result.headers[1].value == b' application/octet-stream;\n name="x.exe.txt"'


@pytest.mark.parametrize(
    "raw",
    [
        # Two readers see the end of the header in two places.
        b"Subject: x\r\nno header line\r\nMIME-Version: 1.0\r\n\r\nbody\r\n",
        b"\r\nbody without a header\r\n"[2:],
        b"",
        mixed(PLAIN).replace(b'"=_b"', b'"=?utf-8?q?=_b?=\x00"'),
    ],
)
def test_message_whose_parts_are_not_certain_is_left_alone(raw: bytes) -> None:
    result, whole = rewrite(raw, order(("1", "warn"), ("1.1", "warn")))
    assert result.failed in {(0, 1), (1,)}
    assert whole == raw


def test_deep_nesting_is_no_way_out() -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"Subject: x\r\n\r\nbody\r\n"
    result, whole = rewrite(raw, order(("1.1", "warn")))
    assert (result.failed, whole) == ((0,), raw)


PIECES = st.sampled_from(
    [
        b"--a\r\n", b"--a--\r\n", b"--b\r\n", b"--b--\r\n", b"\r\n", b"\n", b"\r", b"text\r\n", b"text", b"--a", b"--a \t\r\n",
        b'Content-Type: multipart/mixed; boundary="a"\r\n', b"Content-Type: multipart/digest; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n", b"Content-Type: message/delivery-status\r\n", b"Content-Type: text/html\r\n",
        b"Content-Transfer-Encoding: base64\r\n", b" folded\r\n", b"no field\r\n", b"From x\r\n", b"\xff\xfe\r\n", b"--\r\n",
        b"Content-Type: multipart/mixed\r\n", b"X: y\r\n\r\n",
    ]
)  # fmt: skip
ACTIONS = st.sampled_from([one for one in get_args(EditAction) if one != "disarm"])
PATHS = st.sampled_from(["1", "1.1", "1.2", "1.1.1", "1.2.1", "1.1.2", "1.3"])


@given(
    st.lists(PIECES, max_size=24), st.lists(st.tuples(PATHS, ACTIONS), max_size=3), st.sampled_from(["", "S"])
)
def test_any_message_is_changed_exactly_or_not_at_all(
    pieces: list[bytes], edits: list[tuple[str, EditAction]], stamp: str
) -> None:
    raw = b"".join(pieces)
    wanted = order(*edits, stamp=stamp)
    result, whole = rewrite(raw, wanted)
    if result.failed:
        assert whole == raw
        return
    if not edits and not result.stamped:
        assert whole == raw
    before, after = outline(raw) if whole != raw else {}, outline(whole) if whole != raw else {}
    touched = {path for path, _ in edits}
    texts = [whole[one.start : one.end] for one in after.values()]
    for path, one in before.items():
        if not one.children and not any(one.within(edited) for edited in touched) and not result.stamped:
            assert raw[one.start : one.end] in texts, path


@given(st.binary(max_size=300))
def test_base64_is_exact(content: bytes) -> None:
    assert decoded(as_base64(content), "base64") == content


@given(st.text(max_size=200))
def test_quoted_printable_is_exact(text: str) -> None:
    content = "\r\n".join(text.splitlines()).encode("utf-8", "replace")
    assert decoded(as_quoted(content), "quoted-printable") == content


@given(st.lists(st.tuples(st.sampled_from(["A", "b", "Content-Type", "a"]), st.booleans()), max_size=6))
def test_header_edits_tell_the_same_as_the_header(fields: list[tuple[str, bool]]) -> None:
    header = b"".join(
        f"{name}: v{at}{chr(13) + chr(10) + chr(9) + 'f' if fold else ''}\r\n".encode()
        for at, (name, fold) in enumerate(fields)
    )
    after, edits = changed(header, [Change(name="a", value=b" new"), Change(name="content-type", value=None)])
    # Replayed as an MTA does.
    now = split(header)
    for edit in edits:
        places = [at for at, one in enumerate(now) if one.name.lower() == edit.name.lower()]
        if edit.index == 0:
            assert not places
            now.append(split(b"a: new\r\n")[0])
        elif edit.value is None:
            del now[places[edit.index - 1]]
        else:
            now[places[edit.index - 1]] = split(now[places[edit.index - 1]].name.encode() + b": new\r\n")[0]
    assert b"".join(one.text for one in now) == after
