"""``[report]``: the daily report."""

from typing import Annotated

from msgspec import Meta

from .base import AbsolutePath, Section


class ReportSettings(Section, frozen=True, kw_only=True):
    """``[report]``: what `filterd report` makes of a day, where it is kept, and who gets it."""

    directory: AbsolutePath = "/var/lib/filterd/reports"
    days: Annotated[int, Meta(ge=1, le=3650)] = 90  # how long reports stay
    address: str = ""  # who gets it; "": the admin of [notify]
    rows: Annotated[int, Meta(ge=1, le=1000)] = 20  # of each table
    refusals: Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=4096)] = (
        ""  # table by which Postfix's words name their rule; "" under another MTA
    )
    notes: Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=4096)] = (
        ""  # directory in which the host's other watchers say what is wrong: a file each, of one line
    )
