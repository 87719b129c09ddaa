"""The command `python -m publish INVENTORY`: records for the zone files of the gateways' domains, and whether they are live."""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from publish.live import AskError, Finding, asking, published
from publish.records import ContradictionError, Plan, plan
from roles.errors import SettingError
from roles.forms import address_argument
from roles.inventory import hosts_of, typed
from roles.settings import Gateway

LIVE, FINDINGS, COULD_NOT_RUN = 0, 2, 3
EPILOG = """exit codes:
  0  the records were printed; with --check each of them is live and right
  2  gateways of one domain contradict each other in `publish`; with --check: a record or policy is missing or wrong; also a
     wrong command line
  3  the inventory cannot be used, or the resolver gave no answer about a record and none is missing or wrong
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code, as EPILOG tells them."""
    options = _parser().parse_args(arguments)
    try:
        gateways = _chosen(options.inventory, options.host)
        made = plan(gateways, _keys(options.certificate, gateways))
    except SettingError as error:
        print(f"publish: {error}", file=sys.stderr)
        return FINDINGS if isinstance(error, ContradictionError) else COULD_NOT_RUN
    for sentence in made.lacking:
        print(f"publish: {sentence}", file=sys.stderr)
    if not options.check:
        _print_json(made, ()) if options.json else _print_zone(made)
        return LIVE
    ask = asking(options.resolver)
    try:
        ask(".", "NS")
    except AskError as error:
        print(f"publish: the resolver gives no answer: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    found = published(made, ask)
    _print_json(made, found) if options.json else _print_findings(found)
    return _code(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m publish",
        description="Print the DNS records that the gateways of an inventory and their domains need.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inventory", metavar="INVENTORY", help="pyinfra inventory file, the one that is deployed from")
    add(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="only this host of the inventory; repeatable",
    )
    add(
        "--certificate",
        action="append",
        default=[],
        metavar="[HOSTNAME=]FILE",
        help="a gateway's certificate (PEM), for its TLSA record; repeatable, also with the one that it gets next",
    )
    add("--check", action="store_true", help="ask a resolver which of the records are live and right")
    add(
        "--resolver",
        type=address_argument,
        metavar="ADDRESS",
        help="ask this one, which should validate, not the system's own",
    )
    add("--json", action="store_true", help="print JSON")
    return parser


def _chosen(inventory: str, names: Sequence[str]) -> list[Gateway]:
    hosts = hosts_of(inventory)
    if unknown := sorted(set(names) - set(hosts)):
        raise SettingError(f"{inventory}: no such host: {', '.join(unknown)}")
    return [typed(name, data) for name, data in hosts.items() if not names or name in names]


def _keys(given: Sequence[str], gateways: Sequence[Gateway]) -> dict[str, list[str]]:
    """Return the SHA-256 of each certificate's public key, by the gateway's name."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, file = text.rpartition("=")
        if not equals and len(gateways) != 1:
            raise SettingError(f"--certificate {text}: say whose it is, as in {gateways[0].hostname}={text}")
        name = name or gateways[0].hostname
        if name not in {gateway.hostname for gateway in gateways}:
            raise SettingError(f"--certificate {text}: no gateway of the inventory is called {name}")
        found.setdefault(name, []).append(_digest(Path(file)))
    return found


def _digest(file: Path) -> str:
    try:
        # The first of a chain is the gateway's own.
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingError(
            f"--certificate {file}: no certificate in PEM can be read there ({error})"
        ) from error
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def _print_zone(made: Plan) -> None:
    about = ""
    for record in made.records:
        if record.about != about:
            about = record.about
            print(f"; {about}")
        print(record.line())
    for domain, text in made.policies.items():
        print(f"\n; to be served as https://mta-sts.{domain}/.well-known/mta-sts.txt (RFC 8461 3.3):")
        print("".join(f"; {line}\n" for line in text.splitlines()), end="")


def _print_findings(found: Sequence[Finding]) -> None:
    for finding in found:
        seen = f"; seen: {finding.seen}" if finding.seen else ""
        print(f"{finding.state:9}  {finding.owner} {finding.type} {finding.wanted}{seen}")
    states = Counter(finding.state for finding in found)
    print(
        f"\n{len(found)} records and policies: "
        + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    )


def _print_json(made: Plan, found: Sequence[Finding]) -> None:
    document = {
        "records": made.records,
        "policies": made.policies,
        "lacking": made.lacking,
        "findings": found,
    }
    print(msgspec.json.format(msgspec.json.encode(document)).decode())


def _code(found: Sequence[Finding]) -> int:
    states = {finding.state for finding in found}
    if states & {"missing", "wrong"}:
        return FINDINGS
    return COULD_NOT_RUN if "not asked" in states else LIVE


if __name__ == "__main__":
    sys.exit(main())
