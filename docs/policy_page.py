"""docs/policy.md: the policy language; its prose and examples stand in docs/sources/policy.md, its tables in the code."""

from pathlib import Path

from docs.markdown import NOTICE, code, table
from filterd.carry.templates import PLACEHOLDERS
from filterd.config.actions import ACTIONS, Sort
from filterd.config.policy import Chains
from filterd.findings import Verdict
from filterd.policy import PRECEDENCE, PRECISION, STRICTNESS
from filterd.stages import ORDER

SOURCE = Path(__file__).parent / "sources" / "policy.md"
_SORTS: dict[Sort, str] = {
    "side": "side step: the chain goes on",
    "attempt": "attempt: ends the chain if it succeeds",
    "end": "end",
}
_CLASSES = {
    Verdict.CLEAN: "Nothing counts against it",
    Verdict.INFECTED: "An engine knows it as malware",
    Verdict.SUSPICIOUS: "Active or deceptive content: macros, smuggled files, links that lie",
    Verdict.BANNED: "What the operator does not want: extensions, types, content rules",
    Verdict.ENCRYPTED: "Nobody can look into it without a password",
    Verdict.MALFORMED: "Two mail readers may read it differently",
    Verdict.OVER_LIMIT: "It costs more to look at than is allowed; the rest was not looked at",
    Verdict.NOT_INSPECTED: "An engine or a parse worker was down, late or wrong",
    Verdict.SPAM: "Its score is that of spam",
    Verdict.BURST: "Somebody inside sends more than `[outbound]` allows",
    Verdict.BULK: "Its score is that of bulk mail",
}


def text() -> str:
    """Return the page: the source, with each `@NAME@` line replaced by its table."""
    text = SOURCE.read_text()
    for name, made in _tables().items():
        if f"@{name}@\n" not in text:
            raise ValueError(f"{SOURCE.name} has no place for @{name}@; put it where the table is to stand")
        text = text.replace(f"@{name}@\n", made)
    return f"{NOTICE}\n<!-- Its prose and examples stand in docs/sources/{SOURCE.name}. -->\n\n{text}"


def _tables() -> dict[str, str]:
    return {
        "ACTIONS": _actions(),
        "CLASSES": _classes(),
        "PLACEHOLDERS": _placeholders(),
        "PRECISION": _precision(),
        "RULES": _rules(),
        "STRICTNESS": " > ".join(STRICTNESS) + "\n",
    }


def _actions() -> str:
    rows = [
        (code(f"{kind.name} {kind.takes}".strip()), _SORTS[kind.sort], kind.title.replace("|", "\\|"))
        for kind in ACTIONS
    ]
    return table(("Action", "Sort", "What it does"), rows)


def _classes() -> str:
    chains = Chains()
    rows = []
    for verdict in (*PRECEDENCE, Verdict.CLEAN):
        name = verdict.value.replace("-", "_")
        steps = ", ".join(getattr(chains, name))
        rows.append(
            (verdict.value, code(name), _CLASSES[verdict], code(steps) if steps else "none: delivered")
        )
    return table(("Class", "Chain", "Meaning", "Default"), rows)


def _placeholders() -> str:
    rows = [(code(f"${{{name}}}"), meaning) for name, meaning in PLACEHOLDERS.items()]
    return table(("Placeholder", "What takes its place"), rows)


def _precision() -> str:
    rows = [(code(level), f"{bulk:g}", f"{spam:g}") for level, (bulk, spam) in PRECISION.items()]
    return table(("`precision`", "bulk from", "spam from"), rows)


def _rules() -> str:
    rows = [
        (code(rule.id), rule.verdict.value, rule.mode, rule.title.replace("|", "\\|"))
        for stage in ORDER
        for rule in stage.rules
    ]
    return table(("Rule", "Class", "Mode", "What it finds"), rows)
