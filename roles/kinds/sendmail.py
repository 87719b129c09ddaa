"""Kinds of Sendmail: options, features, rules, look-up tables. Source: cf/README and the Operations Guide (op.me).

Each is asked of Sendmail's own reading of its configuration: its trace of the options that it sets (-d37.1), its
address test mode (-bt), which evaluates and prints rulesets as compiled, and makemap's dump of a table.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from roles.kinds.base import LineOption, Value, resolved
from roles.settings import Gateway, Mta

# The macros of the .mc file and the options of the .cf file that they become (cf/README, "TWEAKING CONFIGURATION
# OPTIONS"). A name that is not here is refused: m4 would define it, and nothing would come of it.
OPTIONS: Final[Mapping[str, str]] = {
    "HELP_FILE": "HelpFile",
    "confBAD_RCPT_THROTTLE": "BadRcptThrottle",
    "confCACERT": "CACertFile",
    "confCACERT_PATH": "CACertPath",
    "confCIPHER_LIST": "CipherList",
    "confCLIENT_SSL_OPTIONS": "ClientSSLOptions",
    "confCONNECTION_RATE_THROTTLE": "ConnectionRateThrottle",
    "confCONNECTION_RATE_WINDOW_SIZE": "ConnectionRateWindowSize",
    "confCOPY_ERRORS_TO": "PostmasterCopy",
    "confDH_PARAMETERS": "DHParameters",
    "confDONT_BLAME_SENDMAIL": "DontBlameSendmail",
    "confDOUBLE_BOUNCE_ADDRESS": "DoubleBounceAddress",
    "confEIGHT_BIT_HANDLING": "EightBitMode",
    "confMAX_DAEMON_CHILDREN": "MaxDaemonChildren",
    "confMAX_HEADERS_LENGTH": "MaxHeadersLength",
    "confMAX_HOP": "MaxHopCount",
    "confMAX_QUEUE_AGE": "MaxQueueAge",
    "confMAX_MESSAGE_SIZE": "MaxMessageSize",
    "confMAX_MIME_HEADER_LENGTH": "MaxMimeHeaderLength",
    "confMAX_NOOP_COMMANDS": "MaxNOOPCommands",
    "confMAX_RCPTS_PER_MESSAGE": "MaxRecipientsPerMessage",
    "confMIN_QUEUE_AGE": "MinQueueAge",
    "confMIN_FREE_BLOCKS": "MinFreeBlocks",
    "confPRIVACY_FLAGS": "PrivacyOptions",
    "confQUEUE_FILE_MODE": "QueueFileMode",
    "confREJECT_NUL": "RejectNUL",
    "confSAFE_QUEUE": "SuperSafe",
    "confSERVER_CERT": "ServerCertFile",
    "confSERVER_KEY": "ServerKeyFile",
    "confSERVER_SSL_OPTIONS": "ServerSSLOptions",
    "confSMTP_LOGIN_MSG": "SmtpGreetingMessage",
    "confTEMP_FILE_MODE": "TempFileMode",
    "confTLS_FALLBACK_TO_CLEAR": "TLSFallbacktoClear",
    "confTLS_SRV_OPTIONS": "TLSSrvOptions",
    "confTO_COMMAND": "Timeout.command",
    "confTO_DATABLOCK": "Timeout.datablock",
    "confTO_IDENT": "Timeout.ident",
    "confTO_QUEUERETURN": "Timeout.queuereturn",
    "confTO_QUEUERETURN_DSN": "Timeout.queuereturn.dsn",
    "confTO_QUEUEWARN": "Timeout.queuewarn",
    "confTO_STARTTLS": "Timeout.starttls",
    "confTRUSTED_USER": "TrustedUser",
}
_NO_M4: Final = re.compile(r"[`']")


def asked(*lines: str) -> str:
    """Return the shell command that asks Sendmail's address test mode, without its greeting and its prompts."""
    said = " ".join(shlex.quote(line) for line in lines)
    return f"printf '%s\\n' {said} | sendmail -bt | sed '1,2d; s/^> //; /^> *$/d'"


def option(name: str, configuration: str = "") -> str:
    """Return the shell command that asks for the value of an option (``Timeout.ident``) as Sendmail took it.

    ``configuration`` is another file than the one that Sendmail reads by itself.
    """
    head, dot, tail = name.partition(".")
    # `setoption Timeout (r).ident=0`: the option's letter or number stands behind its name.
    pattern = rf"s/^setoption {head} ([^)]*){re.escape(dot + tail)}=//p"
    other = f" -C {configuration}" if configuration else ""
    return f"sendmail{other} -d37.1 -bt </dev/null | sed -n {shlex.quote(pattern)}"


@dataclass(frozen=True, slots=True)
class SendmailMc(LineOption):
    """An option, by its macro in gateway.mc (cf/README); the value has no m4 quotes."""

    mta: ClassVar[Mta] = "sendmail"

    def __post_init__(self) -> None:
        """Refuse a macro that is no option's: m4 takes any name, and nothing would come of it."""
        if self.key not in OPTIONS:
            raise ValueError(f"{self.key!r} is no option of Sendmail's that Bastide knows")

    def line(self, gateway: Gateway) -> str:
        value = self.wanted(gateway)
        if _NO_M4.search(value):
            raise ValueError(f"{self.key}: {value!r} would end m4's quotes")
        return f"define(`{self.key}', `{value}')dnl"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return option(OPTIONS[self.key])


@dataclass(frozen=True, slots=True)
class SendmailOption(LineOption):
    """An option that cf/README has no macro for, by its own name; one that the program lacks fails in the stage."""

    mta: ClassVar[Mta] = "sendmail"

    def line(self, gateway: Gateway) -> str:
        return f"LOCAL_CONFIG\nO {self.key}={self.wanted(gateway)}\ndivert(0)dnl"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return option(self.key)


@dataclass(frozen=True, slots=True)
class SendmailMacro(LineOption):
    """A macro of the configuration, by its name in cf/README (SMART_HOST); ``letter`` is its name in test mode."""

    mta: ClassVar[Mta] = "sendmail"
    letter: str

    def line(self, gateway: Gateway) -> str:
        return f"define(`{self.key}', `{self.wanted(gateway)}')dnl"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return asked(f"${self.letter}")


@dataclass(frozen=True, slots=True)
class SendmailText(LineOption):
    """The text of a refusal that Sendmail's own rulesets give, by its macro (cf/README); ``ruleset`` is who says it."""

    mta: ClassVar[Mta] = "sendmail"
    ruleset: str

    def wanted(self, gateway: Gateway) -> str:
        """Return the text as it stands in a ruleset: one token, which keeps its blanks."""
        return f'"{resolved(self.value, gateway)}"'

    def line(self, gateway: Gateway) -> str:
        return f"define(`{self.key}', `{self.wanted(gateway)}')dnl"

    def question(self, gateway: Gateway) -> str:
        del gateway
        # The texts of the ruleset, one a line.
        return asked(f"=S{self.ruleset}") + ' | sed -n \'s/.*[$]: *\\("[^"]*"\\).*/\\1/p\''

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return self.wanted(gateway) in answer.splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendmailFeature:
    """A FEATURE of gateway.mc (cf/README), and a question to the address test mode whose answer shows it at work.

    ``asks`` are the lines of test mode, ``shows`` is found in the answer, ``refuted_by`` is an answer without it.
    """

    mta: ClassVar[Mta] = "sendmail"
    feature: str
    arguments: tuple[Value, ...] = ()
    asks: tuple[str, ...]
    shows: str
    refuted_by: str

    def __post_init__(self) -> None:
        """Refuse a pattern that also takes the answer it is there to catch."""
        if re.search(self.shows, self.refuted_by):
            raise ValueError(f"{self.feature}: {self.shows!r} accepts its own counter-example")

    def name(self) -> str:
        return f"FEATURE {self.feature}"

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return self.shows

    def line(self, gateway: Gateway) -> str:
        """Return the line without its line end."""
        words = (self.feature, *(resolved(argument, gateway) for argument in self.arguments))
        return f"FEATURE({', '.join(f'`{word}{chr(39)}' for word in words)})dnl"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return asked(*self.asks)

    def holds(self, answer: str, gateway: Gateway) -> bool:
        del gateway
        return re.search(self.shows, answer) is not None


def _bare(rule: str) -> str:
    """Return a rule as compared: Sendmail prints its tokens apart, and a template may have other blanks."""
    return re.sub(r"\s+", "", rule)


Rules = tuple[str, ...]
_REFUSAL: Final = re.compile(r"(R.*\t)\$#error \$@ [0-9.]+ \$: \"(.*)\"")


def counted(text: str) -> str:
    """Return the words of a right side that write a text and the client's address into the log, and add nothing to it."""
    return f'$(counted "{text}, relay=[" $&{{client_addr}} "]" $)'


def only_counted(rules: Rules) -> Rules:
    """Return rules that write into the log what they would refuse, and let it in."""
    return tuple(
        _REFUSAL.sub(lambda said: f"{said[1]}$: $1 {counted(f'would refuse: {said[2]}')}", rule)
        for rule in rules
    )


@dataclass(frozen=True, slots=True)
class SendmailRule:
    """Rules of one ruleset, in order; a ruleset is its records' rules in their order (Operations Guide, 5.1).

    ``rules`` are lines without comment, from ``R`` on: left-hand side, a tab, right-hand side; or what makes them of a
    gateway's settings.
    """

    mta: ClassVar[Mta] = "sendmail"
    ruleset: str
    rules: Rules | Callable[[Gateway], Rules]

    def __post_init__(self) -> None:
        """Refuse what is no rule: Sendmail wants a tab between its two sides."""
        if not callable(self.rules):
            self._read(self.rules)

    def _read(self, rules: Rules) -> Rules:
        for rule in rules:
            if not re.fullmatch(r"R[^\t\n]+\t+[^\t\n]+", rule):
                raise ValueError(f"{self.ruleset}: {rule!r} is not a left side, a tab and a right side")
        return rules

    def made(self, gateway: Gateway) -> Rules:
        """Return the rules of one gateway."""
        return self._read(self.rules(gateway)) if callable(self.rules) else self.rules

    def name(self) -> str:
        return f"{self.ruleset}: {'declared rules' if callable(self.rules) else self.rules[0]}"

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(self.made(gateway))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return asked(f"=S{self.ruleset}")

    def holds(self, answer: str, gateway: Gateway) -> bool:
        live = [_bare(line) for line in answer.splitlines()]
        own = self.made(gateway)
        # Where the operator lets a record only warn, its rules only count; mta.restriction-order knows where he does.
        return any(_within([_bare(rule) for rule in rules], live) for rules in (own, only_counted(own)))


def _within(wanted: list[str], live: list[str]) -> bool:
    return any(live[at : at + len(wanted)] == wanted for at in range(len(live) - len(wanted) + 1))


@dataclass(frozen=True, slots=True)
class SendmailPatterns:
    """Maps of Sendmail's configuration (Operations Guide, 5.11): a name, and what follows it on its K line."""

    mta: ClassVar[Mta] = "sendmail"
    maps: Callable[[Gateway], Mapping[str, str]]

    def name(self) -> str:
        return "maps of declared patterns"

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(f"{name} {text}" for name, text in self.maps(gateway).items())

    def question(self, gateway: Gateway) -> str:
        del gateway
        return "sed -n 's/^K//p' /etc/mail/sendmail.cf"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return set(self.wanted(gateway).splitlines()) <= set(answer.splitlines())


@dataclass(frozen=True, slots=True)
class SendmailRuleset:
    """A whole ruleset of ours: these rules in this order, and no others."""

    mta: ClassVar[Mta] = "sendmail"
    ruleset: str
    rules: Callable[[Gateway], tuple[str, ...]]

    def name(self) -> str:
        return self.ruleset

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(self.rules(gateway))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return asked(f"=S{self.ruleset}")

    def holds(self, answer: str, gateway: Gateway) -> bool:
        live = [_bare(line) for line in answer.splitlines() if line.strip()]
        return live == [_bare(rule) for rule in self.rules(gateway)]


Entries = Callable[[Gateway], Mapping[str, str]]


def _dumped(path: str) -> str:
    return f"makemap -u hash {shlex.quote(path)}.db"


def _pairs(entries: Mapping[str, str]) -> list[str]:
    """Return entries as makemap dumps them: keys in lower case, as the maps are looked up."""
    return sorted(f"{key.lower()}\t{value}" for key, value in entries.items())


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """Entries of the access database (cf/README, "ANTI-SPAM CONFIGURATION CONTROL"): key with its tag, and value.

    Or of another ``table`` that many records write into.
    """

    mta: ClassVar[Mta] = "sendmail"
    entries: Entries
    table: str = "access"

    def name(self) -> str:
        return self.table

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(_pairs(self.entries(gateway)))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return _dumped(f"/etc/mail/{self.table}")

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return set(_pairs(self.entries(gateway))) <= set(answer.splitlines())


@dataclass(frozen=True, slots=True)
class SendmailMap:
    """A whole look-up table (makemap(8)): these keys with these values, and no others."""

    mta: ClassVar[Mta] = "sendmail"
    map: str
    entries: Entries

    def name(self) -> str:
        return self.map

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(_pairs(self.entries(gateway)))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return _dumped(self.map)

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return sorted(answer.splitlines()) == _pairs(self.entries(gateway))
