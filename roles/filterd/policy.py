"""An operator's own policy: the setting ``filterd_policy`` as tables of filterd.toml.

It is plain values, shaped as filterd.toml is (docs/policy.md). filterd's own strict loader says what is wrong with
it while the deploy is planned, long before a host is touched.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from filterd.config import StoreSettings, taken
from filterd.config.policy import Chains
from filterd.errors import ConfigError

CHAINS: Final = Chains.__struct_fields__
# What may stand in the setting; None is a whole table. All else of filterd.toml follows from other settings.
_OPEN: Final[Mapping[str, tuple[str, ...] | None]] = {
    "policy": ("chains", "tag_subject", "tries"),
    "group": None,
    "list": None,
    "rules": None,
    "content": None,
    "attachments": None,
    "links": None,
    "html": None,
    "parse": None,
    "scanner": None,
    "notify": ("stamps", "language", "sender_address", "per_hour"),
    # Where they are is the role's business.
    "store": tuple(name for name in StoreSettings.__struct_fields__ if name not in {"directory", "key_file"}),
    "ledger": ("days", "timeout_s", "busy_s"),
    "recycle": None,
    "log": ("details",),
}
# Tables that the template writes itself; it asks for their own lines with `lines`.
_IN_TEMPLATE: Final = ("policy", "notify", "store", "ledger", "log")


def chain(policy: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the steps of a class's chain: the operator's, or filterd's default."""
    own = policy.get("policy", {}).get("chains", {})
    return tuple(own.get(name, getattr(Chains(), name)))


def problem(
    policy: Mapping[str, Any], *, precision: str, internal_networks: Sequence[str], admin: str
) -> str:
    """Return what is wrong with an operator's policy, and the remedy, or ""."""
    for table, own in policy.items():
        if table not in _OPEN:
            return f"[{table}] is not the operator's to set; known are {', '.join(_OPEN)}"
        names = _OPEN[table]
        for name in own if names is not None and isinstance(own, Mapping) else ():
            if name not in (names or ()):
                return f"[{table}] {name} is not set here; known are {', '.join(names or ())}"
    whole: dict[str, Any] = {table: own for table, own in policy.items() if table not in {"policy", "notify"}}
    try:
        whole["policy"] = {
            "precision": precision, "internal_networks": list(internal_networks), **policy.get("policy", {})
        }  # fmt: skip
        whole["notify"] = {"admin": admin, **policy.get("notify", {})}
        taken(toml(whole).encode(), "", here=False)
    except ConfigError as error:
        return str(error).removeprefix(": ")
    except TypeError as error:
        return f"{error}; write it as filterd.toml has it"
    return ""


def tables(policy: Mapping[str, Any]) -> str:
    """Return the operator's tables that the template does not write itself, as TOML."""
    return toml({table: own for table, own in policy.items() if table not in _IN_TEMPLATE})


def lines(policy: Mapping[str, Any], table: str) -> str:
    """Return the operator's lines for a table that the template writes, without tables inside of it but stamps."""
    own = {name: value for name, value in policy.get(table, {}).items() if name != "chains"}
    return "".join(_table(table, own, head=False))


def toml(document: Mapping[str, Any]) -> str:
    """Return plain values as TOML. Raises TypeError for what TOML has no form for."""
    return "".join(line for name, value in document.items() for line in _any(str(name), value))


def _any(path: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _table(path, value)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for entry in value:
            if not isinstance(entry, Mapping):
                raise TypeError(f"{path!r} is no list of tables")
            yield from _table(path, entry, brackets=2)
    else:
        raise TypeError(f"{path!r} is no table")


def _table(path: str, own: Mapping[str, Any], *, brackets: int = 1, head: bool = True) -> Iterator[str]:
    """Yield a table: its head, its values, then the tables within it (TOML 1.0: that is their only order)."""
    if head:
        yield f"\n{'[' * brackets}{path}{']' * brackets}\n"
    for name, value in own.items():
        if not isinstance(value, Mapping):
            yield f"{_key(name)} = {_value(value)}\n"
    for name, value in own.items():
        if isinstance(value, Mapping):
            yield from _table(f"{path}.{_key(name)}", value)


def _key(name: object) -> str:
    return _value(str(name))


def _value(value: object) -> str:
    """Return a value; JSON's spelling of texts, numbers and lists is TOML's too, but for DEL, which must be escaped."""
    if isinstance(value, str | bool | int | float):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(each) for each in value)}]"
    raise TypeError(f"{value!r} is neither text, number, truth value, day nor list")
