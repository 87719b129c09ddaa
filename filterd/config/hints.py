"""What a configuration may say, and its writer has perhaps not meant: told by `filterd check`, refused by nobody."""

import contextlib
import grp
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filterd.errors import ConfigError
from filterd.ledger.keys import Keys
from filterd.stages.content import compiled

from . import Config
from .conditions import network

_LOOK_S: Final = 2.0
_VIRUS: Final = "virus.signature"
_LETS_IN: Final = frozenset({"ignore", "rename"})


def hints(config: Config) -> Iterator[str]:
    """Yield one sentence each: the setting, what it leads to, and what would be usual."""
    yield from _of_rules(config)
    yield from _of_chains(config)
    yield from _of_lists(config)
    for scanner in config.scanner:
        if shutil.which(scanner.command[0]) is None:
            yield (
                f"[[scanner]] {scanner.name} command: {scanner.command[0]} is no program that can be run: install it, or"
                " all mail waits with 451"
            )
    for text in config.policy.internal_networks:
        if network(text).prefixlen == 0:
            yield f"[policy] internal_networks: {text} makes all mail outbound: name your own networks"


def lacking(config: Config) -> Iterator[str]:
    """Yield one sentence each: a setting, what it names and this host has not, and the remedy."""
    spool, store = Path(config.milter.spool_dir), Path(config.store.directory)
    # Whoever may not look there cannot tell.
    with contextlib.suppress(PermissionError):
        if not spool.is_dir():
            yield (
                f"[milter] spool_dir: {spool} is no directory: make it for filterd's user, or mail of more than"
                f" {config.milter.spool_memory_bytes} bytes waits with 451"
            )
    with contextlib.suppress(PermissionError):
        if not store.is_dir() and not (not store.exists() and _can_make(store, spool)):
            yield (
                f"[store] directory: {store} is no directory: make it for filterd's user, or what is to be kept waits"
                " with 451"
            )
    yield from _old_keys(config)
    if group := config.store.operators:
        try:
            grp.getgrnam(group)
        except KeyError:
            yield f"[store] operators: there is no group {group}: groupadd {group}, or nobody is an operator"


def _old_keys(config: Config) -> Iterator[str]:
    """Say of each key but the newest whether a content still needs it; it is looked for no longer than a start may wait."""
    with contextlib.suppress(ConfigError, OSError):
        held = len(Keys(config.store.key_file)())
        if held < 2:  # noqa: PLR2004 - an older one beside the newest
            return
        # Only where there are several: what opens contents takes long to load.
        from filterd.ledger.blobs import BlobError, Blobs  # noqa: PLC0415 - see above

        blobs = Blobs(config.store.directory, read=Keys(config.store.key_file))
        ends, needed, all_of_them = time.monotonic() + _LOOK_S, set(), True
        for digest, _ in blobs.digests():
            if time.monotonic() > ends:
                all_of_them = False
                break
            with contextlib.suppress(BlobError):
                needed.add(blobs.key_of(digest))
        for place in range(1, held):
            if place in needed:
                yield f"[store] key_file: contents still need key {place + 1} of {held}: run `filterd store reseal`"
            elif all_of_them:
                yield f"[store] key_file: no content needs key {place + 1} of {held}: run `filterd store drop-keys`"
            else:
                yield f"[store] key_file: whether contents need key {place + 1} of {held} says `filterd store status`"


def _can_make(store: Path, spool: Path) -> bool:
    """Whether filterd can make the store: as who asks, and for root, who can everywhere, as the owner of the spool."""
    parent = store.parent
    if not parent.is_dir():
        return False
    if os.geteuid() != 0:
        return os.access(parent, os.W_OK | os.X_OK)
    return spool.is_dir() and parent.stat().st_uid == spool.stat().st_uid


def _of_rules(config: Config) -> Iterator[str]:
    tables = [("[rules]", config.rules)]
    tables += [(f"[[group]] {group.name} rules", group.rules) for group in config.group]
    for where, rules in tables:
        if (mode := rules.get(_VIRUS, "on")) != "on":
            yield (
                f'{where} {_VIRUS!r} = "{mode}" delivers known malware: remove the line, or say what becomes of it in the'
                " chain infected"
            )
    for rule in config.content:
        if compiled(rule.pattern, case=rule.case).search(""):
            yield (
                f"[[content]] {rule.name} pattern matches the empty text, and so all mail: let it ask for a letter at"
                " least, as a+ instead of a*"
            )


def _of_chains(config: Config) -> Iterator[str]:
    places = [("[policy.chains]", config.policy.chains.infected)]
    places += [(f"[[group]] {group.name} chains", group.chains.infected) for group in config.group]
    for where, chain in places:
        if (first := next((one for one in chain if one in _LETS_IN), "")) == "ignore":
            yield f"{where} infected: ignore delivers known malware: end the chain with reject, discard or move"
        elif first:
            yield f"{where} infected: a file that is renamed is still infected: use clean or delete"
    for group in config.group:
        if (
            not (group.recipients or group.senders or group.clients or group.times)
            and group.direction == "any"
        ):
            yield f"[[group]] {group.name} has no condition, so it means all mail: name recipients or senders"


def _of_lists(config: Config) -> Iterator[str]:
    today = datetime.now(UTC).astimezone().date()
    for entry in config.list:
        if entry.until < today:
            yield f"[[list]] {entry.name} until = {entry.until} has passed: it holds no more, remove it"
        if entry.verdict == "accept" and entry.authentication == "none" and not entry.clients:
            yield (
                f'[[list]] {entry.name} authentication = "none": whoever writes that sender passes the spam engine; remove the'
                " line, or name clients"
            )
