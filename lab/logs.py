"""The house's log server: syslog over TLS (RFC 5425), a line of its file for each message.

Runs on ``mailhost`` with that host's own Python, so it imports nothing of this repository.
"""

import argparse
import asyncio
import re
import ssl
from pathlib import Path

# RFC 5425 4.3.1: a receiver should take 8192 octets; senders here send no longer ones.
LONGEST = 65_536


class Receiver:
    """What writes down the frames of all connections."""

    def __init__(self, file: Path) -> None:
        self.file = file

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Write down what one sender sends; a frame that is none ends the connection."""
        try:
            while head := await reader.readuntil(b" "):
                length = int(head) if re.fullmatch(rb"[1-9][0-9]{0,5} ", head) else 0
                if not 0 < length <= LONGEST:
                    break
                message = await reader.readexactly(length)
                with self.file.open("ab") as kept:
                    kept.write(message.replace(b"\n", b" ") + b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()


async def _serve(file: Path, port: int, pair: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = await asyncio.start_server(Receiver(file).take, port=port, ssl=context)
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Write down what comes by syslog over TLS.")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pair", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.file, arguments.port, arguments.pair))


if __name__ == "__main__":
    main()
