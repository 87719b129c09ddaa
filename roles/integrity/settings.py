"""Settings of the integrity layer."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@")


class Integrity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is compared each night with what the last deploy left, and where the control host keeps a copy of that."""

    engine: Annotated[
        Literal["aide", "none"],
        Meta(
            description="What compares; `none`: nothing does. docs/integrity.md says why there is one to choose."
        ),
    ] = "aide"
    at: Annotated[
        str,
        Meta(
            pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
            description="Time of day of the look, by the gateway's clock; best after the nightly upgrades.",
        ),
    ] = "05:30"
    watch: Annotated[
        tuple[str, ...],
        Meta(description="Further files and directories, with all below them, that nobody should change."),
    ] = ()
    leave_out: Annotated[
        dict[str, str],
        Meta(
            description="Files and directories that are not watched, each with its reason, which stands in the configuration."
        ),
    ] = {}
    copies: Annotated[
        str,
        Meta(
            description="Directory on the control host for a copy of each gateway's baseline and the key that signs it; `~` is "
            "your home. Whoever can write there can hide a change.",
            min_length=1,
        ),
    ] = "~/.local/state/bastide/integrity"


def integrity_problems(settings: Integrity) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used."""
    for name, paths in (("watch", settings.watch), ("leave_out", tuple(settings.leave_out))):
        for path in paths:
            if not path.startswith("/") or path == "/" or path.endswith("/") or set(path) - _PLAIN:
                yield (
                    f"integrity.{name}",
                    f"{path!r} is no path that can be named; write it whole and without a slash at its end, like /srv/keys",
                )
    for path, why in settings.leave_out.items():
        if not why.strip() or not why.isprintable():
            yield (
                "integrity.leave_out",
                f"{path} has no reason on one line; say why its changes are of no interest",
            )
    if set(settings.watch) & set(settings.leave_out):
        yield "integrity.leave_out", "a path is watched and left out; name it in one of both"
