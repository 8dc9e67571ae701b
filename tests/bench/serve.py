"""A loopback platform in a process of its own: `python serve.py STATE [--replay] [--port N] [--fault SPEC]`.

Writes one JSON line with its URL, client id and secret, serves until its standard input ends, and then writes one JSON line:
its answers by status, the monotonic clock at its first DELETE and at its last accepted refresh, and the number of requests
before the first DELETE. With `--replay` each GET
is answered once by the sandbox and then, byte for byte the same, from memory: the sandbox's own cost must not hide in a
comparison of two clients.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from reconciler import sandbox

ACCEPTED = 202


class Replay:
    """An ASGI app in front of another: remembers its answers to GET."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._kept: dict[tuple[str, bytes], list[dict[str, Any]]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer from memory what was asked before."""
        asked = scope.get("path", ""), scope.get("query_string", b"")
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        if asked not in self._kept:
            said: list[dict[str, Any]] = []

            async def keep(message: dict[str, Any]) -> None:
                said.append(message)

            await self._app(scope, receive, keep)
            self._kept[asked] = said
        for message in self._kept[asked]:
            await send(message)


class Watch:
    """An ASGI app in front of another: notes when the first DELETE arrives, how many requests came before it, and when the last refresh was accepted."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.requests_before = 0
        self.first_delete_s: float | None = None
        self.last_refresh_s: float | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Look at the method, and pass the request on."""
        if scope["type"] == "http" and self.first_delete_s is None:
            if scope["method"] == "DELETE":
                self.first_delete_s = time.monotonic()
            else:
                self.requests_before += 1
        if not scope.get("path", "").endswith("/actions/refresh"):
            await self._app(scope, receive, send)
            return

        async def note(message: dict[str, Any]) -> None:
            if message.get("status") == ACCEPTED:
                self.last_refresh_s = time.monotonic()
            await send(message)

        await self._app(scope, receive, note)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument(
        "--fault", action="append", default=[], help="see reconciler.sandbox.faults"
    )
    asked = parser.parse_args()
    world = sandbox.CampaignState.open(asked.state)
    login = sandbox.credentials(world)
    for fault in asked.fault:
        world.faults.add(fault)
    app: Any = sandbox.create_app(world)
    watch = Watch(Replay(app) if asked.replay else app)
    with sandbox.loopback(watch, asked.port) as url:
        print(json.dumps([url, login.client_id, login.client_secret]), flush=True)
        sys.stdin.read()
    counts: Counter[int] = Counter()
    for (_, _, status), number in world.traffic.items():
        counts[status] += number
    said = {
        "answers": counts,
        "first_delete_s": watch.first_delete_s,
        "requests_before": watch.requests_before,
        "last_refresh_s": watch.last_refresh_s,
    }
    print(json.dumps(said), flush=True)
    world.close()


if __name__ == "__main__":
    main()
