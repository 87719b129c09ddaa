"""The program that looks, as it stands on a gateway: one directory, with nothing of ours beside it."""

from pathlib import Path
from typing import Final

from roles.rendering import OwnedFile

_ONHOST: Final = Path(__file__).with_name("onhost")
_MAIN: Final = """# Written by Bastide; changes are undone by the next deploy.
import sys

from bastide_integrity.cli import main

sys.exit(main())
"""


def program(directory: str) -> list[OwnedFile]:
    """Return the files by which `python3 -I DIRECTORY` runs it."""
    modules = [
        OwnedFile(path=f"{directory}/bastide_integrity/{path.name}", content=path.read_text())
        for path in sorted(_ONHOST.glob("*.py"))
    ]
    return [OwnedFile(path=f"{directory}/__main__.py", content=_MAIN), *modules]
