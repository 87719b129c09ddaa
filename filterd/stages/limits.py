"""The bounds of taking a message apart. What lies behind one was not looked at, so it is never clean."""

from typing import Final

from .stage import Rule, Stage, Verdict

CONTENT_TIME: Final = Rule(
    id="limit.content-time",
    verdict=Verdict.OVER_LIMIT,
    title="The `[[content]]` rules took longer than half of `[parse] seconds`",
)

STAGE: Final = Stage(
    id="limit",
    title="No message costs more than its bounds",
    why="One message that grows without end, in bytes, parts, depth or time, would stop the filter or pass it unseen.",
    cost=2,
    rules=(
        CONTENT_TIME,
        # Exports and logs are as long: their bytes are scanned, only files in disguise are not looked for in them.
        Rule(
            id="limit.text",
            verdict=Verdict.OVER_LIMIT,
            title="More text inside of archives than is searched for files in disguise (48 MiB)",
            mode="warn",
        ),
        Rule(
            id="limit.body-text",
            verdict=Verdict.OVER_LIMIT,
            title="More text than `[parse] text_bytes`, or 50,000 addresses in it: the rest was not looked at for links",
            mode="warn",
        ),
        # What cannot be opened has a class of its own.
        Rule(
            id="limit.passwords",
            verdict=Verdict.OVER_LIMIT,
            title="What no password opened, and the message has more of them than `[parse] passwords`, or than are tried",
            mode="warn",
        ),
        *(
            Rule(id=f"limit.{name}", verdict=Verdict.OVER_LIMIT, title=title)
            for name, title in (
                ("message", "The message is larger than `[milter] max_message_bytes`"),
                ("header", "A header, or all of them, is longer than `[milter] max_header_bytes`"),
                ("parts", "More MIME parts than `[parse] parts`"),
                ("depth", "More containers within each other than `[parse] depth`"),
                ("entries", "More members of archives than `[parse] entries`"),
                ("bytes", "More bytes unpacked than `[parse] bytes`"),
                ("leaf", "A content of more bytes than `[parse] leaf_bytes`"),
                ("ratio", "A member that grows more than `[parse] ratio`-fold"),
                ("overlap", "Members of an archive that share their bytes"),
                ("time", "Taking it apart took longer than `[parse] seconds`"),
                ("memory", "Taking it apart took more memory than `[parse] memory_bytes`"),
                (
                    "content-text",
                    "More text than `[parse] text_bytes`, and a `[[content]]` rule about bodies to see it",
                ),
                ("findings", "More findings than one message can explain"),
            )
        ),
    ),
)
