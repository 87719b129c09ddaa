"""``filterd status``: whether the running parts answer, and how they fare."""

import argparse
import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from filterd.config import Config, load
from filterd.errors import FilterdError
from filterd.ledger.client import LedgerClient
from filterd.live import check_live
from filterd.log import Log
from filterd.web import fetch

from .codes import GOOD, UNREACHABLE
from .output import say, table

_NO_LOG = -1


class PartStatus(Struct, frozen=True, kw_only=True):
    """One part. ``problem`` "": it answers."""

    part: str
    problem: str


class Status(Struct, frozen=True, kw_only=True):
    """Every part as asked from here, and ``health`` as the daemon sees itself (null: it does not say)."""

    parts: tuple[PartStatus, ...]
    health: dict[str, Any] | None


def run(options: argparse.Namespace) -> int:
    """Ask every part. Returns the exit code."""
    config = load(options.config)
    parts = asyncio.run(_parts(config))
    health = _health(config)
    seen = Status(parts=parts, health=health)
    say(seen, _text(seen), as_json=options.json)
    well = not config.metrics.socket or (health is not None and health.get("ready") is True)
    return GOOD if well and not any(one.problem for one in parts) else UNREACHABLE


async def _parts(config: Config) -> tuple[PartStatus, ...]:
    results = dict(await check_live(config))
    name = f"ledger ({config.ledger.socket})"
    if name not in results:
        client = LedgerClient(config.ledger, Log(_NO_LOG))
        try:
            await client.ping()
            results[name] = ""
        except FilterdError as error:
            results[name] = str(error)
        finally:
            await client.close()
    return tuple(PartStatus(part=part, problem=problem) for part, problem in results.items())


def _health(config: Config) -> dict[str, Any] | None:
    """Return what the daemon says of its processes and alerts."""
    if not config.metrics.socket:
        return None
    try:
        _, text = fetch(config.metrics.socket, "/health")
        found = msgspec.json.decode(text)
    except (OSError, msgspec.DecodeError):
        return None
    return found if isinstance(found, dict) else None


def _text(seen: Status) -> str:
    lines = [table(("PART", "ANSWERS"), [(one.part, one.problem or "yes") for one in seen.parts])]
    health = seen.health
    if health is None:
        return "\n".join([*lines, "the daemon does not say how it fares ([metrics] socket)"])
    lines.append(f"workers: {health.get('workers')}, ready: {'yes' if health.get('ready') else 'no'}")
    components = health.get("components")
    for name, one in components.items() if isinstance(components, dict) else ():
        if not one.get("up"):
            lines.append(f"{name}: down")
    alerts = health.get("alerts")
    lines += [
        f"alert since {one.get('since')}: {one.get('component')}: {one.get('problem')}"
        for one in (alerts if isinstance(alerts, list) else ())
    ]
    return "\n".join(lines)
