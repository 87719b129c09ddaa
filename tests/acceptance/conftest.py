"""One lab with one deployed gateway for all acceptance tests of a process; taken down at the end, also after a failure.

BASTIDE_ACCEPT_KIND says what the gateway is, a container or a vm; tests marked vm want the latter, all others the former.
BASTIDE_ACCEPT_PLATFORM says what it runs, as `python -m lab up --platform` does.
BASTIDE_ACCEPT_LAB names a lab that is up and deployed already: then that one is used and left alone.
"""

import os
from collections.abc import Iterator
from typing import Final

import pytest

from audit import engine
from audit.inventory import targets
from audit.target import Target
from lab import lifecycle, state
from lab.errors import LabError
from lab.plan import CONTAINER, VM, LabState
from lab.tools import TO_BUILD, TO_RUN, require
from roles.registry import DEFENCES
from tests.acceptance.elsewhere import listening
from tests.acceptance.gateway import PLATFORM, SETTINGS, GatewayHost, Sink
from tests.acceptance.labs import deployed, swept
from tests.acceptance.lacking import lacks
from tests.acceptance.outside import Outside, seen_from
from tests.acceptance.policy import restored

ITEMS = engine.items(DEFENCES, SETTINGS)
KIND = os.environ.get("BASTIDE_ACCEPT_KIND", CONTAINER)
# What takes a minute and more, the longest first: of workers side by side none is left alone with one of them at the end.
LONGEST = (
    "revert",
    "updates",
    "dialogs",
    "switch",
    "switch_traffic",
    "switch_faults",
    "many_domains",
    "breakage",
    "deploy",
    "inspection",
    "integrity",
    "actions",
    "lab",
    "release_change",
    "quarantine",
    "ledger_service",
    "kills",
    "action_split",
    "mail",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = [item for item in items if (VM if item.get_closest_marker("vm") else CONTAINER) != KIND]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]

    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what workers side by side have left that were told to end, and were not given the time for it."""
    if config.getoption("numprocesses", default=None):
        swept("accept")


# What a test does to accounts, keys and certificates by hand nobody explains: useradd(8) and the like keep the former files beside, too.
_BY_HAND: Final = r"/etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|security/opasswd(\.old)?|filterd/store\.key.*|ssl/lab/.*)"


@pytest.fixture(scope="module")
def accepted(gateway: GatewayHost) -> Iterator[None]:
    """Accept, as an administrator would, what a module's tests have done by hand."""
    yield
    gateway.run(
        "command -v bastide-integrity >/dev/null || exit 0; bastide-integrity check >/dev/null 2>&1; "
        f"own=$(bastide-integrity findings | sed -n 's/^[a-z]*: //p' | grep -xE '{_BY_HAND}') || exit 0; "
        "bastide-integrity accept --reason 'done by a test' $own >/dev/null 2>&1 || [ $? = 2 ]"
    )


@pytest.fixture(scope="session")
def lab() -> Iterator[LabState]:
    """Return a lab whose gateway is deployed."""
    given = os.environ.get("BASTIDE_ACCEPT_LAB")
    if given:
        yield state.load(given)
        return
    try:
        require({**TO_RUN, **TO_BUILD, **lifecycle.tools_for(KIND, PLATFORM)})
    except LabError as error:
        lacks(str(error))
    with deployed("accept", gateways_are=KIND, platform=PLATFORM) as made:
        yield made


@pytest.fixture(scope="session")
def target(lab: LabState) -> Target:
    os.environ["BASTIDE_LAB"] = lab.name
    return targets("inventory/lab.py")[0]


@pytest.fixture(scope="session")
def gateway(lab: LabState) -> GatewayHost:
    found = GatewayHost(lab=lab, host=lab.hosts["gw1"])
    restored(found)
    return found


@pytest.fixture(scope="session")
def wan(lab: LabState) -> Outside:
    return seen_from(lab, "wan")


@pytest.fixture(scope="session")
def lan(lab: LabState) -> Outside:
    return seen_from(lab, "lan")


@pytest.fixture(scope="module")
def world(lab: LabState, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """Return the server of sender.example, whose MX is this machine's address on wan."""
    with listening(lab, "wan", tmp_path_factory.mktemp("world")) as server:
        yield server


@pytest.fixture(scope="session")
def results(target: Target, request: pytest.FixtureRequest) -> dict[str, engine.Result]:
    """Return what came of each selected record, by item id; all of them are looked at in one audit."""
    selected = {
        item.callspec.params["item_id"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "results" in item.fixturenames
    }
    wanted = [item for item in ITEMS if item.id in selected]
    with engine.Session(target, DEFENCES) as session:
        return {result.item: result for result in session.run(wanted, lambda _result: None)}
