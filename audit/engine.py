"""The engine: defences and one host in, results out. It orders and collects; the probes do the looking."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Self

from msgspec import Struct

from audit import evidence
from audit.errors import AuditError, UnseenError
from audit.evidence import is_claim, is_kind
from audit.judging import judged
from audit.probes import Observation, State
from audit.probes.host import Answer, Shell
from audit.target import Target
from audit.vantage import Worker, entered
from roles.claims import Claim, Reply, Scan
from roles.defence import Defence, Lacking
from roles.kinds import IN_CONTAINER, Kind
from roles.settings import Gateway

# A probe bounds its own waits; this is for one that hangs all the same. The slowest is a scan of 65,535 ports.
CLAIM_SECONDS = 180.0
# How many items of each wave are under way at a time, all vantages together: dialogues few, since many connections
# at once from one address are what an MTA's own limits are there to stop; early talkers one by one; scans mostly wait.
CONCURRENT = (6, 1, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One check of one defence: a setting to ask for, a claim to look at, or why its MTA has none.

    ``id`` is unique: ``mta.banner:greeting-25``.
    """

    id: str
    defence: Defence
    check: Kind | Claim | Lacking


class Result(Struct, frozen=True, kw_only=True):
    """What came of one item on one host.

    ``state`` is held, broken, not seen (in a container: because it is one) or not available; ``wanted`` and ``seen`` are one
    line each; ``why`` says why it was not seen, or why its MTA cannot have it; ``seconds`` is how long it took.
    """

    host: str
    defence_id: str
    layer: str
    title: str
    item: str
    state: State
    wanted: str
    seen: str = ""
    why: str = ""
    seconds: float = 0.0


def items(defences: Iterable[Defence], gateway: Gateway | None = None) -> list[Item]:
    """Return every check of the given defences, in their order, with ids that are unique; those of one gateway, or all."""
    found: list[Item] = []
    for defence in defences:
        every: tuple[Kind | Claim, ...] = (*defence.sets, *defence.claims)
        checks = every if gateway is None else defence.checks(gateway)
        titles = Counter(_title(check) for check in checks)
        taken: Counter[str] = Counter()
        for check in checks:
            name = _title(check)
            if titles[name] > 1 and is_claim(check):
                name = f"{name}-{check.vantage}"
            taken[name] += 1
            suffix = f"-{taken[name]}" if taken[name] > 1 else ""
            found.append(Item(id=f"{defence.id}:{name}{suffix}", defence=defence, check=check))
    return found


def _title(check: Kind | Claim | Lacking) -> str:
    return check.name() if is_kind(check) else check.title()


class Session:
    """One host under audit: a context manager that keeps its workers and its answers.

    ``fast`` lets SYN scans ask a sample of ports. Settings are asked once, all of ``defences`` in one round trip at the
    first question; claims are looked at anew each time.
    """

    def __init__(self, target: Target, defences: Sequence[Defence] = (), *, fast: bool = False) -> None:
        self.target = target
        self._fast = fast
        self._planned = items(defences, target.gateway)
        self._answers: dict[str, Answer] = {}
        self._workers: dict[str, Worker] = {}
        self._asking = Lock()
        self._entering = Lock()

    def __enter__(self) -> Self:
        """Start nothing yet: workers and connections come with the first item that needs them."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def check(self, item: Item) -> Result:
        """Return what comes of one item; raises AuditError when the host cannot be asked at all."""
        started = time.monotonic()
        check = item.check
        if isinstance(check, Lacking):
            observation = Observation(state="not available", why=check.why)
        else:
            observation = self._asked(item, check) if is_kind(check) else self._looked(check)
        return Result(
            host=self.target.name,
            defence_id=item.defence.id,
            layer=item.defence.layer,
            title=item.defence.title,
            item=item.id,
            state=observation.state,
            wanted=evidence.line(evidence.wanted(item.check, self.target.gateway)),
            seen=observation.seen,
            why=observation.why,
            seconds=round(time.monotonic() - started, 3),
        )

    def run(self, chosen: Sequence[Item], done: Callable[[Result], None]) -> list[Result]:
        """Check all items and return the results in their order; ``done`` is told of each as it comes.

        Settings and dialogues go together; then, one at a time, those that talk out of turn, which a server may hold
        against our address; the scans last, so that no limit that they meet disturbs a dialogue.
        """
        waves: dict[int, list[Item]] = {}
        for item in chosen:
            waves.setdefault(_wave(item), []).append(item)
        results: dict[str, Result] = {}
        for number in sorted(waves):
            with ThreadPoolExecutor(CONCURRENT[number]) as pool:
                futures = [pool.submit(self.check, item) for item in waves[number]]
                try:
                    for future in as_completed(futures):
                        result = future.result()
                        results[result.item] = result
                        done(result)
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        return [results[item.id] for item in chosen]

    def _asked(self, item: Item, kind: Kind) -> Observation:
        """Compare the live host's answer with what the defence sets; a question that fails is broken."""
        gateway = self.target.gateway
        question = kind.question(gateway)
        with self._asking:
            if question not in self._answers:
                checks = [other.check for other in (*self._planned, item)]
                wanted = [check.question(gateway) for check in checks if is_kind(check)]
                self._answers |= Shell(self.target).ask([IN_CONTAINER, *wanted])
        contained = self._answers[IN_CONTAINER].code == 0
        return judged(kind, self._answers[question], gateway, contained=contained)

    def _looked(self, claim: Claim) -> Observation:
        """Have a claim looked at from its vantage."""
        try:
            worker = self._worker(claim.vantage)
            place = self.target.place(claim.vantage, thorough=not self._fast)
        except UnseenError as error:
            return Observation(state="not seen", why=str(error))
        try:
            return worker.ask(claim, place).result(CLAIM_SECONDS)
        except FutureTimeoutError:
            return Observation(state="broken", seen=f"the probe gave no answer within {CLAIM_SECONDS:g} s")

    def _worker(self, vantage: str) -> Worker:
        entry = self.target.entry(vantage)
        with self._entering:
            if entry not in self._workers:
                self._workers[entry] = entered(entry)
            return self._workers[entry]


def _wave(item: Item) -> int:
    """Return when an item has its turn, an index of CONCURRENT."""
    if isinstance(item.check, Scan):
        return 2
    return 1 if isinstance(item.check, Reply) and item.check.early else 0


def chosen(found: Sequence[Item], prefixes: Sequence[str], layer: str | None) -> list[Item]:
    """Return the items of a layer whose defence id or own id begins with one of the prefixes.

    Raises AuditError for a prefix or layer that names nothing: what was not looked at must not pass for held.
    """
    for prefix in prefixes:
        if not any(_named(item, prefix) for item in found):
            raise AuditError(f"no defence begins with {prefix!r}; docs/defences.md lists them")
    if layer is not None and not any(item.defence.layer == layer for item in found):
        layers = dict.fromkeys(item.defence.layer for item in found)
        raise AuditError(f"no layer {layer!r}; the layers are: {', '.join(layers)}")
    return [
        item
        for item in found
        if (layer is None or item.defence.layer == layer)
        and (not prefixes or any(_named(item, prefix) for prefix in prefixes))
    ]


def _named(item: Item, prefix: str) -> bool:
    return item.id.startswith(prefix)
