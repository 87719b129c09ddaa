"""Block lists in Postfix's log: what a list says of itself counts, what a peer wrote into an address does not."""

import pytest

from filterd.ledger.maillog import block_list

ENVELOPE = "; from=<a@sender.example> to=<b@bastide.example> proto=ESMTP helo=<x>"


@pytest.mark.parametrize(
    ("reply", "listed"),
    [
        ("Client host [192.0.2.1] blocked using bl.one.example; see https://one.example/?192.0.2.1", "bl.one.example"),
        ("client [2001:db8::1] blocked using Two.example", "two.example"),
        ("client host blocked using three.example; see there", "three.example"),
    ],
)  # fmt: skip
def test_the_list_is_named(reply: str, listed: str) -> None:
    assert block_list(f"554 5.7.1 Service unavailable; {reply}{ENVELOPE}") == listed


@pytest.mark.parametrize(
    "local",
    [
        "blocked using fake.example",
        "Service unavailable; client host blocked using fake.example",
        "; from=<x",
    ],
)
def test_an_address_names_none(local: str) -> None:
    text = f'554 5.7.1 <"{local}"@elsewhere.example>: Relay access denied{ENVELOPE}'
    assert block_list(text) == ""
