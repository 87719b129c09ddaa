"""The hold: nothing is taken while the host is changed.

The attack it stops: an update after which the filter answers and no longer filters. Whoever changes the host lays a file down first;
until it is gone again, what would be taken is answered "try again later", and what is refused stays refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .disposition import Disposition

# In front of the class of the message: by it the update gate (roles/updates/gate.py) sees what the filter would have done.
RULE: Final = "hold"


def on(file: str) -> bool:
    """Whether mail is on hold. Whatever keeps the file from being asked for counts as a hold."""
    if not file:
        return False
    try:
        Path(file).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def held(dispositions: Sequence[Disposition], file: str) -> tuple[Disposition, ...]:
    """Return what becomes of a message: what is refused or put off stays so, all else is put off while mail is on hold."""
    given = tuple(dispositions)
    if any(one.fate in {"reject", "tempfail"} for one in given) or not on(file):
        return given
    return tuple(
        Disposition(
            recipients=one.recipients,
            verdict=one.verdict,
            fate="tempfail",
            wanted=one.wanted,
            rule=f"{RULE}.{one.verdict}",
            findings=one.findings,
        )
        for one in given
    )
