"""The command line: ``filterd serve | check | scan FILE…``.

Exit codes: 0 good; 1 a message would be refused; 2 usage or configuration; 3 an engine or message could not be
reached or inspected.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from . import __version__, actions
from .config import DEFAULT_PATH, Config, load
from .errors import ConfigError
from .live import check_live
from .log import Log
from .message import Envelope, Message, Spool
from .service import Judgement, Service
from .stages import Verdict

GOOD: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NOT_INSPECTED: Final = 3
_STDERR: Final = 2
_PIECE: Final = 64 * 1024


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="filterd", description="The filter daemon of the Bastide mail gateway."
    )
    parser.add_argument("--version", action="version", version=f"filterd {__version__}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, default=DEFAULT_PATH, help=f"default: {DEFAULT_PATH}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", parents=[shared], help="run the daemon")
    check = commands.add_parser("check", parents=[shared], help="check the configuration")
    check.add_argument("--live", action="store_true", help="also ask clamd, spamd and the running daemon")
    check.add_argument(
        "--json", action="store_true", help="print all settings, defaults filled in, as one JSON object"
    )
    scan = commands.add_parser("scan", parents=[shared], help="say what the gateway would do with a message")
    scan.add_argument(
        "files", nargs="+", metavar="FILE", help="a message as it is on disk; - is standard input"
    )
    scan.add_argument("--json", action="store_true", help="one JSON object a message")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "check":
                return _check(options.config, live=options.live, as_json=options.json)
            case "scan":
                return asyncio.run(_scan(load(options.config), options.files, as_json=options.json))
            case _:
                # Only the daemon needs the event loop library and the process handling.
                from .supervisor import serve  # noqa: PLC0415 - `check` runs before each start: keep it quick

                return serve(options.config)
    except ConfigError as error:
        print(f"filterd: {error}", file=sys.stderr)
        return USAGE


def _check(path: Path, *, live: bool, as_json: bool) -> int:
    config = load(path)
    print(
        msgspec.json.encode(config).decode()
        if as_json
        else f"{path}: good; {config.workers} workers on {config.milter.socket}"
    )
    if not live:
        return GOOD
    results = asyncio.run(check_live(config))
    for name, problem in results:
        print(f"{name}: {problem or 'answers'}")
    return NOT_INSPECTED if any(problem for _, problem in results) else GOOD


async def _scan(config: Config, files: Sequence[str], *, as_json: bool) -> int:
    service = Service(config, Log(_STDERR), workers=1)
    worst = GOOD
    for name in files:
        message = Message(Envelope(), _spool(config), max_bytes=config.milter.max_message_bytes)
        try:
            _read(name, message)
            judgement = await service.judge(message)
        except OSError as error:
            print(
                f"filterd: {name} cannot be read ({error.strerror}): check the name and its permissions",
                file=sys.stderr,
            )
            return USAGE
        finally:
            message.close()
        print(_as_json(name, judgement) if as_json else _as_text(name, judgement))
        worst = max(worst, _code(judgement))
    return worst


def _spool(config: Config) -> Spool:
    # Whoever scans by hand may not write to the daemon's spool: memory does.
    return Spool(config.milter.spool_dir, config.milter.max_message_bytes + _PIECE)


def _read(name: str, message: Message) -> None:
    with os.fdopen(os.dup(0), "rb") if name == "-" else Path(name).open("rb") as source:
        while piece := source.read(_PIECE):
            message.add_body(piece)


def _code(judgement: Judgement) -> int:
    if any(one.verdict is Verdict.NOT_INSPECTED for one in judgement.dispositions):
        return NOT_INSPECTED
    return GOOD if all(one.action == "accept" for one in judgement.dispositions) else REFUSED


def _reply(judgement: Judgement) -> str:
    return actions.reply_text(actions.replies(judgement.dispositions, None, add_header=False)[-1])


def _as_json(name: str, judgement: Judgement) -> str:
    first = judgement.dispositions[0]
    shown = {
        "file": name,
        "verdict": first.verdict,
        "action": first.action,
        "rule": first.rule,
        "reply": _reply(judgement),
        "results": judgement.report.results,
    }
    return msgspec.json.encode(shown).decode()


def _as_text(name: str, judgement: Judgement) -> str:
    first = judgement.dispositions[0]
    lines = [f"{name}: {first.verdict}, {first.action} ({_reply(judgement)})"]
    for result in judgement.report.results:
        lines.append(
            f"  {result.stage}: {result.milliseconds:g} ms" + ("" if result.findings else ", nothing found")
        )
        for finding in result.findings:
            score = "" if finding.score is None else f" score {finding.score:g}"
            lines.append(f"    {finding.rule}: {finding.verdict}{score} {finding.detail}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
