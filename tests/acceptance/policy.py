"""Another policy for the length of a block: the deployed configuration with some of its tables replaced."""

import base64
import fcntl
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from roles.filterd.policy import toml
from tests.acceptance.gateway import GatewayHost

CONFIG: Final = "/etc/filterd/filterd.toml"
# The longest test under another policy takes some minutes.
LOCK_SECONDS: Final = 1200.0
_LOOK_SECONDS: Final = 0.2
# Many restarts in a row are no crash loop.
_RESTART: Final = "systemctl reset-failed filterd; systemctl restart filterd"
# What was deployed is kept beside what is tried. If neither is what is in force, somebody has deployed meanwhile.
_RESTORE: Final = f"""if [ -e {CONFIG}.kept ]; then
  if cmp -s {CONFIG} {CONFIG}.tried; then mv {CONFIG}.kept {CONFIG}; else rm {CONFIG}.kept; fi
  rm -f {CONFIG}.tried; {_RESTART}
fi"""


# A table's settings are merged into it; a list of tables comes behind those that are there.
Tables: TypeAlias = Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]]


def configuration(
    gateway: GatewayHost,
    chains: Mapping[str, Sequence[str]],
    *groups: Mapping[str, Any],
    tables: Tables | None = None,
) -> str:
    """Return the deployed configuration with these chains (the other classes keep theirs), groups and settings."""
    document = tomllib.loads(gateway.run(f"cat {CONFIG}.kept 2>/dev/null || cat {CONFIG}"))
    document["policy"]["chains"].update({name: list(chain) for name, chain in chains.items()})
    if groups:
        document["group"] = list(groups)
    for table, settings in (tables or {}).items():
        if isinstance(settings, Mapping):
            document.setdefault(table, {}).update(settings)
        else:
            document[table] = [*document.get(table, ()), *settings]
    return toml(document)


@contextmanager
def alone(gateway: GatewayHost, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Be the only run that changes this lab's policy; AssertionError when another one does not let go in time.

    The lock is the kernel's: it ends with its process, however that ends.
    """
    path = Path(gateway.lab.sink).parent / "policy.lock"
    deadline = time.monotonic() + seconds
    with path.open("wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < deadline, (
                    f"another run changes the policy of lab {gateway.lab.name}"
                )
                time.sleep(_LOOK_SECONDS)
        yield


def restored(gateway: GatewayHost) -> None:
    """Put the deployed policy back if a run has died under another one; a run that is alive is waited for."""
    with alone(gateway):
        gateway.run(_RESTORE)


@contextmanager
def policy(
    gateway: GatewayHost,
    chains: Mapping[str, Sequence[str]],
    *groups: Mapping[str, Any],
    tables: Tables | None = None,
) -> Iterator[None]:
    """Let the gateway work by that configuration for the length of a block; blocks of all runs come one by one."""
    with alone(gateway):
        gateway.run(_RESTORE)
        text = base64.b64encode(configuration(gateway, chains, *groups, tables=tables).encode()).decode()
        try:
            # A restart, not a reload: when it is done nobody works by the old policy any more.
            gateway.run(
                f"set -e; cp -p {CONFIG} {CONFIG}.kept; echo {text} | base64 -d > {CONFIG}.tried; "
                f"/opt/filterd/current/bin/filterd check --config {CONFIG}.tried; "
                f"cat {CONFIG}.tried > {CONFIG}; {_RESTART}"
            )
            yield
        finally:
            gateway.run(_RESTORE)
