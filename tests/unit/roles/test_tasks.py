"""The administrator's tasks: whole records, and questions that tell done from open."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.assess import todo
from audit.probes.host import Answer
from publish.live import Finding, Found, published
from publish.records import plan
from roles.kinds import HostAnswer
from roles.registry import DEFENCES
from roles.settings import Gateway
from roles.tasks import TASKS
from roles.tasks.task import Task
from tests.unit.audit.assess.samples import answered
from tests.unit.roles.examples import gateway

ROOT = Path(__file__).parents[3]
EACH = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
BY_ID = {task.id: task for task in TASKS}
WHOLE: dict[str, Any] = {"id": "mail.one", "title": "One", "why": "It is a test.", "how": "Do it."}
GRUB = f"grub.pbkdf2.sha512.10000.{'A1' * 32}.{'B2' * 64}"
# For each task that the settings can tell of: with these it is done, and with the others open.
SETTLED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "publish.addresses": ({"publish": {"addresses": ["192.0.2.25"]}}, {}),
    "publish.ptr": ({"publish": {"addresses": ["192.0.2.25"]}}, {}),
    "publish.dkim": ({"publish": {"dkim": {"one": "A" * 44}}}, {}),
    "publish.dmarc": ({"publish": {"dmarc": "reject"}}, {"publish": {"dmarc": "none"}}),
    "publish.mta-sts": ({"publish": {"mta_sts": "enforce"}}, {"publish": {"mta_sts": "testing"}}),
    "mail.certificate": ({"tls": {"certificate": "acme"}}, {}),
    "mail.administrator": ({"administrator": "admins@example.org"}, {}),
    "mail.block-lists": ({"dnsbl": [{"id": "one", "zone": "dnsbl.example.net"}]}, {}),
    "mail.rules-that-warn": ({}, {"mta_rules": {"warn_only": ["mta.sender-domain"]}}),
    "machine.grub-password": ({"hardening": {"grub_password": GRUB}}, {}),
    "machine.kept-packages": ({}, {"hardening": {"keep_packages": ["snmpd"]}}),
    "site.time": ({"hardening": {"time_servers": ["ntp.example.org", "192.0.2.1"]}}, {}),
    "site.remote-log": ({"hardening": {"remote_log": {"host": "log.example.org"}}}, {}),
    "site.zones": (
        {
            "firewall": {
                "zones": {
                    "wan": {"interface": "wan0", "services": ["smtp", "ssh"]},
                    "lan": {"interface": "lan0", "networks": ["198.18.0.0/24"]},
                }
            }
        },
        {},
    ),
}


def told(task: Task, of: Gateway, answers: dict[str, Answer], *findings: Finding) -> todo.Todo:
    (found,) = todo.todos([task], of, answers, findings, contained=False)
    return found


def good(task: Task, of: Gateway) -> dict[str, Answer]:
    """Return the answer of a host on which the task is done."""
    if task.asks is None:
        return {}
    examples = {
        "mail.certificate": "1a2b3c4d\n5e6f7a8b",
        "machine.encryption": "crypt disk part ",
        "machine.listeners": "tcp/22(sshd) tcp/25(master) ",
    }
    text = examples.get(task.id, "0" if task.id == "machine.upgrades" else "")
    return {task.asks.question(of): Answer(code=0, output=text, errors="")}


def live(of: Gateway) -> list[Finding]:
    """Return the findings of all that publish looks for, as they are when each of it is live."""
    asked = published(plan([of], {}), lambda _name, _kind: Found())
    return [msgspec.structs.replace(each, state="live", seen="") for each in asked]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "Mail"}, "the id"),
        ({"title": "One."}, "the title"),
        ({"why": "because"}, "why"),
        ({"how": "do it"}, "how"),
    ],
)
def test_an_unfinished_task_cannot_be_made(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Task(**{**WHOLE, **changes})


@EACH
def test_a_task_names_what_there_is(task: Task) -> None:
    assert not task.defence or task.defence in {each.id for each in DEFENCES}
    how = task.how if isinstance(task.how, str) else task.how(gateway())
    for name in re.findall(r"docs/[a-z-]+\.md", how):
        assert (ROOT / name).is_file()
    for page, heading in re.findall(r"\((docs/[a-z-]+\.md), ([A-Z][^;)]+)\)", how):
        assert re.search(rf"^#+ {re.escape(heading)}$", (ROOT / page).read_text(), re.MULTILINE), heading
    settings = (ROOT / "docs/settings.md").read_text()
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)*(?:\.[a-z_]+)?)`", f"{how} {task.why}"):
        if "_" in name or "." in name:
            row, heading = f"`{name.rpartition('.')[2]}`", f"## {name}\n"
            assert row in settings or heading in settings, f"{name} is no setting"


def test_every_task_that_the_settings_tell_of_is_tried() -> None:
    assert set(SETTLED) == {task.id for task in TASKS if task.settled}


@pytest.mark.parametrize("id_", SETTLED)
def test_the_settings_tell_done_from_open(id_: str) -> None:
    task, (done, still_open) = BY_ID[id_], SETTLED[id_]
    finished, unfinished = gateway(**done), gateway(**still_open)
    assert told(task, finished, good(task, finished), *live(finished)).state == "done"
    found = told(task, unfinished, good(task, unfinished), *live(unfinished))
    assert (found.state, found.seen) == ("open", "the settings say so")


@pytest.mark.parametrize("task", [each for each in TASKS if each.asks], ids=lambda task: task.id)
def test_the_host_tells_done_from_open(task: Task) -> None:
    assert task.asks is not None
    of = gateway(**SETTLED.get(task.id, ({}, {}))[0])
    question = task.asks.question(of)
    bad = (
        task.asks.refuted_by if isinstance(task.asks, HostAnswer) else "tcp/22(sshd) tcp/25(x) tcp/110(pop3d)"
    )
    assert told(task, of, good(task, of)).state == "done"
    found = told(task, of, {question: Answer(code=0, output=bad, errors="")})
    assert found.state == "open"
    assert found.seen
    missing = Answer(code=0, output="", errors="sh: 1: thing: not found\n")
    assert told(task, of, {question: missing}).state == "open"


def test_what_a_container_cannot_tell_is_asked_of_the_administrator() -> None:
    task = BY_ID["machine.partitions"]
    (found,) = todo.todos([task], gateway(), {**answered({}), **good(task, gateway())}, (), contained=True)
    assert found.state == "ask yourself"
    assert "container" in found.seen


@pytest.mark.parametrize("task", [each for each in TASKS if each.publishes], ids=lambda task: task.id)
def test_published_records_are_found_by_what_publish_prints(task: Task) -> None:
    of = gateway(
        publish={
            "addresses": ["192.0.2.25", "2001:db8::25"],
            "dkim": {"one": "A" * 44},
            "dmarc": "reject",
            "mta_sts": "enforce",
        }
    )
    records = live(of)
    own = [
        each
        for each in records
        if any(each.type == kind and each.wanted.startswith(begins) for kind, begins in task.publishes)
    ]
    assert {kind for kind, _ in task.publishes} == {each.type for each in own}
    assert told(task, of, {}, *live(of)).state == "done"
    assert told(task, of, {}).state == "ask yourself"
    for state, expected in (("missing", "open"), ("wrong", "open"), ("not asked", "ask yourself")):
        findings = [
            msgspec.structs.replace(each, state=state if each == own[0] else "live") for each in records
        ]
        assert told(task, of, {}, *findings).state == expected


def test_every_record_that_publish_prints_is_some_task() -> None:
    of = gateway(publish={"addresses": ["192.0.2.25", "2001:db8::25"], "dkim": {"one": "A" * 44}})
    begins = [each for task in TASKS for each in task.publishes]
    for record in live(of):
        assert any(record.type == kind and record.wanted.startswith(begin) for kind, begin in begins), record


def test_a_task_that_nobody_can_be_asked_about_stays_the_administrator_s() -> None:
    assert told(Task(**WHOLE), gateway(), {}).state == "ask yourself"


def test_tasks_are_those_of_the_gateway() -> None:
    def ids(of: Gateway) -> set[str]:
        return {task.id for task in TASKS if task.stands(of)}

    assert ids(gateway(filterd_store_encrypted=True)) - ids(gateway()) == {"site.store-key"}
    assert ids(gateway()) - ids(gateway(hardening_level="lax")) == {"machine.way-back"}


def test_apt_is_asked_without_its_caches() -> None:
    # It once wrote a fresh pkgcache.bin without a list: the first deploy took that for lists and found no package.
    asks = BY_ID["machine.upgrades"].asks
    assert asks is not None
    for cache in ("pkgcache", "srcpkgcache"):
        assert f" -o Dir::Cache::{cache}= " in asks.question(gateway())
