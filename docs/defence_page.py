"""The page of all defences, layer by layer, drawn from the records that deploy, audit and tests read."""

import importlib
from collections.abc import Iterable, Sequence

from audit import engine, evidence
from audit.engine import Item
from docs.markdown import code, page, table
from roles import claims, kinds
from roles.claims import Claim, Reply
from roles.defence import Defence
from roles.kinds import Kind, need_of
from roles.settings import Gateway

_SOURCE = """\
Each row is one record of `roles/<layer>/defences.py`. The deploy renders it, the audit asks the live host for what
it sets and tries what it claims, the acceptance tests bear its id. Values are those of the gateway in
`inventory/example.py`. Rows are requirement ids. A host has the defences up to its `hardening_level`; the weight, 1 to 10, is
what one counts in a score, by the rule in [assess.md](assess.md). To add one see [CONTRIBUTING.md](../CONTRIBUTING.md)."""


def text(layers: Sequence[tuple[str, tuple[Defence, ...]]], gateway: Gateway) -> str:
    """Return the page for these layers, with values for this gateway."""
    everything = [defence for _, defences in layers for defence in defences]
    checks = sum(len(each.sets) + len(each.claims) for each in everything)
    seen = sum(bool(each.claims) for each in everything)
    summary = (
        f"{len(everything)} defences in {len(layers)} layers, {checks} checks; "
        f"{seen} defences are seen from outside, for the others the reason stands why not.\n"
    )
    sections = [_layer(name, defences, gateway) for name, defences in layers]
    return page("Defences", _SOURCE, summary, *sections, _legend(everything))


def _layer(name: str, defences: Sequence[Defence], gateway: Gateway) -> str:
    purpose = importlib.import_module(f"roles.{name}").__doc__ or ""
    overview = table(
        ("Id", "Defence", "Level", "Weight", "Rows", "Sets", "Claims"),
        (
            (
                f"[{each.id}](#{_anchor(each.id)})",
                each.title,
                each.level,
                str(each.weight),
                ", ".join(each.rows),
                str(len(each.sets)),
                str(len(each.claims)) if each.claims else "unseen",
            )
            for each in defences
        ),
    )
    details = [_defence(each, gateway) for each in defences]
    return "\n".join([f"## {name}\n", f"{purpose.strip()}\n", overview, *details])


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading: no dots."""
    return heading.replace(".", "")


def _defence(defence: Defence, gateway: Gateway) -> str:
    parts = [f"### {defence.id}\n", f"{defence.title}. {defence.why}\n"]
    if defence.cost:
        parts.append(f"Costs: {defence.cost}\n")
    items = engine.items([defence])
    settings = [(item.check, item) for item in items if evidence.is_kind(item.check)]
    if settings:
        parts.append(
            table(
                ("Kind", "Set", "Value"),
                (_setting(check, gateway) for check, _ in settings),
            )
        )
    seen = [item for item in items if evidence.is_claim(item.check)]
    if seen:
        parts.append(
            table(
                ("Check", "From", "Does", "Must see", "Must fail on"),
                (_claim(item, gateway) for item in seen),
            )
        )
    else:
        parts.append(f"Unseen from outside: {defence.unseen}\n")
    parts += [f"Not available under {mta}: {why}\n" for mta, why in defence.lacks.items()]
    return "\n".join(parts)


def _setting(kind: Kind, gateway: Gateway) -> tuple[str, ...]:
    mta: str = getattr(kind, "mta", None) or ""
    need = need_of(kind)
    name = f"{code(kind.name())}{f' (needs: {need})' if need else ''}"
    return f"{type(kind).__name__}{f' ({mta})' if mta else ''}", name, code(kind.wanted(gateway))


def _claim(item: Item, gateway: Gateway) -> tuple[str, ...]:
    check = item.check
    if not evidence.is_claim(check):
        raise TypeError(f"{item.id} is a setting, not a claim")
    refuting = evidence.seen(getattr(check, "refuted_by", None))
    return code(item.id), check.vantage, _deed(check), _wish(check, gateway), code(refuting)


def _wish(claim: Claim, gateway: Gateway) -> str:
    """Return what must be seen: a pattern as code, all else in words."""
    pattern: str | None = getattr(claim, "matches", None)
    return evidence.wanted(claim, gateway) if pattern is None else f"a reply that matches {code(pattern)}"


def _deed(claim: Claim) -> str:
    """Return what the probe does, where the claim's name does not say it."""
    if not isinstance(claim, Reply):
        return type(claim).__name__
    how = "all at once, unasked" if claim.early else "line by line"
    return f"{how}:<br>" + "<br>".join(code(line) for line in claim.lines)


def _legend(everything: Iterable[Defence]) -> str:
    """Return what the kinds and claims are that the records use."""
    used = {type(check) for each in everything for check in (*each.sets, *each.claims)}
    rows = [
        (each.__name__, module.__name__, " ".join((each.__doc__ or "").partition("\n\n")[0].split()))
        for module in (kinds, claims)
        for each in sorted(used, key=lambda each: each.__name__)
        if each.__module__ == module.__name__
    ]
    return "## Kinds and claims\n\n" + table(("Name", "Where", "What it is"), rows)
