"""The command line of the lab: ``python -m lab up|down|status|ssh|run|image|mirror|cache-clean``."""

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from lab import disk, image, lifecycle, mirror, state
from lab.access import ssh_argv
from lab.errors import LabError
from lab.plan import CONTAINER, KINDS
from lab.platforms import DEBIAN12, PLATFORMS
from lab.progress import say
from lab.tools import TO_BUILD, TO_RUN, require

USAGE_ERROR = 2
NOT_UP = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 not up or unhealthy, 2 it could not be done, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows -- is a command for somebody else: argparse must not look for options in it.
    command: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], words[at + 1 :]
    arguments = _parser().parse_args(words)
    # So that `up` removes what it has made when it is told to end, not only when it is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _DEEDS[arguments.deed](arguments, command)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _up(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    lifecycle.up(
        arguments.name, gateways=arguments.gateways, kind=arguments.kind, platform=arguments.platform
    )
    return 0


def _down(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    for name in state.names() if arguments.all else (arguments.name,):
        removed = lifecycle.down(name)
        say(f"Lab {name!r} is removed." if removed else f"There is no lab {name!r}: nothing to remove.")
    return 0


def _status(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    lab = state.read(arguments.name)
    ready = lab is not None and lifecycle.healthy(lab)
    if arguments.json:
        print(json.dumps({"name": arguments.name, "up": ready, "lab": state.as_json(lab) if lab else None}))
    elif lab is None:
        print(f"lab {arguments.name}: not up")
    else:
        print(
            f"lab {lab.name}: {'up' if ready else 'broken, run up to repair it'}, kind {lab.kind}, platform {lab.platform};"
            f" messages arrive in {lab.sink}"
        )
        for host in lab.hosts.values():
            legs = [leg for leg in (host.wan4, host.wan6, host.lan4, host.lan6) if leg]
            print(f"  {host.name:9} {host.fqdn:22} ssh {host.ssh_host:15} {' '.join(legs)}")
    return 0 if ready else NOT_UP


def _ssh(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    lab = state.load(arguments.name)
    host = lab.hosts.get(arguments.host)
    if host is None:
        raise LabError(f"lab {lab.name!r} has no host {arguments.host!r}: it has {', '.join(lab.hosts)}")
    words = [*ssh_argv(host), *command]
    _become(words)


def _run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    if not command:
        raise LabError("no command was given: write it after --, as in 'python -m lab run wan -- ip address'")
    lab = state.load(arguments.name)
    inside = [] if arguments.vantage == "mgmt" else ["ip", "netns", "exec", lab.netns[arguments.vantage]]
    _become([*inside, *command])


def _become(words: list[str]) -> NoReturn:
    """Turn this process into a program of this machine, so that terminal and signals are that program's."""
    try:
        os.execvp(words[0], words)  # noqa: S606 - no shell is wanted: the words are the program's own
    except FileNotFoundError as error:
        raise LabError(f"there is no program {words[0]!r} on this machine: install it first") from error


def _image(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    require({**TO_RUN, **TO_BUILD})
    lifecycle.build_cache(platform=arguments.platform)
    for each in image.images_for(CONTAINER, arguments.platform):
        print(image.rootfs_of(each))
    return 0


def _mirror(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    require({**TO_RUN, **TO_BUILD})
    print(lifecycle.build_cache(platform=arguments.platform))
    return 0


def _cache_clean(_arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    require({})
    with state.locked("cache"):
        if state.names():
            raise LabError(
                f"labs use the cache ({', '.join(state.names())}): run 'python -m lab down --all' first"
            )
        for folder in (
            image.place_of(image.SERVICES).parent,
            mirror.place(DEBIAN12).parent,
            disk.place().parent,
        ):
            shutil.rmtree(folder, ignore_errors=True)
    say("The lab's images and mirror are removed; the next up builds them anew.")
    return 0


_DEEDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "ssh": _ssh,
    "run": _run,
    "image": _image,
    "mirror": _mirror,
    "cache-clean": _cache_clean,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab", description="Three networks and real hosts on one machine."
    )
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="COMMAND")
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("--name", default="lab", help="which lab (default: %(default)s)")
    platform = argparse.ArgumentParser(add_help=False)
    platform.add_argument(
        "--platform", choices=PLATFORMS, default=DEBIAN12, help="what the gateways run (default: %(default)s)"
    )
    up = deeds.add_parser(
        "up", parents=[name, platform], help="make a lab and wait until ssh answers on every host"
    )
    up.add_argument("--gateways", type=int, default=1, help="how many gateways (default: %(default)s)")
    up.add_argument(
        "--kind",
        choices=KINDS,
        default=CONTAINER,
        help="what the gateways are: a vm boots a kernel of its own, and takes as many minutes as a container seconds",
    )
    down = deeds.add_parser("down", parents=[name], help="remove a lab and everything it made")
    down.add_argument("--all", action="store_true", help="remove every lab of this machine")
    status = deeds.add_parser("status", parents=[name], help="say what a lab has; exit 1 if it is not up")
    status.add_argument("--json", action="store_true", help="the same as JSON")
    ssh = deeds.add_parser(
        "ssh", parents=[name], help="log in to a host, or run a command there: ssh gw1 -- uptime"
    )
    ssh.add_argument("host", metavar="HOST")
    run = deeds.add_parser(
        "run", parents=[name], help="run a command as somebody in a network: run wan -- dig ..."
    )
    run.add_argument("vantage", choices=("wan", "lan", "mgmt"), metavar="wan|lan|mgmt")
    deeds.add_parser(
        "image",
        parents=[platform],
        help="build the images and the mirror if the cache lacks them; print the images",
    )
    deeds.add_parser(
        "mirror",
        parents=[platform],
        help="build the images and the mirror if the cache lacks them; print the mirror",
    )
    deeds.add_parser("cache-clean", help="remove images and mirror; the next up builds them anew")
    return parser


if __name__ == "__main__":
    sys.exit(main())
