"""P01, P02: SIGKILL at random below the supervisor, and of the supervisor; restarts; recycling and reloads."""

from pathlib import Path

from tests.chaos import trials

# Several of a worker's beats long, by which it is recycled: 600 were done in one. More in the long form (`python -m tests.chaos`).
MESSAGES = 2000


def test_whatever_is_killed_no_accepted_message_is_lost(tmp_path: Path) -> None:
    result = trials.killing(tmp_path, 10.0, seed=1)
    assert not result.wrong, result
    assert result.done["worker"]
    assert result.done["ledger"]
    assert result.done["cradle"]
    assert result.account.tries["accepted"] >= 8, result


def test_no_message_is_refused_while_workers_recycle_and_reloads_come(tmp_path: Path) -> None:
    result = trials.recycling(tmp_path, MESSAGES, seed=1)
    assert not result.wrong, result
    assert result.done["worker_recycled"], result
    assert result.done["reload_refused"], result
    assert result.done["reloaded"], result


def test_a_restart_refuses_nothing_but_by_451_and_loses_nothing(tmp_path: Path) -> None:
    result = trials.restarting(tmp_path, 3, seed=1)
    assert not result.wrong, result


def test_a_killed_supervisor_takes_its_children_along_and_a_new_one_works(tmp_path: Path) -> None:
    result = trials.restarting(tmp_path, 1, seed=1, kill=True)
    assert not result.wrong, result


def test_a_record_that_is_written_too_late_is_taken_back(tmp_path: Path) -> None:
    # The client of the milter was answered 451 meanwhile; what was kept for it would be there twice.
    result = trials.stopping_the_ledger(tmp_path, 2)
    assert not result.wrong, result
    assert result.account.tries["451"], result
