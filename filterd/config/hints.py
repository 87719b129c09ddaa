"""What a configuration may say, and its writer has perhaps not meant: told by `filterd check`, refused by nobody."""

import shutil
from collections.abc import Iterator
from typing import Final

from . import Config
from .conditions import network

_VIRUS: Final = "virus.signature"


def hints(config: Config) -> Iterator[str]:
    """Yield one sentence each: the setting, what it leads to, and what would be usual."""
    tables = [("[rules]", config.rules)]
    tables += [(f"[[group]] {group.name} rules", group.rules) for group in config.group]
    for where, rules in tables:
        if (mode := rules.get(_VIRUS, "on")) != "on":
            yield (
                f'{where} {_VIRUS!r} = "{mode}" delivers known malware: remove the line, or say what becomes of it in the'
                " chain infected"
            )
    for scanner in config.scanner:
        if shutil.which(scanner.command[0]) is None:
            yield (
                f"[[scanner]] {scanner.name} command: {scanner.command[0]} is no program that can be run: install it, or"
                " all mail waits with 451"
            )
    for text in config.policy.internal_networks:
        if network(text).prefixlen == 0:
            yield f"[policy] internal_networks: {text} makes all mail outbound: name your own networks"
    for entry in config.list:
        if entry.verdict == "accept" and entry.authentication == "none" and not entry.clients:
            yield (
                f'[[list]] {entry.name} authentication = "none": whoever writes that sender passes the spam engine; remove the'
                " line, or name clients"
            )
