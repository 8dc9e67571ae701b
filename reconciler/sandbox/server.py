"""Serve a sandbox platform on 127.0.0.1 and print the environment for a client. It never listens on another address."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, TextIO, TypeAlias

from reconciler.sandbox.db import State, credentials
from reconciler.sandbox.errors import SandboxError, SandboxMissing
from reconciler.sandbox.http import ABORT
from reconciler.sandbox.platforms import PLATFORMS

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as error:
    raise SandboxMissing from error

HOST = "127.0.0.1"
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


def serve(
    *,
    port: int = 0,
    state: str | Path | None = None,
    faults: Sequence[str] = (),
    fault_seed: int = 0,
    out: TextIO | None = None,
    api: str = "campaigns",
) -> None:
    """Serve a platform until SIGINT or SIGTERM. An empty one gets the samples.

    First writes an `export` line for each of `CXONE_TENANT_URL`, `CXONE_CLIENT_ID`, `CXONE_CLIENT_SECRET` and
    `CXONE_CAMPAIGN_ID` (or `CXONE_SKILL_ID`), then closes that output, so that a process that reads it can continue.

    Args:
        port: 0 takes a free one.
        state: state file; `None` keeps the platform in memory.
        faults: specifications (`faults`).
        fault_seed: of the faults' probabilities.
        out: where the lines go; the standard output when `None`.
        api: `campaigns` or `personal-connection`.

    Raises:
        SandboxError: the port is taken, or the file cannot be used.
        FaultError: a specification is wrong.
    """
    platform = PLATFORMS[api]
    opened = platform.opened(state, faults=faults, fault_seed=fault_seed)
    listener = listen(port)
    server = _server(platform.app(opened))

    try:
        with _ended_by_signals(server):
            _announce(
                opened, platform.example(opened), listener, sys.stdout if out is None else out
            )
            server.run(sockets=[listener])
    finally:
        opened.close()


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Stop the server on SIGINT or SIGTERM, even before its address is printed.

    The server's own handlers are there a moment later, with its loop. It passes a signal on when it is done, which then
    changes nothing any more.
    """

    def end(*_: object) -> None:
        server.should_exit = True

    kept = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def loopback(app: App, port: int = 0) -> Iterator[str]:
    """Serve an app from a thread while the context lasts; gives the URL to point a client at. Port 0 takes a free one."""
    listener = listen(port)
    server = _server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()


def listen(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1; a client may connect from now on.

    Raises:
        SandboxError: the port is in use, or this user may not bind it.
    """
    # Name the protocol. Otherwise asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or error
        raise SandboxError(
            f"cannot listen on {HOST}:{port}: {why}; --port 0 takes a free one"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _announce(state: State, example: tuple[str, str], listener: socket.socket, out: TextIO) -> None:
    login = credentials(state)
    variable, key = example
    out.writelines(
        f"export CXONE_{name}={value}\n"
        for name, value in {
            "TENANT_URL": url_of(listener),
            "CLIENT_ID": login.client_id,
            "CLIENT_SECRET": login.client_secret,
            variable: key,
        }.items()
    )
    out.flush()
    _let_go(out)


def _let_go(out: TextIO) -> None:
    """Close the pipe behind an output. Later writes are discarded instead of failing."""
    try:
        number = out.fileno()
    except io.UnsupportedOperation:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _server(app: App) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=_Droppable,
        ws="none",
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="error",
        date_header=False,  # the platform has its own clock
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


class _Droppable(H11Protocol):
    """HTTP/1.1 whose app may drop the connection: it finds the transport's abort in the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent has it
        super().connection_made(transport)
        app: Any = self.app

        async def droppable(scope: Any, receive: Any, send: Any) -> None:
            scope[ABORT] = transport.abort
            await app(scope, receive, send)

        self.app = droppable
