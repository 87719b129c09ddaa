"""Is a host what it was, seen from the control host: by its own copy of the baseline and its own program, told in words."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from roles.integrity import copies
from roles.integrity.paths import FILES
from roles.settings import Gateway

ANSWERS: Final = "BASTIDE_REPLAY_ANSWERS"
_FILE: Final = Path(__file__).with_name("replayed.py")
# Exit codes of the program on the host (onhost/cli.py).
_LOOKED: Final = ("0", "2")


class ReplayError(Exception):
    """Hosts that could not be looked at; the text names them and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look by the copy found, and the baseline that would come of it."""

    found: Mapping[str, Any]
    files: Mapping[str, bytes]


def replayed(inventory: str, gateways: Mapping[str, Gateway]) -> dict[str, Seen]:
    """Look at each of these hosts by the copy that is kept of it. Raises ReplayError or CopyError before or where it cannot."""
    for name, gateway in gateways.items():
        if copies.held(copies.place(gateway.integrity.copies, name)) is None:
            raise ReplayError(
                f"{name}: there is no copy in {gateway.integrity.copies}; a deploy from this host takes one"
            )
    with tempfile.TemporaryDirectory(prefix="bastide-replay-") as place:
        limits = [word for name in gateways for word in ("--limit", name)]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("pyinfra")), inventory, str(_FILE), "-y", *limits],
            env={**os.environ, ANSWERS: place},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return {name: _seen(name, Path(place, name.replace("/", "_")), done.stderr) for name in gateways}


def _seen(name: str, place: Path, errors: str) -> Seen:
    try:
        said, _, code = (place / "said").read_text().strip().rpartition("\n")
    except OSError as error:
        raise ReplayError(f"{name}: no answer:\n{errors.strip()[-2000:]}") from error
    if code not in _LOOKED:
        raise ReplayError(f"{name}: {said.strip()[-2000:]}")
    files = {each: (place / each).read_bytes() for each in FILES}
    return Seen(found=json.loads(said.splitlines()[-1]), files=files)


def told(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Give what was found on a host, a line each; what the host wrote is shown without what a terminal would obey."""
    for each in found["unexplained"]:
        words = [f"{key} {value}" for key, value in each["now"].items()]
        more = "; ".join(text for text in (", ".join(words), each["who"], each["note"]) if text)
        yield _plain(f"{name}: {each['what']} {each['path']}: {more}")
    for each in found["explained"]:
        yield _plain(f"{name}: explained: {each['what']} {each['path']}: {each['by']}")


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
