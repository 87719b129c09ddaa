"""The command line: ``filterd serve | check | scan FILE… | stages``.

Exit codes: 0 good, messages would be delivered, changed or not; 1 a message would be refused, moved or discarded for
someone; 2 usage or configuration; 3 an engine or message could not be reached or inspected.
"""

import argparse
import asyncio
import ipaddress
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from . import __version__, listing, policy, scan
from .carry.variants import Variants
from .config import DEFAULT_PATH, Config, load
from .config.hints import hints
from .errors import ConfigError, ScannerError
from .findings import Verdict
from .live import check_live
from .log import Log
from .message import Envelope, Message, Spool
from .service import Service

GOOD: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NOT_INSPECTED: Final = 3
# What a shell shows of a program that writes into a pipe which nobody reads any more (`| head`): signal(7).
NOBODY_READS: Final = 128 + signal.SIGPIPE
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
    one = commands.add_parser(
        "scan", parents=[shared], help="say what the gateway would do with a message, and why"
    )
    one.add_argument(
        "files", nargs="+", metavar="FILE", help="a message as it is on disk; - is standard input"
    )
    one.add_argument(
        "--json", action="store_true", help="one JSON object a message (docs/filterd.md has its schema)"
    )
    one.add_argument(
        "--sender", default="", metavar="ADDRESS", help="envelope sender; default: the null sender"
    )
    one.add_argument(
        "--recipient",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="envelope recipient; may be repeated; default: one whom no group names",
    )
    one.add_argument("--client", type=_client, metavar="IP", help="address of the sending host")
    one.add_argument("--helo", default="", metavar="NAME", help="name that it says")
    stages = commands.add_parser("stages", help="list every stage and rule, with the mode in force")
    stages.add_argument(
        "--config", type=Path, help="configuration whose modes are shown; default: those of the rules"
    )
    stages.add_argument("--json", action="store_true", help="print them as one JSON array")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            # Only the daemon needs the event loop library and the process handling.
            from .supervisor import serve  # noqa: PLC0415 - `check` runs before each start: keep it quick

            return serve(options.config)
        return _told(options)
    except ConfigError as error:
        print(f"filterd: {error}", file=sys.stderr)
        return USAGE


def _told(options: argparse.Namespace) -> int:
    """Run a command that prints. Returns the exit code; quietly NOBODY_READS when its reader has left."""
    try:
        match options.command:
            case "check":
                code = _check(options.config, live=options.live, as_json=options.json)
            case "scan":
                code = asyncio.run(_scan(load(options.config), options))
            case _:
                code = _stages(options.config, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it ends, and would say then what nobody wants to hear.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
        return NOBODY_READS
    return code


def _check(path: Path, *, live: bool, as_json: bool) -> int:
    config = load(path)
    for hint in hints(config):
        print(f"filterd: {path}: note: {hint}", file=sys.stderr)
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


async def _scan(config: Config, options: argparse.Namespace) -> int:
    service = Service(config, Log(_STDERR), workers=1)
    worst = GOOD
    try:
        for name in options.files:
            message = Message(_envelope(options), _spool(config), max_bytes=config.milter.max_message_bytes)
            try:
                _read(name, message, config.milter.max_message_bytes)
                seen = await _examined(name, message, service)
            except OSError as error:
                print(
                    f"filterd: {name} cannot be read ({error.strerror}): check the name and its permissions",
                    file=sys.stderr,
                )
                return USAGE
            finally:
                message.close()
            print(msgspec.json.encode(seen).decode() if options.json else scan.as_text(seen))
            worst = max(worst, _code(seen))
    finally:
        await service.close()
    return worst


async def _examined(name: str, message: Message, service: Service) -> scan.Scanned:
    """Examine a message, try on a copy what its chains attempt, and say what comes of it."""
    report = await service.examine(message)
    trouble = ""
    milter = service.config.milter
    with Variants(
        service, message, report, max_bytes=milter.max_message_bytes, seconds=milter.scan_timeout_s
    ) as variants:
        try:
            await variants.fitted(service.decide(report, message.envelope), lambda one: one.order)
        except (ScannerError, OSError) as error:
            trouble = str(error) or type(error).__name__
        now = datetime.now(UTC).astimezone()
        told = policy.explain(report, message.envelope, service.config, now=now, failed=variants.failed)
    return scan.scanned(name, report, told, message.envelope, service.config, trouble=trouble)


def _envelope(options: argparse.Namespace) -> Envelope:
    return Envelope(
        client_address=(options.client or "unknown").encode(),
        helo=options.helo.encode(),
        sender=_bracketed(options.sender),
        recipients=[_bracketed(one) for one in options.recipient],
    )


def _bracketed(address: str) -> bytes:
    return os.fsencode(address if address.startswith("<") else f"<{address}>")


def _client(text: str) -> str:
    """Return an address of a client as it was given. Raises ArgumentTypeError if it is none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address; write it like 192.0.2.1") from None
    return text


def _spool(config: Config) -> Spool:
    # Whoever scans by hand may not write to the daemon's spool: memory does.
    return Spool(config.milter.spool_dir, config.milter.max_message_bytes + _PIECE)


def _read(name: str, message: Message, most: int) -> None:
    """Fill a message as an MTA would: line ends of a file that has no CRLF at all become CRLF."""
    with os.fdopen(os.dup(0), "rb") if name == "-" else Path(name).open("rb") as source:
        content = source.read(most + 1)
        if b"\r\n" not in content:
            content = content.replace(b"\n", b"\r\n")
        message.add_body(content)
        message.longest_header, message.size_of_headers = _header_sizes(content)
        while piece := source.read(_PIECE):
            message.add_body(piece)


def _header_sizes(content: bytes) -> tuple[int, int]:
    """Return the longest header (folds included) and all of them, in bytes, as Message counts them."""
    head = content.partition(b"\r\n\r\n")[0] + b"\r\n"
    lengths = [0]
    for line in head.split(b"\r\n")[:-1]:
        size = len(line) + len(b"\r\n")
        if line[:1] in (b" ", b"\t"):
            lengths[-1] += size
        else:
            lengths.append(size)
    return max(lengths), sum(lengths)


def _code(seen: scan.Scanned) -> int:
    if seen.trouble or any(
        one.verdict is Verdict.NOT_INSPECTED or one.fate == "tempfail" for one in seen.decisions
    ):
        return NOT_INSPECTED
    return GOOD if all(one.fate == "deliver" for one in seen.decisions) else REFUSED


def _stages(path: Path | None, *, as_json: bool) -> int:
    """Print every stage and rule with the mode in force; without a configuration the rules' own."""
    config = Config() if path is None else load(path)
    listed = listing.stages(config)
    print(msgspec.json.encode(listed).decode() if as_json else listing.as_text(listed))
    return GOOD


if __name__ == "__main__":
    sys.exit(main())
