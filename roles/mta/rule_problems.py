"""What is wrong with declared rules: each with the setting, the entry and the remedy."""

import re
import warnings
from collections.abc import Iterator, Sequence

from roles.forms import is_fqdn, is_mail_address, network_problem
from roles.mta.literals import address_of
from roles.mta.rules import (
    AccessRule,
    ClientRule,
    ContentRule,
    HeloRule,
    MtaRules,
    Network,
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
    for number, rule in enumerate(rules, 1):
        for earlier_number, earlier in enumerate(rules[: number - 1], 1):
            if shadows(earlier, rule):
                first = f"entry {earlier_number} ({earlier.name})"
                yield (
                    setting,
                    f"entry {number} ({rule.name}) is never reached: {first} matches all that it does; move it up, or remove it",
                )
                break


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
    return f"{match!r} is neither an address nor a domain; write it like alice@example.org, @example.org or @.example.org"


def accepts_anybody(rule: AccessRule) -> bool:
    """Say whether what a rule matches bounds nothing."""
    network = network_of(rule.match) if isinstance(rule, ClientRule) else None
    if network is not None:
        return network.prefixlen < WIDEST_ACCEPT[network.version]
    expression = re.compile(pattern(rule), re.IGNORECASE)
    return all(expression.search(anybody) for anybody in _ANYBODY) or rule.match.strip("*.") == ""


def shadows(earlier: Rule, later: Rule) -> bool:
    """Say whether the later rule is never reached; what regular expressions have in common is not asked."""
    if earlier.mode == "warn" or earlier.expires < later.expires or type(earlier) is not type(later):
        return False
    if isinstance(earlier, ContentRule) and isinstance(later, ContentRule):
        warns = (earlier.verb == "warn") != (later.verb == "warn" or later.mode == "warn")
        return earlier.part == later.part and earlier.match == later.match and not warns
    if not (isinstance(earlier, AccessRule) and isinstance(later, AccessRule)):
        return False
    first, second = _network(earlier), _network(later)
    if first is not None or second is not None:
        return first is not None and second is not None and _holds(first, second)
    return _covers(earlier, later)


def _network(rule: AccessRule) -> Network | None:
    return network_of(rule.match) if isinstance(rule, ClientRule) else None


def _holds(first: Network, second: Network) -> bool:
    return (
        first.version == second.version
        and first.prefixlen <= second.prefixlen
        and second.network_address in first
    )


def _covers(earlier: AccessRule, later: AccessRule) -> bool:
    """Say whether a name or address pattern matches all that another does, which is a plain one."""
    if earlier.match.lower() == later.match.lower():
        return True
    if is_regexp(later.match) or "*" in later.match:
        return False
    domain = later.match.rpartition("@")[2]
    # A whole domain stands for each address in it; one below it for each domain there.
    plain = {"@": f"\0@{domain}", "@.": f"\0@\0{domain}"}
    kind = later.match.removesuffix(domain.removeprefix("."))
    if is_regexp(earlier.match) and kind in plain:
        return False
    return re.search(pattern(earlier), plain.get(kind, later.match), re.IGNORECASE | re.DOTALL) is not None
