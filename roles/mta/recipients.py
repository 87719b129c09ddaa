"""Recipients: how the gateway knows which mailboxes of a relayed domain exist; plain data of any MTA, and its reading.

What the next hop would refuse later must be refused at once: a bounce would go to whoever was named as the sender.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from filterd.domains import in_ascii
from roles.forms import is_fqdn, is_mail_address

_ONE_LINE: Final = re.compile(r"[ -~]*")
_LDAP_PORTS: Final = {"ldap": 389, "ldaps": 636}
# postconf(5) reads a parameter from one line; what stands in a value must not begin another.
Line = Annotated[str, Meta(pattern=r"\A[ -~]*\Z", max_length=1000)]


Delimiter = Annotated[
    Literal["", "+", "-", "="],
    Meta(
        description="What parts a mailbox from a tag of its owner's choice: with `+`, mail for `alice+shop@` is taken where "
        "`alice@` is known by list or directory. One for all domains, that of your mail server; a next hop that is asked "
        "judges by itself. Empty: a tag is a part of the name."
    ),
]


class Ldap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A directory that is asked for each recipient (ldap_table(5)). While it does not answer, mail waits at its sender."""

    servers: Annotated[
        tuple[Line, ...],
        Meta(
            min_length=1,
            description="`ldaps://ldap.internal.example` or `ldap://192.0.2.7:389`; asked in this order.",
        ),
    ]
    base: Annotated[Line, Meta(description="Where the search begins: `dc=example,dc=org`.")]
    filter: Annotated[
        Line, Meta(description="Search filter in which `%s` is the recipient's address (RFC 4515).")
    ] = "(mail=%s)"
    attribute: Annotated[
        str,
        Meta(
            pattern=r"\A[A-Za-z][A-Za-z0-9;-]{0,63}\Z",
            description="Attribute that an entry must have to count.",
        ),
    ] = "mail"
    bind_dn: Annotated[Line, Meta(description="Name to log in with; empty: none is needed.")] = ""
    bind_password_file: Annotated[
        str,
        Meta(
            description="A file on the control host with its password, one line; on the gateway only root and the MTA can read "
            "what is made of it. The inventory holds no secret."
        ),
    ] = ""
    start_tls: Annotated[
        bool,
        Meta(
            description="Encrypt a connection to `ldap://` servers, and insist on a certificate that is good."
        ),
    ] = False


class RecipientCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the mailboxes of one relayed domain are known."""

    method: Annotated[
        Literal["next_hop", "list", "ldap"],
        Meta(
            description="`next_hop`: the next hop is asked, and its answer kept for a while; `list`: `addresses` and `file`; "
            "`ldap`: the directory is asked."
        ),
    ]
    addresses: Annotated[
        tuple[str, ...], Meta(description="Of `list`: the addresses, or the parts before the `@`.")
    ] = ()
    file: Annotated[
        str,
        Meta(
            description="Of `list`: a file on the control host with one such entry a line; # begins a comment."
        ),
    ] = ""
    ldap: Ldap | None = None


def listed(domain: str, check: RecipientCheck) -> Iterator[str]:
    """Give the addresses of a domain whose mailboxes are declared, in lower case. Raises OSError for an unreadable file."""
    yield from (address for _, address in _placed(domain, check))


def _placed(domain: str, check: RecipientCheck) -> Iterator[tuple[str, str]]:
    """Give each address with the file and line that it stands in, or an empty text."""
    given = [("", entry) for entry in check.addresses]
    if check.file:
        lines = Path(check.file).expanduser().read_text().splitlines()
        cut = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
        given += [(f"the file {check.file!r}, line {number}: ", line) for number, line in cut if line]
    for place, entry in given:
        local, at, named = entry.rpartition("@")
        # Letters beyond ASCII belong to the domain alone: mailboxes of the kind need a next hop that knows SMTPUTF8.
        yield place, (f"{local}@{in_ascii(named)}" if at else f"{entry}@{domain}").lower()


def password_of(ldap: Ldap) -> str:
    """Return the password to log in with; empty where none is given. Raises OSError, UnicodeDecodeError."""
    return Path(ldap.bind_password_file).expanduser().read_text().strip() if ldap.bind_password_file else ""


def recipient_problems(
    recipients: Mapping[str, RecipientCheck], relayed: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what is declared of the relayed domains' recipients."""
    for domain, check in recipients.items():
        for problem in _problems(domain, check, relayed):
            yield "recipients", f"{domain}: {problem}"


def _problems(domain: str, check: RecipientCheck, relayed: Mapping[str, str]) -> Iterator[str]:
    if domain not in relayed:
        yield "it is not among `relay_domains`; name it there, or remove it here"
    if (check.method == "list") != bool(check.addresses or check.file):
        yield "`addresses` or `file` go with the method `list`, which needs one of them"
    if (check.method == "ldap") != (check.ldap is not None):
        yield "`ldap` goes with the method `ldap`, which needs it"
    if check.ldap is not None:
        yield from _ldap_problems(check.ldap)
    try:
        found = list(_placed(domain, check))
    except (OSError, UnicodeDecodeError) as error:
        yield f"the file {check.file!r} cannot be read: {error}"
        return
    for place, address in found:
        if not is_mail_address(address) or not address.endswith(f"@{domain}"):
            yield f"{place}{address!r} is not an address of this domain; write it like alice@{domain}, or alice"
            return


def _ldap_problems(ldap: Ldap) -> Iterator[str]:
    for server in ldap.servers:
        if server_of(server) is None:
            yield f"{server!r} is no server; write it like ldaps://ldap.internal.example or ldap://192.0.2.7:389"
        elif ldap.start_tls and server.startswith("ldaps:"):
            yield f"{server!r} is encrypted already; leave `start_tls` out"
    if "%s" not in ldap.filter and "%u" not in ldap.filter:
        yield f"the filter {ldap.filter!r} does not ask for the recipient; write it like (mail=%s)"
    elif ldap.filter.count("(") != ldap.filter.count(")") or not ldap.filter.startswith("("):
        yield f"the filter {ldap.filter!r} is no search filter; write it like (mail=%s)"
    if not ldap.base.strip():
        yield "`base` is empty; write it like dc=example,dc=org"
    if ldap.bind_password_file and not ldap.bind_dn:
        yield "a password without `bind_dn`; name whose it is"
    try:
        if not _ONE_LINE.fullmatch(password_of(ldap)):
            yield f"the file {ldap.bind_password_file!r} holds more than one line of plain text; write the password alone"
    except (OSError, UnicodeDecodeError) as error:
        yield f"the file {ldap.bind_password_file!r} cannot be read: {error}"


def server_of(text: str) -> tuple[str, int] | None:
    """Return host and port of an LDAP server's URL (RFC 4516); None if it is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or _LDAP_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    plain = parts.scheme in _LDAP_PORTS and not (
        parts.path or parts.query or parts.fragment or parts.username
    )
    named = is_fqdn(host) or host.replace(".", "").isdigit() or ":" in host
    return (host, port) if plain and named and port else None
