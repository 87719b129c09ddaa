"""Is what the configuration names really there? clamd, spamd and the running daemon are asked, each once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from .config import Config
from .errors import FilterdError, ProtocolError, ScannerDownError
from .log import Log
from .milter import mta
from .milter.commands import Quit
from .scanners import engines
from .scanners.wire import Gate, Wire

_Question = Callable[[], Awaitable[None]]
_SECONDS: Final = 10.0
_NO_LOG: Final = -1
_MAX_ANSWER: Final = 4096


async def check_live(config: Config) -> list[tuple[str, str]]:
    """Return name and problem ("" for none) of each part that messages depend on."""
    log = Log(_NO_LOG)
    parts = engines.connect(config, log, workers=1)
    own = f"filterd ({config.milter.socket})"
    try:
        return [*await answers(config, parts), *await _asked({own: partial(_negotiate, config, log)})]
    finally:
        await parts.parse.close()


async def answers(config: Config, parts: engines.Engines) -> list[tuple[str, str]]:
    """Return name and problem ("" for none) of each engine."""
    questions: dict[str, _Question] = {
        f"clamd ({config.clamd.socket})": parts.clamd.ping,
        f"spamd ({config.spamd.socket})": parts.spamd.ping,
        "parse workers": parts.parse.ping,
    }
    return await _asked(questions | {f"scanner {one.name}": one.ping for one in parts.commands})


async def _asked(questions: Mapping[str, _Question]) -> list[tuple[str, str]]:
    results: list[tuple[str, str]] = []
    for name, question in questions.items():
        try:
            async with asyncio.timeout(_SECONDS):
                await question()
        except (FilterdError, TimeoutError) as error:
            results.append((name, str(error) or f"no answer in {_SECONDS:g} s"))
        else:
            results.append((name, ""))
    return results


async def _negotiate(config: Config, log: Log) -> None:
    """Open the protocol as an MTA would, and leave."""

    async def question() -> None:
        async with Wire(config.milter.socket) as wire:
            await wire.send(mta.offer())
            replies = mta.Replies()
            replies.receive(await wire.receive(_MAX_ANSWER, b"O"))
            answer = replies.next_answer()
            if answer is None:
                raise ScannerDownError("it did not answer the offer")
            try:
                mta.agreed(answer)
            except ProtocolError as error:
                raise ScannerDownError(str(error)) from error
            await wire.send(mta.plain(Quit))

    await Gate("filterd", slots=1, timeout_s=_SECONDS, log=log).ask(question)
