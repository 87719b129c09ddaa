"""Which of the records are live, and right: asked of a resolver, judged by what each record means."""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

import dns.exception
import dns.flags
import dns.rdatatype
import dns.resolver
from dns.rdtypes.txtbase import TXTBase
from msgspec import Struct

from publish.records import Plan, Record

HTTPS = 443
# Bytes; RFC 8461 3.3 asks for a bound and gives 64 kB as an example.
_LONGEST_POLICY = 65_536
_SHOWN = 400  # characters of what somebody else wrote

State = Literal["live", "missing", "wrong", "not asked"]
# A resolver tries several servers before it gives up.
SECONDS = 15.0


class Found(NamedTuple):
    """What a resolver answered: the data of the records, and whether it has validated them (AD, RFC 4035 3.2.3)."""

    values: tuple[str, ...] = ()
    secure: bool = False


class Finding(Struct, frozen=True, kw_only=True):
    """One record's state; ``seen`` is what is there instead, or why it could not be asked."""

    owner: str
    type: str
    wanted: str
    state: State
    seen: str = ""


class AskError(Exception):
    """The resolver gave no answer; the text says why."""


Ask = Callable[[str, str], Found]


def asking(resolver: str | None) -> Ask:
    """Return the function that asks a resolver, given by its address, or else the system's own.

    It takes a name and a type and raises AskError when no answer comes.
    """
    chosen = dns.resolver.Resolver(configure=resolver is None)
    if resolver is not None:
        chosen.nameservers = [resolver]
    chosen.set_flags(dns.flags.RD | dns.flags.AD)
    chosen.use_edns(0, 0, 1232)

    def ask(name: str, kind: str) -> Found:
        try:
            answer = chosen.resolve(name, kind, search=False, raise_on_no_answer=False, lifetime=SECONDS)
        except dns.resolver.NXDOMAIN:
            return Found()
        except dns.exception.DNSException as error:
            raise AskError(str(error) or type(error).__name__) from error
        secure = bool(answer.response.flags & dns.flags.AD)
        # A type below an alias is in the answer too: only those that were asked for.
        return Found(tuple(_text(each) for each in answer.rrset or ()), secure)

    return ask


def _text(data: object) -> str:
    if isinstance(data, TXTBase):
        return b"".join(data.strings).decode("utf-8", "backslashreplace")
    return str(data)


def published(made: Plan, ask: Ask) -> list[Finding]:
    """Return the state of all that a plan has: its records, and the policies that web servers are to have."""
    return [*findings(made.records, ask), *policy_findings(made.policies, ask)]


def findings(records: Sequence[Record], ask: Ask) -> Iterator[Finding]:
    """Give each record's state; records of the same name and type are asked for once."""
    ordered = sorted(records, key=lambda record: (record.owner, record.type))
    for (owner, kind), group in groupby(ordered, key=lambda record: (record.owner, record.type)):
        wanted = list(group)
        try:
            found = ask(owner, kind)
        except AskError as error:
            yield from (_finding(record, "not asked", str(error)) for record in wanted)
            continue
        for record in wanted:
            yield _finding(record, *_judged(record, wanted, found))


def _finding(record: Record, state: State, seen: str) -> Finding:
    return Finding(owner=record.owner, type=record.type, wanted=record.value, state=state, seen=seen)


def _judged(record: Record, wanted: Sequence[Record], found: Found) -> tuple[State, str]:
    if record.type == "TXT":
        return _text_judged(record.value, found)
    there = {value.lower() for value in found.values}
    mine = {each.value.lower() for each in wanted}
    seen = ", ".join(sorted(there))
    if record.value.lower() not in there:
        # While keys change, one of two is not there yet, or no more; if none is, senders refuse the server (RFC 7672 2.2).
        if record.type == "TLSA" and mine & there:
            return "missing", seen
        return ("wrong" if there else "missing"), seen
    if record.type == "TLSA":
        # RFC 7672 2.2: without DNSSEC nobody heeds it. Others beside it belong to a change of keys.
        return ("live", "") if found.secure else ("wrong", "there, but not validated: the zone is not signed")
    # Another MX leads mail past the gateway; another address or name is of another host.
    more = ", ".join(sorted(there - mine))
    return ("wrong", f"there, but also {more}") if more else ("live", "")


def _text_judged(wanted: str, found: Found) -> tuple[State, str]:
    """Judge a TXT record among those of its kind, which its first words tell (``v=spf1``, ``v=DMARC1;``)."""
    version = wanted.split(maxsplit=1)[0].rstrip(";").lower()
    same = [text for text in found.values if text.lower().split(";")[0].split(" ")[0] == version]
    if not same:
        return "missing", ""
    if len(same) > 1:
        # RFC 7208 4.5, RFC 7489 6.6.3, RFC 8461 3.1: of two records none holds.
        return "wrong", f"there are {len(same)} such records, so that none holds"
    if _tags(same[0]) != _tags(wanted):
        return "wrong", same[0]
    return "live", ""


def _tags(text: str) -> list[str]:
    """Return a record's parts without what does not count: blanks, a last semicolon, the order but of SPF's terms."""
    if text.lower().startswith("v=spf1"):
        return text.lower().split()
    parts = ("".join(part.split()) for part in text.split(";"))
    version, *rest = [part for part in parts if part]
    return [version, *sorted(rest)]


# Asks one of the addresses of a server, which must prove the name, for a path; returns status, type and body.
Fetch = Callable[[str, str, str], tuple[int, str, bytes]]


def fetched(address: str, name: str, path: str) -> tuple[int, str, bytes]:
    """Return what a web server answers. Raises OSError (also for a certificate that does not hold) and HTTPException."""
    context = ssl.create_default_context()
    plain = socket.create_connection((address, HTTPS), timeout=SECONDS)
    with context.wrap_socket(plain, server_hostname=name) as connection:
        client = http.client.HTTPSConnection(name, timeout=SECONDS)
        client.sock = connection
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read(_LONGEST_POLICY)


def policy_findings(policies: Mapping[str, str], ask: Ask, fetch: Fetch = fetched) -> Iterator[Finding]:
    """Give the state of each domain's MTA-STS policy: served by a host that has an address, by HTTPS, and as it should be.

    Without it the TXT record promises what nobody finds, and no sender insists on TLS (RFC 8461 3.3).
    """
    for domain, text in policies.items():
        name = f"mta-sts.{domain}"
        try:
            addresses = [value for kind in ("A", "AAAA") for value in ask(f"{name}.", kind).values]
            state, seen = _served(name, addresses, text, fetch)
        except AskError as error:
            state, seen = "not asked", str(error)
        yield Finding(
            owner=f"{name}.", type="HTTPS", wanted="/.well-known/mta-sts.txt", state=state, seen=seen
        )


def _served(name: str, addresses: Sequence[str], text: str, fetch: Fetch) -> tuple[State, str]:
    if not addresses:
        return "missing", "the name has no address"
    problem = ""
    for address in addresses:
        try:
            status, kind, body = fetch(address, name, "/.well-known/mta-sts.txt")
        except (OSError, http.client.HTTPException) as error:
            problem = f"{address}: {error}"
            continue
        # RFC 8461 3.3: redirects are not followed, and another type is no policy.
        if status != http.HTTPStatus.OK or kind != "text/plain":
            return "wrong", f"{address} answers {status}, {kind}"
        found = sorted(line.strip() for line in body.decode("utf-8", "replace").splitlines() if line.strip())
        wrong = found != sorted(line.strip() for line in text.splitlines())
        return ("wrong", f"{address} serves: {' / '.join(found)}"[:_SHOWN]) if wrong else ("live", "")
    return "missing", problem
