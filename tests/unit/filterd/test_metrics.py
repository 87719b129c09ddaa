"""What is counted, and that nothing a peer chooses becomes a label."""

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from filterd.ledger.records import FoundIn, ToRecipient
from filterd.metrics import Metrics, Noting
from tests.unit.filterd.entries import record


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text())
        for sample in family.samples
    }


def to(outcome: str, address: str = "b@rcpt.example") -> ToRecipient:
    values = {"address": address, "fate": "x", "wanted": "x", "verdict": "x", "rule": "", "outcome": outcome}
    return msgspec.convert([*values.values(), False], ToRecipient)


def test_a_message_is_counted_by_class_outcome_rule_and_stage() -> None:
    metrics = Metrics()
    found = FoundIn(stage="virus", rule="virus.signature", verdict="infected", detail="Test-Signature")
    warned = FoundIn(stage="links", rule="link.text", verdict="suspicious", counted=False)
    one = msgspec.structs.replace(
        record(verdict="infected", size=1000, ms=30.0, stage_ms={"virus": 20.0, "parse": 4.0}),
        recipients=(to("refused"), to("refused", "c@rcpt.example")), findings=(found, found, warned),
    )  # fmt: skip
    metrics.message(one)
    metrics.message(msgspec.structs.replace(record(size=100), recipients=(to("passed"), to("quarantined"))))
    seen = samples(metrics)
    assert seen["filterd_messages_total", (("class", "infected"), ("outcome", "refused"))] == 1
    assert seen["filterd_messages_total", (("class", "clean"), ("outcome", "mixed"))] == 1
    assert seen["filterd_recipients_total", (("outcome", "refused"),)] == 2
    assert seen["filterd_message_bytes_total", ()] == 1100
    rule = (("class", "infected"), ("mode", "on"), ("rule", "virus.signature"))
    assert seen["filterd_rule_hits_total", rule] == 1
    rule = (("class", "suspicious"), ("mode", "warn"), ("rule", "link.text"))
    assert seen["filterd_rule_hits_total", rule] == 1
    assert seen["filterd_stage_seconds_bucket", (("le", "0.025"), ("stage", "virus"))] == 1
    assert seen["filterd_stage_seconds_bucket", (("le", "0.01"), ("stage", "virus"))] == 0
    assert seen["filterd_message_seconds_count", ()] == 2
    assert seen["filterd_message_seconds_bucket", (("le", "+Inf"),)] == 2


def test_no_label_holds_what_a_peer_chooses() -> None:
    metrics = Metrics()
    secret = "seen-by-nobody"  # noqa: S105 - it stands for what must not be shown
    found = FoundIn(
        stage="content", rule="content.x", verdict="spam", name=secret, detail=secret, path=secret
    )
    metrics.message(
        msgspec.structs.replace(
            record(),
            sender=secret,
            client_name=secret,
            helo=secret,
            user=secret,
            message_id=secret,
            queue_id=secret,
            recipients=(to("passed", secret),),
            findings=(found,),
        )
    )
    assert secret not in metrics.text()


def test_rules_beyond_a_number_are_counted_together() -> None:
    metrics = Metrics()
    for number in range(2000):
        found = FoundIn(stage="content", rule=f"content.{number}", verdict="spam")
        metrics.message(record(findings=(found,), stage_ms={f"stage{number}": 1.0}))
    assert len(metrics.text().splitlines()) < 8000
    assert (
        samples(metrics)[
            "filterd_rule_hits_total", (("class", "other"), ("mode", "other"), ("rule", "other"))
        ]
        == 1700
    )


def test_what_workers_say_is_summed_and_goes_with_them() -> None:
    metrics = Metrics()
    for name, up in (("1", True), ("2", False)):
        metrics.noted(name, "clamd", Noting(up=up, gauges={"waiting": 3.0, "running": 1.0}))
        metrics.noted(name, "worker", Noting(up=True, gauges={"sessions": 5.0, "rss_bytes": 7.0}))
    metrics.noted("1", "signatures", Noting(up=True, gauges={"database": 27800.0, "built_seconds": 1e9}))
    seen = samples(metrics)
    assert seen["filterd_component_up", (("component", "clamd"),)] == 0
    assert seen["filterd_component_waiting", (("component", "clamd"),)] == 6
    assert seen["filterd_worker_sessions", ()] == 10
    assert seen["filterd_workers", ()] == 2
    assert seen["filterd_signatures_database", ()] == 27800
    metrics.gone("2")
    seen = samples(metrics)
    assert seen["filterd_component_up", (("component", "clamd"),)] == 1
    assert seen["filterd_workers", ()] == 1


def test_transactions_and_their_failures() -> None:
    metrics = Metrics()
    metrics.committed(7, 0.004, 0)
    metrics.committed(1, 9.0, 1)
    metrics.taken_back()
    seen = samples(metrics)
    assert seen["filterd_ledger_batch_requests_bucket", (("le", "10.0"),)] == 2
    assert seen["filterd_ledger_commit_seconds_bucket", (("le", "5.0"),)] == 1
    assert seen["filterd_ledger_failures_total", ()] == 1
    assert seen["filterd_messages_taken_back_total", ()] == 1
