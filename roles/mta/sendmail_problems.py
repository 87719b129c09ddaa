"""What is declared and Sendmail cannot do: refused before anything is changed, rather than left out in silence."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from roles.forms import next_hop_port, next_hops
from roles.mta.rules import AccessRule, is_regexp

if TYPE_CHECKING:
    from roles.settings import Gateway


# What Python and PCRE know and POSIX's extended expressions (regcomp(3)) do not, or read in another way.
_NOT_POSIX: Final = re.compile(r"\(\?|[*+?}][?+]|\\[A-Za-z0-9'`<>]|(?<!\\)\[[^]]*\\")
# A number sign begins a comment there, also within quotes: the rest of the line, and the rule's id, would be left out.
_UNQUOTED: Final = re.compile(r'["\\$#]')


def sendmail_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what this gateway's MTA cannot be told."""
    if gateway.mta != "sendmail":
        return
    rules = gateway.mta_rules
    for rule in rules.every():
        if isinstance(rule, AccessRule) and (problem := _rule_problem(rule)):
            yield f"mta_rules.{rule.word}", f"rule {rule.name}: {problem}"
    if rules.content:
        yield (
            "mta_rules.content",
            f"{rules.content[0].name}: Sendmail looks at no content; write it as a `[[content]]` rule of `filterd_policy`",
        )
    if rules.headers_7bit:
        yield "mta_rules.headers_7bit", "Sendmail passes headers on as they come; leave it out"
    for setting, hops in (
        *(("relay_domains", text) for text in gateway.relay_domains.values()),
        ("outbound.smarthost", gateway.outbound.smarthost),
    ):
        if len({next_hop_port(hop) for hop in next_hops(hops)}) > 1:
            yield setting, f"{hops!r}: Sendmail tries next hops at one port; give them the same"
    for domain, check in gateway.recipients.items():
        if check.method == "ldap":
            yield "recipients", f"{domain}: Sendmail is told of no directory; use the method `list`"


def _rule_problem(rule: AccessRule) -> str:
    """Return what Sendmail cannot do of a rule, and the remedy, or an empty text."""
    if is_regexp(rule.match) and _NOT_POSIX.search(rule.match.replace("\\d", "")):
        return f"{rule.match} is more than POSIX's extended regular expressions, and Sendmail has no others; write it in those"
    if _UNQUOTED.search(rule.text):
        return f"the text {rule.text!r} has a quote, backslash, dollar or number sign, which Sendmail's rules cannot hold; leave it out"
    return ""
