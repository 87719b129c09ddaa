"""The sections about parts of the daemon and the engines that it asks."""

from typing import Annotated

from msgspec import Meta

from .base import MIB, AbsolutePath, Many, Seconds, Section, SocketPath


class MilterSettings(Section, frozen=True, kw_only=True):
    """``[milter]``: where the MTA finds the filter, and what one peer may take up. Times in seconds."""

    socket: SocketPath = "/var/spool/postfix/filterd/milter.sock"
    socket_mode: Annotated[str, Meta(pattern=r"\A0[0-7]{3}\Z")] = "0660"
    socket_group: Annotated[str, Meta(max_length=64)] = (
        "postfix"  # "" leaves the group as the directory gives it
    )
    workers: Annotated[int, Meta(ge=0, le=256)] = 0  # 0: one a core
    max_connections: Many = 400  # of all workers; more wait in the listen queue
    max_message_bytes: Annotated[int, Meta(ge=1024, le=2048 * MIB)] = 50 * MIB  # greater is "over-limit"
    # Below the 60000 bytes at which Postfix was seen to cut a header in silence: what is longer may be half of one.
    max_header_bytes: Annotated[int, Meta(ge=1024, le=MIB)] = 56 * 1024  # longer is "over-limit"
    max_all_headers_bytes: Annotated[int, Meta(ge=1024, le=16 * MIB)] = 256 * 1024  # more is "over-limit"
    max_recipients: Many = 1000
    spool_dir: AbsolutePath = "/var/lib/filterd"
    spool_memory_bytes: Annotated[int, Meta(ge=0, le=1024 * MIB)] = MIB  # greater messages go to spool_dir
    idle_timeout_s: Seconds = 900  # between messages; longer than any SMTP time-out of the MTA
    message_timeout_s: Seconds = 1800  # from MAIL to the last byte
    scan_timeout_s: Seconds = 240  # below Postfix's milter_content_timeout (300)
    progress_s: Seconds = 15
    drain_s: Seconds = 30  # what messages in progress get at a stop


class ClamdSettings(Section, frozen=True, kw_only=True):
    """``[clamd]``: the virus engine. ``max_concurrent`` is for all workers together."""

    socket: SocketPath = "/run/clamav/clamd.ctl"
    fdpass: bool = True
    timeout_s: Seconds = 120
    max_concurrent: Many = 10
    warn_age_hours: Annotated[int, Meta(ge=0, le=8760)] = (
        24  # an older signature database raises an alert; 0: none
    )


class SpamdSettings(Section, frozen=True, kw_only=True):
    """``[spamd]``: the spam engine. Of a message longer than ``max_bytes`` it gets the first ``start_bytes``."""

    socket: SocketPath = "/run/spamd/spamd.sock"
    user: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._@-]{0,64}\Z")] = ""
    timeout_s: Seconds = 90
    max_concurrent: Many = 5
    max_bytes: Annotated[int, Meta(ge=1024, le=64 * MIB)] = 512 * 1024
    # What is so long is long by its attachments, which score nothing and cost as much as text.
    start_bytes: Annotated[int, Meta(ge=1024, le=64 * MIB)] = 128 * 1024


class LogSettings(Section, frozen=True, kw_only=True):
    """``[log]``: how much a peer may write into one log line.

    With ``details`` a line quotes what a rule matched: words of the subject and text, file names, links.
    """

    max_field: Annotated[int, Meta(ge=32, le=1024)] = 256  # characters
    max_recipients: Annotated[int, Meta(ge=1, le=100)] = 20
    details: bool = False


class ExecScanner(Section, frozen=True, kw_only=True):
    """``[[scanner]]``: a further virus engine, run as a command with the content on its standard input.

    ``clean`` and ``infected`` list its exit codes; any other code is "not inspected". The signature is the first
    group of ``signature`` (a regular expression) in its output.
    """

    name: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z")]
    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=64)]
    clean: tuple[int, ...] = (0,)
    infected: tuple[int, ...] = (1,)
    signature: str = ""
    timeout_s: Seconds = 120
    max_concurrent: Many = 2
