"""What is wrong with declared rules: each with the setting, the entry and the remedy."""

import re
import warnings
from collections.abc import Iterator, Sequence

from roles.forms import is_fqdn, is_mail_address, network_problem
from roles.mta.literals import address_of
from roles.mta.rule_order import never_reached
from roles.mta.rules import (
    AccessRule,
    ClientRule,
    ContentRule,
    HeloRule,
    MtaRules,
    Rule,
    SenderRule,
    is_regexp,
    network_of,
    pattern,
)

# Each is a restriction whose refusal may be held back; to hold back the relay's would open it. The records say the same:
# tests/unit/roles/mta/test_rules.py compares.
WARNABLE = (
    "mta.fqdn-recipient",
    "mta.fqdn-sender",
    "mta.helo-form",
    "mta.helo-fqdn",
    "mta.helo-known",
    "mta.sender-domain",
    "mta.recipient-domain",
    "mta.recipient-verified",
)
# Whoever accepts more than these does not know whom.
WIDEST_ACCEPT = {4: 8, 6: 16}
# Neither has anything to do with the other, nor with anybody's mail: what matches both matches everything.
_ANYBODY = ("qz7.invalid", "x4@w9.test")
_LONGEST = 500
# What stands for itself in an expression: a character behind a backslash, and all between brackets.
_LITERAL = re.compile(r"\\.|\[\^?\]?(?:\\.|[^]\\])*\]")
# pcre2pattern(3), "Repetition": since 10.43 the lower bound may be left out, and blanks may stand within the braces.
_TWO_WAYS = re.compile(
    r"\{((?: *, *\d+ *)|(?: +\d+ *(?:, *\d* *)?)|(?:\d+ +(?:, *\d* *)?)|(?:\d+,(?: +\d* *|\d+ +)))\}"
)
_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])", re.IGNORECASE)
_GLOB = re.compile(r"[A-Za-z0-9*_.-]{1,253}")


def rules_problems(rules: MtaRules) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for all that is declared of one gateway's rules."""
    for word in ("client", "helo", "sender", "recipient", "content"):
        yield from rule_problems(f"mta_rules.{word}", getattr(rules, word))
    if rules.headers_7bit and rules.smtputf8:
        yield "mta_rules.headers_7bit", "it refuses what `smtputf8` invites; leave one of them out"
    for name in rules.warn_only:
        if name not in WARNABLE:
            yield (
                "mta_rules.warn_only",
                f"{name!r} is no defence that can only warn; these can: {', '.join(WARNABLE)}",
            )


def rule_problems(setting: str, rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong with which entry and the remedy) for each rule of one setting that cannot be used."""
    seen: dict[str, int] = {}
    for number, rule in enumerate(rules, 1):
        where = f"entry {number} ({rule.name})"
        if rule.name in seen:
            yield (
                setting,
                f"{where} has the name of entry {seen[rule.name]}; give each rule a name of its own",
            )
        seen.setdefault(rule.name, number)
        for problem in _problems(rule):
            yield setting, f"{where}: {problem}"
    for number, first in never_reached(rules):
        rule, earlier = rules[number - 1], rules[first - 1]
        problem = f"entry {number} ({rule.name}) is never reached: entry {first} ({earlier.name}) matches all that it does"
        yield setting, f"{problem}; move it up, or remove it"


def _problems(rule: Rule) -> Iterator[str]:
    if problem := _match_problem(rule):
        yield problem
        return
    if rule.text != rule.text.strip():
        yield "the text begins or ends with a blank; remove it"
    if isinstance(rule, ContentRule):
        if rule.verb == "warn" and rule.mode == "warn":
            yield "the verb `warn` changes nothing already; leave `mode` out"
        return
    if rule.verb == "accept":
        if rule.mode == "warn":
            yield "there is nothing to warn of in a rule that accepts; leave `mode` out"
        if rule.text:
            yield "nobody is told the text of a rule that accepts; write it into `reason`"
        if accepts_anybody(rule):
            yield f"{rule.match!r} accepts anybody; name those whom you mean"


def _match_problem(rule: Rule) -> str:
    """Return what is wrong with what a rule matches, or an empty text."""
    match = rule.match
    if not re.fullmatch(rf"[ -~]{{1,{_LONGEST}}}", match):
        return f"{match!r} is not 1 to {_LONGEST} printable ASCII characters"
    if is_regexp(match):
        return _regexp_problem(match[1:-1])
    if isinstance(rule, ContentRule):
        return f"{match!r} is no regular expression between slashes; write it like /^Subject: .*lottery/"
    if isinstance(rule, ClientRule):
        return _client_problem(match)
    if isinstance(rule, HeloRule):
        return (
            ""
            if _is_helo(match)
            else f"{match!r} is no host name; write it like mail.example.org or *.dsl.example.org"
        )
    return _address_problem(match, sender=isinstance(rule, SenderRule))


def _regexp_problem(text: str) -> str:
    """Return what is wrong with a regular expression, as far as Python's syntax is PCRE's; the host's own look is later."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(text)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        return f"/{text}/ is no regular expression: {error}; mend it, or put \\ in front of what is meant literally"
    if found := _TWO_WAYS.search(_LITERAL.sub("", text)):
        low, _, high = found[1].replace(" ", "").partition(",")
        plain = f"{{{low or '0'},{high}}}" if "," in found[1] else f"{{{low}}}"
        return (
            f"/{text}/ has {found[0]!r}, a count to PCRE2 10.43 and plain text to those before; write {plain}, or \\{found[0]} "
            "where the text itself is meant"
        )
    if not text or text.endswith("\\"):
        return f"/{text}/ is no regular expression: it is empty, or its last slash is escaped"
    return ""


def _client_problem(match: str) -> str:
    if network_of(match) is not None:
        return network_problem(match)
    if "/" in match or ":" in match or re.fullmatch(r"[0-9.]+", match):
        return (
            f"{match!r} is no address or network; write it like 192.0.2.0/24 or 2001:db8::/32, host bits zero"
        )
    if match == "unknown" or (_GLOB.fullmatch(match) and "." in match):
        return ""
    return f"{match!r} is no host name; write it like mail.example.org or *.dsl.example.org"


def _is_helo(match: str) -> bool:
    return address_of(match) is not None or _GLOB.fullmatch(match) is not None


def _address_problem(match: str, *, sender: bool) -> str:
    local, at, domain = match.rpartition("@")
    if (match == "<>" and sender) or is_mail_address(match):
        return ""
    # `@.top` is a whole top-level domain.
    below = domain.startswith(".") and _LABEL.fullmatch(domain[1:])
    if at and not local and (below or is_fqdn(domain.removeprefix("."))):
        return ""
    if "*" in domain:
        return f"{match!r} has `*` behind the @; write @.example.org for all domains below one, or a /regular expression/"
    return f"{match!r} is neither an address nor a domain; write it like alice@example.org, @example.org or @.example.org"


def accepts_anybody(rule: AccessRule) -> bool:
    """Say whether what a rule matches bounds nothing."""
    network = network_of(rule.match) if isinstance(rule, ClientRule) else None
    if network is not None:
        return network.prefixlen < WIDEST_ACCEPT[network.version]
    expression = re.compile(pattern(rule), re.IGNORECASE)
    return all(expression.search(anybody) for anybody in _ANYBODY) or rule.match.strip("*.") == ""
