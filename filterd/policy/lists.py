"""The lists of senders: whose mail is refused, and whose spam score does not count.

The attack it stops: a forged sender who passes by a list that he knows to stand on. An entry that accepts holds only
where the sender's domain vouches for the message, and then takes away nothing but the spam score.

Functions take plain entries, whatever they come from: ``[[list]]`` or a database.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from filterd.config import Config, ListEntry
from filterd.config.actions import is_address
from filterd.config.conditions import bare, fits
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.stages.lists import REFUSED, UNPROVEN
from filterd.stages.spam import SCORE

from .groups import direction, within

# SpamAssassin trusts a client of these, or one that has logged in, and asks SPF about a Received line that the message
# brought along (Mail::SpamAssassin::Conf, trusted_networks): there SPF_PASS says nothing of the envelope's sender.
_TRUSTED_CLIENTS: Final = (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "::1/128",
    "fc00::/7", "fe80::/10",
)  # fmt: skip
_SPF: Final = "SPF_PASS"
_DKIM: Final = "DKIM_VALID_AU"
_MOST_NAMED: Final = 5  # recipients, in a finding's detail

Holds = Literal["yes", "no", "not known"]


class Listed(Struct, frozen=True, kw_only=True):
    """What one entry means for one recipient. ``why`` is for `filterd scan`.

    ``holds`` "no": the sender is on the list, but not proven; "not known": nobody has looked for the proof.
    """

    name: str
    verdict: Literal["accept", "reject"]
    holds: Holds
    why: str


class Sender(Struct, frozen=True, kw_only=True):
    """Who a message is from: the envelope's and the header's address, each "" where it is none or not plain.

    ``by_spf`` and ``by_dkim``: whether the domain of the one, or of the other, vouches for it; None: nobody has looked.
    ``outside``: the client is neither the house's own nor at a private address, of which SPF could say nothing.
    """

    envelope: str
    author: str
    by_spf: bool | None
    by_dkim: bool | None
    outside: bool


def sender_of(envelope: Envelope, author: str, findings: Sequence[Finding], config: Config) -> Sender:
    """Return who a message is from. ``author`` is Anatomy.author; what vouches for him stands with the spam score.

    The symbols are names of SpamAssassin's rules, from its answer alone: a parse worker cannot report the score, and
    nothing in a message becomes a symbol.
    """
    scores = [one for one in findings if one.rule == SCORE.id]
    symbols = {symbol for one in scores for symbol in one.detail.split(",")}
    plain = is_address(envelope.sender.decode("ascii", "replace").strip().removeprefix("<").removesuffix(">"))
    outside = direction(envelope, config) == "in" and not within(envelope.client_address, _TRUSTED_CLIENTS)
    return Sender(
        envelope=bare(envelope.sender),
        author=author,
        # What is not written plainly SpamAssassin may read in another way than the list does.
        by_spf=(_SPF in symbols and plain and outside) if scores else None,
        by_dkim=_DKIM in symbols if scores else None,
        outside=outside,
    )


def unproven(sender: Sender, own_domains: Sequence[str]) -> tuple[Finding, ...]:
    """Return the finding about a stranger who sends as one of the house.

    The envelope alone counts: a mailing list has a sender of its own, and brings back a From of the house that no
    signature survives. A forwarder keeps the sender, and what the house has signed is proven by that.
    """
    domain = sender.envelope.rpartition("@")[2]
    if domain not in own_domains or not sender.outside or sender.by_spf is None or sender.by_spf:
        return ()
    if sender.by_dkim and sender.author.rpartition("@")[2] == domain:
        return ()
    lacking = f"no {_SPF} for envelope sender {sender.envelope}, no {_DKIM} of {domain}"
    return (Finding(stage="lists", verdict=Verdict.BANNED, rule=UNPROVEN.id, detail=lacking),)


def in_force(entries: Sequence[ListEntry], envelope: Envelope, now: datetime) -> tuple[ListEntry, ...]:
    """Return the entries that have not run out and mean this client."""
    return tuple(
        one
        for one in entries
        if now.date() <= one.until and (not one.clients or within(envelope.client_address, one.clients))
    )


def listed(entries: Sequence[ListEntry], sender: Sender, recipient: bytes) -> tuple[Listed, ...]:
    """Return what the entries in force mean for a recipient; those that do not name sender or recipient are left out."""
    address = bare(recipient)
    return tuple(
        found
        for one in entries
        if not one.recipients or any(fits(pattern, address) for pattern in one.recipients)
        if (found := _meant(one, sender)) is not None
    )


def _meant(one: ListEntry, sender: Sender) -> Listed | None:
    by_envelope = any(fits(pattern, sender.envelope) for pattern in one.senders)
    by_author = bool(sender.author) and any(fits(pattern, sender.author) for pattern in one.senders)
    if not (by_envelope or by_author):
        return None
    holds: Holds = "yes"
    if one.verdict == "accept" and one.authentication == "required":
        holds, why = _proven(sender, by_envelope=by_envelope, by_author=by_author)
    else:
        why = _named(sender, by_envelope=by_envelope)
    return Listed(name=one.name, verdict=one.verdict, holds=holds, why=why)


def _named(sender: Sender, *, by_envelope: bool) -> str:
    return f"envelope sender {sender.envelope}" if by_envelope else f"From {sender.author}"


def _proven(sender: Sender, *, by_envelope: bool, by_author: bool) -> tuple[Holds, str]:
    """Return whether a listed address is proven: each proof is one of its own address's domain."""
    if by_envelope and sender.by_spf:
        return "yes", f"{_SPF} of envelope sender {sender.envelope}"
    if by_author and sender.by_dkim:
        return "yes", f"{_DKIM} of From {sender.author}"
    if sender.by_spf is None:
        return "not known", f"{_named(sender, by_envelope=by_envelope)}, without a spam score"
    lacking = [f"no {_SPF} for envelope sender {sender.envelope}"] if by_envelope else []
    lacking += [f"no {_DKIM} for From {sender.author}"] if by_author else []
    return "no", ", ".join(lacking)


def refusals(found: Sequence[Listed]) -> tuple[Finding, ...]:
    """Return the finding of each entry that refuses."""
    return tuple(
        Finding(stage="lists", verdict=Verdict.BANNED, rule=REFUSED.id, detail=f"list {one.name}: {one.why}")
        for one in found
        if one.verdict == "reject"
    )


def accepts(found: Sequence[Listed]) -> bool:
    """Whether the spam score does not count."""
    return any(one.verdict == "accept" and one.holds == "yes" for one in found)


def reported(
    envelope: Envelope,
    author: str,
    config: Config,
    now: datetime,
    *,
    entries: Sequence[ListEntry] | None = None,
) -> tuple[Finding, ...]:
    """Return what the stage "lists" reports: each entry that refuses, once, and for whom. Arguments as of decide(). Pure."""
    meant: dict[Finding, list[str]] = {}
    given = config.list if entries is None else entries
    force = in_force([one for one in given if one.verdict == "reject"], envelope, now)
    if not force:
        return ()
    sender = sender_of(envelope, author, (), config)
    for recipient in envelope.recipients or [b""]:
        for finding in refusals(listed(force, sender, recipient)):
            meant.setdefault(finding, []).append(bare(recipient) if recipient else "any recipient")
    return tuple(_for_whom(finding, who) for finding, who in meant.items())


def _for_whom(finding: Finding, who: Sequence[str]) -> Finding:
    more = [f"{len(who) - _MOST_NAMED} more"] if len(who) > _MOST_NAMED else []
    detail = f"{finding.detail}, for {', '.join([*who[:_MOST_NAMED], *more])}"
    return Finding(stage=finding.stage, verdict=finding.verdict, rule=finding.rule, detail=detail)
