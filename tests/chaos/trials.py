"""The trials that have a long form. Each returns its account and figures; pytest and ``python -m tests.chaos`` judge."""

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.chaos import havoc
from tests.chaos.account import Account, balance
from tests.chaos.gateway import Gateway, alive
from tests.chaos.traffic import ACCEPTED, CLOSED, Traffic
from tests.unit.filterd.engines import wait_for

_SERVED = {"max_concurrent": 8}
_CLIENTS = 8


class Result(Struct, kw_only=True):
    """What a trial came to. ``done``: what was broken, how often. ``wrong``: of the account, and of the daemon."""

    account: Account
    done: Counter[str]
    seconds: float

    @property
    def wrong(self) -> list[str]:
        return self.account.wrong

    def __str__(self) -> str:
        done = ", ".join(f"{count} {what}" for what, count in sorted(self.done.items()))
        return f"{self.account} | {done} | {self.seconds:.0f} s"


def _gateway(home: Path, **changes: dict[str, Any]) -> Gateway:
    return Gateway(home, prefix=(), clamd=dict(_SERVED), spamd=dict(_SERVED), **changes)


def _result(gateway: Gateway, done: Counter[str], began: float, *traffics: Traffic) -> Result:
    result = Result(account=balance(gateway, *traffics), done=done, seconds=time.monotonic() - began)
    result.wrong.extend(f"internal error: {one}" for one in gateway.log("internal_error"))
    if said := gateway.said():
        result.wrong.append(f"the daemon wrote to standard error: {said[-2000:]}")
    return result


def killing(home: Path, seconds: float, seed: int) -> Result:
    """Kill processes below the supervisor under traffic for so long."""
    began, chance = time.monotonic(), havoc.chance_of(seed)
    with _gateway(home, ledger={"timeout_s": 12.0}) as gateway:
        gateway.start()
        seen: set[tuple[int, str]] = set()
        with Traffic(gateway.daemon.socket, clients=_CLIENTS) as traffic:
            done = havoc.kills(gateway, seconds, chance, seen)
        gateway.stop()
        result = _result(gateway, done, began, traffic)
        try:
            wait_for(lambda: not alive(seen), 10)
        except AssertionError:
            result.wrong.append(f"processes outlived the daemon: {alive(seen)}")
        # Whoever did not hear the answer was cut off: by the death of his worker, each of which serves all clients
        # at most.
        if result.account.unheard > min(result.account.tries[CLOSED], done["worker"] * _CLIENTS):
            result.wrong.append(f"{result.account.unheard} messages were settled, and nobody heard of it")
        return result


def recycling(home: Path, messages: int, seed: int) -> Result:
    """Send messages while workers are replaced by count and by reloads: each is to be accepted at the first try."""
    began, chance = time.monotonic(), havoc.chance_of(seed)
    with _gateway(home, recycle={"messages": 50}) as gateway:
        gateway.start()
        done: Counter[str] = Counter()
        with Traffic(gateway.daemon.socket, clients=_CLIENTS, most=messages) as traffic:
            done += havoc.reloads(gateway, lambda: traffic.running, chance)
        gateway.reload(gateway.text)
        gateway.stop()
        result = _result(gateway, done, began, traffic)
        refused = [one for one in traffic.tries if one.how != ACCEPTED]
        result.wrong.extend(
            f"{one.queue_id} was not accepted at once: {one.how} {one.said}" for one in refused
        )
        if len(traffic.tries) - len(refused) != messages:
            result.wrong.append(f"of {messages} messages {len(traffic.tries) - len(refused)} were accepted")
        for event in ("worker_recycled", "reloaded", "reload_refused", "worker_died", "ledger_died"):
            done[event] = len(gateway.log(event))
        result.wrong.extend(
            f"{event}: {done[event]}" for event in ("worker_died", "ledger_died") if done[event]
        )
        return result


def restarting(home: Path, times: int, seed: int, *, kill: bool = False) -> Result:
    """Stop and start the whole daemon under traffic so often; ``kill``: its supervisor is killed instead."""
    began, chance = time.monotonic(), havoc.chance_of(seed)
    with _gateway(home) as gateway:
        gateway.start()
        seen: set[tuple[int, str]] = set()
        with Traffic(gateway.daemon.socket, clients=_CLIENTS) as traffic:
            for _ in range(times):
                wanted = traffic.accepted() + 5
                wait_for(lambda wanted=wanted: traffic.accepted() >= wanted, 30)  # type: ignore[misc] # mypy cannot type a lambda's default
                time.sleep(chance.uniform(0.0, 0.5))
                seen |= gateway.everybody()
                if kill:
                    # Its children notice by their pipes that nobody hears them; until then their sockets are theirs,
                    # and the next one waits for them.
                    gateway.kill()
                else:
                    gateway.stop()
                    time.sleep(chance.uniform(0.0, 0.5))
                gateway.start()
        left = alive(seen - gateway.everybody())
        gateway.stop()
        result = _result(gateway, Counter(restarts=times), began, traffic)
        result.wrong.extend(f"process {pid} of an earlier daemon still ran" for pid, _ in left)
        return result


def stopping_the_ledger(home: Path, times: int) -> Result:
    """Let the ledger's process stand still for longer than a message waits for it, so often, under traffic."""
    began = time.monotonic()
    with _gateway(home, ledger={"timeout_s": 0.5}) as gateway:
        gateway.start()
        with Traffic(gateway.daemon.socket, clients=4) as traffic:
            for _ in range(times):
                wanted = traffic.accepted() + 5
                wait_for(lambda wanted=wanted: traffic.accepted() >= wanted, 30)  # type: ignore[misc] # mypy cannot type a lambda's default
                ledger = gateway.daemon.ledger()
                os.kill(ledger, signal.SIGSTOP)
                time.sleep(2.0)
                os.kill(ledger, signal.SIGCONT)
        gateway.stop()
        return _result(gateway, Counter(stops=times), began, traffic)
