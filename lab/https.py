"""Web servers of other mail domains, one a folder: what they publish by MTA-STS (RFC 8461 3.3).

Runs on ``world`` with that host's own Python, so it imports nothing of this repository. A request's Host header names
the folder; the certificate is the same for all.
"""

import argparse
import http.server
import re
import ssl
from pathlib import Path


class Policies(http.server.SimpleHTTPRequestHandler):
    """Serve the files of the folder that is named like the host that was asked for."""

    folder: Path

    def translate_path(self, path: str) -> str:
        """Return the file of a path; one that is not there for a host that is not ours."""
        host = self.headers.get("Host", "").partition(":")[0]
        self.directory = str(self.folder / (host if re.fullmatch(r"[a-z0-9.-]+", host) else "none"))
        return super().translate_path(path)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Serve MTA-STS policies over HTTPS.")
    parser.add_argument("--address", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pair", type=Path, required=True)
    arguments = parser.parse_args()
    Policies.folder = arguments.folder
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.pair)
    server = http.server.ThreadingHTTPServer((arguments.address, 443), Policies)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
