"""DNS as an outsider asks it: whether the gateway's port 53 says anything at all."""

import asyncio

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from audit.errors import NoSightError, UnseenError
from audit.place import Place
from roles.claims import DnsSilence

PORT = 53
# A resolver that means to answer `. NS` has the answer at hand; twice the longest round trip on this planet, and more.
SECONDS = 3.0


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
    question = dns.message.make_query(".", "NS")
    asked = dns.asyncquery.udp if claim.protocol == "udp" else dns.asyncquery.tcp
    try:
        answer = await asked(question, address, timeout=SECONDS, port=PORT, source=source)
    except (dns.exception.Timeout, TimeoutError):
        return "silent"
    except (OSError, EOFError):
        return "closed"
    except dns.exception.DNSException as error:
        return f"no DNS message: {type(error).__name__}"
    return dns.rcode.to_text(answer.rcode()).lower()


async def _reachable(address: str, source: str | None, port: int) -> None:
    try:
        async with asyncio.timeout(SECONDS * 2):
            _, writer = await asyncio.open_connection(
                address, port, local_addr=(source, 0) if source else None
            )
    except (OSError, TimeoutError) as error:
        raise NoSightError(f"port {port} of {address} does not answer either: nothing can be told") from error
    writer.close()
