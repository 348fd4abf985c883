"""Nobody waits for ever for a server that hangs.

A busy server and one that hangs look alike to a connection that waits for an answer: a large load may take
minutes. So each process that has connections asks the server for nothing at all, now and then, over a
connection of its own. When that stays unanswered, all its connections to the server are cut, and whoever
waits gets the driver's error.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..terminal import get_logger
from .wire import cut

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

    Connection = pymysql.Connection[Cursor]

# Dolt stops answering for a while when it collects garbage in a large repository.
SILENCE = 120.0
INTERVAL = 10.0

_lock = threading.Lock()


@dataclass
class _Watched:
    """The connections of this process to one server."""

    connections: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    ended: threading.Event = field(default_factory=threading.Event)

    def open(self) -> list[Any]:
        return [connection for connection in self.connections if connection.open]


# By host and port.
_watched: dict[tuple[str, int], _Watched] = {}


def watch(connection: Connection, server: tuple[str, int], connect: Callable[[float], Connection]) -> None:
    """Cut ``connection`` should the server stop answering.

    Args:
        connection: just opened.
        server: its host and port, by which its connections are told from those of others.
        connect: opens another one, whose answers may take the seconds given.
    """
    with _lock:
        if server not in _watched:
            watched = _watched[server] = _Watched()
            threading.Thread(target=_watch, args=(watched, connect), name="dolt-watch", daemon=True).start()
        _watched[server].connections.add(connection)


def end_idle() -> None:
    """Watch no more the servers to which this process has no connection."""
    with _lock:
        for server, watched in list(_watched.items()):
            if not watched.open():
                watched.ended.set()
                del _watched[server]


def _watch(watched: _Watched, connect: Callable[[float], Connection]) -> None:
    import pymysql

    try:
        # Opened at once: later the server may have `max_connections`, which is not to be taken for a hang.
        with connect(SILENCE) as probe:
            while not watched.ended.wait(INTERVAL):
                probe.ping(reconnect=False)
    except pymysql.err.Error as error:
        hangs = isinstance(error.__context__, TimeoutError)
        # The connections to a server that has ended know it already.
        if hangs and (waiting := watched.open()):
            get_logger(__name__).error(
                "The Dolt server has not answered for %.0f s: its connections are cut.", SILENCE
            )
            for connection in waiting:
                cut(connection)
        with _lock:
            for server in [server for server, other in _watched.items() if other is watched]:
                del _watched[server]


def _forget() -> None:
    # Threads do not survive a fork, and the connections are the parent's.
    global _lock
    _lock = threading.Lock()
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
