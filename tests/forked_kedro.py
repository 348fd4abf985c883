"""Run ``kedro`` in a fork of a process that has imported the libraries already: most of a start is imports.

A call is a process of its own, with its own arguments, directory, environment, output and end, as
``python -m kedro`` in a new process is. What differs: ``LIBRARIES`` are imported (the project and what looks
at the directory, the environment or the arguments are not), the parent is not the test, Python has drawn its
seed for hashes, ``inspect.stack`` knows no modules and no source, and a traceback begins with frames of this
module.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import inspect
import json
import os
import pty
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TextIO

LIBRARIES = (
    "click", "dynaconf", "ibis", "jinja2", "kedro.config", "kedro.framework.hooks", "kedro.io",
    "kedro.pipeline", "kedro.validation", "kedro_datasets.pandas.sql_dataset",
    "kedro_doltdb.cli.journal_commands", "kedro_doltdb.run.dolt_run", "multiprocessing.managers",
    "multiprocessing.shared_memory", "netrc", "numpy", "omegaconf", "pandas", "pluggy", "pyarrow", "pymysql",
    "requests", "rich.traceback", "socketserver", "sqlalchemy.dialects.mysql", "sqlglot", "sqlite3",
    "tomllib", "tomli_w",
)  # fmt: skip
_ENVIRONMENT = dict(os.environ)


def can_be_forked(env: Mapping[str, str]) -> bool:
    """Whether Python started with ``env`` would be as it is here: some variables count at its start only."""
    read = ("LANG", "LC_", "PYTHON", "TZ")
    here, there = ({k: v for k, v in one.items() if k.startswith(read)} for one in (_ENVIRONMENT, env))
    return sys.platform == "linux" and here == there


class ForkedKedro:
    """The process that is forked; it ends with the one that started it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        atexit.register(lambda: (self._socket.close(), process.wait()))

    def run(
        self, directory: Path, args: tuple[str, ...], env: Mapping[str, str], terminal: bool = False
    ) -> tuple[int, str, str]:
        """Run ``kedro`` with ``args`` in ``directory`` and ``env``; return its exit code and two outputs.

        With ``terminal`` its standard output is one.
        """
        (output, theirs), (errors, their_errors) = pty.openpty() if terminal else os.pipe(), os.pipe()
        process = self._fork(directory, args, env, theirs, their_errors, session=False)
        with ThreadPoolExecutor(2) as pool:
            printed = list(pool.map(_read, [output, errors]))
        return process.wait(), printed[0], printed[1]

    def start(self, directory: Path, args: tuple[str, ...], env: Mapping[str, str]) -> ForkedProcess:
        """Start ``kedro`` in a session of its own and return at once; its two outputs come in one pipe."""
        output, theirs = os.pipe()
        process = self._fork(directory, args, env, theirs, os.dup(theirs), session=True)
        process.stdout = os.fdopen(output)
        return process

    def _fork(
        self,
        directory: Path,
        args: tuple[str, ...],
        env: Mapping[str, str],
        *outputs: int,
        session: bool,
    ) -> ForkedProcess:
        status, theirs = os.pipe()
        request = json.dumps([str(directory), args, dict(env), session]).encode()
        socket.send_fds(self._socket, [request], [theirs, *outputs])
        for end in (theirs, *outputs):
            os.close(end)
        return ForkedProcess(status)


class ForkedProcess:
    """What a test wants of a process that it did not start itself, by the names of ``subprocess.Popen``.

    Args:
        status: where its pid comes, and its exit code in the end.
    """

    stdout: TextIO | None = None
    returncode: int | None = None

    def __init__(self, status: int) -> None:
        self._status = os.fdopen(status, "rb", buffering=0)
        self.pid = int(self._status.readline())

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("kedro", timeout or 0.0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Return what it has printed when no process holds its output open any more."""
        assert self.stdout
        with self.stdout, ThreadPoolExecutor(1) as pool:
            reading = pool.submit(self.stdout.read)
            if futures.wait([reading], timeout).not_done:
                # Else the thread would wait for it still.
                os.killpg(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired("kedro", timeout or 0.0)
        self.wait(timeout)
        return reading.result(), None


def _read(end: int) -> str:
    with open(end, "rb") as file:
        read = b""
        # At the end of a terminal, Linux says that there is none.
        with suppress(OSError):
            while part := os.read(file.fileno(), 65536):
                read += part
    return read.decode()


def _serve(requests: socket.socket) -> None:
    for name in LIBRARIES:
        # The sessions of noxfile.py have not all of them, nor has an older Kedro all its modules.
        with suppress(ImportError):
            importlib.import_module(name)
    # Kedro's logging, which conf/logging.yml configures, begins with the first; the second reads sys.argv.
    assert not {"kedro.framework.project", "kedro_doltdb.log_console"} & set(sys.modules)
    inspect.stack = _stack
    gc.freeze()
    while (received := socket.recv_fds(requests, 1 << 20, 3))[0]:
        status, output, errors = received[1]
        # What waits for a call is another process, so that the next call need not.
        if os.fork() == 0:
            requests.close()
            if (process := os.fork()) == 0:
                os.close(status)
                return _become_kedro(*json.loads(received[0]), output, errors)
            os.close(output)
            os.close(errors)
            with open(status, "wb", buffering=0) as file:
                file.write(b"%d\n" % process)
                code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                file.write(b"%d\n" % code)
            os._exit(0)
        for end in received[1]:
            os.close(end)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _stack(context: int = 0) -> list[inspect.FrameInfo]:
    """Return the frames without a look at all modules: Dynaconf asks for the last one's file, eight times."""
    frame, frames = sys._getframe(1), []
    while frame:
        frames.append(inspect.FrameInfo(frame, frame.f_code.co_filename, frame.f_lineno, "", None, None))
        frame = frame.f_back
    return frames


def _become_kedro(
    directory: str, args: list[str], env: dict[str, str], session: bool, output: int, errors: int
) -> None:
    if session:
        os.setsid()
    for end, standard in ((output, 1), (errors, 2)):
        os.dup2(end, standard)
        os.close(end)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:], sys.path[0] = args, directory
    importlib.import_module("numpy").random.seed()
    runpy.run_module("kedro", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
