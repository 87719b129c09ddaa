"""Write the generated pages: `python -m docs.generate`, or with `--check` only say which are stale.

Each page repeats what the code says, so it is drawn from the code. The same code gives the same bytes.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from audit.target import Stands
from docs import (
    assess_page,
    defence_page,
    failures_page,
    filterd_page,
    ledger_page,
    policy_page,
    scanner_page,
)
from docs.markdown import page, paragraph, table
from docs.struct_table import settings, tables
from inventory.example import gateways
from roles.registry import LAYERS
from roles.settings import Gateway

FOLDER = Path(__file__).resolve().parent
COMMAND = "python -m docs.generate"
STALE = 1

_FOREIGN = (
    (
        "`ssh_*`",
        "pyinfra's ssh connector: host name, port, user, key, known hosts. Always set strict host keys.",
    ),
    (
        "`_*`",
        (
            "pyinfra's global arguments, for instance `_sudo` and `_sudo_password` for a login that is not root; let a password come "
            "from your environment or a vault."
        ),
    ),
    ("`audit_*`", "Where the audit stands, below."),
)


def pages() -> Mapping[str, str]:
    """Return every generated page's text by its file name."""
    return {
        "assess.md": assess_page.text(),
        "defences.md": defence_page.text(LAYERS, Gateway.of(gateways[0][1])),
        "failures.md": failures_page.text(),
        "filterd.md": filterd_page.text(),
        "ledger.md": ledger_page.text(),
        "policy.md": policy_page.text(),
        "scanners.md": scanner_page.text(),
        "settings.md": _settings_page(),
    }


def _settings_page() -> str:
    source = (
        "A gateway's settings are plain values in an inventory; `roles/settings.py` types them and refuses unknown "
        "names. Copy `inventory/example.py` to begin. Values that all gateways share stand in `inventory/group_data/`."
    )
    foreign = "## Other names in an inventory\n\nWhat begins so is not a setting of the gateway:\n\n"
    stands = f"## audit_*\n\n{paragraph(Stands)} Each name stands behind `audit_`.\n\n{settings(Stands)}"
    inner = [f"## {name}\n\n{text}" for name, _, text in tables(Gateway) if text]
    return page(
        "Settings", source, settings(Gateway), *inner, foreign + table(("Prefix", "Whose"), _FOREIGN), stands
    )


def stale(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Return the names of the pages that are missing in a folder or differ from their text."""
    return [
        name
        for name, text in texts.items()
        if not (folder / name).is_file() or (folder / name).read_text() != text
    ]


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the pages, or check them. Returns 0, or 1 when ``--check`` finds a page stale."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    options = parser.parse_args(arguments)
    texts = pages()
    names = stale(folder, texts)
    if options.check:
        for name in names:
            print(f"docs/{name} is stale: run `{COMMAND}` (or `make fmt`) and commit it", file=sys.stderr)
        return STALE if names else 0
    for name in names:
        (folder / name).write_text(texts[name])
    print(f"{len(names)} of {len(texts)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
