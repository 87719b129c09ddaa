"""What Sendmail cannot be told is refused in the inventory, with the remedy; Postfix is not asked about it."""

from pathlib import Path
from typing import Any

import pytest

from roles.errors import SettingError
from tests.unit.roles.examples import gateway


def rule(**changes: Any) -> dict[str, Any]:
    return {"id": "one", "match": "alice@example.com", "verb": "reject", "reason": "test", **changes}


def refusal(**changes: Any) -> str:
    assert gateway(**changes).mta == "postfix"
    with pytest.raises(SettingError) as error:
        gateway(mta="sendmail", **changes)
    return str(error.value)


@pytest.mark.parametrize(
    "match",
    ["/^(?:a|b)@/", "/a+?@/", "/a++@/", "/\\bword@/", "/^\\w+@/", "/[\\]]@/", "/a{2}+@/", "/(?=a)@/"],
)
def test_an_expression_beyond_posix_is_refused_with_the_rule_and_the_remedy(match: str) -> None:
    words = refusal(mta_rules={"sender": [rule(match=match)]})
    assert words.startswith("setting `mta_rules.sender`: rule mta.sender.one: ")
    assert "POSIX" in words


@pytest.mark.parametrize(
    "match", ["/^win-[0-9]{4,}@/", "/^\\d+@/", "/^(a|b)+@x\\.example$/", "/[a-z.]+@/", "/a\\/b@/", "*"]
)
def test_what_posix_knows_is_taken(match: str) -> None:
    word = "helo" if match == "*" else "sender"
    assert gateway(mta="sendmail", mta_rules={word: [rule(match=match, text="No")]})


@pytest.mark.parametrize("text", ['say "no"', "costs $5", "a\\b", "see ticket #12"])
def test_a_text_that_would_end_a_rule_is_refused(text: str) -> None:
    words = refusal(mta_rules={"client": [rule(match="192.0.2.7", text=text)]})
    assert words.startswith("setting `mta_rules.client`: rule mta.client.one: the text ")
    assert words.endswith("leave it out")


def test_rules_about_content_are_sent_to_filterd() -> None:
    content = [{**rule(match="/^Subject: x/"), "part": "header"}]
    assert "[[content]]" in refusal(mta_rules={"content": content})


def test_seven_bit_headers_and_directories_are_refused() -> None:
    assert "headers_7bit" in refusal(mta_rules={"headers_7bit": True})


def test_a_directory_is_refused_with_its_domain(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x\n")
    ldap = {"servers": ["ldaps://ldap.example.org"], "base": "dc=example,dc=org"}
    words = refusal(recipients={"example.org": {"method": "ldap", "ldap": ldap}})
    assert (
        words == "setting `recipients`: example.org: Sendmail is told of no directory; use the method `list`"
    )
