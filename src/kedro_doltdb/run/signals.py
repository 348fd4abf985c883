"""The runs of this process that have not ended, and the interruption of those that reach no hook.

Kedro calls neither ``after_pipeline_run`` nor ``on_pipeline_error`` after Ctrl-C, ``sys.exit`` in a node or
an error in another hook, and SIGTERM ends a Python process without its exit handlers. Such a run is
interrupted when the process exits, or, in a notebook, when its thread begins the next run.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import DoltError
from ..exits import ENDING

if TYPE_CHECKING:
    from ..catalog.credentials import Database


class OpenRun(Protocol):
    """A run, as far as this module is concerned."""

    @property
    def database(self) -> Database | None:
        """The database that it writes to, once it is known."""

    def interrupt(self) -> None:
        """End the run, if it has not ended."""


@dataclass
class _Open:
    run: Any
    catalog: object
    thread: int
    session: FrameType | None


_open: dict[int, _Open] = {}


def register(run: OpenRun, catalog: object) -> None:
    """Have ``run`` interrupted should it reach no hook, and interrupt the runs that did not.

    Those are the runs of threads that ended, and of this thread unless it is still inside them: a node or a
    hook may run another pipeline.

    Args:
        run: the run that begins now.
        catalog: its catalog, by which :func:`run_of` finds it.
    """
    alive = {thread.ident for thread in threading.enumerate()}
    here, frames = threading.get_ident(), list(_frames())
    for entry in list(_open.values()):
        left = entry.thread == here and not any(frame is entry.session for frame in frames)
        if left or entry.thread not in alive:
            entry.run.interrupt()
    session = next((frame for frame in frames if _is_session_run(frame)), None)
    _open[id(run)] = _Open(run, catalog, here, session)


def unregister(run: OpenRun) -> None:
    """Forget a run that has ended."""
    _open.pop(id(run), None)


def run_of(catalog: object) -> Any:
    """Return the open run of ``catalog``; None if it has none."""
    return next((entry.run for entry in list(_open.values()) if entry.catalog is catalog), None)


def database_of(catalog: object) -> Database | None:
    """Return the database that the open run of ``catalog`` writes to, if it has one."""
    run: OpenRun | None = run_of(catalog)
    return run.database if run else None


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_session_run(frame: FrameType) -> bool:
    return frame.f_code.co_name == "run" and frame.f_globals.get("__name__", "").startswith(
        "kedro.framework.session"
    )


@atexit.register
def _interrupt_all() -> None:
    for entry in list(_open.values()):
        with suppress(DoltError):
            entry.run.interrupt()


class SignalWatch:
    """Watches for Ctrl-C, SIGTERM and SIGHUP, where the thread can: in the main thread.

    The last two raise ``SystemExit``, SIGTERM with 143, so that the run is interrupted. All are remembered,
    because pandas commits even when it is interrupted, and what the driver then says of its broken
    connection hides why.

    Attributes:
        received: the exception of the last signal.
    """

    def __init__(self) -> None:
        self.received: BaseException | None = None
        self._owner = os.getpid()
        self._before: dict[int, Any] = {}

    def start(self) -> None:
        """Watch until :meth:`stop`."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *ENDING):
                self._before[number] = signal.getsignal(number)
                # A Ctrl-C that does nothing, as in a shell's background job, is to do nothing, and so is
                # a SIGHUP under nohup.
                default = self._before[number] == signal.SIG_DFL and number in ENDING
                if number == signal.SIGTERM or default or callable(self._before[number]):
                    signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._owner:
            self.received = SystemExit(128 + number) if number in ENDING else KeyboardInterrupt()
        elif number in ENDING:
            # A forked worker has nothing to close, and its pool expects it to die.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if number in ENDING:
            raise SystemExit(128 + number)
        self._before[number](number, frame)

    def stop(self) -> None:
        """Put the handlers back that were found, unless somebody else has set others since."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, before)
        self._before = {}
