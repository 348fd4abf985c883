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
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

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
    """The process that is forked, for one call at a time; it ends with the one that started it."""

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
        pipes = [os.pipe(), pty.openpty() if terminal else os.pipe(), os.pipe()]
        request = json.dumps([str(directory), args, dict(env)]).encode()
        socket.send_fds(self._socket, [request], [end for _, end in pipes])
        for _, end in pipes:
            os.close(end)
        with ThreadPoolExecutor(len(pipes)) as pool:
            code, output, errors = pool.map(_read, [end for end, _ in pipes])
        return int(code), output, errors


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
        (code, output, errors), process = received[1], os.fork()
        if process == 0:
            requests.close()
            os.close(code)
            return _become_kedro(*json.loads(received[0]), output, errors)
        os.close(output)
        os.close(errors)
        with open(code, "w") as file:
            file.write(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])))


def _stack(context: int = 0) -> list[inspect.FrameInfo]:
    """Return the frames without a look at all modules: Dynaconf asks for the last one's file, eight times."""
    frame, frames = sys._getframe(1), []
    while frame:
        frames.append(inspect.FrameInfo(frame, frame.f_code.co_filename, frame.f_lineno, "", None, None))
        frame = frame.f_back
    return frames


def _become_kedro(directory: str, args: list[str], env: dict[str, str], output: int, errors: int) -> None:
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
