"""Archives: what cannot be read, or is read in more than one way. Noted by the openers (filterd/parse/)."""

from typing import Final

from .stage import Rule, Stage, Verdict

STAGE: Final = Stage(
    id="archive",
    title="Archives are opened in every way that readers open them",
    why="What the filter cannot open, or opens otherwise than the recipient's program, would pass unseen.",
    cost=3,
    rules=(
        Rule(
            id="archive.ambiguous",
            verdict=Verdict.MALFORMED,
            title="Two readings of an archive differ in the names or the bytes of its members",
        ),
        Rule(
            id="archive.broken",
            verdict=Verdict.MALFORMED,
            title="An archive that cannot be read to its end",
        ),
        Rule(
            id="archive.checksum",
            verdict=Verdict.MALFORMED,
            title="A member whose checksum is wrong (it was read all the same)",
            mode="warn",
        ),
        Rule(
            id="archive.name",
            verdict=Verdict.MALFORMED,
            title="A member's name leads out of the folder that it is unpacked into, or has control characters",
        ),
        Rule(
            id="archive.absolute-name",
            verdict=Verdict.MALFORMED,
            title="A member's name is an absolute path",
            mode="warn",
        ),
        Rule(
            id="archive.unreadable",
            verdict=Verdict.OVER_LIMIT,
            title="What cannot be looked into: unknown compression, one of several volumes, a virtual or raw disk, WIM, DMG",
        ),
        Rule(
            id="archive.encrypted",
            verdict=Verdict.ENCRYPTED,
            title="An archive with members that no password in the message opens",
        ),
        Rule(
            id="archive.password-in-body",
            verdict=Verdict.SUSPICIOUS,
            title="An encrypted archive whose password stands in the message",
            mode="warn",
        ),
    ),
)
