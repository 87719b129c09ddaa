"""Tables of settings, drawn from the types that read them: name, type, default, bounds, meaning."""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from docs.markdown import code, paragraph, table

_WORDS: dict[type[types.Type], str] = {
    types.StrType: "text",
    types.BoolType: "true or false",
    types.IntType: "whole number",
    types.FloatType: "number",
    types.AnyType: "any value",
    types.DateType: "date",
}
HEAD = ("Setting", "Type", "Default", "Bounds", "Meaning")


def settings(struct: type[Struct]) -> str:
    """Return the table of a struct's fields.

    A field's meaning is the description in its ``Meta``, or else the comment behind it in the source. Fields that are
    tables themselves are left out.
    """
    info = types.type_info(struct)
    if not isinstance(info, types.StructType):
        raise TypeError(f"{struct.__name__} is not a struct")
    comments = _comments(struct)
    rows = [
        _row(field, comments.get(field.name, "")) for field in info.fields if struct_of(field.type) is None
    ]
    # A column in which nothing stands only takes room.
    kept = [index for index in range(len(HEAD)) if any(row[index] for row in rows)]
    return table([HEAD[index] for index in kept], ([row[index] for index in kept] for row in rows))


def tables(struct: type[Struct], path: tuple[str, ...] = ()) -> Iterator[tuple[str, types.Field, str]]:
    """Yield (dotted name, field, what it means and its settings) of each field that is a struct or holds some.

    Other fields of the outermost struct come with an empty text: what to say of them is the page's matter.
    """
    info = types.type_info(struct)
    if not isinstance(info, types.StructType):
        raise TypeError(f"{struct.__name__} is not a struct")
    for field in info.fields:
        inner, place = struct_of(field.type), (*path, field.encode_name)
        if inner is not None:
            yield ".".join(place), field, f"{paragraph(inner)}\n\n{settings(inner)}"
            yield from tables(inner, place)
        elif not path:
            yield ".".join(place), field, ""


def struct_of(kind: types.Type) -> type[Struct] | None:
    """Return the struct that a type is, may be, or that a list of it holds: such a field is a table of its own."""
    _, bare = _described(kind)
    if isinstance(bare, types.StructType):
        return bare.cls
    if isinstance(bare, types.UnionType):
        return next((found for each in bare.types if (found := struct_of(each)) is not None), None)
    if isinstance(bare, types.DictType):
        return struct_of(bare.value_type)
    return struct_of(bare.item_type) if isinstance(bare, types.VarTupleType | types.ListType) else None


def _row(field: types.Field, comment: str) -> tuple[str, ...]:
    description, bare = _described(field.type)
    given = field.default if field.default is not msgspec.NODEFAULT else _made(field)
    default = "required" if field.required else code(_value(given))
    bounds = "; ".join(_bounds(bare))
    return code(field.encode_name), _type(bare), default, bounds, description or _sentence(comment)


def _made(field: types.Field) -> object:
    """Return the default that a field makes anew each time, such as an empty table."""
    return field.default_factory() if callable(field.default_factory) else None


def _sentence(comment: str) -> str:
    return f"{comment[:1].upper()}{comment[1:]}." if comment and not comment.endswith(".") else comment


def _value(default: object) -> str:
    return msgspec.json.encode(default, order="deterministic").decode()


def _described(kind: types.Type) -> tuple[str, types.Type]:
    """Return the description that a type's ``Meta`` carries, and the type without it."""
    if not isinstance(kind, types.Metadata):
        return "", kind
    description = str((kind.extra_json_schema or {}).get("description", ""))
    inner, bare = _described(kind.type)
    return description or inner, bare


def _type(kind: types.Type) -> str:
    """Return a type in words."""
    _, bare = _described(kind)
    if isinstance(bare, types.LiteralType):
        return " or ".join(code(_value(value)) for value in bare.values)
    if isinstance(bare, types.EnumType):
        return " or ".join(code(_value(value)) for value in bare.cls)
    if isinstance(bare, types.VarTupleType | types.ListType):
        return f"list of {_type(bare.item_type)}"
    if isinstance(bare, types.DictType):
        return f"table: {_type(bare.key_type)} to {_type(bare.value_type)}"
    if type(bare) not in _WORDS:
        raise TypeError(f"docs/struct_table.py has no words for {type(bare).__name__}; add it to _WORDS")
    return _WORDS[type(bare)]


def _bounds(kind: types.Type) -> Iterator[str]:
    """Give what a value must keep to, outermost first."""
    _, bare = _described(kind)
    low, high = getattr(bare, "ge", None), getattr(bare, "le", None)
    above = getattr(bare, "gt", None)
    if above is not None:
        yield f"above {above:g}"
    if low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None or high is not None:
        yield f"{low} or more" if low is not None else f"up to {high}"
    shortest, longest = getattr(bare, "min_length", None), getattr(bare, "max_length", None)
    unit = "characters" if isinstance(bare, types.StrType) else "entries"
    if shortest is not None:
        yield f"{shortest} {unit} or more"
    if longest is not None:
        yield f"up to {longest} {unit}"
    if (pattern := getattr(bare, "pattern", None)) is not None:
        yield f"matches {code(pattern)}"
    for inner in ("key_type", "value_type", "item_type"):
        if (each := getattr(bare, inner, None)) is not None:
            yield from (f"each: {bound}" for bound in _bounds(each))


def _comments(struct: type[Struct]) -> dict[str, str]:
    """Return the comment that ends each field of a class, by field; read from the source, where it stands."""
    source = Path(inspect.getfile(struct)).read_text()
    body = next(
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == struct.__name__
    ).body
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            parts = [comments[line].lstrip("# ") for line in lines if line in comments]
            found[node.target.id] = " ".join(part for part in parts if not part.startswith("noqa"))
    return found
