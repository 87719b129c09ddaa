"""What no single setting shows: settings that contradict each other, and texts that must be of some form.

Each problem is one sentence: the setting, what is wrong with it, and what would be right.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from filterd.carry.templates import problems as template_problems
from filterd.errors import ConfigError
from filterd.findings import Mode, Verdict
from filterd.ledger.keys import Keys
from filterd.parse.kinds_table import KINDS
from filterd.stages import ORDER
from filterd.stages.content import check as content_problems

from . import Config
from .actions import Step, is_address, step
from .conditions import NULL_SENDER, network, pattern_problem, span
from .ledger import url_problem
from .policy import Group, ListEntry
from .words import hint

# Whoever is told that his mail carried malware is as a rule not the one who sent it.
_SENDER_NEVER: Final = frozenset({"infected", "suspicious", "banned"})
_EXTENSION: Final = re.compile(r"[a-z0-9_-]{1,32}")
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def problems(config: Config, *, here: bool = True) -> Iterator[str]:
    """Yield what is wrong with a configuration whose settings are each of the right type.

    ``here`` is False where the files that it names are on another host.
    """
    for check in _CHECKS:
        yield from check(config)
    if here:
        yield from template_problems(config)
        yield from _key_problem(config)
        yield from _password_problem(config)


def _password_problem(config: Config) -> Iterator[str]:
    """Without the database's password nothing can be recorded, so that nothing is accepted."""
    if name := config.ledger.password_file:
        try:
            Path(name).read_bytes()
        except OSError as error:
            yield (
                f"[ledger] password_file: {name} cannot be read ({error.strerror}): let filterd's user read it, or run this"
                " as root (sudo)"
            )


def _ledger(config: Config) -> Iterator[str]:
    if problem := url_problem(config.ledger.url):
        yield problem


def _key_problem(config: Config) -> Iterator[str]:
    """Without the store's key nothing could be kept, and nothing read."""
    try:
        Keys(config.store.key_file)
    except ConfigError as error:
        yield str(error)


def _places(config: Config) -> Iterator[str]:
    """Each worker needs a place at each engine."""
    workers = config.workers
    for name, value in (
        ("[milter] max_connections", config.milter.max_connections),
        ("[clamd] max_concurrent", config.clamd.max_concurrent),
        ("[spamd] max_concurrent", config.spamd.max_concurrent),
        ("[parse] max_concurrent", config.parse.max_concurrent or workers),
        *((f"[[scanner]] {one.name} max_concurrent", one.max_concurrent) for one in config.scanner),
    ):
        if value < workers:
            yield f"{name} = {value} leaves some of the {workers} workers with none: set it to {workers} or more"


def _times(config: Config) -> Iterator[str]:
    """Whatever a message waits for ends before that which waits for it."""
    longest = config.milter.scan_timeout_s
    for name, value in (
        ("[clamd] timeout_s", config.clamd.timeout_s),
        ("[spamd] timeout_s", config.spamd.timeout_s),
        ("[parse] timeout_s", config.parse.timeout_s),
        *((f"[[scanner]] {one.name} timeout_s", one.timeout_s) for one in config.scanner),
    ):
        if value > longest:
            yield f"{name} = {value:g} is longer than [milter] scan_timeout_s = {longest:g}: lower it"
    if config.milter.progress_s >= longest:
        yield "[milter] progress_s is not below scan_timeout_s: lower it"
    if config.parse.seconds >= config.parse.timeout_s:
        yield (
            f"[parse] seconds = {config.parse.seconds:g} is not below [parse] timeout_s ="
            f" {config.parse.timeout_s:g}: lower it"
        )


def _sizes(config: Config) -> Iterator[str]:
    if config.parse.leaf_bytes > config.parse.bytes:
        yield (
            f"[parse] leaf_bytes = {config.parse.leaf_bytes} is more than [parse] bytes = {config.parse.bytes}:"
            " lower it"
        )
    if config.milter.max_header_bytes > config.milter.max_all_headers_bytes:
        yield "[milter] max_header_bytes is more than max_all_headers_bytes: lower it"


def _all_chains(config: Config) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield where each chain stands, its class, and its steps."""
    for name in config.policy.chains.__struct_fields__:
        yield "[policy.chains]", name, getattr(config.policy.chains, name)
    for group in config.group:
        for name in group.chains.__struct_fields__:
            yield f"[[group]] {group.name} chains", name, getattr(group.chains, name)


def _chains(config: Config) -> Iterator[str]:
    for where, name, steps in _all_chains(config):
        ended = ""
        for number, text in enumerate(steps, 1):
            label = f"{where} {name}, step {number}"
            try:
                one = step(text)
            except ValueError as error:
                yield f"{label}: {error}"
                continue
            if ended:
                yield f"{label}: nothing is done behind {ended!r}, which ends the chain; take {one.text!r} away"
            if one.sort == "end":
                ended = ended or one.text
            yield from (f"{label}: {problem}" for problem in _step_problems(one, name, config))


def _step_problems(one: Step, name: str, config: Config) -> Iterator[str]:
    """Yield what keeps a step, right in itself, from being done in the chain of a class."""
    if name == "clean" and one.sort == "attempt":
        yield f"{one.text!r} needs something that was found, and here nothing was; take it away"
    if one.name == "stamp" and one.arguments[0] not in config.notify.stamps:
        known = tuple(config.notify.stamps)
        remedy = hint(one.arguments[0], known) if known else "write its text there"
        yield f"{one.text!r}: [notify.stamps] has no {one.arguments[0]!r}; {remedy}"
    if one.name == "notify" and "admin" in one.arguments and not config.notify.admin:
        yield f"{one.text!r}: [notify] admin is empty; set it to an address"
    if one.name == "notify" and "sender" in one.arguments and name in _SENDER_NEVER:
        yield f"{one.text!r}: a sender is never told of {name} mail, as his address is often forged; take him away"


def _rules(config: Config) -> Iterator[str]:
    own = {rule.id: rule.verdict for stage in ORDER for rule in stage.rules}
    own.update({f"content.{rule.name}": Verdict(rule.verdict) for rule in config.content})
    tables: list[tuple[str, Mapping[str, Mode]]] = [("[rules]", config.rules)]
    tables += [(f"[[group]] {group.name} rules", group.rules) for group in config.group]
    for where, table in tables:
        for rule, mode in table.items():
            if rule not in own:
                near = tuple(sorted(one for one in own if one.partition(".")[0] == rule.partition(".")[0]))
                yield f"{where} {rule!r} is no rule; {hint(rule, near or tuple(sorted(own)))}"
            elif own[rule] is Verdict.NOT_INSPECTED and mode != "on":
                yield (
                    f'{where} {rule!r} = "{mode}" would make clean what nobody has looked at; say what becomes of it'
                    " in [policy.chains] not_inspected"
                )


def _groups(config: Config) -> Iterator[str]:
    seen: set[str] = set()
    for group in config.group:
        if group.name in seen:
            yield f"[[group]] name = {group.name!r} stands twice: give one of them another name"
        seen.add(group.name)
        yield from (f"[[group]] {group.name} {problem}" for problem in _conditions(group))


def _lists(config: Config) -> Iterator[str]:
    seen: set[str] = set()
    for entry in config.list:
        label = f"[[list]] {entry.name}"
        if entry.name in seen:
            yield f"{label} stands twice: give one of them another name"
        seen.add(entry.name)
        yield from (f"{label} {problem}" for problem in _conditions(entry))
        if entry.verdict == "accept" and entry.authentication == "required":
            yield from (f"{label} {problem}" for problem in _unprovable(entry))


def _unprovable(entry: ListEntry) -> Iterator[str]:
    """Yield the senders that no domain can vouch for, or any."""
    for pattern in entry.senders:
        if pattern == NULL_SENDER or pattern.endswith("@"):
            yield (
                f"senders: {pattern!r} has no domain of its own that could vouch for it; write user@example.org, or set"
                ' authentication = "none" and clients'
            )


def _conditions(group: Group | ListEntry) -> Iterator[str]:
    for name, patterns in (("recipients", group.recipients), ("senders", group.senders)):
        for pattern in patterns:
            if problem := pattern_problem(pattern, sender=name == "senders"):
                yield f"{name}: {problem}"
    yield from _refused("clients", network, group.clients)
    if isinstance(group, Group):
        yield from _refused("times", span, group.times)


def _refused(name: str, read: Callable[[str], object], texts: Sequence[str]) -> Iterator[str]:
    """Yield what a reader says of texts that it does not take."""
    for text in texts:
        try:
            read(text)
        except ValueError as error:
            yield f"{name}: {error}"


def _policy(config: Config) -> Iterator[str]:
    yield from _refused("[policy] internal_networks", network, config.policy.internal_networks)
    left = config.policy.tag_subject.replace("{verdict}", "")
    if "{" in left or "}" in left:
        yield f"[policy] tag_subject = {config.policy.tag_subject!r}: {{verdict}} is its only placeholder; write it so"


def _addresses(config: Config) -> Iterator[str]:
    for name in ("admin", "sender_address"):
        address = getattr(config.notify, name)
        if address and not is_address(address):
            yield f"[notify] {name} = {address!r} is no mail address; write it like postmaster@example.org"
    if config.report.address and not is_address(config.report.address):
        address = config.report.address
        yield f"[report] address = {address!r} is no mail address; write it like postmaster@example.org"
    for name, text in config.notify.stamps.items():
        if not text.strip() or not all(letter.isprintable() or letter in "\n\t" for letter in text):
            yield f"[notify.stamps] {name} is empty or has control characters; write plain text"


def _scanners(config: Config) -> Iterator[str]:
    seen: set[str] = set()
    for scanner in config.scanner:
        label = f"[[scanner]] {scanner.name}"
        if scanner.name in seen:
            yield f"{label} stands twice: give one of them another name"
        seen.add(scanner.name)
        if not scanner.command[0].startswith("/"):
            yield f"{label} command: {scanner.command[0]!r} is no absolute path; write it in full"
        if both := sorted(set(scanner.clean) & set(scanner.infected)):
            yield f"{label}: exit code {both[0]} is both clean and infected; take it away from one"
        try:
            groups = re.compile(scanner.signature).groups
        except re.error as error:
            yield f"{label} signature is no regular expression ({error}); correct it"
            continue
        if scanner.signature and not groups:
            yield f"{label} signature has no group that holds the name; put it in parentheses"


def _attachments(config: Config) -> Iterator[str]:
    own, kinds = config.attachments, set(KINDS)
    for extension in own.banned_extensions:
        if not _EXTENSION.fullmatch(extension):
            yield f"[attachments] banned_extensions: {extension!r}; write it in lower case, without the dot"
    for kind in own.banned_kinds:
        if kind not in kinds:
            yield f"[attachments] banned_kinds: {kind!r} is no kind; {hint(kind, tuple(sorted(kinds)))}"
    for claimed in own.banned_types:
        if not _TYPE.fullmatch(claimed):
            yield f"[attachments] banned_types: {claimed!r}; write it in lower case like application/hta"
    for name in ("allowed", "shorteners"):
        for host in getattr(config.links, name):
            if not _HOST.fullmatch(host):
                yield f"[links] {name}: {host!r} is no host name; write it in lower case like example.org"


def _content(config: Config) -> Iterator[str]:
    yield from content_problems(config.content)


_CHECKS: Final = (
    _places,
    _ledger,
    _times,
    _sizes,
    _chains,
    _rules,
    _groups,
    _lists,
    _policy,
    _addresses,
    _scanners,
    _attachments,
    _content,
)
