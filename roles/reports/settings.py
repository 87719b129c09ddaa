"""Settings of the daily report."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from roles.forms import is_mail_address


class Reports(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The report of each day, made in the night behind it."""

    address: Annotated[str, Meta(description="Address that gets it; empty: `notify_admin`.")] = ""
    at: Annotated[
        str,
        Meta(
            pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
            description="Time of day at which it is made, by the gateway's clock.",
        ),
    ] = "00:15"
    days: Annotated[int, Meta(ge=1, le=3650, description="Days for which it is kept on the gateway.")] = 90
    rows: Annotated[
        int,
        Meta(ge=1, le=1000, description="Rows of each table: senders, recipients, clients, rules."),
    ] = 20


def report_problems(settings: Reports) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used."""
    if settings.address and not is_mail_address(settings.address):
        yield (
            "reports.address",
            f"{settings.address!r} is not a mail address; write it like postmaster@example.org",
        )
