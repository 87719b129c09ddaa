"""The protected mail server of the lab: accepts what the gateway delivers and records it, byte for byte.

Runs on ``mailhost`` with that host's own Python and python3-aiosmtpd, so it imports nothing of this repository.
Each message becomes two files in the spool: ``<ns>-<n>.eml``, the content after the transparency dots are removed
(RFC 5321 4.5.2), and ``<ns>-<n>.json``, the envelope. The JSON file appears last: once it is there, both are whole.
"""

import argparse
import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

# Above the gateway's own limit, so that it is always the gateway that refuses.
LARGEST_MESSAGE_BYTES = 60 * 1024 * 1024
# Far above the 998 characters of RFC 5322 2.1.1: what the gateway passes on must be seen, not refused here.
LONGEST_LINE_BYTES = 1024 * 1024
# A recipient whose local part begins with this does not exist here.
UNKNOWN = "unknown"


class Sink:
    """The deeds of the server, called by aiosmtpd for each command; ``spool`` is where messages go."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._numbers = itertools.count(1)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds it by this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept every recipient but the unknown ones."""
        if address.lower().startswith(UNKNOWN):
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds it by this name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Record the message; the reply names its files."""
        now = time.time_ns()
        stem = f"{now}-{next(self._numbers)}"
        record = {
            "mail_from": envelope.mail_from,
            "rcpt_tos": envelope.rcpt_tos,
            "peer": list(session.peer or ())[:2],
            "helo": session.host_name,
            "tls": session.ssl["ssl_object"].version() if session.ssl else None,
            "options": [*envelope.mail_options, *envelope.rcpt_options],
            "received_at": datetime.fromtimestamp(now / 1e9, tz=UTC).isoformat(),
        }
        self._put(f"{stem}.eml", envelope.original_content or b"")
        self._put(f"{stem}.json", json.dumps(record, indent=2).encode())
        return f"250 2.0.0 Recorded as {stem}"

    def _put(self, name: str, content: bytes) -> None:
        # Not by its own ending: who looks for *.json must not meet what is not whole.
        fresh = self._spool / f".{name}.part"
        fresh.write_bytes(content)
        fresh.rename(self._spool / name)


class Server(SMTP):
    """aiosmtpd's server with room for long lines."""

    line_length_limit = LONGEST_LINE_BYTES


async def serve(
    spool: Path, *, port: int, host: str | None = None, pair: Path | None = None
) -> asyncio.Server:
    """Start the sink on a port of all addresses, or of one; return the listening server.

    ``pair`` is a PEM file of certificate and key: with it STARTTLS is offered.
    """
    loop = asyncio.get_running_loop()
    sink = Sink(spool)
    context = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)

    def connection() -> Server:
        return Server(
            sink,
            data_size_limit=LARGEST_MESSAGE_BYTES,
            enable_SMTPUTF8=True,
            hostname="mail.bastide.example",
            ident="ESMTP",
            loop=loop,
            tls_context=context,
        )

    return await loop.create_server(connection, host=host, port=port)


async def _run(spool: Path, host: str | None, places: Sequence[str]) -> None:
    servers = []
    for place in places:
        port, _, pair = place.partition("=")
        servers.append(await serve(spool, port=int(port), host=host, pair=Path(pair) if pair else None))
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Record every message that arrives.")
    parser.add_argument(
        "--listen",
        action="append",
        metavar="PORT[=PAIR]",
        required=True,
        help="a port, and the PEM file of the certificate and key that it offers STARTTLS with",
    )
    parser.add_argument("--host", help="an address to listen on; all of them without it")
    parser.add_argument("--spool", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.spool, arguments.host, arguments.listen))


if __name__ == "__main__":
    main()
