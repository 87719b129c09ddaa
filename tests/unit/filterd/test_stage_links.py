import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection, LinkSettings
from filterd.parse.links import ip_of, read_target, registrable, shown_host
from filterd.stages import links

HEADERS = (("from", "A <a@bank.example>"), ("to", "x@firma-gmbh.de"))


def rules(text: str, target: str, settings: LinkSettings | None = None) -> list[str]:
    mail = Anatomy(links=(("1.2", text, target),), headers=HEADERS)
    found = links.judge(mail, Inspection(links=settings or LinkSettings()))
    assert all(finding.part == "1.2" for finding in found)
    return [finding.rule.removeprefix("link.") for finding in found]


@pytest.mark.parametrize(
    ("text", "target", "rule"),
    [
        ("www.bank.example", "https://evil.test/x", "mismatch"),
        ("https://bank.example/login", "https://evil.test/bank.example", "mismatch"),
        ("http://x.co.uk", "http://y.co.uk", "mismatch"),
        ("https://ba\u200bnk.ex\u00adample/", "https://evil.test/", "mismatch"),
        ("bank.example", "http://1.2.3.4/", "mismatch"),
        ("x", "http://1.2.3.4/", "ip-host"),
        ("x", "//1.2.3.4/x", "ip-host"),
        ("x", "http://3232235777/", "ip-host"),
        ("x", "http://0x7f.1/", "ip-host"),
        ("x", "http://0300.0250.1.1/", "ip-host"),
        ("x", "http://[2001:db8::1]/x", "ip-host"),
        ("x", "http://%31%32%37.0.0.1/", "ip-host"),
        ("x", "http://\uff11.2.3.4/", "ip-host"),
        ("x", "http://1\u30022\u30023\u30024/", "ip-host"),
        ("x", "https://bank.example@evil.test/", "userinfo"),
        ("x", "https://www.bank.example:443@evil.test/", "userinfo"),
        ("x", "https://bank.example%2flogin@evil.test/", "userinfo"),
        ("x", "https://bank.example\\@evil.test/", "userinfo"),
        ("x", "https://1.2.3.4@evil.test/", "userinfo"),
        ("x", "https://user:secret@evil.test/", "credentials"),
        ("x", "https://user%40mail.example@evil.test/", "credentials"),
        ("x", "https://xn--pypal-4ve.com/", "lookalike"),
        ("x", "https://xn--80ak6aa92e.com/", "lookalike"),
        ("x", "https://p\u0430ypal.com/", "lookalike"),
        ("x", "https://paypa1.com/", "lookalike"),
        ("x", "https://login.rnicrosoft.com/", "lookalike"),
        ("x", "https://firrna-grnbh.de/", "lookalike"),
        ("x", "https://f1rma-gmbh.de/", "lookalike"),
        ("x", "https://bit.ly/3", "shortener"),
        ("x", "ms-msdt:/id PCWDiagnostic", "scheme"),
        ("x", "MS-Officecmd:x", "scheme"),
        ("x", "search-ms:query=x&crumb=location:\\\\e.test\\share", "scheme"),
        ("x", "file://e.test/share/x.exe", "scheme"),
        ("x", "file:////e.test/share", "scheme"),
        ("x", "\\\\e.test\\share", "scheme"),
        ("x", "file:///C:/x", "local-file"),
        ("x", "java\nscript:x()", "script"),
        ("x", "vbscript:x", "script"),
        ("x", "data:text/html,x", "script"),
        ("x", "https://a.test/%E2%80%AEfdp.exe", "bidi"),
        ("https://\u202eelpmaxe.knab/", "https://a.test/", "bidi"),
    ],
)
def test_what_is_wrong_with_a_link(text: str, target: str, rule: str) -> None:
    assert rule in rules(text, target)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("bank.example", "https://login.bank.example/"),
        ("https://bank.example/\u2026", "https://bank.example/abc"),
        ("Read more", "https://news.example.org/?id=a@b.example"),
        ("report.pdf", "https://files.example.org/report.pdf"),
        ("user@bank.example", "mailto:user@bank.example"),
        ("x", "https://medium.example/@user"),
        ("x", "https://m\u00fcller.de/"),
        ("x", "https://xn--mller-kva.de/"),
        ("x", "https://\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444/"),
        ("x", "https://paypal.com/"),
        ("x", "https://firma-gmbh.de/"),
        ("x", "tel:+4912345"),
        ("x", "#top"),
        ("x", "page.html"),
        ("x", "cid:abc"),
        ("x", "http://1.2.3/4.5"[:12] + ".example/"),
        ("x", ""),
    ],
)
def test_ordinary_links_have_no_finding(text: str, target: str) -> None:
    assert rules(text, target) == []


def test_only_the_clearly_hostile_counts() -> None:
    counting = {rule.id for rule in links.STAGE.rules if rule.mode == "on"}
    assert counting == {"link.userinfo", "link.scheme", "link.count"}


def test_allowed_hosts_and_those_below_them_are_never_reported() -> None:
    settings = LinkSettings(allowed=("evil.test", "*.1.2.3.4"))
    assert rules("bank.example", "https://click.evil.test/", settings) == []
    assert rules("x", "https://bank.example@evil.test/", settings) == []
    assert rules("x", "https://notevil.test@bit.ly/", settings) != []


def test_the_list_of_shorteners_is_the_operators() -> None:
    assert rules("x", "https://go.sho.rt/1", LinkSettings(shorteners=("sho.rt",))) == ["shortener"]
    assert rules("x", "https://bit.ly/1", LinkSettings(shorteners=("sho.rt",))) == []


def test_addresses_in_plain_text() -> None:
    text = "see http://10.0.0.1/x, https://bank.example@evil.test or <https://paypa1.com>. https://bit.ly/1 ms-msdt:x"
    found = links.judge(Anatomy(texts=(("1", text),)), Inspection())
    assert [finding.rule for finding in found] == [
        "link.ip-host",
        "link.userinfo",
        "link.lookalike",
        "link.shortener",
    ]


def test_each_rule_is_reported_once_a_path() -> None:
    mail = Anatomy(links=tuple(("1", "x", f"http://10.0.0.{number}/") for number in range(9)))
    assert len(links.judge(mail, Inspection())) == 1


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.com", "example.com"),
        ("a.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("x", "x"),
    ],
)
def test_registrable(host: str, domain: str) -> None:
    assert registrable(host) == domain


@pytest.mark.parametrize("host", ["256.1.1.1", "1.2.3.4.5", "0xg.1.1.1", "1..2", "", "08.1.1.1", "a.b"])
def test_what_is_no_address(host: str) -> None:
    assert ip_of(host) == ""


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    read_target(text)
    shown_host(text)
    rules(text, text)


TOKENS = "http : / \\ @ . xn-- a %2e 1 [ ] \u0430 file ? #"


@given(st.lists(st.sampled_from(TOKENS.split())))
def test_any_address_of_these_tokens_is_read(tokens: list[str]) -> None:
    rules("".join(tokens), "".join(tokens))


@pytest.mark.parametrize(
    "text", ["http://" * 140_000, "http://a@" * 110_000, "http://a.b/1 " * 70_000, "http://" + "a." * 400_000]
)
def test_a_megabyte_of_addresses_is_quick(text: str) -> None:
    begun = time.process_time()
    links.judge(Anatomy(texts=(("1", text),)), Inspection())
    assert time.process_time() - begun < 1


def test_a_shortener_in_plain_text_is_reported_as_one_in_html_is() -> None:
    mail = Anatomy(texts=(("1", "see https://bit.ly/abc, or https://example.org/bit.ly"),), headers=HEADERS)
    (found,) = links.judge(mail, Inspection())
    assert (found.rule, found.part, found.detail) == ("link.shortener", "1", "https://bit.ly/abc")
