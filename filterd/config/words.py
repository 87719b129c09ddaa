"""msgspec's messages in the words of this file: which setting, what is wrong with it, and what would be right."""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

_WHERE: Final = re.compile(r" - at (?:`(key|value)` in )?`\$\.?([^`]*)`$")
_PIECE: Final = re.compile(r"\[(\d+)\]|\[\.\.\.\]|([^.\[\]]+)")

# Settings of earlier versions, and where they have gone.
_MOVED: Final = {
    "spamd.reject_score": "[policy] precision says from which score a message is spam",
    **{
        f"policy.{name}": f"write it as a chain, [policy.chains] {name}"
        for name in ("infected", "spam", "over_limit", "not_inspected")
    },
}


def explained(text: str, top: type[Struct], given: Mapping[str, object]) -> str:
    """Return setting, mistake and remedy of a msgspec.ValidationError's ``text``.

    ``top`` is the type of the file, ``given`` what stands in it.
    """
    where = _WHERE.search(text)
    what = text[: where.start()] if where else text
    path = list(_pieces(where.group(2) if where else ""))
    is_key = where is not None and where.group(1) == "key"
    label = _label([*path, ""] if is_key and path else path, given)
    if unknown := re.search(r"unknown field `([^`]*)`", what):
        table = _label([*path, ""], given) if path else label
        known = _struct_at(top, path).__struct_fields__
        remedy = _MOVED.get(".".join((*map(str, path), unknown.group(1)))) or hint(unknown.group(1), known)
        return f"{table} has no setting {unknown.group(1)!r}; {remedy}"
    if is_key:
        return f"{label}: {_lower(what)} (the name of an entry); correct it"
    if what.startswith("Invalid enum value") and (choices := _choices(top, path)):
        return f"{label}: {_lower(what)}; choose from {', '.join(choices)}"
    default = _default(top, path)
    remedy = (
        "correct it"
        if default is None
        else f"correct it or remove the line (the default is {shown(default)})"
    )
    return f"{label}: {_lower(what)}; {remedy}"


def hint(wrong: str, known: tuple[str, ...]) -> str:
    """Return the remedy for a name that is not known: the likely one, or all."""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def shown(value: object) -> str:
    """Return a value as the user would write it; a list as JSON and TOML have it."""
    return msgspec.json.encode(value).decode() if isinstance(value, tuple | dict | date) else repr(value)


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def _pieces(path: str) -> Iterator[str | int]:
    for index, name in _PIECE.findall(path):
        if index or name:
            yield int(index) if index else name


def _label(path: list[str | int], given: Mapping[str, object]) -> str:
    """Return a path as the file writes it: ``[policy.chains] spam, step 1``, ``[[group]] 2 (name) times``."""
    if not path:
        return "the file"
    first, *rest = path
    if rest and isinstance(rest[0], int):
        head = f"[[{first}]] {rest[0] + 1}{_named(given.get(str(first)), rest[0])}"
        words = [piece for piece in rest[1:] if isinstance(piece, str) and piece]
        tail = ".".join(words)
    else:
        words = [str(piece) for piece in path if isinstance(piece, str)]
        tables = words[:1] if len(words) < 2 else words[:-1]  # noqa: PLR2004 - a table and a name
        head, tail = f"[{'.'.join(tables)}]", ".".join(words[len(tables) :])
    step = f", entry {rest[-1] + 1}" if tail and isinstance(rest[-1], int) else ""
    return f"{head} {tail}".strip() + step


def _named(entries: object, index: int) -> str:
    """Return the name of an entry of a list of tables, so that nobody has to count."""
    entry = entries[index] if isinstance(entries, list) and index < len(entries) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    return f" ({name})" if isinstance(name, str) and name.isprintable() else ""


def _struct_at(top: type[Struct], path: list[str | int]) -> type[Struct]:
    """Return the struct that reads a place of the file; the last one on the way if the place is none."""
    found = top
    for piece in path:
        if isinstance(piece, str) and piece in found.__struct_fields__:
            inner = _struct_in(get_type_hints(found)[piece])
            found = inner if inner is not None else found
    return found


def _struct_in(hint_: object) -> type[Struct] | None:
    """Return the struct that a type is, or that a list of it holds."""
    if isinstance(hint_, type) and issubclass(hint_, Struct):
        return hint_
    if get_origin(hint_) in {tuple, Annotated}:
        return _struct_in(get_args(hint_)[0])
    return None


def _choices(top: type[Struct], path: list[str | int]) -> tuple[str, ...]:
    """Return the words that the setting at a place may be, if these are few."""
    if not path or not isinstance(path[-1], str):
        return ()
    found: object = get_type_hints(_struct_at(top, path[:-1])).get(path[-1])
    while get_origin(found) in {Annotated, dict}:
        found = get_args(found)[-1]
    return get_args(found) if get_origin(found) is Literal else ()


def _default(top: type[Struct], path: list[str | int]) -> object:
    """Return the default of the setting at a place, or None if there is none."""
    if not path or not isinstance(path[-1], str):
        return None
    struct = _struct_at(top, path[:-1])
    for field in msgspec.structs.fields(struct):
        if field.name == path[-1] and field.default is not msgspec.NODEFAULT:
            return None if isinstance(field.default, Struct) else field.default
    return None
