"""Settings of what the administrator publishes by DNS: `python -m publish` prints the records and looks for them."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta, Struct

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9+/]{40,1400}={0,2}")
# RFC 7208 4.6.1: mechanisms and modifiers, without the version and the `all` at the end, which are ours.
_TERM = re.compile(r"[+?~-]?(ip4|ip6|a|mx|include|exists)([:/][!-~]+)?", re.IGNORECASE)


class Publish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is published of this gateway and its domains; nothing of it is set on the gateway."""

    addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="The gateway's public addresses, both families: its name has them, and they its name."
        ),
    ] = ()
    preference: Annotated[
        int, Meta(ge=0, le=65_535, description="Preference of its MX records; the lowest is tried first.")
    ] = 10
    spf: Annotated[
        tuple[str, ...],
        Meta(description="Who else sends in your domains' names, as SPF terms: `include:_spf.example.net`."),
    ] = ()
    spf_others: Annotated[
        Literal["-all", "~all"],
        Meta(description="What SPF says of everybody else: `-all` not allowed, `~all` doubtful."),
    ] = "-all"
    dkim: Annotated[
        dict[str, str],
        Meta(
            description="Public keys of DKIM (the `p=` value) by their selectors; `ed25519:` before one that is of that kind."
        ),
    ] = {}
    dmarc: Annotated[
        Literal["none", "quarantine", "reject"],
        Meta(
            description="What others are to do with mail that fails both SPF and DKIM. Begin with `none`, read the reports, "
            "then tighten it."
        ),
    ] = "none"
    mta_sts: Annotated[
        Literal["none", "testing", "enforce"],
        Meta(
            description="Mode of the MTA-STS policy (RFC 8461), which you serve by HTTPS; `none`: nothing is published."
        ),
    ] = "testing"
    mta_sts_max_age: Annotated[
        int,
        Meta(ge=86_400, le=31_557_600, description="Seconds for which others keep the policy."),
    ] = 604_800


def publish_problems(settings: Publish) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used."""
    for address in settings.addresses:
        try:
            ip_address(address)
        except ValueError:
            yield "publish.addresses", f"{address!r} is not an IP address"
    for term in settings.spf:
        if _TERM.fullmatch(term) is None:
            yield (
                "publish.spf",
                f"{term!r} is no SPF term; write it like include:_spf.example.net or ip4:192.0.2.7",
            )
    for selector, key in settings.dkim.items():
        if _SELECTOR.fullmatch(selector) is None:
            yield "publish.dkim", f"{selector!r} is no selector; write it like s2026a"
        if _KEY.fullmatch(key.removeprefix("ed25519:")) is None:
            yield "publish.dkim", f"the key of {selector} is no base64 text of a public key"
