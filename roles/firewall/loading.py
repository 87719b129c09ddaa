"""Loading: the operation that puts whole rulesets into the kernel, with a way back that needs nobody."""

from collections.abc import Generator
from io import StringIO

from pyinfra import host
from pyinfra.api import (
    FactBase,
    FileUploadCommand,
    FunctionCommand,
    StringCommand,
    operation,
)
from typing_extensions import override

from roles.confirming import armed, confirmation
from roles.firewall.others import nft_kept
from roles.firewall.ruleset import BOOT_DIRECTORY, canonical
from roles.kinds.packets import STRIPPED, TOOLS
from roles.operations import shell

ROLLBACK = "bastide-firewall-rollback"


class Rulesets(FactBase[dict[str, str]]):
    """The live and the persistent filter tables of both families, by ``live4``, ``live6``, ``file4`` and ``file6``."""

    default = dict

    @override
    def command(self) -> str:
        parts = [(f"live{family}", f"{tool}-save -t filter") for family, tool in TOOLS.items()]
        parts += [(f"file{family}", f"cat {BOOT_DIRECTORY}/rules.v{family}") for family in TOOLS]
        return (
            "; ".join(f"echo @{name}; {command} 2>/dev/null | {STRIPPED}" for name, command in parts)
            + "; true"
        )

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        name = ""
        for line in output:
            if line.startswith("@"):
                name = line[1:]
                found[name] = ""
            else:
                found[name] += f"{line}\n"
        return found


@operation()
def ruleset_loaded(
    v4: str, v6: str, confirm_seconds: int
) -> Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]:
    """Load both families' rulesets, whole and atomically, with a commit-confirm.

    Both are tested first. A timer on the host puts the former rulesets back after ``confirm_seconds`` unless a fresh ssh
    connection, opened through the new rules, stops it; so a ruleset that cuts the administrator off undoes itself, also
    when this run or its session is dead. Only a confirmed ruleset becomes the one that is loaded at boot.
    """
    wanted = {4: v4, 6: v6}
    now = host.get_fact(Rulesets)
    if all(
        canonical(now.get(f"{place}{family}", "")) == canonical(text)
        for family, text in wanted.items()
        for place in ("live", "file")
    ):
        host.noop("both rulesets are live and persistent")
        return
    yield shell(f"mkdir -p {BOOT_DIRECTORY}")
    for family, text in wanted.items():
        yield FileUploadCommand(StringIO(text), f"{BOOT_DIRECTORY}/rules.v{family}.new")
    yield shell(
        "; ".join(
            f"{tool}-restore --test {BOOT_DIRECTORY}/rules.v{family}.new" for family, tool in TOOLS.items()
        )
    )
    yield shell(armed(ROLLBACK, _save(), _brought_back(), confirm_seconds))
    # Until a rule asks for connection states the kernel keeps none, and the session that runs this would be no known
    # connection to the new rules. A rule without a target changes nothing but that; the next packets make it known.
    yield shell(
        "; ".join(f"{tool} -w 10 -I INPUT -m conntrack --ctstate ESTABLISHED" for tool in TOOLS.values())
    )
    yield shell(_load())
    yield confirmation(ROLLBACK, confirm_seconds, "ruleset")
    yield shell("\n".join(_still_live(family) for family in TOOLS))
    yield shell(
        "; ".join(
            f"mv -f {BOOT_DIRECTORY}/rules.v{family}.new {BOOT_DIRECTORY}/rules.v{family}" for family in TOOLS
        )
        + "; sync"
    )


def _save() -> str:
    """Return the script that keeps the filter tables of both families: as iptables says them, or nft where it is nft's."""
    before = f"{BOOT_DIRECTORY}/rules.v%d.before"
    return "\n".join(
        f"{tool}-save -t filter >{before % family}\n{nft_kept(family, before % family)}"
        for family, tool in TOOLS.items()
    )


def _load() -> str:
    return "; ".join(
        f"{tool}-restore -w 10 {BOOT_DIRECTORY}/rules.v{family}.new" for family, tool in TOOLS.items()
    )


def _brought_back() -> str:
    """Return the script that brings back what ``_save`` has kept, each family's in one step."""
    before = f"{BOOT_DIRECTORY}/rules.v%d.before"
    return "; ".join(
        f"if [ -e {before % family}.nft ]; then nft -f {before % family}.nft; else {tool}-restore -w 10 {before % family}; fi"
        for family, tool in TOOLS.items()
    )


def _still_live(family: int) -> str:
    """Return the script that fails unless the new ruleset is what the kernel holds: the timer may have won the race."""
    live = f"{TOOLS[family]}-save -t filter | {STRIPPED}"
    return f'[ "$({live})" = "$({STRIPPED} <{BOOT_DIRECTORY}/rules.v{family}.new)" ] || {{ echo "the former rules are back" >&2; exit 1; }}'
