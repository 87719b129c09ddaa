"""``[outbound]``: mail of hosts inside, and of users that have logged in."""

from typing import Annotated

from msgspec import Meta

from .base import Section

Most = Annotated[int, Meta(ge=0, le=1_000_000)]
HeaderName = Annotated[str, Meta(pattern=r"\A[!-9;-~]{1,100}\Z")]


class OutboundSettings(Section, frozen=True, kw_only=True):
    """``[outbound]``: mail from ``[policy] internal_networks``, and of users that have logged in. 0 is no limit."""

    inner_domains: tuple[
        str, ...
    ] = ()  # mail for these alone does not leave the house; nothing is hidden in it
    window_s: Annotated[float, Meta(ge=1, le=86_400)] = 3600  # for which the limits hold
    sender_messages: Most = 0  # of one envelope sender (or user); more is a burst
    sender_recipients: Most = 0
    client_messages: Most = 0  # of one host
    hide_trace: bool = False  # take out Received lines that hosts inside wrote
    hide_headers: tuple[HeaderName, ...] = ()  # take these out, unless a signature covers them
