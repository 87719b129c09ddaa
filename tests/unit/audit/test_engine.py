"""The engine, with a host that is this machine and workers in this network."""

from collections.abc import Iterator

import pytest

from audit import engine
from audit.engine import Item, Session
from audit.errors import AuditError
from audit.probes import host
from audit.target import Target
from roles.claims import Answers, Greeting, Reply, Scan
from roles.defence import Defence
from roles.kinds import HostAnswer

DATA = {
    "hostname": "mx1.bastide.example",
    "relay_domains": {"bastide.example": "[198.51.100.7]:25"},
    "admin_networks": ["198.51.100.0/28"],
}


def _answer(subject: str, command: str, matches: str) -> HostAnswer:
    return HostAnswer(subject=subject, command=command, matches=matches, refuted_by="\0")


LOCAL = Defence(
    id="layer.local",
    title="A record for tests",
    why="It asks this machine.",
    rows=("A20",),
    sets=(
        _answer("held", "printf 'two\\nlines'", r"two\nlines"),
        _answer("other", "echo yes", "no"),
        _answer("fails", "echo no; echo 'no such setting' >&2; exit 3", "no"),
        _answer("mute", "echo 'cannot open' >&2", "yes"),
        _answer("percent", "printf %s 100%", "100%"),
        _answer("bytes", r"printf '\033[31m\377'", r"[^\0]*"),
    ),
    unseen="It is a test.",
)
REFUTED = Answers(answered=frozenset({1}), declared=frozenset())
OUTSIDE = Defence(
    id="layer.outside",
    title="A record for tests",
    why="It looks at nothing that is there.",
    rows=("A20",),
    claims=(
        Greeting(matches="220 x", refuted_by="y", port=1),
        Greeting(matches="220 x", refuted_by="y", port=1, vantage="lan"),
        Greeting(matches="220 x", refuted_by="y", port=1, vantage="control"),
        Reply(about="early", lines=("QUIT",), matches="5.*", refuted_by="2", early=True),
        Scan(scanner="syn", family=4, expects="none", refuted_by=REFUTED),
    ),
)


def _target(**data: object) -> Target:
    return Target.of("@local", {**DATA, **data})


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(_target(ssh_hostname="127.0.0.1"), [LOCAL, OUTSIDE]) as opened:
        yield opened


def _items() -> dict[str, Item]:
    return {item.id.partition(":")[2]: item for item in engine.items([LOCAL, OUTSIDE])}


@pytest.mark.parametrize(
    ("name", "state", "seen"),
    [
        ("held", "held", "two\\nlines"),
        ("other", "broken", "yes"),
        ("fails", "broken", "exit code 3: no such setting"),
        ("mute", "broken", "cannot open"),
        ("percent", "held", "100%"),
        ("bytes", "held", "\\x1b[31m\ufffd"),
    ],
)
def test_settings_are_asked_and_compared(session: Session, name: str, state: str, seen: str) -> None:
    result = session.check(_items()[name])
    assert (result.state, result.seen) == (state, seen)


def test_settings_are_asked_in_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    trips: list[str] = []
    run = host.Shell._run

    def counted(shell: host.Shell, script: str) -> str:
        trips.append(script)
        return run(shell, script)

    monkeypatch.setattr(host.Shell, "_run", counted)
    with Session(_target(), [LOCAL]) as session:
        session.run(engine.items([LOCAL]), lambda _result: None)
    assert len(trips) == 1


BOUND = Defence(
    id="layer.bound",
    title="A record for tests",
    why="One of its settings is the machine's.",
    rows=("A20",),
    sets=(
        HostAnswer(subject="parameter", command="printf 2", matches="2", refuted_by="0", needs="kernel"),
        HostAnswer(subject="other", command="printf 2", matches="2", refuted_by="0"),
    ),
    unseen="It is a test.",
)


@pytest.mark.parametrize(("answer", "state"), [("true", "not seen: container"), ("false", "held")])
def test_what_a_container_cannot_show_is_never_held_there(
    answer: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IN_CONTAINER", answer)
    with Session(_target(), [BOUND]) as session:
        parameter, other = session.run(engine.items([BOUND]), lambda _result: None)
    assert (parameter.state, other.state) == (state, "held")
    assert bool(parameter.why) is (answer == "true")


def test_many_questions_stay_below_the_argument_limit() -> None:
    questions = [f"echo {number} {'x' * 1000}" for number in range(200)]
    answers = host.Shell(_target()).ask(questions)
    assert [answer.output.split()[0] for answer in answers.values()] == [str(number) for number in range(200)]


def test_missing_vantage_is_not_seen_and_a_closed_port_is_broken(session: Session) -> None:
    results = {result.item: result for result in session.run(engine.items([OUTSIDE]), lambda _result: None)}
    states = [result.state for result in results.values()]
    assert states == ["not seen", "not seen", "broken", "not seen", "not seen"]
    assert results["layer.outside:greeting-1-wan"].why == "no wan vantage declared (audit_vantage)"
    assert "Connection refused" in results["layer.outside:greeting-1-control"].seen


@pytest.mark.parametrize("entry", ["netns:bastide-no-such-lab", "here"])
def test_a_vantage_that_is_not_there_is_not_seen(entry: str) -> None:
    with Session(_target(audit_vantage={"wan": entry}), [OUTSIDE]) as session:
        result = session.check(_items()["syn-ipv4-wan"])
    assert result.state == "not seen"
    assert result.why


def test_a_misspelt_vantage_stops_the_audit() -> None:
    target = _target(audit_vantage={"wan": "namespace"})
    with Session(target, [OUTSIDE]) as session, pytest.raises(AuditError, match="neither `here` nor"):
        session.check(_items()["early"])


def test_a_worker_that_dies_leaves_nobody_waiting(session: Session) -> None:
    worker = session._worker("control")
    worker._child.kill()
    worker._child.wait()
    with pytest.raises(AuditError, match="worker has ended"):
        session.check(_items()["greeting-1-control"])
    session._workers.clear()
    worker.close()


def test_items_have_unique_ids_and_are_chosen_by_prefix() -> None:
    twice = Defence(
        id="layer.twice", title="t", why="W.", rows=("A20",), sets=(LOCAL.sets[0], LOCAL.sets[0]), unseen="x"
    )
    found = engine.items([LOCAL, OUTSIDE, twice])
    assert len({item.id for item in found}) == len(found)
    assert [item.id for item in engine.chosen(found, ["layer.outside:g"], None)] == [
        "layer.outside:greeting-1-wan",
        "layer.outside:greeting-1-lan",
        "layer.outside:greeting-1-control",
    ]
    assert len(engine.chosen(found, [], "layer")) == len(found)
    with pytest.raises(AuditError, match="no defence begins with 'mta'"):
        engine.chosen(found, ["layer", "mta"], None)
    with pytest.raises(AuditError, match="the layers are: layer"):
        engine.chosen(found, [], "mta")


def test_ssh_that_cannot_connect_stops_the_audit() -> None:
    target = Target.of("gw1", {**DATA, "ssh_hostname": "127.0.0.1", "ssh_port": 1})
    with (
        Session(target, [LOCAL]) as session,
        pytest.raises(AuditError, match=r"gw1: cannot reach 127\.0\.0\.1 by ssh"),
    ):
        session.check(_items()["held"])
