"""A bound on the processor time of a piece of work that cannot look at the clock itself: a search by Python's ``re``.

The attack it stops: a text that makes an honest pattern go back and forth until the worker is killed, each time that
the message comes again.
"""

import math
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_FOREVER: Final = resource.RLIM_INFINITY


class ProcessorSpentError(Exception):
    """The work has taken its time."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise ProcessorSpentError within the block once this process has worked so long in it (up to a second more).

    By SIGXCPU (getrlimit(2), RLIMIT_CPU), which a parse worker's sandbox leaves: `re` lets signals in. Only a process's
    main thread is bounded, and never beyond a limit that holds already.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    due = time.process_time() + seconds
    end = math.ceil(due)
    if threading.current_thread() is not threading.main_thread() or (soft != _FOREVER and end >= soft):
        yield
        return
    armed = True

    def spent(*_: object) -> None:
        nonlocal armed
        # The signal comes again each second; what holds it up by then is not this work. It may come early too: the limit
        # counts whole ticks, of which a process of long life has seen seconds more than it worked.
        if armed and time.process_time() >= due:
            armed = False
            raise ProcessorSpentError

    before = signal.signal(signal.SIGXCPU, spent)
    resource.setrlimit(resource.RLIMIT_CPU, (end, hard))
    try:
        yield
    finally:
        armed = False
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
        signal.signal(signal.SIGXCPU, before)
