"""What filterd has done and how it fares, in Prometheus's text format. Only the ledger's process imports this.

The attack it stops: a sender who makes series without end. No label holds what a peer can choose: classes, outcomes,
stages and rules are ours, and rules beyond a number are counted together.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from . import __version__
from .ledger.records import MessageRecord

MEDIA: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
_MOST_LABELS: Final = 300  # of one kind: filterd has about a hundred rules, an administrator adds some
_MESSAGE_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0)
_COMMIT_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_BATCH: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


class Histogram:
    """Counts values by upper bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def into(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        """Add it to a family, each bound with all values up to it."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else repr(bound), float(total)))
        family.add_metric(labels, buckets, sum_value=self._sum)


class Bounded:
    """Counts by labels, of which there are so many at most; what comes later is counted as "other"."""

    def __init__(self, most: int = _MOST_LABELS) -> None:
        self._most = most
        self.counts: Counter[tuple[str, ...]] = Counter()

    def add(self, *labels: str) -> None:
        """Count one."""
        known = labels in self.counts or len(self.counts) < self._most
        self.counts[labels if known else (OTHER,) * len(labels)] += 1


class Noting(Struct, frozen=True, kw_only=True):
    """What one worker says of one part."""

    up: bool
    gauges: Mapping[str, float]


class Metrics:
    """Counts what the ledger is told. ``registry`` is its own: nothing here is shared in the process."""

    def __init__(self) -> None:
        self._messages = Bounded()
        self._bytes = 0
        self._recipients = Bounded()
        self._rules = Bounded()
        self._stages: dict[str, Histogram] = {}
        self._whole = Histogram(_MESSAGE_S)
        self._commit = Histogram(_COMMIT_S)
        self._batch = Histogram(_BATCH)
        self._failed = 0
        self._taken_back = 0
        self._noted: dict[str, dict[str, Noting]] = {}
        self.gauges: dict[str, float] = {}
        self.kept: dict[str, float] = {}
        self.alerts: tuple[str, ...] = ()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Families(self))

    def message(self, one: MessageRecord) -> None:
        """Count a message that was recorded."""
        self._messages.add(one.verdict, _outcome(one))
        self._bytes += one.size
        for to in one.recipients:
            self._recipients.add(to.outcome)
        for rule, verdict, counted in {(found.rule, found.verdict, found.counted) for found in one.findings}:
            self._rules.add(rule, verdict, "on" if counted else "warn")
        self._whole.add(one.ms / 1000)
        for stage, milliseconds in one.stage_ms.items():
            name = stage if stage in self._stages or len(self._stages) < _MOST_LABELS else OTHER
            self._stages.setdefault(name, Histogram(_MESSAGE_S)).add(milliseconds / 1000)

    def taken_back(self) -> None:
        """Count a message that was recorded and then answered 451 after all."""
        self._taken_back += 1

    def committed(self, requests: int, seconds: float, failed: int) -> None:
        """Count one transaction of so many requests, ``failed`` of which were not written."""
        self._commit.add(seconds)
        self._batch.add(requests)
        self._failed += failed

    def noted(self, source: str, component: str, note: Noting) -> None:
        """Take what a worker says of a part."""
        of = self._noted.setdefault(source, {})
        if component in of or len(of) < _MOST_LABELS:
            of[component] = note

    def gone(self, source: str) -> None:
        """Forget a worker that is no more."""
        self._noted.pop(source, None)

    @property
    def workers(self) -> int:
        """Return how many workers tell of themselves."""
        return len(self._noted)

    def parts(self) -> dict[str, bool]:
        """Return each part with whether all workers that ask it find it working."""
        parts: dict[str, bool] = {}
        for of in self._noted.values():
            for component, note in of.items():
                parts[component] = parts.get(component, True) and note.up
        return parts

    def gauge(self, component: str, name: str) -> list[float]:
        """Return what the workers say of a figure."""
        return [
            of[component].gauges[name]
            for of in self._noted.values()
            if component in of and name in of[component].gauges
        ]

    def text(self) -> str:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self.registry).decode("utf-8")

    def families(self) -> Iterator[Metric]:
        """Yield every family."""
        yield _gauges("info", "The release.", ("version",), [((__version__,), 1.0)])
        yield _counts("messages", "Messages by class and outcome.", ("class", "outcome"), self._messages)
        yield CounterMetricFamily("filterd_message_bytes", "Bytes of messages.", value=self._bytes)
        yield _counts("recipients", "Recipients by outcome.", ("outcome",), self._recipients)
        yield _counts(
            "rule_hits", "Messages in which a rule found something.", ("rule", "class", "mode"), self._rules
        )
        yield _histograms("message_seconds", "From MAIL to the answer.", (), [((), self._whole)])
        stages = [((name,), histogram) for name, histogram in sorted(self._stages.items())]
        yield _histograms("stage_seconds", "What a stage took.", ("stage",), stages)
        yield _histograms("ledger_commit_seconds", "What a transaction took.", (), [((), self._commit)])
        yield _histograms("ledger_batch_requests", "Requests in a transaction.", (), [((), self._batch)])
        yield CounterMetricFamily("filterd_ledger_failures", "Requests not written.", value=self._failed)
        yield CounterMetricFamily(
            "filterd_messages_taken_back", "Recorded and then answered 451 after all.", value=self._taken_back
        )
        for name, value in sorted(self.gauges.items()):
            yield GaugeMetricFamily(f"filterd_{name}", _MEANINGS.get(name, name), value=value)
        yield _gauges(
            "kept_entries",
            "Entries of the store.",
            ("kind",),
            [((kind,), many) for kind, many in self.kept.items()],
        )
        yield _gauges("alert", "1: this fails.", ("component",), [((one,), 1.0) for one in self.alerts])
        yield from self._of_workers()

    def _of_workers(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("filterd_workers", "Workers that tell of themselves.", value=self.workers)
        parts = [((name,), float(up)) for name, up in sorted(self.parts().items())]
        yield _gauges("component_up", "1: it works.", ("component",), parts)
        for name in ("waiting", "running"):
            sums = [((part,), sum(self.gauge(part, name))) for (part,), _ in parts if self.gauge(part, name)]
            yield _gauges(f"component_{name}", f"Requests {name}.", ("component",), sums)
        for name, meaning in (
            ("sessions", "Connections of the MTA."),
            ("rss_bytes", "Resident memory of workers."),
        ):
            yield GaugeMetricFamily(f"filterd_worker_{name}", meaning, value=sum(self.gauge("worker", name)))
        for name, meaning in (
            ("database", "Number of the newest signature database."),
            ("built_seconds", "When it was built, in seconds since 1970."),
        ):
            if found := self.gauge("signatures", name):
                yield GaugeMetricFamily(f"filterd_signatures_{name}", meaning, value=max(found))


_MEANINGS: Final = {
    "ledger_queue_requests": "Requests that wait for the ledger's thread.",
    "ledger_bytes": "Size of the ledger's database.",
    "ledger_up": "1: the last transaction was committed.",
    "ledger_rss_bytes": "Resident memory of the ledger's process.",
    "store_bytes": "Size of the contents in the store.",
    "store_free_bytes": "Room on the store's volume.",
    "ledger_free_bytes": "Room on the ledger's volume.",
    "spool_free_bytes": "Room on the spool's volume.",
}


class _Families(Collector):
    """What the registry asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Return every family."""
        return self._metrics.families()


def _outcome(one: MessageRecord) -> str:
    """Return what became of a message: of its recipients' outcomes the one that all share, else "mixed"."""
    outcomes = {to.outcome for to in one.recipients}
    return outcomes.pop() if len(outcomes) == 1 else "mixed" if outcomes else "none"


def _counts(name: str, meaning: str, labels: tuple[str, ...], counted: Bounded) -> Metric:
    family = CounterMetricFamily(f"filterd_{name}", meaning, labels=labels)
    for values, count in sorted(counted.counts.items()):
        family.add_metric(list(values), count)
    return family


def _gauges(
    name: str, meaning: str, labels: tuple[str, ...], values: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    family = GaugeMetricFamily(f"filterd_{name}", meaning, labels=labels)
    for of, value in values:
        family.add_metric(list(of), value)
    return family


def _histograms(
    name: str, meaning: str, labels: tuple[str, ...], histograms: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(f"filterd_{name}", meaning, labels=labels)
    for of, histogram in histograms:
        histogram.into(family, list(of))
    return family
