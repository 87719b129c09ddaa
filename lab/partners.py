"""Other mail domains that the gateway sends to: their zones, their policies, and whose certificate their server has.

Their mail servers have the address of wan's first vantage: tests start one there, as it should be or otherwise.
"""

from dataclasses import dataclass
from typing import Final

from lab.plan import WAN4, WAN_VANTAGES, WORLD

MAIL_SERVER: Final = str(WAN4[WAN_VANTAGES[0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A domain; ``sts`` is the mail server that its MTA-STS policy names, ``tlsa`` whether it has TLSA records.

    ``tlsa`` is ``good``, ``forged`` (of another key) or empty for none.
    """

    domain: str
    sts: str = ""
    tlsa: str = ""

    @property
    def mail_server(self) -> str:
        """The name in its MX record."""
        return f"mx.{self.domain}"

    @property
    def web_server(self) -> str:
        """The name of the server that its policy is fetched from (RFC 8461 3.3)."""
        return f"mta-sts.{self.domain}"

    def records(self, key_hash: str) -> tuple[tuple[str, str, str], ...]:
        """Return its records as (owner, type, value); ``key_hash`` is the SHA-256 of its mail server's key."""
        found = [("@", "MX", "10 mx"), ("mx", "A", MAIL_SERVER)]
        if self.sts:
            found += [("_mta-sts", "TXT", '"v=STSv1; id=20260101"'), ("mta-sts", "A", str(WAN4[WORLD]))]
        if self.tlsa:
            shown = key_hash if self.tlsa == "good" else "00" * 32
            # RFC 7672 3.1: the server's own key, whatever certificate it is in.
            found.append(("_25._tcp.mx", "TLSA", f"3 1 1 {shown}"))
        return tuple(found)

    def policy(self) -> str:
        """Return its MTA-STS policy (RFC 8461 3.2)."""
        return f"version: STSv1\r\nmode: enforce\r\nmx: {self.sts}\r\nmax_age: 86400\r\n"


PARTNERS: Final = (
    Partner(domain="open.example"),
    Partner(domain="sts.example", sts="mx.sts.example"),
    # Its policy does not know its mail server: somebody has forged its MX record.
    Partner(domain="stray.example", sts="mx.elsewhere.example"),
    Partner(domain="dane.example", tlsa="good"),
    Partner(domain="forged.example", tlsa="forged"),
)
