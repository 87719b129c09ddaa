"""Refusals: dispositions become the texts that the world reads. Pure.

The texts are generic: they name our rule, so that the sender can quote it and we can find it, and the queue id;
never an engine's words, a signature or a software version.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from .carry.inject import Obstacle
from .disposition import Disposition
from .findings import Verdict
from .milter.replies import Continue, Discard, Reply, ReplyCode

_QUEUE_ID: Final = re.compile(rb"[A-Za-z0-9]{1,32}")

_REJECT: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    Verdict.CLEAN: ("550", "5.7.1", "Message refused: policy"),
    Verdict.INFECTED: ("550", "5.7.1", "Message refused: virus"),
    Verdict.SUSPICIOUS: ("550", "5.7.1", "Message refused: suspicious content"),
    Verdict.BANNED: ("550", "5.7.1", "Message refused: content of this kind is not accepted"),
    Verdict.ENCRYPTED: ("550", "5.7.1", "Message refused: encrypted content cannot be inspected"),
    Verdict.MALFORMED: ("550", "5.6.0", "Message refused: it is not built as the standards say"),
    Verdict.OVER_LIMIT: ("552", "5.3.4", "Message refused: too large to be inspected"),
    Verdict.NOT_INSPECTED: ("550", "5.7.1", "Message refused: it could not be inspected"),
    Verdict.SPAM: ("550", "5.7.1", "Message refused: spam"),
    Verdict.BURST: ("550", "5.7.1", "Message refused: too many messages"),
    Verdict.BULK: ("550", "5.7.1", "Message refused: bulk mail"),
}
_POLICY_LATER: Final = ("451", "4.7.1", "Message not accepted for now: policy")
_TEMPFAIL: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    **dict.fromkeys(Verdict, _POLICY_LATER),
    Verdict.OVER_LIMIT: ("451", "4.3.4", "Message not accepted for now: too large to be inspected"),
    Verdict.BURST: ("451", "4.7.1", "Message not accepted for now: too many messages"),
    Verdict.NOT_INSPECTED: ("451", "4.7.1", "Message not inspected, please try again later"),
}
_NEVER: Final[Mapping[Obstacle, tuple[str, str, str]]] = {
    "size": ("552", "5.3.4", "Message refused: too large to be handed on"),
    "address": ("554", "5.1.0", "Message refused: an address of its envelope cannot be handed on"),
}

TOO_MANY_RECIPIENTS: Final = ReplyCode("452", "4.5.3", ("Too many recipients",))  # RFC 5321 4.5.3.1.10
NO_ROOM: Final = ReplyCode("451", "4.3.1", ("Message not accepted for now: no room",))


def text_id(queue_id: bytes | None) -> str:
    """Return a queue id that is fit for a reply, or "none"."""
    return queue_id.decode("ascii") if queue_id and _QUEUE_ID.fullmatch(queue_id) else "none"


def refusal(dispositions: Sequence[Disposition], queue_id: bytes | None) -> ReplyCode | None:
    """Return the refusal that all recipients share, or None when nobody's fate is one.

    A milter answers once for all; the policy sees to it that all are refused, or none.
    """
    for fate, texts in (("tempfail", _TEMPFAIL), ("reject", _REJECT)):
        for one in dispositions:
            if one.fate == fate:
                status, enhanced, text = texts[one.verdict]
                rule = f" [{one.rule}]" if one.rule else ""
                return ReplyCode(status, enhanced, (f"{text}{rule} id={text_id(queue_id)}",))
    return None


def not_carried_out(queue_id: bytes | None) -> ReplyCode:
    """Return the answer when something that the policy wanted could not be done: nothing is lost, it comes again."""
    return ReplyCode("451", "4.3.0", (f"Message not accepted for now: local problem id={text_id(queue_id)}",))


def never_carried_out(obstacle: Obstacle, queue_id: bytes | None) -> ReplyCode:
    """Return the answer when what the policy wanted can never be done: to come again would help nobody."""
    status, enhanced, text = _NEVER[obstacle]
    return ReplyCode(status, enhanced, (f"{text} id={text_id(queue_id)}",))


def settling(dispositions: Sequence[Disposition], queue_id: bytes | None) -> Reply:
    """Return the reply that would settle the message: what `filterd scan` shows."""
    refused = refusal(dispositions, queue_id)
    if refused is not None:
        return refused
    return Continue() if any(one.fate == "deliver" for one in dispositions) else Discard()


def reply_text(reply: Reply) -> str:
    """Return a settling reply as the log shows it."""
    if isinstance(reply, ReplyCode):
        return f"{reply.status} {reply.enhanced} {' '.join(reply.lines)}"
    return type(reply).__name__.lower()
