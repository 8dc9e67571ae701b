"""A process that has loaded the command line, and forks a child for each command: to load it takes longer than most commands.

The child is a real process with the caller's arguments, environment, folder, and standard streams; only the loading is not repeated.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import socket
import subprocess
import sys
import time
import traceback
from functools import cache
from pathlib import Path

import reconciler
from reconciler.__main__ import main

ROOT = Path(__file__).parents[2]
NEVER = ("reconciler.__main__", "reconciler.optimize", "reconciler.sandbox", "reconciler.simulate")
"""Not loaded in advance: few commands need them."""

CLIENT = """\
import _socket, array, json, os, sys
to = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
to.connect(sys.argv[1])
asked = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
to.sendmsg([len(asked).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
to.sendall(asked)
said = to.recv(1)
os._exit(said[0] if said else 99)
"""
"""Sends a command with its standard streams, and exits as it did."""


@cache
def started(folder: Path) -> str:
    """Start the process for as long as this one lives; return the words of a shell that run a command in it.

    Args:
        folder: for its socket; must exist.
    """
    place = str(folder / "warm")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm", place],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()

    def end() -> None:
        process.stdin.close()
        process.wait()

    atexit.register(end)
    client = folder / "client.py"
    client.write_text(CLIENT, encoding="utf-8")
    return f'"{sys.executable}" -I -S "{client}" "{place}"'


def serve(place: str) -> None:
    """Serve commands until stdin is closed."""
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.startswith(NEVER):
            importlib.import_module(module.name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(8)
        gc.freeze()
        print("ready", flush=True)
        children: list[int] = []
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                break
            caller, _ = listener.accept()
            child = os.fork()
            if child == 0:
                _wait_for(caller)
            caller.close()
            children = [
                each for each in (*children, child) if os.waitpid(each, os.WNOHANG) == (0, 0)
            ]
    for each in children:
        os.waitpid(each, 0)


def _wait_for(caller: socket.socket) -> None:
    """Run the caller's command in a child, and tell its exit code."""
    head, streams, _, _ = socket.recv_fds(caller, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(head, "big"):
        asked += caller.recv(1 << 16)
    child = os.fork()
    if child == 0:
        caller.close()
        _run(streams, *json.loads(asked))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    caller.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _run(streams: list[int], arguments: list[str], folder: str, environ: dict[str, str]) -> None:
    """Become the command."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, mode), encoding="utf-8", line_buffering=number == 2)
        for number, mode in enumerate(("rb", "wb", "wb"))
    )
    sys.argv = ["reconcile", *arguments]
    code: object = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - as Python does at the top of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    serve(sys.argv[1])
