"""What is to be done when a process ends, in whatever way it lets us.

``atexit`` alone is not enough: children of ``multiprocessing`` skip it, and so does a process that SIGTERM or
SIGHUP ends. SIGKILL and ``os._exit`` leave nothing that could be done; the next run sees to what they leave.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def at_exit(function: Callable[[], object]) -> None:
    """Have ``function`` called when this process ends; it may be called twice."""
    import multiprocessing
    from multiprocessing import util

    if multiprocessing.parent_process() is None:
        atexit.register(function)
    else:
        util.Finalize(None, function, exitpriority=0)
    if threading.current_thread() is threading.main_thread():
        owner = os.getpid()
        for number in ENDING:
            # Whoever handles a signal, or ignores it as under nohup, goes before us.
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, lambda number, frame: _end(owner, number, frame))


def _end(owner: int, number: int, frame: FrameType | None) -> None:
    if os.getpid() != owner:
        # A forked child has nothing to close, and whoever waits for it expects it to die of this.
        with suppress(ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    raise SystemExit(128 + number)
