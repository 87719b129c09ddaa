"""Kinds of Postfix: parameters, restrictions, maps."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from roles.kinds.base import LineOption
from roles.platforms import row
from roles.settings import Gateway, Mta

# The access restrictions of postconf(5) that take no argument.
RESTRICTIONS = frozenset(
    {
        "defer",
        "defer_if_permit",
        "defer_if_reject",
        "defer_unauth_destination",
        "permit",
        "permit_auth_destination",
        "permit_inet_interfaces",
        "permit_mynetworks",
        "permit_sasl_authenticated",
        "permit_tls_all_clientcerts",
        "permit_tls_clientcerts",
        "reject",
        "reject_authenticated_sender_login_mismatch",
        "reject_invalid_helo_hostname",
        "reject_known_sender_login_mismatch",
        "reject_multi_recipient_bounce",
        "reject_non_fqdn_helo_hostname",
        "reject_non_fqdn_recipient",
        "reject_non_fqdn_sender",
        "reject_plaintext_session",
        "reject_sender_login_mismatch",
        "reject_unauth_destination",
        "reject_unauth_pipelining",
        "reject_unauthenticated_sender_login_mismatch",
        "reject_unknown_client_hostname",
        "reject_unknown_forward_client_hostname",
        "reject_unknown_helo_hostname",
        "reject_unknown_recipient_domain",
        "reject_unknown_reverse_client_hostname",
        "reject_unknown_sender_domain",
        "reject_unlisted_recipient",
        "reject_unlisted_sender",
        "reject_unverified_recipient",
        "reject_unverified_sender",
        "warn_if_reject",
    }
)


@dataclass(frozen=True, slots=True)
class MainCf(LineOption):
    """A Postfix parameter (postconf(5)), in main.cf.

    ``since``: the release that brought it; ``formerly``: what it was called before that, with the same values.
    """

    mta: ClassVar[Mta] = "postfix"
    since: tuple[int, int] = (0, 0)
    formerly: str = ""

    def known(self, gateway: Gateway) -> bool:
        """Say whether the gateway's Postfix has it, under whichever name."""
        return bool(self.formerly) or row(gateway).postfix_release >= self.since

    def _called(self, gateway: Gateway) -> str:
        return self.key if row(gateway).postfix_release >= self.since else self.formerly

    def line(self, gateway: Gateway) -> str:
        # Also with nothing behind it, as postconf(1) writes it: Postfix's package edits the file by that at each upgrade.
        return f"{self._called(gateway)} = {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        return f"postconf -h {shlex.quote(self._called(gateway))}"


@dataclass(frozen=True, slots=True)
class _InList:
    """What is said of a Postfix restriction list (postconf(5)); the list itself is asked for."""

    mta: ClassVar[Mta] = "postfix"
    list: str

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"postconf -h {shlex.quote(self.list)}"


@dataclass(frozen=True, slots=True)
class Restriction(_InList):
    """One entry of a Postfix restriction list (postconf(5)); the list is its records' entries in their order."""

    entry: str
    # How Postfix words the refusal, behind what is refused: a regular expression. The reply then names the record's id.
    says: str = ""

    def __post_init__(self) -> None:
        """Refuse a word that Postfix does not know: it would take it, and then answer 451 to every client."""
        if self.entry not in RESTRICTIONS:
            raise ValueError(f"{self.list}: {self.entry!r} is no restriction that Bastide knows")

    def name(self) -> str:
        return f"{self.list}: {self.entry}"

    def entries(self, gateway: Gateway) -> tuple[str, ...]:
        """Return what the record adds to the list, in order."""
        del gateway
        return (self.entry,)

    def wanted(self, gateway: Gateway) -> str:
        return " ".join(self.entries(gateway))

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return self.wanted(gateway) in re.split(r"[\s,]+", answer.strip())


@dataclass(frozen=True, slots=True)
class TableRestrictions(_InList):
    """Entries of a Postfix restriction list that look into tables: as many as a gateway's settings make.

    Each entry is one look-up, ``check_client_access cidr:/etc/postfix/x`` for instance, maybe behind ``warn_if_reject``.
    """

    entries: Callable[[Gateway], tuple[str, ...]]
    says: str = ""

    def name(self) -> str:
        return f"{self.list}: tables"

    def wanted(self, gateway: Gateway) -> str:
        return " ".join(self.entries(gateway))

    def holds(self, answer: str, gateway: Gateway) -> bool:
        seen = " ".join(re.split(r"[\s,]+", answer.strip()))
        return f" {self.wanted(gateway)} " in f" {seen} "


@dataclass(frozen=True, slots=True)
class RestrictionList(_InList):
    """A whole Postfix restriction list: these entries in this order, and no others."""

    entries: Callable[[Gateway], tuple[str, ...]]

    def name(self) -> str:
        return self.list

    def wanted(self, gateway: Gateway) -> str:
        return " ".join(self.entries(gateway))

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return re.sub(r"[\s,]+", " ", answer).split() == self.wanted(gateway).split()


@dataclass(frozen=True, slots=True)
class PostfixMap:
    """A whole look-up table (postmap(1)): these keys with these values, and no others."""

    mta: ClassVar[Mta] = "postfix"
    map: str
    entries: Callable[[Gateway], dict[str, str]]

    def name(self) -> str:
        return self.map

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(f"{key}\t{value}" for key, value in sorted(self.entries(gateway).items()))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"postmap -s {shlex.quote(self.map)} | sort"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return sorted(answer.splitlines()) == self.wanted(gateway).splitlines()


@dataclass(frozen=True, slots=True)
class DnsblSites:
    """The lists of addresses that postscreen asks, allow lists first, each with the answers that count and its weight.

    In what is asked and shown each list goes by its name: its zone may hold a vendor's key.
    """

    mta: ClassVar[Mta] = "postfix"
    key: ClassVar[str] = "postscreen_dnsbl_sites"

    def name(self) -> str:
        return self.key

    def line(self, gateway: Gateway) -> str:
        """Return the lines of main.cf, without the last one's end."""
        return "\n".join([f"{self.key} =", *(f"    {site}" for site in self._sites(gateway, named=False))])

    def wanted(self, gateway: Gateway) -> str:
        return " ".join(self._sites(gateway, named=True))

    def question(self, gateway: Gateway) -> str:
        renamed = "; ".join(
            f"s/^{re.escape(entry.zone)}=/{entry.rule}=/"
            for entry in {each.zone: each for each in reversed(gateway.dnsbl)}.values()
        )
        return f"postconf -h {self.key} | tr -s ', ' '\\n' | sed -e '/^$/d' -e {shlex.quote(renamed)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.split() == self.wanted(gateway).split()

    @staticmethod
    def _sites(gateway: Gateway, *, named: bool) -> list[str]:
        first = {each.zone: each.rule for each in reversed(gateway.dnsbl)}
        ordered = sorted(gateway.dnsbl, key=lambda entry: entry.score > 0)
        return [f"{first[each.zone] if named else each.zone}={each.filter}*{each.counts}" for each in ordered]


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The tables of one directory that Postfix reads as they are (cidr_table(5), pcre_table(5)): these and no others.

    postmap(1) can list neither kind, so the files are compared, by the digests of their contents.
    """

    mta: ClassVar[Mta] = "postfix"
    directory: str
    files: Callable[[Gateway], dict[str, str]]

    def name(self) -> str:
        return self.directory

    def wanted(self, gateway: Gateway) -> str:
        found = sorted(self.files(gateway).items())
        return "\n".join(f"{sha256(text.encode()).hexdigest()[:16]} {name}" for name, text in found)

    def question(self, gateway: Gateway) -> str:
        del gateway
        directory = shlex.quote(self.directory)
        return f"cd {directory} && ls -A | LC_ALL=C sort | while read -r f; do echo $(sha256sum <$f | cut -c1-16) $f; done"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return sorted(answer.splitlines()) == sorted(self.wanted(gateway).splitlines())
