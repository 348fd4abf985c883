"""Nobody waits for ever for a server that hangs.

A busy server and one that hangs look alike to a connection that waits for an answer: a large load may take
minutes. So each process that has connections asks the server for nothing at all, now and then, over a
connection of its own. When that stays unanswered, all its connections to the server are cut, and whoever
waits gets the driver's error.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

    Connection = pymysql.Connection[Cursor]

# Dolt stops answering for a while when it collects garbage in a large repository.
SILENCE = 120.0
INTERVAL = 10.0

_lock = threading.Lock()
_watched: dict[int, weakref.WeakSet[Any]] = {}


def watch(connection: Connection, port: int, connect: Callable[[float], Connection]) -> None:
    """Cut ``connection`` should the server stop answering.

    Args:
        connection: just opened.
        port: the server's, by which its connections are told from those of others.
        connect: opens another one, whose answers may take the seconds given.
    """
    with _lock:
        if port not in _watched:
            _watched[port] = weakref.WeakSet()
            threading.Thread(target=_watch, args=(port, connect), name="dolt-watch", daemon=True).start()
        _watched[port].add(connection)


def _watch(port: int, connect: Callable[[float], Connection]) -> None:
    import pymysql

    try:
        # Opened at once: later the server may have `max_connections`, which is not to be taken for a hang.
        with connect(SILENCE) as probe:
            while _waiting(port):
                time.sleep(INTERVAL)
                probe.ping(reconnect=False)
    except pymysql.err.Error as error:
        hangs = isinstance(error.__context__, TimeoutError)
        waiting = _waiting(port)
        with _lock:
            _watched.pop(port, None)
        # The connections to a server that has ended know it already.
        if hangs and waiting:
            logging.getLogger(__name__).error(
                "The Dolt server has not answered for %.0f s: its connections are cut.", SILENCE
            )
            for connection in waiting:
                with suppress(OSError, AttributeError):
                    connection._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


def _waiting(port: int) -> list[Connection]:
    """The open connections to a server, which is no longer watched if there are none."""
    with _lock:
        if not (found := [connection for connection in _watched[port] if connection.open]):
            del _watched[port]
        return found


def _forget() -> None:
    # Threads do not survive a fork, and the connections are the parent's.
    global _lock
    _lock = threading.Lock()
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
