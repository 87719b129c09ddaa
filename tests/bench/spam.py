"""What SpamAssassin costs on a lab's gateway: spamd as it is, spamd as Bastide sets it, and no spamd at all.

Run as ``python -m tests.bench.spam [LAB]`` with a lab that is up and deployed; two to four minutes. The figures are
processor time of whole process trees, with the host's own rules and settings. "worker" is SpamAssassin in a process
with a socket (`spam_worker.pl`): the floor, which a filter that has SpamAssassin inside of it reaches at best.
"""

import io
import json
import random
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from filterd.message import Envelope
from filterd.scanners.spamd import SpamdAnswer, parse, request, trace
from lab import state
from lab.access import ssh_argv
from lab.errors import LabError
from lab.plan import Host
from tests.bench.parts import both, mix, plain

_ROOT: Final = Path(__file__).parents[2]
_SENT: Final = (
    "tests/__init__.py",
    "tests/bench/__init__.py",
    "filterd/__init__.py",
    "filterd/processes.py",
    "tests/bench/spam_there.py",
    "tests/bench/spam_worker.pl",
)
_USER: Final = "debian-spamd"
_ROUNDS: Final = 5
_CHILDREN: Final = 4  # of each engine, as the role has it
_AT_A_TIME: Final = 2
_MAX_BYTES: Final = 512 * 1024  # filterd's default of [spamd] max_bytes
_CLIENT: Final = Envelope(
    client_address=b"198.51.100.20",
    client_name=b"mail.sender.example",
    helo=b"mail.sender.example",
    sender=b"<a@sender.example>",
    host=b"mx1.bastide.example",
    queue_id=b"4abcDE1234z",
)
_BACKSTAGE: Final = (
    'home=$(mktemp -d); trap "rm -rf $home" EXIT; cd $home; tar -x; python3 -m tests.bench.spam_there '
)


def spamd(children: int, *options: str) -> list[str]:
    """Return the command of a spamd as the role starts it, but for what ``options`` say."""
    return [
        "/usr/sbin/spamd",
        f"--max-children={children}",
        f"--min-children={children}",
        "--helper-home-dir=/var/lib/spamassassin",
        "--socketpath={socket}",
        "--syslog=stderr",
        *options,
    ]


ORIGINAL: Final = ("--nouser-config", "--siteconfigpath={home}/site")
DEPLOYED: Final = ("--nouser-config",)
_WORKER: Final = ("/usr/bin/perl", "-T", "{home}/tests/bench/spam_worker.pl", "{socket}")


class Measured(Struct, frozen=True):
    """What the engines answered, what they logged, and their milliseconds a message in each round of each load."""

    answers: dict[str, dict[str, list[SpamdAnswer]]]
    costs: dict[str, dict[str, list[float]]]
    logs: dict[str, str]


def whole(mail: bytes, user: str = "") -> bytes:
    """Return the request that filterd makes of a message."""
    content = trace(_CLIENT, 1_795_000_000) + mail[:_MAX_BYTES]
    return request(len(content), user) + content


def measured(
    host: Host,
    engines: Mapping[str, Sequence[str]],
    loads: Mapping[str, Sequence[bytes]],
    *,
    rounds: int,
    at_a_time: int = 1,
) -> Measured:
    """Run engines on a gateway, give each of them all requests. Raises CalledProcessError."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:

        def add(name: str, content: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))

        for name in _SENT:
            add(name, (_ROOT / name).read_bytes())
        add("engines.json", json.dumps(engines).encode())
        for load, requests in loads.items():
            for number, one in enumerate(requests):
                add(f"loads/{load}/{number:04}", one)
    argv = [*ssh_argv(host, options=["-o", "BatchMode=yes"]), f"{_BACKSTAGE}{_USER} {rounds} {at_a_time}"]
    done = subprocess.run(argv, input=packed.getvalue(), stdout=subprocess.PIPE, check=True)
    seen = json.loads(done.stdout)
    answers = {
        name: {load: [parse(one.encode()) for one in said] for load, said in each.items()}
        for name, each in seen["answers"].items()
    }
    return Measured(answers, seen["costs"], seen["logs"])


def main(name: str = "lab") -> int:
    """Print the table. Returns 2 if there is no such lab."""
    try:
        host = state.load(name).hosts["gw1"]
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    rng = random.Random(20261122)  # noqa: S311 - the same mail every time is what is wanted
    mails = {
        "plain text, 2 kB": [plain(rng, 2000) for _ in range(20)],
        "text and HTML, 10 kB": [both(rng, 10_000) for _ in range(10)],
        "mix": mix(rng),
    }
    loads = {load: [whole(mail) for mail in each] for load, each in mails.items()}
    engines = {
        "spamd": spamd(_CHILDREN, *ORIGINAL),
        "deployed": spamd(_CHILDREN, *DEPLOYED),
        "worker": [*_WORKER, str(_CHILDREN)],
    }
    seen = measured(host, engines, loads, rounds=_ROUNDS, at_a_time=_AT_A_TIME)
    print(
        f"{'ms of processor':24}{'spamd':>8}{'deployed':>10}{'worker':>8}{'deployed/spamd':>16}{'worker/spamd':>14}"
    )
    for load in loads:
        original, deployed, worker = (statistics.median(seen.costs[one][load]) for one in engines)
        print(
            f"{load:24}{original:8.1f}{deployed:10.1f}{worker:8.1f}{deployed / original:16.2f}{worker / original:14.2f}"
        )
    alike = seen.answers["spamd"] == seen.answers["deployed"] == seen.answers["worker"]
    print(f"answers of all three: {'the same' if alike else 'NOT the same'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
