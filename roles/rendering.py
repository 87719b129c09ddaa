"""Rendering: a layer's templates, filled from its settings and its defence records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from roles.defence import Defence
from roles.kinds import FilterdOption, LineOption, Restriction, TableRestrictions, applies
from roles.platforms import row
from roles.settings import Gateway

_ROLES = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedFile:
    """A file on the host that is wholly ours: path, content, octal mode, owner and group."""

    path: str
    content: str
    mode: str = "644"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFile:
    """A file that a daemon's own tools make of owned files; the check of ``files_owned`` makes it in the stage.

    ``current`` is a shell command that succeeds when the live one is what they would make of the live sources.
    """

    path: str
    current: str


@cache
def _environment() -> Environment:
    # Configuration files are no HTML: nothing to escape, and a value that is missing must stop the deploy.
    return Environment(
        loader=FileSystemLoader(_ROLES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701
    )


def rendered(layer: str, template: str, gateway: Gateway, **values: object) -> str:
    """Return a template of a layer as text; it sees the settings as ``g``, their platform as ``p`` and ``values`` by their names."""
    return (
        _environment()
        .get_template(f"{layer}/templates/{template}")
        .render(g=gateway, p=row(gateway), **values)
    )


def lines(
    defences: Iterable[Defence], kind: type[LineOption], gateway: Gateway
) -> Iterator[tuple[str, list[str]]]:
    """Give each defence's id with its lines of one kind, in the records' order; those without any are left out."""
    for defence in (each for each in defences if each.stands(gateway)):
        own = [
            setting.line(gateway)
            for setting in defence.sets
            if isinstance(setting, kind) and applies(setting, gateway)
        ]
        if own:
            yield defence.id, own


def filterd_options(defences: Iterable[Defence]) -> list[tuple[str, FilterdOption]]:
    """Return each setting of filterd.toml with its defence's id; the template places them in their tables."""
    return [
        (defence.id, setting)
        for defence in defences
        for setting in defence.sets
        if isinstance(setting, FilterdOption)
    ]


def restriction_lists(defences: Iterable[Defence], gateway: Gateway) -> dict[str, list[tuple[str, str]]]:
    """Return each Postfix restriction list with its (defence id, entry) pairs in the records' order.

    An entry of a defence that is only to warn stands behind ``warn_if_reject``.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for defence in (each for each in defences if each.stands(gateway)):
        for setting in defence.sets:
            if isinstance(setting, Restriction | TableRestrictions):
                own = found.setdefault(setting.list, [])
                own += [(defence.id, _warned(entry, defence, gateway)) for entry in setting.entries(gateway)]
    return found


def _warned(entry: str, defence: Defence, gateway: Gateway) -> str:
    refuses = entry.startswith(("reject_", "check_"))
    return f"warn_if_reject {entry}" if refuses and defence.only_warns(gateway) else entry


def named_refusals(defences: Iterable[Defence], gateway: Gateway) -> str:
    """Return the table by which Postfix's own refusals name the record they come of (postconf(5), smtpd_reject_footer_maps)."""
    lines = [
        f"/: {setting.says}$/ \\c (rule {defence.id})"
        for defence in defences
        if defence.stands(gateway)
        for setting in defence.sets
        if isinstance(setting, Restriction | TableRestrictions) and setting.says
    ]
    head = "# Written by Bastide; changes are undone by the next deploy. See pcre_table(5).\n"
    return head + "".join(f"{line}\n" for line in lines)
