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
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol

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


class SignalWatch:
    """Watches for Ctrl-C and SIGTERM until :meth:`stop`, where the thread can: in the main thread.

    SIGTERM raises ``SystemExit(143)``, so that the run is closed. Both are remembered, because pandas commits
    even when it is interrupted, and what the driver then says of its broken connection hides why.

    Attributes:
        received: the exception of the last signal.
    """

    def __init__(self) -> None:
        self.received: BaseException | None = None
        self._owner = os.getpid()
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.getsignal(number)
                # A Ctrl-C that does nothing, as in a shell's background job, is to do nothing.
                if number == signal.SIGTERM or callable(self._before[number]):
                    signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._owner:
            self.received = SystemExit(128 + number) if number == signal.SIGTERM else KeyboardInterrupt()
        elif number == signal.SIGTERM:
            # A forked worker has nothing to close, and its pool expects it to die.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
        self._before[number](number, frame)

    def stop(self) -> None:
        """Put the handlers back that were found, unless somebody else has set others since."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, before)
        self._before = {}
