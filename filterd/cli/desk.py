"""The ledger as the command line opens it: as its owner, and for somebody with a name and a role.

The attack it stops: files of root's in the ledger's directory, which the daemon then can neither read nor write.
"""

import argparse
import contextlib
import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from filterd.config import DEFAULT_PATH, Config, load
from filterd.errors import ConfigError, UsageError
from filterd.ledger import database
from filterd.ledger.blobs import Blobs
from filterd.ledger.database import LedgerError
from filterd.ledger.figures import ledger_file
from filterd.ledger.keys import Keys
from filterd.ledger.roles import Actor, Deed, RefusedError, may

_LOGIN_UID: Final = Path("/proc/self/loginuid")
_MAX_NAME: Final = 64


class Desk:
    """One command's ledger, store and actor. ``config`` is the file's."""

    def __init__(self, config: Config, engine: Engine, actor: Actor) -> None:
        self.config = config
        self.engine = engine
        self.actor = actor

    def blobs(self) -> Blobs:
        """Return the store. Raises ConfigError for a bad key."""
        return Blobs(self.config.store.directory, read=Keys(self.config.store.key_file))

    def allow(self, deed: Deed) -> None:
        """Return if the actor may do this where no entry is concerned. Raises RefusedError."""
        _allow(self.actor, deed)


def allowed(options: argparse.Namespace, config: Config, deed: Deed) -> None:
    """Return if whoever is here may do this to what is not the ledger's; root stays root. Raises RefusedError, LedgerError."""
    _may_choose(options.config)
    _allow(_actor(getattr(options, "actor", ""), config, _owner(_directory(config, makes=False))), deed)


def _allow(actor: Actor, deed: Deed) -> None:
    if not may(actor.role, deed, ""):
        raise RefusedError(f"{actor.name} ({actor.role}) may not do this: ask an administrator")


@contextlib.contextmanager
def desk(options: argparse.Namespace, *, current: bool = True, makes: bool = False) -> Iterator[Desk]:
    """Open the ledger that the configuration names; ``current``: with the tables that this release needs.

    ``makes``: it need not be there yet.

    Raises ConfigError, LedgerError, RefusedError; whatever goes wrong with the database within is a LedgerError.
    """
    _encodable(options)
    _may_choose(options.config)
    config = load(options.config)
    directory = _directory(config, makes=makes)
    actor = _actor(getattr(options, "actor", ""), config, _owner(directory))
    become_owner(directory)
    engine = database.opened(config.ledger, patient=True)
    try:
        with database.explained(config.ledger):
            if current:
                _usable(engine)
            yield Desk(config, engine, actor)
    finally:
        engine.dispose()


def _encodable(options: argparse.Namespace) -> None:
    """Return if the database can take every text that was given. Raises UsageError; names of files are no texts."""
    for name, value in vars(options).items():
        for text in value if isinstance(value, list) else [value]:
            if (
                isinstance(text, str)
                and not text.isascii()
                and any("\udc80" <= one <= "\udcff" for one in text)
            ):
                raise UsageError(f"{name}: {text!a} is no UTF-8; write * for what is not")


def _directory(config: Config, *, makes: bool) -> Path:
    """Return the directory whose owner the ledger's is; ``makes``: or that will be in it."""
    file = ledger_file(config)
    if file is not None and not makes and os.access(file.parent, os.X_OK) and not file.is_file():
        raise LedgerError(
            f"there is no ledger at {file}: start filterd, which makes it, or give another --config"
        )
    place = Path(config.store.directory) if file is None else file.parent
    if makes or file is None:
        # A store is made with the first content that is kept.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            place.stat()
            return place
        return place.parent
    return place


def _owner(directory: Path) -> int:
    try:
        return directory.stat().st_uid
    except PermissionError:
        raise RefusedError(
            f"{_name_of(os.getuid())} may not look into {directory.parent}: run this as root (sudo), or ask an administrator"
        ) from None
    except OSError as error:
        raise LedgerError(
            f"the ledger's directory {directory} cannot be used ({error.strerror}): start filterd, which makes it, or give"
            " another --config"
        ) from error


def become_owner(directory: Path) -> None:
    """Give up root for the owner of a directory, with his groups; whoever is not root stays who he is."""
    uid = _owner(directory)
    if os.geteuid() != 0 or uid == 0:
        return
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigError(
            f"{directory} belongs to user id {uid}, which has no name: give it to filterd's user"
        ) from None
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(uid)
    # Libraries look for settings in the home of whoever this is (libpq: ~/.postgresql, ~/.pgpass).
    os.environ["HOME"] = entry.pw_dir


def _usable(engine: Engine) -> None:
    at = database.revision(engine)
    if at < database.NEWEST:
        raise LedgerError(
            f"the ledger's tables have revision {at}, and this release needs {database.NEWEST}: restart filterd, or run "
            "`filterd ledger upgrade`"
        )


def _actor(named: str, config: Config, owner: int) -> Actor:
    """Return who is at the command line. Raises RefusedError for whoever has no role."""
    uid = os.getuid()
    user = _name_of(uid)
    # root can say whatever it likes; of all others only the kernel's word counts. What sudo says may lower rights.
    sudo = _by_sudo()
    if named and (uid != 0 or _operates(sudo, config)):
        raise RefusedError("--as is for root alone")
    name = named or (sudo if uid == 0 else "") or _logged_in() or user
    if not name.isprintable() or len(name) > _MAX_NAME:
        raise UsageError(f"--as: a name has up to {_MAX_NAME} printable characters")
    if uid in {0, owner}:
        return Actor(name=name, role="operator" if _operates(sudo, config) else "admin")
    if _operates(user, config):
        return Actor(name=user, role="operator")
    raise RefusedError(
        f"{user} has no business here: ask root, or be made a member of the group in [store] operators"
    )


def _by_sudo() -> str:
    return os.environ.get("SUDO_USER", "")


def _may_choose(path: Path) -> None:
    """Return if whoever is here may name this configuration. Raises ConfigError, RefusedError.

    The attack it stops: an operator, whose right is the command with any arguments, brings a configuration of his own, by
    which he is an administrator and commands of his choice are virus engines.
    """
    if os.getuid() != 0 or path == DEFAULT_PATH or not DEFAULT_PATH.exists():
        return
    if _operates(user := _by_sudo(), load(DEFAULT_PATH)):
        raise RefusedError(f"{user} is an operator by {DEFAULT_PATH} and may give no other --config")


def _operates(user: str, config: Config) -> bool:
    """Whether a user is a member of the operators' group."""
    if not user or not config.store.operators:
        return False
    try:
        group = grp.getgrnam(config.store.operators)
        return user in group.gr_mem or pwd.getpwnam(user).pw_gid == group.gr_gid
    except KeyError:
        return False


def _logged_in() -> str:
    """Return the name of the user who logged in, as the kernel knows it (pam_loginuid(8)), or ""."""
    try:
        uid = int(_LOGIN_UID.read_text(encoding="ascii"))
        return pwd.getpwuid(uid).pw_name
    except (OSError, ValueError, KeyError, OverflowError):
        return ""


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
