"""Domains beyond ASCII: settings take them as they are read, and everything is made of their A-labels (RFC 5890 2.3.2).

Only Postfix's tables hold both: with SMTPUTF8 (RFC 6531) an envelope may name a domain either way, and Postfix looks it up as
it came (its SMTPUTF8_README).
"""

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from filterd.domains import in_ascii, in_unicode
from roles.errors import SettingError

if TYPE_CHECKING:
    from roles.settings import Gateway

# Settings that name domains by their keys, and that hold addresses; deeper ones stand in `in_a_labels`.
_BY_DOMAIN = ("relay_domains", "recipients")
_ADDRESSES = ("administrator", "notify_admin")


def in_a_labels(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return inventory data with A-labels for U-labels. Raises SettingError for a name given twice, or that is none."""
    found = dict(data)
    for name in _BY_DOMAIN:
        if isinstance(own := found.get(name), Mapping):
            found[name] = _keys(name, own)
    for name in _ADDRESSES:
        if isinstance(own := found.get(name), str):
            found[name] = _address(name, own)
    if isinstance(tls := found.get("tls"), Mapping) and isinstance(own := tls.get("mandatory"), Mapping):
        found["tls"] = {**tls, "mandatory": _keys("tls.mandatory", own)}
    if isinstance(out := found.get("outbound"), Mapping) and _is_list(out.get("sender_domains")):
        named = [_domain("outbound.sender_domains", each) for each in out["sender_domains"]]
        found["outbound"] = {**out, "sender_domains": named}
    if isinstance(rules := found.get("mta_rules"), Mapping):
        own_rules = {
            word: [_rule(f"mta_rules.{word}", rule) for rule in rules[word]]
            for word in ("sender", "recipient")
            if _is_list(rules.get(word))
        }
        found["mta_rules"] = {**rules, **own_rules}
    return found


def spellings(gateway: "Gateway", *domains: str) -> tuple[str, ...]:
    """Return how an envelope may name domains, given in A-labels: also in U-labels where the MTA takes such."""
    if gateway.mta != "postfix" or not gateway.mta_rules.smtputf8:
        return domains
    return tuple(dict.fromkeys(name for domain in domains for name in (domain, in_unicode(domain))))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _keys(setting: str, own: Mapping[Any, Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in own.items():
        name = _domain(setting, key)
        if name in found:
            raise SettingError(
                f"setting `{setting}`: {key!r} is {name!r}, which stands there already; leave one of them out"
            )
        found[name] = value
    return found


def _domain(setting: str, text: Any) -> Any:  # noqa: ANN401 - what is no text is refused where it is typed
    if not isinstance(text, str) or text.isascii():
        return text
    name = in_ascii(text)
    # A mark, a blank or a symbol has no place in a name (RFC 5892); nor has what is not written as everybody reads it.
    odd = any(unicodedata.category(letter)[0] not in "LMN" for letter in text if not letter.isascii())
    if not name.isascii() or odd or in_unicode(name) != text:
        raise SettingError(
            f"setting `{setting}`: {text!r} is not a domain in lower case; write it like {in_unicode(name)!r}, or in A-labels"
        )
    return name


def _address(setting: str, text: str) -> str:
    local, at, domain = text.rpartition("@")
    dot = "." if domain.startswith(".") else ""
    return f"{local}{at}{dot}{_domain(setting, domain.removeprefix('.'))}" if at else text


def _rule(setting: str, rule: Any) -> Any:  # noqa: ANN401 - as above
    match = rule.get("match") if isinstance(rule, Mapping) else None
    if not isinstance(match, str) or match.startswith("/"):
        return rule
    return {**rule, "match": _address(setting, match)}
