"""Declared rules, block lists and recipients as Sendmail's maps and rulesets: text from data, nothing else.

Rules about who sends stand in Local_check_mail, those about recipients in Local_check_relay: with delayed checks both are
called at RCPT, in this order, after relay control has had its say (cf/README, FEATURE(`delay_checks')). So no rule opens
the relay. What accepts ends the ruleset that it stands in, and so the checks of its side alone.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from roles.dns.lists import octets
from roles.kinds import SendmailPatterns, SendmailRule
from roles.kinds.sendmail import counted
from roles.mta.networks import declared, expression
from roles.mta.rules import (
    AccessRule,
    ClientRule,
    in_force,
    network_of,
    pattern,
    today,
)
from roles.settings import Gateway

MATCH: Final = "MATCH"
_WHERE: Final = {"recipient": "Local_check_relay"}
# What a rule about each of these is looked for in. A client that has no confirmed name is `unknown`, as Postfix says.
_KEYS: Final = {
    "client": "$>ClientName $1",
    "helo": "$&s",
    "sender": "$>PlainSender $1",
    "recipient": "$&{Recipient}",
}
_CODES: Final = {"reject": ("5.7.1", "554"), "defer": ("4.7.1", "450")}
_TEXTS: Final = {
    "reject": "Access denied",
    "defer": "Not now, try again later",
    "discard": "Discarded",
    "hold": "Held for a person to look at",
}


# Between brackets a backslash is itself to POSIX.
_BRACKETS: Final = re.compile(r"(?<!\\)\[\^?\]?[^]]*\]")


def posix(text: str) -> str:
    r"""Return a regular expression for Sendmail's K line: `\d` as digits, quotes as GNU's regcomp(3) reads them, `$$`, `\#`."""

    def read(found: re.Match[str]) -> str:
        return {"d": "[0-9]"}.get(found[1], f"[{found[1]}]" if found[1] in "'`<>/@:#-" else found[0])

    # Blanks at either end are no part of a K line, and a minus in front begins an option of the map's: that of a rule
    # `/-dsl/` was the delimiter, and the empty pattern behind it matched everybody.
    text = _BRACKETS.sub(lambda found: found[0].replace(r"\d", "0-9"), text)
    kept = re.sub(r"\A[- ]|(?<!\\) \Z", lambda found: f"[{found[0]}]", text)
    return re.sub(r"\\(.)", read, kept).replace("$", "$$").replace("#", r"\#")


def _named(rule: AccessRule) -> str:
    """Return the name of a rule's map: a letter, and then letters and digits alone; none that a map of ours has."""
    return f"rule_{rule.word}_{rule.id.replace('-', '_')}"


def access_patterns(rules: Sequence[AccessRule], on: date) -> dict[str, str]:
    """Return the maps of one list's rules: each tells whether its key matches."""
    found = {}
    for rule in in_force(rules, on):
        network = network_of(rule.match) if isinstance(rule, ClientRule) else None
        text = expression(network).replace("$", "$$") if network else posix(pattern(rule))
        found[_named(rule)] = f"regex -a{MATCH} {text}"
    return found


def access_rules(rules: Sequence[AccessRule], on: date) -> tuple[str, ...]:
    """Return the rules of one list, in the declared order; the first that matches decides."""
    return tuple(line for rule in in_force(rules, on) for line in _lines(rule))


def _lines(rule: AccessRule) -> tuple[str, ...]:
    about = isinstance(rule, ClientRule) and network_of(rule.match) is not None
    key = "$&{client_addr}" if about else _KEYS[rule.word]
    # A map is asked for what stands in the workspace, since look-ups do not nest.
    return (
        f"R$*\t$: $1 $| {key}",
        f"R$* $| $*\t$: $1 $| $({_named(rule)} $2 $: NO $)",
        *_decided(rule),
        "R$* $| $*\t$: $1",
    )


def _decided(rule: AccessRule) -> tuple[str, ...]:
    """Return what becomes of a match."""
    left = f"R$* $| {MATCH}\t"
    said = f"{rule.text or _TEXTS.get(rule.verb, '')} (rule {rule.name})"
    if rule.verb == "accept":
        return (f"{left}$@ $1",)
    if rule.mode == "warn":
        return (f"{left}$: $1 {counted(f'would {rule.verb}: {said}')}",)
    if rule.verb in _CODES:
        enhanced, code = _CODES[rule.verb]
        return (f'{left}$#error $@ {enhanced} $: "{code} {said}"',)
    # Taken is only what nothing else refuses: the recipient must exist first.
    checked = (
        ()
        if rule.word == "recipient"
        else (
            f"{left}$: {MATCH} $| $>Local_check_relay $&{{client_name}} $| $&{{client_addr}}",
            f"R{MATCH} $| $#$*\t$#$1",
            f"R{MATCH} $| $*\t$: $&f $| {MATCH}",
        )
    )
    if rule.verb == "hold":
        return (*checked, f'{left}$#error $@ quarantine $: "{said}"')
    return (*checked, f"{left}$: {counted(f'discarded: {said}')} $| {MATCH}", f"{left}$#discard $: discard")


def sets(word: str) -> tuple[SendmailRule | SendmailPatterns, ...]:
    """Return what the rules about a client, HELO name, sender or recipient set."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        return access_rules(getattr(gateway.mta_rules, word), today())

    def maps(gateway: Gateway) -> Mapping[str, str]:
        return access_patterns(getattr(gateway.mta_rules, word), today())

    return SendmailPatterns(maps), SendmailRule(_WHERE.get(word, "Local_check_mail"), rules)


# Rulesets that others call.
CLIENT_NAME: Final = (
    "R$*\t$: $&{client_resolve} $| $&{client_name}",
    "ROK $| $+\t$@ $1",
    "R$*\t$@ unknown",
)
PLAIN_SENDER: Final = (
    "R$*\t$: $>CanonAddr $1",
    "R< @ >\t$@ <>",
    "R$* < @ $* . >\t$1 < @ $2 >",
    "R$* < @ $* >\t$@ $(dequoted $1 $) @ $2",
)
# Whether an address is in a network that is declared for something: `word $| address`, looked for from the whole address to
# its first octet or group.
DECLARED_RULES: Final = (
    "R$- $| $+\t$: $1 $| $2 $| $(declared $1:$2 $: NO $)",
    f"R$* $| $* $| {MATCH}\t$@ {MATCH}",
    "R$- $| $+ . $- $| NO\t$@ $>Declared $1 $| $2",
    "R$- $| IPv6 : $+ : $- $| NO\t$@ $>Declared $1 $| IPv6:$2",
    "R$*\t$@ NO",
)
OWN_HOST: Final = (
    "R$*\t$: $&{client_addr}",
    "R$@\t$@ OWN",
    "R0\t$@ OWN",
    "R127.0.0.1\t$@ OWN",
    "RIPv6:0:0:0:0:0:0:0:1\t$@ OWN",
    "R$*\t$: $>A <$1> <?> <+ Connect> <>",
    "R<RELAY> $*\t$@ OWN",
    "R$*\t$@ NO",
)


def _list(name: str) -> str:
    return f"list_{name.replace('-', '_')}"


def answers(declared: str) -> str:
    """Return the expression of a block list's answers that count, among others perhaps."""
    each = ("|".join(str(number) for number in sorted(field)) for field in octets(declared))
    return f"(^|/)({')[.]('.join(each)})($$|/)"


def list_patterns(gateway: Gateway) -> dict[str, str]:
    """Return the maps of the block lists' answers."""
    return {_list(entry.id): f"regex -a{MATCH} {answers(entry.filter)}" for entry in gateway.dnsbl}


def unlisted(gateway: Gateway) -> dict[str, str]:
    """Return the entries of the clients that no list is asked about."""
    return declared("unlisted", gateway.dnsbl_allow)


def list_rules(gateway: Gateway) -> tuple[str, ...]:
    """Return the ruleset that asks the block lists about the client and adds up what they say."""
    ordered = sorted(gateway.dnsbl, key=lambda entry: entry.counts)
    zones = dict.fromkeys(entry.zone for entry in ordered)
    allowed = (
        ("R$*\t$: $>Declared unlisted $| $&{client_addr}", f"R{MATCH}\t$@ OK") if gateway.dnsbl_allow else ()
    )
    asked = [
        line
        for zone in zones
        for line in (
            f"R$* $| $* $| $*\t$: $1 $| $2 $| $(listed $1.{zone}. $: NO $)",
            *(
                line
                for entry in ordered
                if entry.zone == zone
                for line in _hit(entry.id, entry.counts, entry.text)
            ),
        )
    ]
    return (
        "R$*\t$: $>OwnHost $1",
        "ROWN\t$@ OK",
        *allowed,
        # Reversed address, points, answers; who speaks for the refusal is kept apart.
        "R$*\t$: $(reversed $&{client_addr} $) $| 0 $| NO $(kept {Listed} $@ none $)",
        *asked,
        f"R$* $| $* $| $*\t$: $(add l $@ $2 $@ {gateway.dnsbl_threshold} $) $| $&{{Listed}}",
        *(
            f'RFALSE $| {_list(entry.id)}\t$#error $@ 5.7.1 $: "550 Service unavailable; client host blocked using {entry.text}"'
            for entry in ordered
            if entry.counts > 0
        ),
        "R$*\t$@ OK",
    )


def _hit(name: str, points: int, text: str) -> tuple[str, ...]:
    """Return the rules about one entry of a zone whose answer stands last in the workspace."""
    found = f"$({_list(name)} $3 $: NO $)"
    said = f"$(kept {{Listed}} $@ {_list(name)} $)" if points > 0 else ""
    said = said if points else counted(f"would count: {text}")
    return (
        f"R$* $| $* $| $*\t$: $1 $| $2 $| $3 $| {found}",
        f"R$* $| $* $| $* $| {MATCH}\t$: $1 $| $(add + $@ $2 $@ {points} $) $| $3 {said}",
        "R$* $| $* $| $* $| NO\t$: $1 $| $2 $| $3",
    )


def subaddress_map(gateway: Gateway) -> dict[str, str]:
    """Return the map that gives a mailbox in front of its owner's tag: at the first delimiter, as Postfix does it."""
    delimiter = gateway.recipient_delimiter
    return {"untagged": f"regex -s1 ^([^{delimiter}]+)[{delimiter}]"} if delimiter else {}


def listed(gateway: Gateway) -> tuple[str, ...]:
    """Return the ruleset by which a recipient of a relayed domain must stand in the list, by itself or by its domain."""
    untagged = (
        "R$* @ $* $| NO\t$: $1 @ $2 $| NO $| $(untagged $1 $: NO $)",
        "R$* $| NO $| NO\t$: $1 $| NO",
        "R$* @ $* $| NO $| $+\t$: $1 @ $2 $| $(recipients $3@$2 $: NO $)",
    )
    return (
        "R$*\t$: $&{Recipient}",
        "R$* @ $*\t$: $1 @ $2 $| $(mailertable $2 $: NO $)",
        "R$* $| NO\t$@ OK",
        "R$* @ $* $| $*\t$: $1 @ $2 $| $(recipients $1@$2 $: NO $)",
        *(untagged if gateway.recipient_delimiter else ()),
        "R$* @ $* $| NO\t$: $1 @ $2 $| $(recipients @$2 $: NO $)",
        'R$* $| NO\t$#error $@ 5.1.1 $: "550 User unknown (rule mta.recipient-listed)"',
        "R$*\t$@ OK",
    )


def called(ruleset: str) -> tuple[str, ...]:
    """Return the rules that ask another ruleset and take its refusal."""
    return (f"R$*\t$: $1 $| $>{ruleset} $1", "R$* $| $#$*\t$#$2", "R$* $| $*\t$: $1")


def put_off_unless_answered(refusal: str) -> tuple[str, ...]:
    """Return the rules that put off (450) a domain, last in the workspace, of which DNS has neither MX nor address."""
    return (
        "R$* $| $+\t$: $1 $| $(answered $2 $: $2 <PERM> $)",
        f'R$* $| $* <PERM>\t$#error $@ 4.1.8 $: "450 {refusal}"',
        f'R$* $| $* <TEMP>\t$#error $@ 4.1.8 $: "450 {refusal}"',
        "R$* $| $*\t$: $1",
    )
