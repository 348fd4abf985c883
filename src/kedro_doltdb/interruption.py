"""Closing runs that reach no hook.

Kedro calls neither ``after_pipeline_run`` nor ``on_pipeline_error`` after Ctrl-C, ``sys.exit`` in a node or
an error in another hook, and SIGTERM ends a Python process without its exit handlers. Such a run is closed
when the process exits, or, in a notebook, when its thread begins the next run.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol

from .errors import DoltError


class Closeable(Protocol):
    """A run, as far as this module is concerned."""

    def close(self) -> None:
        """End the run, if it has not ended."""


# By the thread that runs it: a thread has one run at a time.
_open: dict[int, Closeable] = {}


def opened(run: Closeable) -> None:
    """Have ``run`` closed should it reach no hook; close what its thread, or one that ended, has left
    open."""
    alive = {thread.ident for thread in threading.enumerate()}
    for thread, other in list(_open.items()):
        if thread == threading.get_ident() or thread not in alive:
            other.close()
    _open[threading.get_ident()] = run


def closed(run: Closeable) -> None:
    """The run has ended and needs no closing."""
    for thread, other in list(_open.items()):
        if other is run:
            del _open[thread]


@atexit.register
def _close_all() -> None:
    for run in list(_open.values()):
        with suppress(DoltError):
            run.close()


def terminate_by_exception() -> Callable[[], None]:
    """Make SIGTERM raise ``SystemExit(143)`` in the main thread; returns what undoes it."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    owner = os.getpid()
    before = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked worker has nothing to close, and its pool expects it to die.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(128 + number)

    def restore() -> None:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, handle)
    return restore
