"""What was not seen: how many claims, for which reasons, and whether a host was looked at from outside at all."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from audit.engine import Item, Result
from audit.evidence import is_claim

# So many different reasons are named, the rest is counted.
REASONS_SHOWN = 4


def summary(results: Sequence[Result]) -> str:
    """Return how many claims were not seen and why, the commonest reason first: `2 claims not seen: no root`."""
    reasons = Counter(result.why for result in results if result.state == "not seen")
    count = reasons.total()
    said = f"{count} claim{'' if count == 1 else 's'} not seen"
    return f"{said}: {_named(reasons)}" if reasons else said


def blind(chosen: Sequence[Item], results: Sequence[Result]) -> Iterator[str]:
    """Give one sentence for each host of which nothing was seen from outside although claims were to be looked at.

    Results without a single look from outside say what a host says of itself, so they must not pass for a proof.
    Claims that the control host looks at count only where no other was chosen: they need no way outside, and would
    hide that there is none.
    """
    looks = {item.id: item.check.vantage for item in chosen if is_claim(item.check)}
    outside = {name for name, vantage in looks.items() if vantage != "control"} or set(looks)
    for host, group in groupby(results, key=lambda result: result.host):
        rows = [result for result in group if result.item in outside]
        if rows and all(result.state == "not seen" for result in rows):
            reasons = Counter(result.why for result in rows)
            yield (
                f"{host}: nothing was seen from outside: {_named(reasons)}; "
                "the host's audit_* data in the inventory say from where to look (audit/target.py)"
            )


def _named(reasons: Counter[str]) -> str:
    shown = [why for why, _ in reasons.most_common(REASONS_SHOWN)]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, f"{more} more reasons"] if more else shown)
