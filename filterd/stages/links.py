"""Where links lead: not where they say, to a host that looks like another, or to a program of the reader's."""

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import Final, Literal
from urllib.parse import unquote

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse.links import (
    Target,
    addresses_in,
    host_of,
    ip_of,
    looks_like_host,
    read_target,
    registrable,
    shown_host,
)
from filterd.parse.lookalikes import imitated

from .stage import Finding, Rule, Stage, Verdict

_RULES: Final[tuple[tuple[str, Literal["on", "warn"], str], ...]] = (
    ("mismatch", "warn", "A link that shows the address of another domain than it leads to"),
    (
        "lookalike",
        "warn",
        "A host whose name looks like another's (punycode, mixed scripts, digits for letters)",
    ),
    ("ip-host", "warn", "A link to a bare IP address, also written as a number"),
    ("shortener", "warn", "A link through a shortener (`[links] shorteners`), which conceals where it leads"),
    ("userinfo", "on", "A link with a host name before the @, which is not where it leads"),
    ("credentials", "warn", "A link that carries a user name"),
    ("bidi", "warn", "A link with characters that reverse the order of what is shown"),
    (
        "scheme",
        "on",
        "A link that starts a program known for holes (`ms-msdt:`, `search-ms:`) or opens a file share of the Internet",
    ),
    ("program", "warn", "A link that starts a program of the reader's (`ms-word:`, `ldap:`)"),
    ("script", "warn", "A link that is a script or a document itself (`javascript:`, `vbscript:`, `data:`)"),
    (
        "local-file",
        "warn",
        "A link to a file of the reader's own or of a host without a public name (`file:`)",
    ),
)
# Programs that a click starts, and that have let attackers in (CVE-2022-30190 and its kin).
_HANDLERS: Final = frozenset(
    {"search-ms", "search", "shell", "hcp", "mhtml", "mk", "ms-its", "its", "res", "jar", "ms-msdt", "ms-officecmd",
     "ms-search", "ms-appinstaller", "ms-cxh", "ms-cxh-full", "ms-itss"}
)  # fmt: skip
# Names that only a network's own servers have (RFC 2606, RFC 6762 appendix G).
_PRIVATE: Final = frozenset(
    {"local", "lan", "internal", "intranet", "corp", "home", "private", "localdomain"}
)
# Places of source code, whose addresses name the user before the @.
_CLONED: Final = re.compile(r"\.git(?:/|$)|/(?:_git|scm)/")
# Top-level domains that are family names or words as well: first.last is no host.
_NAMES: Final = frozenset(
    {"name", "me", "info", "dev", "li", "lu", "ng", "kim", "my", "pro", "no", "is", "hu"}
)
_DOCUMENTS: Final = frozenset({"javascript", "vbscript", "livescript", "mocha", "data"})
_OVERRIDES: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ANY_BIDI: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_AT_DOMAIN: Final = re.compile(r"@([\w.-]{1,253})")
_CORRESPONDENTS: Final = frozenset({"from", "to", "cc", "reply-to", "sender"})
_MAX_DOMAINS: Final = 50
_LEAST_IP: Final = 7  # characters: what is shorter is somebody's number
_MAX_SHOWN: Final = 80
_MAX_ADDRESSES: Final = 50_000  # in texts: a quarter of a second
_TOO_MANY: Final = Finding(
    stage="limit",
    verdict=Verdict.OVER_LIMIT,
    rule="limit.body-text",
    detail=f"more than {_MAX_ADDRESSES} addresses",
)


def judge(anatomy: Anatomy, inspection: Inspection) -> tuple[Finding, ...]:
    """Report what is wrong with the links of HTML, and with the addresses that stand in texts. Once a rule and path.

    A link to a host of ``[links] allowed`` (or below one) is never reported.
    """
    settings = inspection.links
    allowed, shorteners = _hosts(settings.allowed), _hosts(settings.shorteners)
    domains = _correspondents(anatomy)
    found: dict[tuple[str, str], Finding] = {}
    for path, text, address in anatomy.links:
        target = read_target(address)
        if not _below(target.host or target.share, allowed):
            for rule in _wrong(text, address, target, domains):
                _add(found, rule, path, f"{text[:_MAX_SHOWN]!r} leads to {address[:_MAX_SHOWN]!r}")
            if _below(target.host, shorteners):
                _add(found, "shortener", path, address[:_MAX_SHOWN])
    addresses = list(islice(_in_texts(anatomy), _MAX_ADDRESSES + 1))
    for part, address in addresses[:_MAX_ADDRESSES]:
        target = read_target(address)
        if not _below(target.host, allowed):
            for rule in _hidden(target, domains, address):
                _add(found, rule, part, address[:_MAX_SHOWN])
            if _below(target.host, shorteners):
                _add(found, "shortener", part, address[:_MAX_SHOWN])
    return (*found.values(), *([_TOO_MANY] if len(addresses) > _MAX_ADDRESSES else []))


def _in_texts(anatomy: Anatomy) -> Iterator[tuple[str, str]]:
    """Yield (part, address) of all addresses that stand in texts."""
    for part, text in anatomy.texts:
        for address in dict.fromkeys(addresses_in(text)):
            yield part, address


def _add(found: dict[tuple[str, str], Finding], rule: str, path: str, detail: str) -> None:
    if (rule, path) not in found:
        found[rule, path] = Finding(
            stage="links",
            verdict=Verdict.SUSPICIOUS,
            rule=f"link.{rule}",
            detail=detail,
            part=path.partition("!")[0],
            path=path,
        )


def _wrong(text: str, address: str, target: Target, domains: frozenset[str]) -> Iterator[str]:
    """Yield the rules that a link of HTML meets."""
    if target.scheme in _HANDLERS or (target.share and not _is_near(target.share)):
        yield "scheme"
    elif target.scheme.startswith("ms-") or target.scheme == "ldap":
        yield "program"
    elif target.scheme in _DOCUMENTS:
        yield "script"
    elif target.scheme == "file" or target.share:
        yield "local-file"
    yield from _hidden(target, domains, address)
    shown = shown_host(text)
    if shown and target.host and registrable(shown) != registrable(target.host):
        yield "mismatch"
    turned = _OVERRIDES.search(text) and ("." in text or "/" in text)
    if turned or _ANY_BIDI.search(unquote(address) if "%" in address else address):
        yield "bidi"


def _is_near(host: str) -> bool:
    """Return whether a server is one of the reader's own network, where nobody from elsewhere can put a file."""
    if address := ip_of(host):
        return ip_address(address).is_private
    labels = host.split(".")
    return len(labels) == 1 or labels[-1] in _PRIVATE


def _hidden(target: Target, domains: frozenset[str], address: str) -> Iterator[str]:
    """Yield the rules that an address meets by itself."""
    if target.user:
        name = target.user.partition("/")[0].partition(":")[0]
        host_like = "@" not in name and (looks_like_host(name) or (len(name) >= _LEAST_IP and ip_of(name)))
        first, _, last = name.lower().partition(".")
        person = (last in _NAMES and first != "www") or (":" not in target.user and _CLONED.search(address))
        yield "userinfo" if host_like and not person else "credentials"
    if target.ip:
        yield "ip-host"
    elif target.host and imitated(target.host, domains):
        yield "lookalike"


@lru_cache(maxsize=8)
def _hosts(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(host_of(name.removeprefix("*.").removeprefix(".")) for name in names)


def _below(host: str, names: frozenset[str]) -> bool:
    """Return whether a host is one of the names, or below one."""
    if not names or not host:
        return False
    labels = host.split(".")
    return any(".".join(labels[at:]) in names for at in range(len(labels)))


def _correspondents(anatomy: Anatomy) -> frozenset[str]:
    """Return the registered domains of sender and recipients: what a link is likeliest to imitate."""
    found: dict[str, None] = {}
    for name, value in anatomy.headers:
        if name in _CORRESPONDENTS:
            for match in _AT_DOMAIN.finditer(value):
                found[registrable(host_of(match[1]))] = None
                if len(found) == _MAX_DOMAINS:
                    return frozenset(found)
    return frozenset(found)


STAGE: Final = Stage(
    id="links",
    title="Links lead where they say",
    why="Most intrusions begin with a link that looks like the way to somebody who is known.",
    cost=2,
    rules=(
        *(
            Rule(id=f"link.{name}", verdict=Verdict.SUSPICIOUS, title=title, mode=mode)
            for name, mode, title in _RULES
        ),
        Rule(id="link.count", verdict=Verdict.OVER_LIMIT, title="More links than are looked at"),
    ),
    judge=judge,
)
