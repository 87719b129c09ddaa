"""Malware, by the virus engines: in the message as a whole, and in each content that was found in it.

Both, because each alone is blind: an engine decodes a message in one way, and decoded parts alone lose what stands
between them.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from filterd.anatomy import Leaf
from filterd.errors import ScannerError
from filterd.message import Message
from filterd.parse.dissection import Dissection
from filterd.scanners.engines import Engines
from filterd.scanners.scan import Scannable, VirusEngine

from .stage import Finding, Rule, Stage, Verdict

# Of one message at a time where it has more than a few contents: the engine's other places are for other messages.
_AT_ONCE: Final = 3
_FEW: Final = 32
_MAX_NAME: Final = 200
# Which content (the number of its leaf; None: the message as a whole), the rule, what the engine said.
_Hit = tuple[int | None, Rule, str]
_SIGNATURE: Final = Rule(
    id="virus.signature", verdict=Verdict.INFECTED, title="A virus engine knows the content as malware"
)
_LIMIT: Final = Rule(
    id="virus.limit", verdict=Verdict.OVER_LIMIT, title="A limit of the virus engine kept it from looking"
)
_UNAVAILABLE: Final = Rule(
    id="virus.unavailable", verdict=Verdict.NOT_INSPECTED, title="A virus engine gave no verdict"
)
# What clamd reports that is no signature of malware, by the start of its name (clamd.conf(5): Alert*, DetectPUA,
# StructuredDataDetection, PhishingSignatures).
HEURISTICS: Final[Mapping[str, Rule]] = {
    "Heuristics.Limits.": _LIMIT,
    "Heuristics.Encrypted.": Rule(
        id="virus.encrypted",
        verdict=Verdict.ENCRYPTED,
        title="The virus engine cannot look into what is encrypted",
    ),
    # Honest documents have them too: what a macro does is for the stage `document` to see.
    "Heuristics.OLE2.ContainsMacros": Rule(
        id="virus.macros", verdict=Verdict.SUSPICIOUS, title="An Office document with macros", mode="warn"
    ),
    # Unusual and legal (ISO 32000-1 7.3.5); what is behind such a name is looked at all the same.
    "Heuristics.PDF.ObfuscatedNameObject": Rule(
        id="virus.obfuscated",
        verdict=Verdict.SUSPICIOUS,
        title="A PDF that spells names in hexadecimal",
        mode="warn",
    ),
    "Heuristics.Broken.": Rule(
        id="virus.broken", verdict=Verdict.SUSPICIOUS, title="A broken executable or picture"
    ),
    "Heuristics.Phishing.": Rule(
        id="virus.phishing", verdict=Verdict.SUSPICIOUS, title="A link that shows another address than it has"
    ),
    "Heuristics.Structured.": Rule(
        id="virus.structured", verdict=Verdict.SUSPICIOUS, title="Numbers of payment cards or social security"
    ),
    "PUA.": Rule(
        id="virus.unwanted", verdict=Verdict.SUSPICIOUS, title="A program that is possibly unwanted"
    ),
}


def classify(signature: str) -> Rule:
    """Return the rule for what an engine calls a content. Pure."""
    return next((rule for start, rule in HEURISTICS.items() if signature.startswith(start)), _SIGNATURE)


async def examine(message: Message, engines: Engines, dissection: Dissection) -> tuple[Finding, ...]:
    """Report what each engine finds in the message and in its contents; an engine that fails is a finding too."""
    contents = list(dissection.contents.items())
    asked = [_ask(engine, contents, message.spool) for engine in engines.virus]
    answers = await asyncio.gather(*asked) if len(asked) > 1 else [await asked[0]]
    leaves = dissection.anatomy.leaves
    return tuple(finding for found in answers for finding in _named(found, leaves))


async def _ask(
    engine: VirusEngine, contents: Sequence[tuple[int, Scannable]], whole: Scannable
) -> list[_Hit]:
    """Return what one engine says of each content that it does not find clean.

    The whole message first, then what is in it from the outside inwards: clamd knows a content again that it has just
    found clean, and does not look into it a second time. The other way round it would know the inside of a message before
    it has seen in what that lies, and some signatures are about that.
    """
    hits: list[_Hit] = []
    await _scan(engine, None, whole, hits)
    todo = iter(contents)

    async def lane() -> None:
        for number, content in todo:
            await _scan(engine, number, content, hits)

    if len(contents) <= _FEW:
        await lane()
        return hits
    async with asyncio.TaskGroup() as lanes:
        for _ in range(_AT_ONCE):
            lanes.create_task(lane())
    return hits


async def _scan(engine: VirusEngine, number: int | None, content: Scannable, hits: list[_Hit]) -> None:
    # An engine that has failed is not asked for the rest of this message: it would fail thousands of times.
    if any(rule is _UNAVAILABLE for _, rule, _ in hits):
        return
    try:
        answer = await engine.scan(content)
    except (ScannerError, OSError) as error:
        hits.append((number, _UNAVAILABLE, f"{engine.name}: {error}"))
    else:
        if answer.limit is not None:
            hits.append((number, _LIMIT, answer.limit))
        elif answer.signature is not None:
            hits.append((number, classify(answer.signature), answer.signature))


def _named(hits: Sequence[_Hit], leaves: Sequence[Leaf]) -> Iterator[Finding]:
    """Yield a finding for every part with that content; one about the whole only where no part explains it."""
    explained = {rule.id for number, rule, _ in hits if number is not None}
    same: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        same.setdefault(leaf.digest, []).append(leaf)
    for number, rule, detail in hits:
        if number is None:
            if rule.id not in explained:
                yield _finding(rule, detail)
            continue
        for leaf in same[leaves[number].digest]:
            yield _finding(rule, detail, leaf)


def _finding(rule: Rule, detail: str, leaf: Leaf | None = None) -> Finding:
    return Finding(
        stage=STAGE.id,
        verdict=rule.verdict,
        rule=rule.id,
        detail=detail,
        part=leaf.part if leaf else "",
        path=leaf.path if leaf else "",
        name=leaf.name[:_MAX_NAME] if leaf else "",
    )


STAGE: Final = Stage(
    id="virus",
    title="Known malware is found in any part of the message",
    why="Mail is still the first way in for malware; a signature match needs no judgement.",
    cost=5,
    rules=(_SIGNATURE, *HEURISTICS.values(), _UNAVAILABLE),
    examine=examine,
)
