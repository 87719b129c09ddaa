"""DNS as an outsider asks it: whether the gateway's port 53 says anything at all."""

import asyncio
import socket

import dns.exception
import dns.message
import dns.rcode

from audit.errors import NoSightError, UnseenError
from audit.place import Place
from roles.claims import DnsSilence

PORT = 53
# A resolver that means to answer `. NS` has the answer at hand; twice the longest round trip on this planet, and more.
SECONDS = 3.0
LONGEST = 4096


async def silence(claim: DnsSilence, place: Place) -> str:
    """Return ``silent``, ``closed``, or the code of the response to a question.

    Raises NoSightError where the gateway's SMTP port does not answer either: then silence says nothing.
    """
    address, source = place.addresses.get(claim.family), place.sources.get(claim.family)
    if address is None:
        raise UnseenError(
            f"no IPv{claim.family} address of the gateway declared for {place.vantage} (audit_address)"
        )
    await _reachable(address, source, place.smtp_port)
    kind = socket.SOCK_DGRAM if claim.protocol == "udp" else socket.SOCK_STREAM
    try:
        async with asyncio.timeout(SECONDS):
            response = await _asked(kind, address, source)
    except TimeoutError:
        return "silent"
    except OSError:
        return "closed"
    try:
        return dns.rcode.to_text(dns.message.from_wire(response).rcode()).lower()
    except dns.exception.DNSException as error:
        return f"no DNS message: {type(error).__name__}"


async def _asked(kind: socket.SocketKind, address: str, source: str | None) -> bytes:
    """Return what comes back to a question, by UDP or TCP (RFC 1035 4.2); raises OSError for an ICMP error or RST."""
    loop = asyncio.get_running_loop()
    question = dns.message.make_query(".", "NS").to_wire()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as connection:
        connection.settimeout(0)
        if source:
            connection.bind((source, 0))
        # Connected, a UDP socket is told of ICMP errors, too.
        await loop.sock_connect(connection, (address, PORT))
        if kind is socket.SOCK_DGRAM:
            await loop.sock_sendall(connection, question)
            return await loop.sock_recv(connection, LONGEST)
        await loop.sock_sendall(connection, len(question).to_bytes(2, "big") + question)
        return (await loop.sock_recv(connection, LONGEST))[2:]


async def _reachable(address: str, source: str | None, port: int) -> None:
    try:
        async with asyncio.timeout(SECONDS * 2):
            _, writer = await asyncio.open_connection(
                address, port, local_addr=(source, 0) if source else None
            )
    except (OSError, TimeoutError) as error:
        raise NoSightError(f"port {port} of {address} does not answer either: nothing can be told") from error
    writer.close()
