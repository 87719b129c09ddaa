"""Another policy for the length of a block: the deployed configuration with some of its tables replaced."""

import base64
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from roles.filterd.policy import toml
from tests.acceptance.gateway import GatewayHost

CONFIG: Final = "/etc/filterd/filterd.toml"
STORE: Final = "/var/lib/filterd/store"


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
def policy(
    gateway: GatewayHost,
    chains: Mapping[str, Sequence[str]],
    *groups: Mapping[str, Any],
    tables: Tables | None = None,
) -> Iterator[None]:
    """Let the gateway work by that configuration for the length of a block."""
    text = base64.b64encode(configuration(gateway, chains, *groups, tables=tables).encode()).decode()
    # A restart, not a reload: when it is done nobody works by the old policy any more. Many in a row are no crash loop.
    change = (
        f"set -e; cp -np {CONFIG} {CONFIG}.kept; echo {text} | base64 -d > {CONFIG}.new; "
        f"/opt/filterd/current/bin/filterd check --config {CONFIG}.new; cat {CONFIG}.new > {CONFIG}; "
        f"rm {CONFIG}.new; systemctl reset-failed filterd; systemctl restart filterd"
    )
    with gateway.altered(
        change, f"mv {CONFIG}.kept {CONFIG}; systemctl reset-failed filterd; systemctl restart filterd"
    ):
        yield


def stored(gateway: GatewayHost, kind: str, mark: str) -> list[tuple[dict[str, Any], bytes]]:
    """Return the store's entries of a kind whose message holds ``mark``: what the entry says, and the message."""
    script = (
        f"cd {STORE}/{kind} 2>/dev/null || exit 0; for file in $(grep -l -e {mark} -- *.eml 2>/dev/null); do "
        'base64 -w0 "$file"; echo; base64 -w0 "${file%.eml}.json"; echo; done'
    )
    lines = gateway.run(script).splitlines()
    return [
        (json.loads(base64.b64decode(entry)), base64.b64decode(content))
        for content, entry in zip(lines[::2], lines[1::2], strict=True)
    ]
