"""`make chaos`: the trials in their long form. Prints a line for each round; exit 1 when anything went wrong.

``--minutes`` is how long processes are killed in all, first on a gateway with real Postfix and engines in a lab of its
own (as root), then beside fake ones; 2,000 messages a minute of it are sent while workers are replaced.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lab import state
from lab.errors import LabError
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import deployed
from tests.acceptance.outside import seen_from
from tests.chaos import live, trials

_ROUND_S = 60.0
_MOST_SHOWN = 20


def main() -> int:
    """Run all trials. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of killing; default: 10")
    parser.add_argument("--seed", type=int, default=1, help="of the chances; default: 1")
    parser.add_argument("--lab", help="a lab that is up and deployed, instead of one of its own")
    parser.add_argument("--only", default="", help="the trials whose names begin so")
    options = parser.parse_args()
    minutes, seed = max(options.minutes, 0.1), options.seed
    plan: dict[str, Callable[[], live.Result | trials.Result]] = {
        "live: kill -9 of any process": partial(_live, options.lab, minutes * 60, seed),
        **{name: partial(_at_home, trial) for name, trial in _beside_fakes(minutes, seed).items()},
    }
    failed = 0
    for name, trial in plan.items():
        if not name.startswith(options.only):
            continue
        try:
            result = trial()
        except LabError as error:
            print(f"WRONG  {name}: {error}", flush=True)
            failed += 1
            continue
        failed += bool(result.wrong)
        print(f"{'WRONG' if result.wrong else 'ok':5}  {name}: {result}", flush=True)
        for one in result.wrong[:_MOST_SHOWN]:
            print(f"       {one}", flush=True)
    return 1 if failed else 0


def _beside_fakes(minutes: float, seed: int) -> dict[str, Callable[[Path], trials.Result]]:
    """Return the trials that need no lab, by name."""
    rounds = max(1, round(minutes * 60 / _ROUND_S))
    seconds = minutes * 60 / rounds
    return {
        **{
            f"kill -9 below the supervisor, seed {one}": partial(trials.killing, seconds=seconds, seed=one)
            for one in range(seed, seed + rounds)
        },
        "recycling and reloads": partial(trials.recycling, messages=int(2000 * minutes), seed=seed),
        "restarts": partial(trials.restarting, times=max(5, int(2 * minutes)), seed=seed),
        "kill -9 of the supervisor": partial(
            trials.restarting, times=max(2, int(minutes)), seed=seed, kill=True
        ),
    }


def _at_home(trial: Callable[[Path], trials.Result]) -> trials.Result:
    with tempfile.TemporaryDirectory(prefix="chaos-") as home:
        return trial(Path(home))


def _live(lab: str | None, seconds: float, seed: int) -> live.Result:
    with _there(lab) as found:
        gateway = GatewayHost(lab=found, host=found.hosts["gw1"])
        return live.killing(seen_from(found, "wan"), gateway, seconds, seed)


@contextmanager
def _there(lab: str | None) -> Iterator[state.LabState]:
    if lab:
        yield state.load(lab)
        return
    with deployed("chaos") as made:
        yield made


if __name__ == "__main__":
    sys.exit(main())
