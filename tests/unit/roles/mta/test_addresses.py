"""How long an address may be, and of which letters (A19, A24)."""

import re

import pytest

from roles.errors import SettingError
from roles.mta.access import LONG, rule_files
from roles.mta.defences import DEFENCES
from tests.unit.roles.examples import gateway


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("a" * 242 + "@example.org", False),  # 254 octets: RFC 5321 4.5.3.1.3
        ("a" * 243 + "@example.org", True),
        ("a" * 600 + "@example.org", True),
        ("ü" * 115 + "@example.org", False),
        ("ü" * 116 + "@example.org", True),
        ("\U0001f4e7" * 116 + "@example.org", True),
    ],
)
def test_an_address_is_refused_before_it_is_a_key_that_no_table_can_have(
    address: str, *, refused: bool
) -> None:
    lines = [line for line in rule_files(gateway())[LONG].splitlines() if line.startswith("/")]
    found = [re.search(line.split("/")[1], address) for line in lines]
    assert any(found) is refused
    # However it counts, what is let by is a key.
    assert refused or len(address.encode()) <= 511


def test_smtputf8_is_offered_where_it_was_declared_and_never_with_headers_of_seven_bits() -> None:
    # A19
    (offered,) = [each for each in DEFENCES if each.id == "mta.smtputf8"]
    assert offered.stands(gateway())
    assert not offered.stands(gateway(mta_rules={"smtputf8": True}))
    (seven,) = [each for each in DEFENCES if each.id == "mta.headers-7bit"]
    assert not seven.stands(gateway())
    assert seven.stands(gateway(mta_rules={"headers_7bit": True}))
    with pytest.raises(SettingError, match="headers_7bit"):
        gateway(mta_rules={"headers_7bit": True, "smtputf8": True})
