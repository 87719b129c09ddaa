"""``filterd store``: the keys that kept contents are sealed with, and their change."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from filterd.config import Config, load
from filterd.errors import ConfigError
from filterd.ledger import keys
from filterd.ledger.acts import note
from filterd.ledger.blobs import BlobError, Blobs
from filterd.ledger.database import LedgerError, writing
from filterd.ledger.roles import RefusedError

from .codes import GOOD, REFUSED
from .desk import Desk, allowed, desk
from .output import Progress, pairs, say

# A message that began before a key was new may still be written with the one before.
_SETTLED_S = 3600.0


class StoreSeen(Struct, frozen=True, kw_only=True):
    """Contents by what they are sealed with: the newest key, an older one that is still in the file, none.

    ``lost`` are damaged, or sealed with a key that is no longer in the file. ``resealed`` were written anew by this command.
    ``needed`` are the places in the file, counted from 1, of the keys that contents still need.
    """

    keys: int
    contents: int
    newest: int
    older: int
    plain: int
    lost: int
    resealed: int
    needed: tuple[int, ...]


class KeysChanged(Struct, frozen=True, kw_only=True):
    """How many keys the file holds now."""

    keys: int


def run(options: argparse.Namespace) -> int:
    """Do one deed. Returns the exit code."""
    match options.deed:
        case "new-key":
            return _new_key(options)
        case "drop-keys":
            return _drop_keys(options)
        case _:
            return _looked(options)


def _looked(options: argparse.Namespace) -> int:
    """Count, and seal anew what is not sealed with the newest key."""
    anew = options.deed == "reseal"
    with desk(options) as at:
        at.allow("delete")
        if anew and not at.config.store.key_file:
            raise ConfigError("[store] key_file is not set: there is no key to seal contents with")
        progress = Progress("contents looked at")
        try:
            seen = _seen(at.config, at.blobs(), progress, anew=anew)
        finally:
            progress.end()
        if seen.resealed:
            _noted(at, "reseal", f"{seen.resealed} contents")
    say(seen, pairs(list(_rows(seen))), as_json=options.json)
    return REFUSED if seen.lost else GOOD


def _rows(seen: StoreSeen) -> Iterator[tuple[str, object]]:
    yield "keys in the file", str(seen.keys)
    yield "contents", str(seen.contents)
    yield "under the newest key", str(seen.newest)
    yield (
        "under an older key",
        f"{seen.older}, needing key {', '.join(map(str, seen.needed))}" if seen.older else "",
    )
    yield "not encrypted", str(seen.plain) if seen.plain else ""
    yield "damaged, or under a key that is gone", str(seen.lost) if seen.lost else ""
    yield "sealed anew", str(seen.resealed) if seen.resealed else ""


def _seen(config: Config, blobs: Blobs, progress: Progress, *, anew: bool = False) -> StoreSeen:
    held = len(keys.Keys(config.store.key_file)())
    places: dict[int | None, int] = {}
    lost = resealed = done = 0
    for digest, _ in blobs.digests():
        try:
            if anew and blobs.resealed(digest):
                resealed += 1
            place = blobs.key_of(digest)
        except BlobError:
            # One that was removed meanwhile needs no key.
            lost += blobs.has(digest)
            continue
        except OSError as error:
            raise LedgerError(
                f"the store {config.store.directory} cannot be used ({error.strerror}): what was not sealed anew is as it was"
            ) from error
        places[place] = places.get(place, 0) + 1
        done += 1
        progress(done)
    older = {place: many for place, many in places.items() if place}
    return StoreSeen(
        keys=held,
        contents=done + lost,
        newest=places.get(0, 0),
        older=sum(older.values()),
        plain=places.get(None, 0),
        lost=lost,
        resealed=resealed,
        needed=tuple(sorted(place + 1 for place in older)),
    )


def _new_key(options: argparse.Namespace) -> int:
    """Put a new key before those that there are."""
    config, path, held = _writable(options)
    if len(held) >= keys.MOST:
        raise RefusedError(
            f"{path} holds {len(held)} keys, and takes no more: `filterd store reseal`, then `filterd store drop-keys`"
        )
    _written(config, path, (keys.new_key(), *held))
    return _changed(
        options,
        len(held) + 1,
        "new-key",
        "contents are written with it from now on; `filterd store reseal` next",
    )


def _drop_keys(options: argparse.Namespace) -> int:
    """Remove the keys that no content needs; the newest stays."""
    config, path, held = _writable(options)
    if (left := path.stat().st_mtime + _SETTLED_S - time.time()) > 0 and len(held) > 1:
        raise RefusedError(
            f"{path} was changed less than an hour ago, and a message may still be written with the key before: wait"
            f" {left / 60:.0f} minutes"
        )
    progress = Progress("contents looked at")
    try:
        seen = _seen(config, Blobs(config.store.directory, read=keys.Keys(str(path))), progress)
    finally:
        progress.end()
    if seen.lost:
        raise RefusedError(
            f"{seen.lost} contents are damaged, or sealed with a key that is not in {path}: no key is removed before that is clear"
        )
    kept = tuple(key for place, key in enumerate(held) if place == 0 or place + 1 in seen.needed)
    if len(kept) < len(held):
        _written(config, path, kept)
    text = (
        f"{seen.older} contents still need an older key: `filterd store reseal`"
        if seen.older
        else "no older key is needed"
    )
    code = _changed(options, len(kept), "drop-keys", text)
    return REFUSED if seen.older else code


def _writable(options: argparse.Namespace) -> tuple[Config, Path, tuple[bytes, ...]]:
    """Return the configuration, the file of keys and what it holds, for who may change it."""
    config = load(options.config)
    allowed(options, config, "delete")
    if not config.store.key_file:
        raise ConfigError("[store] key_file is not set: there is no key to change")
    path = Path(config.store.key_file)
    return config, path, keys.Keys(str(path))()


def _written(config: Config, path: Path, all_: tuple[bytes, ...]) -> None:
    try:
        keys.write(path, all_)
    except OSError as error:
        raise ConfigError(
            f"[store] key_file: {config.store.key_file} cannot be replaced ({error.strerror}): run this as root (sudo)"
        ) from error


def _changed(options: argparse.Namespace, many: int, deed: str, text: str) -> int:
    with desk(options) as at:
        _noted(at, deed, f"{many} keys")
    say(KeysChanged(keys=many), f"{many} keys; {text}", as_json=options.json)
    return GOOD


def _noted(at: Desk, deed: str, detail: str) -> None:
    with writing(at.engine) as connection:
        note(connection, at.actor, deed, "store", detail=detail)
