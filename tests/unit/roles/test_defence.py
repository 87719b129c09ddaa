"""The defence record: an unfinished one cannot be made."""

import dataclasses
from typing import Any

import pytest

from roles.claims import Greeting
from roles.defence import Defence
from roles.kinds import MainCf, SendmailMc
from tests.unit.roles.examples import gateway

BANNER = MainCf("smtpd_banner", "$myhostname ESMTP")
CLAIM = Greeting(matches=r"220 \S+ ESMTP", refuted_by="220 mx ESMTP Postfix")


def defence(**changes: Any) -> Defence:
    whole = {
        "id": "mta.banner",
        "title": "The greeting names no software",
        "why": "A version lets a scanner pick its exploit.",
        "rows": ("A20",),
        "sets": (BANNER,),
        "claims": (CLAIM,),
    }
    return Defence(**{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "lack"),
    [
        ({"id": "banner"}, "the id must be layer.name"),
        ({"id": ""}, "the id must be layer.name"),
        ({"id": "MTA.banner"}, "the id must be layer.name"),
        ({"id": "mta.Banner"}, "the id must be layer.name"),
        ({"id": "mta.banner "}, "the id must be layer.name"),
        ({"id": "mta.banner\n"}, "the id must be layer.name"),
        ({"id": "mta."}, "the id must be layer.name"),
        ({"id": ".banner"}, "the id must be layer.name"),
        ({"id": "mta banner"}, "the id must be layer.name"),
        ({"id": 'mta."'}, "the id must be layer.name"),
        ({"title": ""}, "the title"),
        ({"title": "It is hidden."}, "the title"),
        ({"why": ""}, "why must be a whole sentence"),
        ({"why": "Because"}, "why must be a whole sentence"),
        ({"rows": ()}, "rows must name"),
        ({"rows": ("A20", "20")}, "rows must name"),
        ({"rows": ("a20",)}, "rows must name"),
        ({"rows": ("A201",)}, "rows must name"),
        ({"sets": (), "claims": (), "unseen": "Nobody looks."}, "neither sets nor claims"),
        ({"weight": 0}, "the weight must be from 1 to 10"),
        ({"weight": 11}, "the weight must be from 1 to 10"),
        ({"level": "moderate"}, "above level lax its cost must be said"),
        ({"cost": "Much"}, "its cost must be said, and as a whole sentence"),
        ({"claims": ()}, "either claims or the reason"),
        ({"claims": (), "unseen": "Nobody looks."}, "under sendmail it neither sets nor claims"),
        (
            {"claims": (), "unseen": "Nobody looks.", "sets": (SendmailMc("confSMTP_LOGIN_MSG", "$j"),)},
            "under postfix it neither sets nor claims",
        ),
        ({"lacks": {"sendmail": "A filter"}}, "under sendmail must be a whole sentence"),
        ({"unseen": "Nobody looks."}, "either claims or the reason"),
    ],
)
def test_an_unfinished_record_is_refused_by_its_id_and_what_it_lacks(
    changes: dict[str, Any], lack: str
) -> None:
    with pytest.raises(ValueError, match=lack) as error:
        defence(**changes)
    assert repr(changes.get("id", "mta.banner")) in str(error.value)


@pytest.mark.parametrize("id_", ["mta.banner", "mta.tls.floor", "firewall.default-drop", "hardening.rfc1337"])
def test_ids_begin_with_their_layer(id_: str) -> None:
    assert defence(id=id_).layer == id_.partition(".")[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sets": ()},
        {
            "claims": (),
            "unseen": "Only the next hop sees it.",
            "sets": (BANNER, SendmailMc("confSMTP_LOGIN_MSG", "$j")),
        },
        {"claims": (), "unseen": "Only the next hop sees it.", "lacks": {"sendmail": "A filter does it."}},
        {"rows": ("A20", "H11", "P26")},
    ],
)
def test_a_finished_record_can_be_made(changes: dict[str, Any]) -> None:
    assert defence(**changes).id == "mta.banner"


@pytest.mark.parametrize(
    ("level", "stands"),
    [
        ("lax", {"lax": True, "moderate": True, "paranoid": True}),
        ("moderate", {"lax": False, "moderate": True, "paranoid": True}),
        ("paranoid", {"lax": False, "moderate": False, "paranoid": True}),
    ],
)
def test_a_host_has_the_defences_up_to_its_level(level: str, stands: dict[str, bool]) -> None:
    record = defence(level=level, cost="It is slower.")
    assert {each: record.stands(gateway(hardening_level=each)) for each in stands} == stands
    assert bool(record.checks(gateway(hardening_level="lax"))) is stands["lax"]


@pytest.mark.parametrize("lacking", ["id", "title", "why", "rows"])
def test_what_every_reader_needs_has_no_default(lacking: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(Defence)}
    assert fields[lacking].default is dataclasses.MISSING


def test_a_record_does_not_change_after_its_checks() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        defence().unseen = "later"  # type: ignore[misc]  # that is what must not work
