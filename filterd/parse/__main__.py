"""``python -m filterd.parse``: a nursery of parse workers. Started by a milter worker, never by hand."""

import sys

from .child import Tasks
from .nursery import run


def _tasks() -> Tasks:
    # Imported here, so that a library that is missing is told to the milter worker and not to nobody.
    from filterd.rewrite import rewrite  # noqa: PLC0415 - see above

    from .anatomise import anatomise  # noqa: PLC0415 - see above

    return Tasks(anatomise=anatomise, rewrite=rewrite)


if __name__ == "__main__":
    sys.exit(run(_tasks))
