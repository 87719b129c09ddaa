"""Dispositions become milter replies: pure. The texts that the world reads live here.

They are generic: they name our rule, so that the sender can quote it and we can find it, and the queue id;
never an engine's words, a signature or a software version.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from .milter.replies import Continue, InsertHeader, Reply, ReplyCode
from .policy import Disposition
from .stages import Verdict

HEADER: Final = b"X-Bastide-Verdict"
_QUEUE_ID: Final = re.compile(rb"[A-Za-z0-9]{1,32}")

_REJECT: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    Verdict.INFECTED: ("550", "5.7.1", "Message refused: virus"),
    Verdict.SPAM: ("550", "5.7.1", "Message refused: spam"),
    Verdict.OVER_LIMIT: ("552", "5.3.4", "Message refused: too large to be inspected"),
    Verdict.NOT_INSPECTED: ("550", "5.7.1", "Message refused: it could not be inspected"),
}
_TEMPFAIL: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    Verdict.INFECTED: ("451", "4.7.1", "Message not accepted for now: policy"),
    Verdict.SPAM: ("451", "4.7.1", "Message not accepted for now: policy"),
    Verdict.OVER_LIMIT: ("451", "4.3.4", "Message not accepted for now: too large to be inspected"),
    Verdict.NOT_INSPECTED: ("451", "4.7.1", "Message not inspected, please try again later"),
}

TOO_MANY_RECIPIENTS: Final = ReplyCode("452", "4.5.3", ("Too many recipients",))  # RFC 5321 4.5.3.1.10
NO_ROOM: Final = ReplyCode("451", "4.3.1", ("Message not accepted for now: no room",))


def text_id(queue_id: bytes | None) -> str:
    """Return a queue id that is fit for a reply, or "none"."""
    return queue_id.decode("ascii") if queue_id and _QUEUE_ID.fullmatch(queue_id) else "none"


def replies(
    dispositions: Sequence[Disposition], queue_id: bytes | None, *, add_header: bool
) -> tuple[Reply, ...]:
    """Return the replies to the end of a message: edits, then the one that settles it.

    A milter answers once for all recipients, so the strictest action wins: none gets what another was refused.
    """
    refusals = {"reject": _REJECT, "tempfail": _TEMPFAIL}
    for action, texts in refusals.items():
        for one in dispositions:
            if one.action == action:
                status, enhanced, text = texts[one.verdict]
                return (ReplyCode(status, enhanced, (f"{text} [{one.rule}] id={text_id(queue_id)}",)),)
    if add_header and dispositions:
        return (InsertHeader(0, HEADER, dispositions[0].verdict.encode("ascii")), Continue())
    return (Continue(),)


def reply_text(reply: Reply) -> str:
    """Return a settling reply as the log shows it."""
    if isinstance(reply, ReplyCode):
        return f"{reply.status} {reply.enhanced} {' '.join(reply.lines)}"
    return type(reply).__name__.lower()
