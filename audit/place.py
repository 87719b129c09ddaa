"""Place: where a probe stands, what it aims at, and what it may assume there."""

from msgspec import Struct

from audit.errors import UnseenError

# The two IP versions; keys of everything that is given by family.
V4, V6 = 4, 6


class Place(Struct, frozen=True, kw_only=True):
    """One vantage's view of one gateway: plain values, handed to the worker process as JSON.

    ``addresses``: the gateway's, ``sources``: ours, each by IP version. ``declared``: the TCP ports that are open to
    our source, by IP version. ``size_limit`` is in bytes. ``recorder`` is the directory where the protected mail
    server puts what it received, empty if there is none. ``outside`` is a mailbox that is none of the gateway's. With
    ``thorough`` off, a SYN scan asks a sample of ports.
    """

    vantage: str
    hostname: str
    domain: str
    size_limit: int
    addresses: dict[int, str]
    sources: dict[int, str] = {}
    declared: dict[int, tuple[int, ...]] = {}
    sender: str = ""
    recipient: str
    helo: str
    outside: str = ""
    recorder: str = ""
    smtp_port: int = 25
    ssh_port: int = 22
    ssh_user: str = ""
    known_hosts: str = ""
    thorough: bool = True

    def address(self) -> str:
        """Return the gateway's address, IPv4 if there is one."""
        for family in (V4, V6):
            if family in self.addresses:
                return self.addresses[family]
        raise UnseenError(f"no address of the gateway declared for {self.vantage} (audit_address)")

    def source(self) -> str | None:
        """Return our address of the family that ``address`` has, None to leave the choice to the kernel."""
        return self.sources.get(V4 if V4 in self.addresses else V6)

    def filled(self, text: str) -> str:
        """Return a dialogue line with its placeholders filled in; UnseenError if one has no value here."""
        if "{outside}" in text and not self.outside:
            raise UnseenError("no mailbox elsewhere declared (audit_outside)")
        for name, value in (
            ("{domain}", self.domain),
            ("{hostname}", self.hostname),
            ("{size_over}", str(self.size_limit + 1)),
            ("{sender}", self.sender),
            ("{recipient}", self.recipient),
            ("{helo}", self.helo),
            ("{outside}", self.outside),
        ):
            text = text.replace(name, value)
        return text
