"""`make chaos`: the trials in their long form. Prints a line for each round; exit 1 when anything went wrong.

``--minutes`` is how long processes are killed in all; 2,000 messages a minute of it are sent while workers are replaced.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.chaos import trials

_ROUND_S = 60.0
_MOST_SHOWN = 20


def main() -> int:
    """Run all trials. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of killing; default: 10")
    parser.add_argument("--seed", type=int, default=1, help="of the chances; default: 1")
    options = parser.parse_args()
    minutes, seed = max(options.minutes, 0.1), options.seed
    rounds = max(1, round(minutes * 60 / _ROUND_S))
    seconds = minutes * 60 / rounds
    plan = [
        (f"kill -9 below the supervisor, seed {one}", partial(trials.killing, seconds=seconds, seed=one))
        for one in range(seed, seed + rounds)
    ]
    plan += [
        ("recycling and reloads", partial(trials.recycling, messages=int(2000 * minutes), seed=seed)),
        ("restarts", partial(trials.restarting, times=max(5, int(2 * minutes)), seed=seed)),
        (
            "kill -9 of the supervisor",
            partial(trials.restarting, times=max(2, int(minutes)), seed=seed, kill=True),
        ),
    ]
    failed = 0
    for name, trial in plan:
        with tempfile.TemporaryDirectory(prefix="chaos-") as home:
            result = trial(Path(home))
        failed += bool(result.wrong)
        print(f"{'WRONG' if result.wrong else 'ok':5}  {name}: {result}", flush=True)
        for one in result.wrong[:_MOST_SHOWN]:
            print(f"       {one}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
