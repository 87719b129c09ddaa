"""The programs that record a host and take it back, as they stand on it, or are sent to it for one question."""

import base64
from pathlib import Path
from typing import Final

from roles.history.paths import HISTORY

# Each stands on the host without its ending, and runs there with neither us nor Python; beside them stands what asks the host's
# package manager.
PROGRAMS: Final = ("record", "restore", "filter", "revert")
PACKAGES: Final = "packages"
_HERE: Final = Path(__file__).parent


def sources(manager: str) -> dict[str, str]:
    """Return the text of each program, by its name on a host that has this package manager."""
    names = {PACKAGES: f"{PACKAGES}.{manager}.sh", **{name: f"{name}.sh" for name in PROGRAMS}}
    return {name: (_HERE / source).read_text() for name, source in names.items()}


def run_there(program: str, words: str) -> str:
    """Return the command that runs one of them as it stands on the host, or says that there is none."""
    path = f"{HISTORY}/{program}"
    return f"{_deployed(path)}; sh {path} {words}"


def shown(manager: str, since: int) -> str:
    """Return the command that has a host shown by this machine's own program: what stands on the host could say what it likes."""
    texts = sources(manager)
    written = "; ".join(
        f'echo {base64.b64encode(texts[name].encode()).decode()} | base64 -d >"$place/{name}"'
        for name in ("record", PACKAGES)
    )
    return (
        f"{_deployed(f'{HISTORY}/record')}; place=$(mktemp -d) || exit 1; trap 'rm -rf \"$place\"' EXIT; {written}; "
        f'sh "$place/record" show {since}'
    )


def _deployed(path: str) -> str:
    return f"[ -e {path} ] || {{ echo 'no deploy has brought a record here: nothing is known of before'; exit 1; }}"
