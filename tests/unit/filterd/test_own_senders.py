"""Who sends as one of the house: refused only from outside, only when somebody has looked, and only without any proof."""

import pytest

from filterd.policy.lists import Sender, unproven

OWN = ("example.org", "example.net")


def sender(**changes: object) -> Sender:
    given = {
        "envelope": "bob@example.org",
        "author": "",
        "by_spf": False,
        "by_dkim": False,
        "outside": True,
        **changes,
    }
    return Sender(**given)  # type: ignore[arg-type]  # each case changes one of them


def test_a_stranger_without_proof_is_named() -> None:
    (finding,) = unproven(sender(), OWN)
    assert finding.rule == "list.unproven"
    assert "bob@example.org" in finding.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"by_spf": True},
        {"by_spf": None, "by_dkim": None},
        {"by_dkim": True, "author": "alice@example.org"},
        {"outside": False},
        {"envelope": ""},
        {"envelope": "bob@sub.example.org"},
        {"envelope": "bob@elsewhere.example"},
        {"envelope": "example.org@elsewhere.example"},
    ],
)
def test_nobody_else_is(changes: dict[str, object]) -> None:
    assert unproven(sender(**changes), OWN) == ()


@pytest.mark.parametrize(
    "author", ["alice@elsewhere.example", "alice@example.net", "", "alice@sub.example.org"]
)
def test_a_signature_of_another_domain_proves_nothing(author: str) -> None:
    assert unproven(sender(by_dkim=True, author=author), OWN)


def test_no_domains_are_nobodys() -> None:
    assert unproven(sender(), ()) == ()
