"""The arguments of every command. Data: what a command does stands in the module that it names."""

import argparse
import ipaddress
from pathlib import Path
from typing import Final

from filterd import __version__
from filterd.config import DEFAULT_PATH
from filterd.findings import Verdict
from filterd.ledger.records import KINDS

from .times import day, moment

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse names its type nowhere else
_MOST: Final = 1000
_LIMIT: Final = 50
_DIGITS: Final = 10


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="filterd", description="The filter daemon of the Bastide mail gateway."
    )
    top.add_argument("--version", action="version", version=f"filterd {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _daemon(commands)
    _scan(commands)
    _bench(commands)
    _messages(commands)
    _quarantine(commands)
    _lists(commands)
    _store(commands)
    _ledger(commands)
    return top


def _shared(
    *, as_json: str = "print JSON (docs/ledger.md has the schema)", again: bool = False
) -> argparse.ArgumentParser:
    """Return the options of every command; ``again``: they may also stand before this one's name, and hold then."""
    shared = argparse.ArgumentParser(add_help=False)
    default = argparse.SUPPRESS if again else DEFAULT_PATH
    shared.add_argument("--config", type=Path, default=default, help=f"default: {DEFAULT_PATH}")
    if as_json:
        shared.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS if again else False, help=as_json
        )
    return shared


def _daemon(commands: "Commands[argparse.ArgumentParser]") -> None:
    one = commands.add_parser("serve", parents=[_shared(as_json="")], help="run the daemon")
    one.set_defaults(module="daemon")
    all_settings = (
        "print all settings, defaults filled in, as one JSON object; with --live as `settings` beside `parts`"
    )
    one = commands.add_parser(
        "check", parents=[_shared(as_json=all_settings)], help="check the configuration"
    )
    one.add_argument(
        "--reload", action="store_true", help="also refuse what takes a restart of the daemon that runs"
    )
    one.add_argument("--live", action="store_true", help="also ask clamd, spamd and the running daemon")
    one.set_defaults(module="daemon")
    one = commands.add_parser("stages", help="list every stage and rule, with the mode in force")
    one.add_argument(
        "--config", type=Path, help="configuration whose modes are shown; default: those of the rules"
    )
    one.add_argument("--json", action="store_true", help="print them as one JSON array")
    one.set_defaults(module="daemon")
    one = commands.add_parser("status", parents=[_shared()], help="ask the running parts how they fare")
    one.set_defaults(module="status")


def _scan(commands: "Commands[argparse.ArgumentParser]") -> None:
    one = commands.add_parser(
        "scan",
        parents=[_shared(as_json="one JSON object a message (docs/filterd.md has its schema)")],
        help="say what the gateway would do with a message, and why",
    )
    one.add_argument(
        "files", nargs="+", metavar="FILE", help="a message as it is on disk; - is standard input"
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
    one.set_defaults(module="scanning")


def _bench(commands: "Commands[argparse.ArgumentParser]") -> None:
    one = commands.add_parser(
        "bench", parents=[_shared()], help="measure what messages cost on this host; nobody gets them"
    )
    one.add_argument(
        "--messages", nargs="+", default=[], metavar="PATH",
        help="files, or directories of them, in turn; default: made-up mail, each message another",
    )  # fmt: skip
    one.add_argument(
        "--count", type=_limit_of_bench, metavar="N", help="messages; default: 60, or each file once"
    )
    one.add_argument(
        "--concurrency", type=_limit, default=4, metavar="N", help="so many at a time; default: 4"
    )
    one.set_defaults(module="benching")


def _filters() -> argparse.ArgumentParser:
    """Return the options that say which messages are meant."""
    found = argparse.ArgumentParser(add_help=False)
    found.add_argument(
        "--sender", metavar="ADDRESS", help="of the envelope, as it was; * is anything, '' nobody"
    )
    found.add_argument("--recipient", default="", metavar="ADDRESS", help="of the envelope; * is anything")
    found.add_argument("--client", default="", metavar="HOST", help="address or name; * is anything")
    found.add_argument("--queue-id", default="", metavar="ID", help="the MTA's queue id")
    found.add_argument("--message-id", default="", metavar="ID", help="Message-ID, with its angle brackets")
    found.add_argument("--verdict", default="", choices=[str(one) for one in Verdict], help="class")
    found.add_argument("--rule", default="", metavar="RULE", help="one that decided or was found")
    found.add_argument("--kind", default="", choices=KINDS, help="kept as")
    _times(found)
    found.add_argument(
        "--limit", type=_limit, default=_LIMIT, metavar="N", help=f"default: {_LIMIT}, most: {_MOST}"
    )
    found.add_argument("--after", default="", metavar="ID", help="go on behind this one, the last one shown")
    return found


def _times(one: argparse.ArgumentParser) -> None:
    help_ = "2026-03-01, 2026-03-01T08:00, or as long ago: 90m, 36h, 7d"
    one.add_argument("--since", type=moment, metavar="TIME", help=help_)
    one.add_argument("--until", type=moment, metavar="TIME", help="the same; it is excluded")


def _messages(commands: "Commands[argparse.ArgumentParser]") -> None:
    one = commands.add_parser(
        "messages", parents=[_shared(), _filters()], help="search all messages; `messages show ID` shows one"
    )
    one.set_defaults(module="messages", deed="list")
    deeds = one.add_subparsers(dest="deed", metavar="[show ID]")
    shown = deeds.add_parser(
        "show", parents=[_shared(again=True)], help="show all that is known of one message"
    )
    shown.add_argument("id", metavar="ID", help="its id, or a queue id of it")
    _default_of(one, "list")


def _default_of(one: argparse.ArgumentParser, deed: str) -> None:
    """Let a command do this where it names no deed; argparse else forgets the default of a subcommand's name."""
    one.set_defaults(deed=deed)


def _quarantine(commands: "Commands[argparse.ArgumentParser]") -> None:
    top = commands.add_parser(
        "quarantine", help="kept messages: list, show, export, release, learn, hold, delete"
    )
    top.set_defaults(module="quarantine")
    deeds = top.add_subparsers(dest="deed", required=True, metavar="DEED")
    one = deeds.add_parser("list", parents=[_shared(), _filters()], help="search what is kept")
    one.add_argument(
        "--state", default="", choices=["kept", "releasing", "released"], help="for some recipient"
    )
    one.add_argument("--held", action="store_true", help="only what is held")
    _deed(deeds, "show", "show one entry: whose it is, what was found, who did what with it")
    one = _deed(deeds, "export", "write the message as it came to standard output or a file")
    one.add_argument("--output", type=Path, metavar="FILE", help="a new file; default: standard output")
    one = _deed(deeds, "release", "hand it to the MTA for its recipients, looked at anew")
    one.add_argument(
        "--recipient", action="append", default=[], metavar="ADDRESS",
        help="one of those whose it is; may be repeated; default: all who have not got it",
    )  # fmt: skip
    one.add_argument(
        "--waive-virus", action="store_true", help="although a virus engine convicts it (administrators)"
    )
    _deed(deeds, "delete", "remove an entry; its record stays")
    one = _deed(deeds, "hold", "keep an entry beyond its time")
    one.add_argument("--reason", type=_filled, required=True, help="why")
    _deed(deeds, "unhold", "let an entry's own time hold again")
    one = _deed(deeds, "learn", "have SpamAssassin learn it")
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("--spam", dest="spam", action="store_true", help="it is spam")
    which.add_argument("--ham", dest="spam", action="store_false", help="it is not")


def _deed(deeds: "Commands[argparse.ArgumentParser]", name: str, help_: str) -> argparse.ArgumentParser:
    """Return the parser of what is done with one entry, by somebody."""
    one = deeds.add_parser(name, parents=[_shared()], help=help_)
    one.add_argument("id", metavar="ID", help="of the entry")
    one.add_argument(
        "--as", dest="actor", default="", metavar="NAME",
        help="who does it (root only; default: who logged in)",
    )  # fmt: skip
    return one


def _lists(commands: "Commands[argparse.ArgumentParser]") -> None:
    top = commands.add_parser("lists", help="senders that are accepted or refused: add, remove, show")
    top.set_defaults(module="lists")
    deeds = top.add_subparsers(dest="deed", required=True, metavar="DEED")
    one = deeds.add_parser("add", parents=[_shared()], help="add an entry, or change one")
    one.add_argument("verdict", choices=["accept", "reject"])
    one.add_argument(
        "sender", metavar="SENDER", help="user@example.org, @example.org, @.example.org, user@, <>"
    )
    one.add_argument("--recipient", default="", metavar="ADDRESS", help="whose list; default: everybody's")
    one.add_argument("--client", default="", metavar="NETWORK", help="of the sending host; default: any")
    one.add_argument(
        "--unproven", action="store_true", help="accept without SPF or DKIM; only together with --client"
    )
    ends = one.add_mutually_exclusive_group()
    ends.add_argument("--until", type=day, metavar="DAY", help="last day on which it holds: 2026-12-31")
    ends.add_argument("--days", type=_days, metavar="N", help="as many days from today")
    one.add_argument("--note", default="", help="why")
    gone = deeds.add_parser("remove", parents=[_shared()], help="remove an entry")
    gone.add_argument("id", type=_row, metavar="N", help="its number")
    for each in (one, gone):
        each.add_argument("--as", dest="actor", default="", metavar="NAME", help="who does it (root only)")
    one = deeds.add_parser("show", parents=[_shared()], help="show the entries that are in force")
    one.add_argument("--verdict", default="", choices=["accept", "reject"])
    one.add_argument("--expired", action="store_true", help="also those that have run out")


def _store(commands: "Commands[argparse.ArgumentParser]") -> None:
    top = commands.add_parser(
        "store", help="keys that kept contents are sealed with: status, new-key, reseal, drop-keys"
    )
    top.set_defaults(module="store")
    deeds = top.add_subparsers(dest="deed", required=True, metavar="DEED")
    for name, help_ in (
        ("status", "count contents by the key that they need"),
        ("new-key", "make a key, with which contents are written from now on (root)"),
        ("reseal", "seal with the newest key what is not; the daemon may run"),
        ("drop-keys", "remove the keys that no content needs (root)"),
    ):
        one = deeds.add_parser(name, parents=[_shared()], help=help_)
        one.add_argument("--as", dest="actor", default="", metavar="NAME", help="who does it (root only)")


def _ledger(commands: "Commands[argparse.ArgumentParser]") -> None:
    one = commands.add_parser("stats", parents=[_shared()], help="count messages")
    _times(one)
    by = ["verdict", "rule", "dnsbl", "outcome", "sender", "recipient", "client", "hour", "day"]
    one.add_argument("--by", default="verdict", choices=by, help="default: verdict")
    one.add_argument("--limit", type=_limit, default=_LIMIT, metavar="N", help=f"rows; default: {_LIMIT}")
    one.set_defaults(module="stats")
    one = commands.add_parser(
        "reconcile", parents=[_shared()], help="hold the ledger against the MTA's log; exit 1 if they differ"
    )
    source = one.add_mutually_exclusive_group()
    source.add_argument("--log", metavar="FILE", help="a log of Postfix or Sendmail; - is standard input")
    source.add_argument("--journal", action="store_true", help="ask journalctl (the default)")
    one.add_argument(
        "--gateway", action="append", default=[], metavar="NAME",
        help="the gateway whose log it is, as `quarantine show` names it; may be repeated; default: by the log's hosts and queue ids",
    )  # fmt: skip
    _times(one)
    one.set_defaults(module="reconciling")
    one = commands.add_parser("report", parents=[_shared(as_json="")], help="the figures of one day")
    one.add_argument("--day", type=day, metavar="DAY", help="like 2026-03-01; default: yesterday")
    form = one.add_mutually_exclusive_group()
    for name in ("text", "html", "json"):
        form.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=f"print it as {name}"
        )
    one.add_argument("--anew", action="store_true", help="make it anew, also where one is kept")
    one.add_argument(
        "--keep",
        action="store_true",
        help="make it and keep it, also those of up to six days before that were missed, and remove what is too old",
    )
    one.add_argument("--mail", action="store_true", help="mail it; with --keep once a day")
    one.add_argument(
        "--log", metavar="FILE", help="a log of the MTA in place of the journal; - is standard input"
    )
    one.set_defaults(module="reporting")
    top = commands.add_parser("ledger", help="the ledger's tables: status, upgrade, downgrade, move")
    top.set_defaults(module="tables")
    deeds = top.add_subparsers(dest="deed", required=True, metavar="DEED")
    deeds.add_parser("status", parents=[_shared()], help="say what revision and how many rows they have")
    deeds.add_parser("upgrade", parents=[_shared()], help="bring them to this release's revision")
    one = deeds.add_parser("downgrade", parents=[_shared()], help="bring them back for an older release")
    one.add_argument("revision", type=_row, metavar="REV", help="number of the revision")
    one = deeds.add_parser(
        "move", parents=[_shared()], help="move all that another ledger of this gateway holds into this one"
    )
    one.add_argument("source", metavar="URL", help="where it is: as [ledger] url was before")
    one.add_argument("--as", dest="actor", default="", metavar="NAME", help="who does it (root only)")


def _client(text: str) -> str:
    """Return an address of a client as it was given. Raises ArgumentTypeError if it is none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address; write it like 192.0.2.1") from None
    return text


def _limit(text: str) -> int:
    return _number(text, 1, _MOST)


def _limit_of_bench(text: str) -> int:
    return _number(text, 1, 1_000_000)


def _days(text: str) -> int:
    return _number(text, 0, 36_500)


def _row(text: str) -> int:
    return _number(text, 1, 2**31 - 1)


def _filled(text: str) -> str:
    """Return a text that says something. Raises ArgumentTypeError."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; say it in some words")
    return text


def _number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
    return int(text)
