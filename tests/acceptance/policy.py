"""Another policy for the length of a block: the deployed configuration with some of its tables replaced."""

import base64
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from roles.filterd.policy import toml
from tests.acceptance.gateway import GatewayHost

CONFIG: Final = "/etc/filterd/filterd.toml"
STORE: Final = "/var/lib/filterd/store"


@contextmanager
def policy(
    gateway: GatewayHost,
    chains: Mapping[str, Sequence[str]],
    *groups: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[None]:
    """Give the gateway these chains (the other classes keep theirs), groups, and settings of other tables."""
    document = tomllib.loads(gateway.run(f"cat {CONFIG}.kept 2>/dev/null || cat {CONFIG}"))
    document["policy"]["chains"].update({name: list(chain) for name, chain in chains.items()})
    if groups:
        document["group"] = list(groups)
    for table, settings in (tables or {}).items():
        document.setdefault(table, {}).update(settings)
    text = base64.b64encode(toml(document).encode()).decode()
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
