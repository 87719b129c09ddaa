"""Kinds of the resolver."""

from dataclasses import dataclass

from roles.kinds.base import LineOption
from roles.settings import Gateway

# Whose values hold blanks and are one text all the same.
_ONE_TEXT = frozenset({"module-config", "trust-anchor"})


@dataclass(frozen=True, slots=True)
class UnboundOption(LineOption):
    """An option of unbound.conf(5), asked of the running daemon; each line of the value is an option of its own."""

    def line(self, gateway: Gateway) -> str:
        values = self.wanted(gateway).splitlines()
        return "\n".join(f"{self.key}: {self._written(value)}" for value in values)

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"unbound-control get_option {self.key}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return _bare(answer) == _bare(self.wanted(gateway))

    def _written(self, value: str) -> str:
        return f'"{value}"' if self.key in _ONE_TEXT else value


def _bare(text: str) -> list[list[str]]:
    """Return the values of an option in a fixed order, without what does not count: quotes and blanks."""
    return sorted(line.replace('"', "").split() for line in text.splitlines() if line.strip())
