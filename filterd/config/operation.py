"""``[recycle]``, ``[metrics]``, ``[hold]``: how long a process lives, where it is asked how it fares, what stops mail."""

from typing import Annotated

from msgspec import Meta

from .base import MIB, Section


class RecycleSettings(Section, frozen=True, kw_only=True):
    """``[recycle]``: when a process is replaced. 0: never for that reason.

    The new worker is there before the old one, which takes no more connections and serves those it has to their end.
    One is replaced at a time, and each up to a tenth earlier than is written here. Parse workers take common mail one after the other;
    their parent is replaced with its worker.
    """

    messages: Annotated[int, Meta(ge=0, le=10_000_000)] = 5000  # that a worker has served
    age_s: Annotated[float, Meta(ge=0, le=2_592_000)] = 7200  # of a worker or of the ledger's process
    rss_bytes: Annotated[int, Meta(ge=0)] = (
        512 * MIB
    )  # resident memory of a worker or of the ledger's process


class MetricsSettings(Section, frozen=True, kw_only=True):
    """``[metrics]``: a unix socket that serves ``/metrics`` (Prometheus's text format) and ``/health`` (JSON) by HTTP.

    The same is served on the sockets that systemd hands over (``filterd-metrics.socket``).
    """

    socket: Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=90)] = (
        "/run/filterd/metrics.sock"  # "": none
    )
    mode: Annotated[str, Meta(pattern=r"\A0[0-7]{3}\Z")] = "0660"
    group: Annotated[str, Meta(max_length=64)] = ""  # "" leaves the group as the directory gives it


class HoldSettings(Section, frozen=True, kw_only=True):
    """``[hold]``: while the file is there, no message is taken: what would not be refused is answered 451.

    Whoever changes the host puts the file there first, and removes it once it is known that the filter still filters. It may survive
    a crash and a reboot. A file that cannot be asked for counts as there.
    """

    file: Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=4096)] = (
        "/var/lib/bastide-updates/hold"  # "": none
    )
