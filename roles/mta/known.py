"""Declared recipients as Postfix's tables: text from data, nothing else but the operator's own files read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from roles.international import spellings
from roles.mta.recipients import Ldap, RecipientCheck, listed, password_of
from roles.mta.tls.settings import SYSTEM_AUTHORITIES
from roles.platforms import row
from roles.settings import Gateway

LIST_FILE: Final = "/etc/postfix/recipients"
# Looked up for each recipient and perhaps large: indexed, built beside and renamed (docs/decisions/0001).
LIST: Final = f"lmdb:{LIST_FILE}"
# Makes the index of it in the stage.
INDEXED: Final = f"postmap -c $stage/etc/postfix lmdb:$stage{LIST_FILE}; chmod 644 $stage{LIST_FILE}.lmdb"
VERIFIED_FILE: Final = "/etc/postfix/verified_domains"
VERIFIED: Final = f"texthash:{VERIFIED_FILE}"
LDAP_FILES: Final = "/etc/postfix/directory-*.cf"
# A recipient waits for the answer, and the client with him (RFC 5321 4.5.3.2: five minutes for RCPT).
_LDAP_SECONDS: Final = 10


def _by(method: str, gateway: Gateway) -> Iterator[tuple[str, RecipientCheck | None]]:
    for domain in gateway.domains:
        check = gateway.recipients.get(domain)
        if (check.method if check else "next_hop") == method:
            yield domain, check


def spelled(gateway: Gateway, entries: Mapping[str, str]) -> dict[str, str]:
    """Return entries by domain, in order, with one for each spelling that an envelope may have of it."""
    return {name: entries[domain] for domain in sorted(entries) for name in spellings(gateway, domain)}


def verified(gateway: Gateway) -> dict[str, str]:
    """Return the entries of the access(5) map that has next hops asked: the domains that need it."""
    return spelled(gateway, {domain: "reject_unverified_recipient" for domain, _ in _by("next_hop", gateway)})


def known(gateway: Gateway) -> dict[str, str]:
    """Return the entries of the list of recipients; domains whose next hop is asked stand there as a whole."""
    addresses = [
        f"{address.rpartition('@')[0]}@{name}"
        for domain, check in _by("list", gateway)
        if check is not None
        for address in listed(domain, check)
        for name in spellings(gateway, domain)
    ]
    # The value is not looked at (postconf(5), relay_recipient_maps), but must not be empty.
    return {**{f"@{domain}": "OK" for domain in verified(gateway)}, **dict.fromkeys(addresses, "OK")}


def directories(gateway: Gateway) -> dict[str, Ldap]:
    """Return the directories to be asked, by domain."""
    return {
        domain: check.ldap
        for domain, check in _by("ldap", gateway)
        if check is not None and check.ldap is not None
    }


def _directory(domain: str) -> str:
    """Return the file that describes a domain's directory to Postfix."""
    return f"/etc/postfix/directory-{domain}.cf"


def listed_map(gateway: Gateway) -> str:
    """Return the value of relay_recipient_maps: the list, then the directories, each asked for its own domain alone.

    By proxymap(8): smtpd is in a chroot, where neither a directory's name nor its certificate can be looked up.
    """
    return " ".join([LIST, *(f"proxy:ldap:{_directory(domain)}" for domain in directories(gateway))])


def directory_text(domains: Sequence[str], ldap: Ldap, authorities: str = SYSTEM_AUTHORITIES) -> str:
    """Return what ldap_table(5) has to know of one domain's directory, with the file of those who sign for its server.

    ``domains`` are the domain's spellings.
    """
    settings = {
        "server_host": " ".join(ldap.servers),
        "version": "3",
        "domain": " ".join(domains),
        "search_base": ldap.base,
        "query_filter": ldap.filter,
        "result_attribute": ldap.attribute,
        "timeout": str(_LDAP_SECONDS),
        "bind": "yes" if ldap.bind_dn else "no",
        **({"bind_dn": ldap.bind_dn, "bind_pw": password_of(ldap)} if ldap.bind_dn else {}),
        "start_tls": "yes" if ldap.start_tls else "no",
        "tls_require_cert": "yes",
        "tls_ca_cert_file": authorities,
    }
    head = "# Written by Bastide; changes are undone by the next deploy. See ldap_table(5).\n"
    return head + "".join(f"{name} = {value}\n" for name, value in settings.items())


def directory_files(gateway: Gateway) -> dict[str, str]:
    """Return the texts of the directories' files by their paths."""
    authorities = row(gateway).here(SYSTEM_AUTHORITIES)
    return {
        _directory(domain): directory_text(spellings(gateway, domain), ldap, authorities)
        for domain, ldap in directories(gateway).items()
    }


def table_text(entries: dict[str, str], manual: str) -> str:
    """Return a table of keys and values as postmap(1) reads it."""
    head = f"# Written by Bastide; changes are undone by the next deploy. See {manual}.\n"
    return head + "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))
