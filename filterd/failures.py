"""What becomes of a message when a part fails: the one table. The documentation draws from it, tests try every cell.

No cell says "delivered unseen": what was not inspected, recorded or kept is answered "try again later", so that its
sender keeps it. Nothing here takes a restart of filterd.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

Mode = Literal["down", "hanging", "garbage", "dying", "full", "no-inodes", "read-only"]
Part = Literal[
    "clamd", "spamd", "scanner", "parse", "ledger", "inject", "spool-disk", "store-disk", "ledger-disk", "dns"
]

NOT_INSPECTED: Final = "451 4.7.1"
NOT_CARRIED_OUT: Final = "451 4.3.0"
NO_ROOM: Final = "451 4.3.1"
JUDGED: Final = "continue"


class Failure(Struct, frozen=True, kw_only=True):
    """One cell: what fails and how, what the sender is answered, who finds out that it works again, which alert."""

    part: Part
    mode: Mode
    what: str
    answer: str
    recovery: str
    alert: str  # component of the alert; "": none

    @property
    def id(self) -> str:
        """Return the cell's name."""
        return f"{self.part}-{self.mode}"


_ASKED: Final = "asked every 5 s, and by the next message"
_WRITTEN: Final = "a file is written there every 5 s, and by the next message"
_TRIED: Final = "a transaction is tried every 2 s, and by the next message"
_ANEW: Final = "SpamAssassin asks anew for each message"


def _cells(part: Part, answer: str, recovery: str, alert: str, **what: str) -> tuple[Failure, ...]:
    """Return the cells of one part: what happens, by mode (with "_" for "-")."""
    return tuple(
        msgspec.convert(
            {
                "part": part, "mode": mode.replace("_", "-"), "what": text, "answer": answer,
                "recovery": recovery, "alert": alert,
            },
            Failure,
        )
        for mode, text in what.items()
    )  # fmt: skip


_FULL: Final = "no room is left"
_NO_INODES: Final = "no inode is left: nothing new can be made"
_READ_ONLY: Final = "nothing can be written"

TABLE: Final[tuple[Failure, ...]] = (
    *_cells(
        "clamd", NOT_INSPECTED, _ASKED, "clamd",
        down="nobody listens on its socket",
        hanging="no answer in [clamd] timeout_s",
        garbage="an answer that is not its protocol's",
        dying="it hangs up in the middle of a scan",
    ),
    *_cells(
        "spamd", NOT_INSPECTED, _ASKED, "spamd",
        down="nobody listens on its socket",
        hanging="no answer in [spamd] timeout_s",
        garbage="an answer that is not its protocol's",
        dying="it hangs up in the middle of its answer",
    ),
    *_cells(
        "scanner", NOT_INSPECTED, _ASKED, "scanner-*",
        down="the command is not there",
        hanging="no end in [[scanner]] timeout_s; it is killed",
        garbage="an exit code that is neither clean nor infected",
        dying="a signal ends it",
    ),
    *_cells(
        "parse", NOT_INSPECTED, _ASKED, "parse",
        down="its process cannot be started",
        hanging="no answer in [parse] timeout_s; it is killed",
        garbage="an answer that is none, or more than it may be",
        dying="a signal or a crash ends it",
    ),
    *_cells(
        "ledger", NOT_CARRIED_OUT, "the next process, which the supervisor starts; who waits asks that one", "ledger",
        down="its process has ended",
        hanging="no answer in [ledger] timeout_s; silent for 30 s, it is killed",
        garbage="an answer that is none",
        dying="the connection ends before the answer, again and again",
    ),
    *_cells(
        "inject", NOT_CARRIED_OUT, _ASKED, "inject",
        down="nobody listens on the MTA's socket",
        hanging="no answer in [inject] timeout_s",
        garbage="an answer that is no SMTP",
        dying="the MTA hangs up before it has taken the message",
    ),
    *_cells("spool-disk", NO_ROOM, _WRITTEN, "spool", full=_FULL, no_inodes=_NO_INODES, read_only=_READ_ONLY),
    *_cells("store-disk", NOT_CARRIED_OUT, _WRITTEN, "store", full=_FULL, no_inodes=_NO_INODES, read_only=_READ_ONLY),
    *_cells(
        "ledger-disk", NOT_CARRIED_OUT, _TRIED, "ledger",
        full=f"{_FULL}; retention has some of its own, for what is past its time",
        no_inodes="no inode is left, and the database is to be opened; one that is open goes on",
        read_only=_READ_ONLY,
    ),
    *_cells(
        "dns", JUDGED, _ANEW, "",
        down="nobody answers: spamd judges without its network rules",
        hanging="spamd waits rbl_timeout, then judges without its network rules",
        garbage="spamd takes no answer that does not fit its question",
    ),
)  # fmt: skip
