"""Disarming through a real MTA: active HTML and macros go, the rest of the message stays."""

import io
import zipfile

import pytest

from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import (
    PICTURE,
    PLAIN,
    attachment,
    data,
    delivered,
    letter,
    mark,
    own,
    part,
    send,
)
from tests.acceptance.outside import Outside
from tests.acceptance.policy import policy
from tests.acceptance.test_inspection import new_document, old_document
from tests.unit.filterd.pages import Opened

# By the setting of [html] that treats it: what it is, and the rules that see it.
ACTIVE = {
    "scripts": (
        "<script>document.title='x'</script><b onclick='x()'>b</b>",
        {"html.script", "html.event-handler"},
    ),
    "forms": ("<form action='https://collect.example/'><input name='pin'></form>", {"html.form"}),
    "iframes": ("<iframe src='https://frame.example/'></iframe>", {"html.iframe"}),
    "objects": ("<object data='https://object.example/x.swf'></object>", {"html.object"}),
    "webbugs": ("<img src='https://bug.example/x.gif?id=7' width='1' height='1'>", {"html.webbug"}),
}
MACRO = b'Sub AutoOpen()\r\n    Shell "cmd.exe /c calc"\r\nEnd Sub\r\n'


def html(body: str) -> bytes:
    page = f"<html><body><p>Grüße, visible text</p>{body}</body></html>"
    return (
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + page.encode()
    )


@pytest.mark.parametrize("treatment", ["allow", "disarm", "strip"])
def test_active_html_is_treated_as_it_is_set(treatment: str, wan: Outside, gateway: GatewayHost) -> None:
    # M04
    letters = {name: (mark(), html(body)) for name, (body, _) in ACTIVE.items()}
    letters["all"] = (mark(), html("".join(body for body, _ in ACTIVE.values())))
    seen = {**{name: rules for name, (_, rules) in ACTIVE.items()}, "all": {"html.form", "html.webbug"}}
    with policy(gateway, {}, tables={"html": dict.fromkeys(ACTIVE, treatment)}):
        for name, (unique, page) in letters.items():
            assert seen[name] <= Opened(page.decode()).rules
            assert send(wan, letter(unique, PLAIN, page, PICTURE)).startswith("250 ")
        for unique, page in letters.values():
            (record,) = delivered(gateway, unique)
            sent = letter(unique, PLAIN, page, PICTURE)
            if treatment == "allow":
                assert own(record) == sent
                continue
            after = data(part(own(record), 2)).decode()
            assert "Grüße, visible text" in after
            assert not {rule for _, rules in ACTIVE.values() for rule in rules} & Opened(after).rules
            assert treatment == "disarm" or not any(
                host in after for host in ("frame.example", "object.example", "bug.example")
            )
            # Nothing beside the page is touched.
            start, end = sent.split(page)
            assert own(record).startswith(start)
            assert own(record).endswith(end)


def test_one_kind_of_html_is_treated_and_the_others_stay(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    page = html("".join(body for body, _ in ACTIVE.values()))
    with policy(gateway, {}, tables={"html": {"webbugs": "strip", "scripts": "strip"}}):
        assert send(wan, letter(unique, PLAIN, page)).startswith("250 ")
        (record,) = delivered(gateway, unique)
    left = Opened(data(part(own(record), 2)).decode()).rules
    assert {"html.form", "html.iframe", "html.object"} <= left
    assert not {"html.script", "html.event-handler", "html.webbug"} & left


def test_macros_are_taken_out_of_a_document(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    document = new_document(MACRO)
    sent = letter(unique, PLAIN, attachment(document, "offer.docm"), PICTURE)
    with policy(gateway, {"suspicious": ("disarm", "reject")}):
        assert send(wan, sent).startswith("250 ")
        (record,) = delivered(gateway, unique)
    got = part(own(record), 2)
    assert got.get_filename() == "offer.docm"
    with zipfile.ZipFile(io.BytesIO(document)) as old, zipfile.ZipFile(io.BytesIO(data(got))) as new:
        assert set(old.namelist()) - set(new.namelist()) == {"word/vbaProject.bin"}
        assert new.read("word/document.xml") == old.read("word/document.xml")
    start, end = sent.split(attachment(document, "offer.docm"))
    assert own(record).startswith(start)
    assert own(record).endswith(end)


def test_macros_that_cannot_be_taken_out_pass_on_to_the_next_step(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    document = old_document(MACRO)
    with policy(gateway, {"suspicious": ("disarm", "delete notice", "reject")}):
        assert send(wan, letter(unique, PLAIN, attachment(document, "offer.doc"))).startswith("250 ")
        (record,) = delivered(gateway, unique)
    notice = data(part(own(record), 2))
    assert b"offer.doc" in notice
    assert len(notice) < 1000
