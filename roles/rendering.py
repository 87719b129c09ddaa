"""Rendering: a layer's templates, filled from its settings and its defence records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from roles.defence import Defence
from roles.kinds import FilterdOption, LineOption, Restriction
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
    """Return a template of a layer as text; it sees the settings as ``g`` and ``values`` by their names."""
    return _environment().get_template(f"{layer}/templates/{template}").render(g=gateway, **values)


def lines(
    defences: Iterable[Defence], kind: type[LineOption], gateway: Gateway
) -> Iterator[tuple[str, list[str]]]:
    """Give each defence's id with its lines of one kind, in the records' order; those without any are left out."""
    for defence in (each for each in defences if each.stands(gateway)):
        own = [setting.line(gateway) for setting in defence.sets if isinstance(setting, kind)]
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
    """Return each Postfix restriction list with its (defence id, entry) pairs in the records' order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for defence in (each for each in defences if each.stands(gateway)):
        for setting in defence.sets:
            if isinstance(setting, Restriction):
                found.setdefault(setting.list, []).append((defence.id, setting.entry))
    return found
