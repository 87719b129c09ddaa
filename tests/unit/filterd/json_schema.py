"""As much of JSON Schema as the schemas of docs/filterd.md and docs/ledger.md use; a keyword that is not here is an error."""

from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_SILENT = frozenset(
    {"title", "description", "default", "$defs", "items", "properties", "required", "additionalProperties"}
)


def mistakes(value: Any, schema: dict[str, Any], top: dict[str, Any], path: str = "$") -> list[str]:
    """Return what keeps a value from being of a schema."""
    found: list[str] = []
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                found += mistakes(value, top["$defs"][wanted.rpartition("/")[2]], top, path)
            case "type":
                good = isinstance(value, _TYPES[wanted]) and (
                    wanted == "boolean" or not isinstance(value, bool)
                )
                found += [] if good else [f"{path} is no {wanted}"]
            case "enum":
                found += [] if value in wanted else [f"{path} is none of {wanted}"]
            case "anyOf":
                found += (
                    []
                    if any(not mistakes(value, each, top, path) for each in wanted)
                    else [f"{path} is none"]
                )
            case _ if keyword not in _SILENT:
                raise AssertionError(f"{keyword} is not known here")
    return found + _inside(value, schema, top, path)


def _inside(value: Any, schema: dict[str, Any], top: dict[str, Any], path: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{path} lacks {name}" for name in schema.get("required", ()) if name not in value]
        found += [
            f"{path}.{name} is not in the schema" for name in value.keys() - schema["properties"].keys()
        ]
        for name in value.keys() & schema["properties"].keys():
            found += mistakes(value[name], schema["properties"][name], top, f"{path}.{name}")
    if isinstance(value, dict) and isinstance(each := schema.get("additionalProperties"), dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            found += mistakes(value[name], each, top, f"{path}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, each in enumerate(value):
            found += mistakes(each, schema["items"], top, f"{path}[{number}]")
    return found
