"""What becomes of a message for some of its recipients: the data that the policy hands to those who carry it out."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from .anatomy import RewriteOrder
from .findings import Finding, Verdict

# deliver: on to the next hop, changed by ``order``. reject, tempfail: the answer to the sender, for all recipients or
# for none. move: into quarantine, the sender is told 250. discard: the same, kept for some days only.
Fate = Literal["deliver", "reject", "tempfail", "move", "discard"]
SideAction = Literal["copy", "archive", "forward", "notify"]
AttemptAction = Literal["clean", "delete", "delete notice", "rename", "disarm"]

# The name of the chain that [html] makes, beside those of [policy.chains].
HTML_CHAIN: Final = "html"


class Attempt(Struct, frozen=True, kw_only=True):
    """A step that makes a message fit for delivery by changing parts of it, or fails.

    ``chain`` is the name in ``[policy.chains]`` ("infected" …), or "html". ``parts`` are paths of MIME parts.
    """

    chain: str
    action: AttemptAction
    parts: tuple[str, ...]


class Side(Struct, frozen=True, kw_only=True):
    """Something done beside the message's own fate.

    ``argument``: the address of forward; "admin", "recipient" or "sender" of notify; else "". ``verdict`` and
    ``rule`` say what it is done for.
    """

    action: SideAction
    argument: str = ""
    verdict: Verdict = Verdict.CLEAN
    rule: str = ""


class Disposition(Struct, frozen=True, kw_only=True):
    """What becomes of the message for these recipients; each recipient of a message is in exactly one.

    ``fate`` is final: of all dispositions of a message, either all are "reject", or all "tempfail", or none is
    either. ``wanted`` is what the chains said for these recipients alone; "reject" that has become "move" because
    others get the message is seen there. ``verdict`` and ``rule`` name what decided, ``findings`` all that counted.
    Only "deliver" has an ``order`` (texts of its edits are empty: whoever carries it out fills them in), ``tags``
    (values of X-Bastide-Tag: class, blank, rule), ``subject`` (to be put before the Subject) and ``attempts``.
    A "tempfail" has no ``sides``: the message comes again.
    """

    recipients: tuple[bytes, ...]
    verdict: Verdict
    fate: Fate
    wanted: Fate
    rule: str = ""
    findings: tuple[Finding, ...] = ()
    order: RewriteOrder = RewriteOrder()
    sides: tuple[Side, ...] = ()
    tags: tuple[str, ...] = ()
    subject: str = ""
    attempts: tuple[Attempt, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the message as it came goes into the store: moved, discarded, copied or archived."""
        return self.fate in {"move", "discard"} or any(
            one.action in {"copy", "archive"} for one in self.sides
        )

    @property
    def rewritten(self) -> bool:
        """Whether the delivered body differs from the one that came (tags change the header only)."""
        return bool(self.order.edits or self.order.stamp)

    def blamed(self, failed_edits: Iterable[int] | None = None) -> frozenset[Attempt]:
        """Return the attempts behind edits that failed (numbers as in Rewritten.failed), to be given to decide().

        None blames all of them: the variant as a whole is not fit. Empty only if there was no attempt at all.
        """
        every = frozenset(self.attempts)
        if failed_edits is None:
            return every
        parts = {
            self.order.edits[number].part for number in failed_edits if 0 <= number < len(self.order.edits)
        }
        return frozenset(one for one in every if parts & set(one.parts)) or every
