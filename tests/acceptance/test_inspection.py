"""What filterd sees and what it decides, on a live gateway: disguises, costs, spam, further engines, the operator's rules."""

import base64
import re
import struct
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.bombs import BOMBS
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.inspection import Fate, fates, findings, logged, rules_of, scanned
from tests.acceptance.outside import Outside
from tests.acceptance.policy import CONFIG, configuration, policy
from tests.acceptance.scored import SCORED
from tests.acceptance.test_failure import READY, STOPPED
from tests.corpus.mail import (
    CRLF,
    ENCODED,
    base64_lines,
    entity,
    file_part,
    head,
    mixed,
    quoted_printable,
    single,
    text_part,
)
from tests.corpus.payload import EICAR, HARMLESS
from tests.corpus.table import VARIANTS
from tests.corpus.variant import FAMILIES, STOPPED_BY, Variant
from tests.corpus.writers.ole import compound, macro_project
from tests.corpus.writers.zips import Member, scrambled, zip_of, zipped

EACH = 6
WITHIN_SECONDS = 5.0
GOAL_SECONDS = 2.0
BOMBS_AT_ONCE = 3
LEVELS = ("low", "medium", "high", "very_high")
HAM = mixed("a letter", text_part())
INFECTED = mixed("a file", text_part(), file_part(EICAR))


def spread(variants: list[Variant]) -> list[Variant]:
    """Return a few of them, evenly spaced."""
    last = len(variants) - 1
    return [variants[at] for at in dict.fromkeys(round(last * step / (EACH - 1)) for step in range(EACH))]


DISGUISES = {
    family: spread([one for one in VARIANTS if one.family == family and one.recoverable])
    for family in FAMILIES
}
# All the twins that nothing forbids; no file under a password is such a one.
TWINS = {
    family: spread(harmless)
    for family in FAMILIES
    if (harmless := [one for one in VARIANTS if one.family == family and not one.twin_may_be])
}


@pytest.fixture(scope="module")
def disguised(wan: Outside, gateway: GatewayHost) -> dict[str, Fate]:
    """Return what became of the test file in its disguises, by variant."""
    variants = [one for family in DISGUISES.values() for one in family]
    # A disguise that is refused for its looks alone is not what these tests are about.
    with policy(gateway, {"suspicious": ("ignore",), "banned": ("ignore",)}):
        became = fates(wan, gateway, [one.build(EICAR) for one in variants])
    return {one.id: fate for one, fate in zip(variants, became, strict=True)}


@pytest.fixture(scope="module")
def twins(wan: Outside, gateway: GatewayHost) -> dict[str, Fate]:
    """Return what became of the harmless mails of the same structure, by variant."""
    variants = [one for family in TWINS.values() for one in family]
    became = fates(wan, gateway, [one.build(HARMLESS) for one in variants])
    return {one.id: fate for one, fate in zip(variants, became, strict=True)}


@pytest.mark.parametrize("family", [pytest.param(name, id=f"R01-{name}") for name in FAMILIES])
def test_no_disguise_gets_through_unseen(
    family: str, disguised: dict[str, Fate], gateway: GatewayHost
) -> None:
    # M06, P16, C01
    for variant in DISGUISES[family]:
        fate = disguised[variant.id]
        told = f"{variant.id}: {fate.reply}"
        if fate.reply.startswith("5"):
            refused = re.fullmatch(gateway.mta.refuses, fate.reply)
            assert refused or fate.rule == "virus.signature" or fate.verdict in STOPPED_BY, told
            assert fate.arrived is None, told
        else:
            assert fate.reply.startswith("250 "), told
            assert fate.tag.startswith("encrypted "), told


@pytest.mark.parametrize("family", [pytest.param(name, id=f"R01-{name}") for name in TWINS])
def test_harmless_mail_of_the_same_structure_arrives_byte_for_byte(
    family: str, twins: dict[str, Fate]
) -> None:
    for variant in TWINS[family]:
        fate = twins[variant.id]
        assert fate.reply.startswith("250 "), f"{variant.id}: {fate.reply}"
        assert fate.arrived == fate.sent, variant.id


@pytest.fixture(scope="module")
def bombed(wan: Outside) -> dict[str, tuple[str, float]]:
    """Return the reply to each bomb and the seconds from the greeting until it came, some of them in work at a time."""
    # A client waits for its greeting, Postfix's only the first time; that is not what a bomb costs.
    assert wan.sent(HAM).startswith("250 ")
    begun = time.monotonic()
    assert wan.dialogue()[0].startswith("220 ")
    greeting = time.monotonic() - begun
    made = [build() for build in BOMBS.values()]

    def answered(message: bytes) -> tuple[str, float]:
        begun = time.monotonic()
        return wan.sent(message), time.monotonic() - begun - greeting

    with ThreadPoolExecutor(BOMBS_AT_ONCE) as pool:
        return dict(zip(BOMBS, pool.map(answered, made), strict=True))


@pytest.mark.parametrize("bomb", [pytest.param(name, id=f"P07-{name}") for name in BOMBS])
def test_one_message_cannot_stop_the_filter(
    bomb: str, bombed: dict[str, tuple[str, float]], gateway: GatewayHost
) -> None:
    reply, took = bombed[bomb]
    if re.fullmatch(gateway.mta.refuses, reply):
        assert took <= WITHIN_SECONDS
        return
    entry = logged(gateway, reply)
    print(f"{bomb}: {took:.2f} s, filterd {entry['ms'] / 1000:.2f} s (goal {GOAL_SECONDS:g} s): {reply}")
    assert reply.startswith(("552 5.3.4 ", "550 5.6.0 "))
    # The virus engine would take minutes, or call it clean.
    assert "virus" not in entry["stage_ms"]
    assert took <= WITHIN_SECONDS


def test_r03_precision_levels_are_monotone(gateway: GatewayHost) -> None:
    configurations = [configuration(gateway, {}, tables={"policy": {"precision": level}}) for level in LEVELS]
    by_level = scanned(gateway, configurations, list(SCORED.values()))
    found: dict[str, list[set[str]]] = {"spam": [], "bulk or spam": []}
    for scans in by_level:
        classes = [one["decisions"][0]["verdict"] for one in scans]
        assert set(classes) <= {"clean", "bulk", "spam"}
        named = list(zip(SCORED, classes, strict=True))
        found["spam"].append({name for name, verdict in named if verdict == "spam"})
        found["bulk or spam"].append({name for name, verdict in named if verdict != "clean"})
    for name, scan in zip(SCORED, by_level[0], strict=True):
        (score,) = [one["score"] for one in findings(scan) if one["rule"] == "spam.score"]
        print(f"{name}: {score} points")
    for sets in found.values():
        print(*(f"{level}: {sorted(one)}" for level, one in zip(LEVELS, sets, strict=True)), sep="\n")
        assert all(less <= more for less, more in pairwise(sets))
        assert len({frozenset(one) for one in sets}) > 1
    assert "gtube" in found["spam"][0]
    assert "minutes" not in found["bulk or spam"][-1]


# The deployed engine as a command; the part of the name that it is to give is not what clamd's own client gives.
SECOND = {
    "name": "second",
    "command": ["/usr/bin/clamdscan", "--fdpass", "--no-summary", "-"],
    "signature": ": (Eicar)-",
}


def test_m08_second_engine_works_in_the_daemon(wan: Outside, gateway: GatewayHost) -> None:
    # M08
    with policy(gateway, {}, tables={"scanner": [SECOND]}):
        clean, infected = fates(wan, gateway, [HAM, INFECTED])
        found = logged(gateway, infected.reply)["findings"]
        assert "virus.unavailable" not in rules_of(logged(gateway, clean.reply))
    assert clean.arrived == HAM
    assert infected.rule == "virus.signature"
    details = {one["detail"] for one in found if one["rule"] == "virus.signature"}
    assert len(details) == 2
    assert "Eicar" in details


def test_m08_engine_that_gives_no_verdict_is_no_clean_bill(gateway: GatewayHost) -> None:
    odd = {"name": "odd", "command": ["/bin/sh", "-c", "exit 7"]}
    (scans,) = scanned(gateway, [configuration(gateway, {}, tables={"scanner": [odd]})], [HAM])
    with gateway.altered(STOPPED["clamd"][0], f"{STOPPED['clamd'][1]}; {READY['clamd']}"):
        (stopped,) = scanned(gateway, [configuration(gateway, {}, tables={"scanner": [SECOND]})], [HAM])
    for scan, engines in ((scans[0], ["odd"]), (stopped[0], ["clamd", "second"])):
        silent = [one["detail"] for one in findings(scan) if one["rule"] == "virus.unavailable"]
        assert [one.partition(":")[0] for one in silent] == engines
        assert scan["decisions"][0]["verdict"] == "not-inspected"
        assert scan["reply"].startswith("451 4.7.1 ")
    assert "odd ended with 7" in findings(scans[0])[-1]["detail"]


# A macro that only has words in it, and one that starts a program when the document is opened.
QUIET = b'Sub Reckon()\r\n    notes = "words"\r\nEnd Sub\r\n'
LOUD = b'Sub AutoOpen()\r\n    Shell "notes.exe"\r\nEnd Sub\r\n'
BROKEN = b"MZ" + bytes(58) + struct.pack("<I4sH", 64, b"PE\0\0", 0x14C) + bytes(80)


def old_document(macro: bytes) -> bytes:
    return compound({"WordDocument": b"\xec\xa5\xc1\0" + bytes(5000), "Macros": macro_project(macro)})


def new_document(macro: bytes) -> bytes:
    return zipped(
        Member(content=b"<Types/>", name=b"[Content_Types].xml"),
        Member(content=b"<document/>", name=b"word/document.xml"),
        Member(content=compound(macro_project(macro)), name=b"word/vbaProject.bin"),
    )


def nested(levels: int) -> bytes:
    # New each time: clamd remembers what it found clean, and need not go down so far again.
    file = uuid.uuid4().bytes
    for level in range(levels):
        file = zip_of(file, b"%d.zip" % level)
    return file


def attached(data: bytes, name: bytes = b"notes.dat") -> bytes:
    return mixed("a file", text_part(), file_part(data, name))


def test_r02_documents_and_programs_by_the_default_policy(wan: Outside, gateway: GatewayHost) -> None:
    # R02
    old, new, quiet, enciphered, broken = fates(
        wan,
        gateway,
        [
            attached(old_document(LOUD), b"notes.doc"),
            attached(new_document(LOUD), b"notes.docm"),
            attached(old_document(QUIET), b"notes.doc"),
            attached(zipped(scrambled(b"Nothing.", b"none of the words in the mail")), b"notes.zip"),
            attached(BROKEN),
        ],
    )
    assert (old.verdict, old.rule) == (new.verdict, new.rule) == ("suspicious", "document.macro-autorun")
    assert quiet.arrived == quiet.sent
    assert {"document.macro", "virus.macros"} <= rules_of(logged(gateway, quiet.reply))
    assert enciphered.tag == "encrypted archive.encrypted"
    assert {"archive.encrypted", "virus.encrypted"} <= rules_of(logged(gateway, enciphered.reply))
    assert (broken.verdict, broken.rule) == ("suspicious", "virus.broken")
    assert {"attachment.kind", "virus.broken"} <= rules_of(logged(gateway, broken.reply))


def test_r02_alerts_of_the_virus_engine_have_classes(wan: Outside, gateway: GatewayHost) -> None:
    modes = {
        "virus.macros": "on",
        "archive.encrypted": "off",
        "virus.encrypted": "on",
    }
    chains = {"encrypted": ["reject"]}
    with policy(gateway, chains, tables={"rules": modes, "parse": {"depth": 100}}):
        macro, enciphered, deep = fates(
            wan,
            gateway,
            [
                attached(old_document(QUIET), b"notes.doc"),
                attached(zipped(scrambled(b"Nothing.", b"none of the words in the mail")), b"notes.zip"),
                attached(nested(30), b"notes.zip"),
            ],
        )
    assert (macro.verdict, macro.rule) == ("suspicious", "virus.macros")
    assert (enciphered.verdict, enciphered.rule) == ("encrypted", "virus.encrypted")
    # AlertExceedsMax: what clamd did not look at is not clean (P07).
    assert (deep.verdict, deep.rule) == ("over-limit", "virus.limit")


WORD = "Gr\u00fcnspan"
_QUOTED = quoted_printable(f"Guten Tag,\r\n\r\nder {WORD} ist da.\r\n".encode())
_ENCODED_WORD = b"=?utf-8?B?" + base64.b64encode(f"Der {WORD} ist da".encode()) + b"?="
_RFC_2231 = b"Content-Disposition: attachment; filename*0*=utf-8''der%20Gr%C3%BC; filename*1*=nspan.txt"
SPOKEN = {
    "subject": head("SUBJECT", b"Content-Type: text/plain").replace(b"SUBJECT", _ENCODED_WORD)
    + CRLF
    + b"text\r\n",
    "body": single(
        "a text",
        _QUOTED,
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: quoted-printable",
    ),
    "name": mixed(
        "a name",
        text_part(),
        entity(base64_lines(b"Nothing."), b"Content-Type: text/plain", _RFC_2231, ENCODED),
    ),
    "name-in-zip": attached(zip_of(b"Nothing.", f"{WORD}.txt".encode()), b"notes.zip"),
}


def word_rules(direction: str, mode: str = "on") -> list[dict[str, Any]]:
    return [
        {
            "name": f"{place}-{direction}",
            "pattern": WORD,
            "where": [place],
            "direction": direction,
            "mode": mode,
        }
        for place in ("subject", "body", "name")
    ]


@pytest.mark.parametrize("direction", ["in", "out"])
def test_r04_words_are_refused_where_they_stand_and_which_way_they_go(
    direction: str, wan: Outside, gateway: GatewayHost
) -> None:
    # R04
    own = ["198.51.100.0/24"] if direction == "out" else []
    rules = [*word_rules("in"), *word_rules("out")]
    with policy(gateway, {}, tables={"content": rules, "policy": {"internal_networks": own}}):
        *spoken, other = fates(wan, gateway, [*SPOKEN.values(), HAM])
    assert [one.rule for one in spoken] == [
        f"content.{place.removesuffix('-in-zip')}-{direction}" for place in SPOKEN
    ]
    assert {one.reply[:10] for one in spoken} == {"550 5.7.1 "}
    assert other.arrived == HAM


def test_r04_rule_in_warn_mode_is_only_logged(wan: Outside, gateway: GatewayHost) -> None:
    with policy(gateway, {}, tables={"content": word_rules("any", "warn")}):
        spoken = fates(wan, gateway, list(SPOKEN.values()))
        for place, fate in zip(SPOKEN, spoken, strict=True):
            entry = logged(gateway, fate.reply)
            assert fate.arrived == fate.sent, place
            assert f"content.{place.removesuffix('-in-zip')}-any" in rules_of(entry)
            assert entry["verdict"] == "clean"


def test_r23_broken_policy_is_not_taken_over(wan: Outside, gateway: GatewayHost) -> None:
    broken = configuration(gateway, {"infected": ["ignore"], "banned": ["burn"]})
    text = base64.b64encode(broken.encode()).decode()
    change = f"cp -np {CONFIG} {CONFIG}.kept; echo {text} | base64 -d > {CONFIG}"
    with gateway.altered(change, f"mv {CONFIG}.kept {CONFIG}; systemctl reload filterd"):
        assert gateway.run("systemctl reload filterd && echo reloaded", check=False) == ""
        assert "burn" in gateway.run("/opt/filterd/current/bin/filterd check 2>&1", check=False)
        # The daemon by itself, without the check before it.
        gateway.run(
            "begun=$(date +%s); systemctl kill --kill-whom=main -s HUP filterd; export begun; timeout 20 sh -c "
            "'until journalctl -u filterd -o cat --since @$begun | grep -q reload_refused; do sleep 0.1; done'"
        )
        clean, infected = fates(wan, gateway, [HAM, INFECTED])
        assert gateway.run("systemctl is-active filterd").strip() == "active"
    assert clean.arrived == HAM
    assert infected.rule == "virus.signature"
