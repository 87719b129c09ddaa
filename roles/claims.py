"""Claims: what an outsider sees when a defence holds. Pure data and ``holds``; the audit's probes do the looking.

Every claim carries ``refuted_by``, a sight that must not hold; it is tried when the record is made, so a claim that
cannot fail cannot be constructed. ``vantage`` says where the outsider stands: ``wan`` or ``lan`` for the two sides of
the gateway, ``control`` for the host that the audit runs on.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

S = TypeVar("S")
Vantage = Literal["wan", "lan", "control"]
# How a packet scan asks; RFC 9293 3.1 names the flags. `fragments` is a SYN cut into the smallest
# fragments that the family allows: 8 bytes of IPv4, and of IPv6 what holds the TCP header (RFC 8200 4.5).
Scanner = Literal["syn", "null", "fin", "xmas", "ack", "udp", "fragments"]


class Claim(Protocol):
    """What all claims have in common; each has ``holds`` too, which takes what the claim's own probe saw."""

    @property
    def vantage(self) -> Vantage:
        """Where the outsider stands."""

    def title(self) -> str:
        """Return what is looked at, in a few words that are unique within a defence; test ids are made of it."""


class _Refutable(ABC, Generic[S]):
    """What every claim's class begins with: the trial of its counter-example, at the making of a record."""

    __slots__ = ()
    refuted_by: S

    def __post_init__(self) -> None:
        """Refuse a claim that cannot fail."""
        if self.holds(self.refuted_by):
            raise ValueError(f"{self.title()}: the claim holds for its own counter-example")

    @abstractmethod
    def title(self) -> str:
        """Return what is looked at, as Claim says."""

    @abstractmethod
    def holds(self, seen: S) -> bool:
        """Say whether what was seen is what the defence needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting(_Refutable[str]):
    """The text of the SMTP greeting (RFC 5321 4.3.1), code included, lines joined by a newline."""

    matches: str
    refuted_by: str
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return f"greeting-{self.port}"

    def holds(self, seen: str) -> bool:
        return re.fullmatch(self.matches, seen) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(_Refutable[str]):
    """The reply to the last line of an SMTP dialogue (RFC 5321 4.2), lines joined by a newline.

    ``lines`` are sent without their CR LF, each after the reply to the one before; with ``early`` all of them at once,
    before the greeting has come, and the last reply is ``closed`` where the connection ended without any, though who
    waits is greeted. ``{domain}`` in a line stands for a relayed domain, ``{hostname}`` for the gateway's name,
    ``{size_over}`` for a size in bytes just over the limit, ``{outside}`` for a mailbox elsewhere. ``matches`` must match
    the whole reply.
    """

    about: str
    lines: tuple[str, ...]
    matches: str
    refuted_by: str
    early: bool = False
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return self.about

    def holds(self, seen: str) -> bool:
        return re.fullmatch(self.matches, seen) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsVersions(_Refutable[frozenset[str]]):
    """The protocol versions that the server answers in behind STARTTLS (RFC 3207), each offered alone."""

    exactly: frozenset[str]
    refuted_by: frozenset[str]
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return "tls-versions"

    def holds(self, seen: frozenset[str]) -> bool:
        return seen == self.exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSuites(_Refutable[frozenset[str]]):
    """Families of weak cipher suites (audit/probes/hello.py), each offered alone in TLS 1.2: the server takes none."""

    asked: frozenset[str]
    refuted_by: frozenset[str]
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return "weak-suites"

    def holds(self, seen: frozenset[str]) -> bool:
        return not seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What a server shows of itself in a handshake of TLS 1.2; ``hostname`` is the name that it should bear.

    ``names``: the host names of its certificate, ``text``: all that this says in words of whom it is for.
    """

    hostname: str
    names: frozenset[str]
    text: str
    asks_for_certificate: bool = False
    compresses: bool = False
    binds_renegotiation: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsHandshake(_Refutable[Handshake]):
    """The certificate names the gateway and no product; no client certificate is asked for, nothing compressed.

    ``unnamed`` is the pattern of what must not stand in the certificate, searched for without case.
    """

    unnamed: str
    refuted_by: Handshake
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return "tls-handshake"

    def holds(self, seen: Handshake) -> bool:
        return (
            seen.hostname.lower() in seen.names
            and not re.search(self.unnamed, seen.text, re.IGNORECASE)
            and not seen.asks_for_certificate
            and not seen.compresses
            and seen.binds_renegotiation
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRenegotiation(_Refutable[str]):
    """What comes of a client's wish for a second handshake in one session: ``refused`` or ``done``."""

    refuted_by: str
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return "tls-renegotiation"

    def holds(self, seen: str) -> bool:
        return seen == "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class StarttlsInjection(_Refutable[str]):
    """What comes of a command sent in one packet with STARTTLS: its reply, ``nothing`` or ``refused``."""

    refuted_by: str
    vantage: Vantage = "wan"
    port: int = 25

    def title(self) -> str:
        return "starttls-injection"

    def holds(self, seen: str) -> bool:
        return seen in ("nothing", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a packet scan saw: the ports that answered, and those declared open to where it stood."""

    answered: frozenset[int]
    declared: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(_Refutable[Answers]):
    """Which ports answer a packet scan at all, be it with SYN-ACK, RST, data or an ICMP error.

    A ``syn`` scan asks all 65,535 TCP ports; the other scanners a sample of them with every declared port in it.
    ``expects`` says which ports must answer, exactly these: the declared ones or none.
    """

    scanner: Scanner
    family: Literal[4, 6]
    expects: Literal["declared", "none"]
    refuted_by: Answers
    vantage: Vantage = "wan"

    def title(self) -> str:
        return f"{self.scanner}-ipv{self.family}-{self.vantage}"

    def holds(self, seen: Answers) -> bool:
        return seen.answered == (seen.declared if self.expects == "declared" else frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(_Refutable[str]):
    """The reply to the end of data (RFC 5321 4.1.1.4) of one sample message, see audit/samples.py."""

    sample: str
    matches: str
    refuted_by: str
    vantage: Vantage = "wan"

    def title(self) -> str:
        return f"verdict-{self.sample}"

    def holds(self, seen: str) -> bool:
        return re.fullmatch(self.matches, seen) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseEnds(_Refutable[frozenset[str]]):
    """The line ends around a dot, other than CR LF (RFC 5321 4.1.1.4), behind which the server takes commands again: none.

    They are named as audit/probes/mail.py has them; behind one of them whoever sends may smuggle in a message of his own.
    """

    refuted_by: frozenset[str]
    vantage: Vantage = "wan"

    def title(self) -> str:
        return "false-ends-of-data"

    def holds(self, seen: frozenset[str]) -> bool:
        return not seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message on both sides of the gateway: as sent, and as it reached the next hop (None: it did not).

    Both are the whole content in bytes, CR LF line ends; ``sender`` and ``recipients`` are the envelope that arrived.
    """

    sent: bytes
    arrived: bytes | None
    sender: str = ""
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(_Refutable[Arrival]):
    """One sample message reaches the next hop: nothing changed, only trace headers set before it (RFC 5321 4.4)."""

    sample: str
    refuted_by: Arrival
    vantage: Vantage = "wan"

    def title(self) -> str:
        return f"delivered-{self.sample}"

    def holds(self, seen: Arrival) -> bool:
        if seen.arrived is None or not seen.arrived.endswith(seen.sent):
            return False
        trace = seen.arrived.removesuffix(seen.sent)
        return (
            re.fullmatch(
                rb"((Received|Return-Path|Delivered-To|X-Original-To):[^\r\n]*\r\n([ \t][^\r\n]*\r\n)*)*",
                trace,
            )
            is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SshMethods(_Refutable[frozenset[str]]):
    """The user authentication methods that sshd offers before any was tried (RFC 4252 5.1)."""

    exactly: frozenset[str]
    refuted_by: frozenset[str]
    vantage: Vantage = "control"

    def title(self) -> str:
        return "ssh-methods"

    def holds(self, seen: frozenset[str]) -> bool:
        return seen == self.exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class SshVersion(_Refutable[str]):
    """The line by which sshd names protocol and software, without its line end (RFC 4253 4.2)."""

    matches: str
    refuted_by: str
    vantage: Vantage = "control"

    def title(self) -> str:
        return "ssh-version"

    def holds(self, seen: str) -> bool:
        return re.fullmatch(self.matches, seen) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAlgorithms(_Refutable[frozenset[str]]):
    """The algorithms that sshd names in its SSH_MSG_KEXINIT (RFC 4253 7.1): all within a set, at least one named.

    ``about`` is ``kex``, ``host-key``, ``cipher`` or ``mac``. Names that are signals, not algorithms (ext-info-s and
    the kex-strict family), are left out by the probe.
    """

    about: Literal["kex", "host-key", "cipher", "mac"]
    within: frozenset[str]
    refuted_by: frozenset[str]
    vantage: Vantage = "control"

    def title(self) -> str:
        return f"ssh-{self.about}"

    def holds(self, seen: frozenset[str]) -> bool:
        return bool(seen) and seen <= self.within


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSilence(_Refutable[str]):
    """What comes of a DNS question to the gateway's port 53 (RFC 1035 4.2): nothing must.

    The probe sees ``silent`` when no packet comes back, ``closed`` for an ICMP error or RST, else the response's code.
    """

    protocol: Literal["udp", "tcp"]
    family: Literal[4, 6]
    refuted_by: str
    vantage: Vantage = "wan"

    def title(self) -> str:
        return f"dns-{self.protocol}-ipv{self.family}-{self.vantage}"

    def holds(self, seen: str) -> bool:
        return seen == "silent"
