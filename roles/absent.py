"""What a platform cannot have yet: the setting that asks for it, what may be said there instead, and why.

The first value that may be said is that platform's default. The platforms themselves are rows of roles/platforms.py, which
reads the settings that this is a part of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from roles.settings import Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """One thing: its setting by the path in the inventory, the values that do not ask for it, and why it is not there."""

    setting: str
    allowed: tuple[object, ...]
    why: str


ABSENT: Final[Mapping[str, tuple[Absent, ...]]] = {
    "el9": (
        Absent(setting="mta", allowed=("postfix",), why="EL's Sendmail is not driven yet"),
        Absent(
            setting="tls.certificate",
            allowed=("self-signed", "files"),
            why="neither EL 9 nor EPEL has the ACME client",
        ),
        Absent(
            setting="tls.mta_sts",
            allowed=(False,),
            why="neither EL 9 nor EPEL has the daemon that fetches policies",
        ),
        Absent(
            setting="integrity.engine",
            allowed=("none",),
            why="what explains changes of files knows dpkg alone as yet",
        ),
    )
}


def completed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return inventory data with its platform's defaults, where the platform cannot have what is the default elsewhere."""
    found = dict(data)
    for each in ABSENT.get(str(data.get("platform")), ()):
        group, _, name = each.setting.rpartition(".")
        if not group:
            found.setdefault(name, each.allowed[0])
        elif isinstance(own := found.get(group, {}), Mapping):
            found[group] = {name: each.allowed[0], **own}
    return found


def absent_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what this gateway's platform cannot have."""
    for each in ABSENT.get(gateway.platform, ()):
        value: Any = gateway
        for name in each.setting.split("."):
            value = getattr(value, name)
        if value not in each.allowed:
            words = " or ".join(repr(one) for one in each.allowed)
            yield each.setting, f"{value!r} is not possible on {gateway.platform}: {each.why}; write {words}"
