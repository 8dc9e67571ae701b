"""A loopback platform in a process of its own: `python serve.py STATE [--replay]`.

Writes one JSON line with its URL, client id and secret, serves until its standard input ends, and then writes what it answered,
by status. With `--replay` each GET is answered once by the sandbox and then, byte for byte the same, from memory: the
sandbox's own cost must not hide in a comparison of two clients.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from reconciler import sandbox


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


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("--replay", action="store_true")
    asked = parser.parse_args()
    world = sandbox.CampaignState.open(asked.state)
    login = sandbox.credentials(world)
    app: Any = sandbox.create_app(world)
    with sandbox.loopback(Replay(app) if asked.replay else app) as url:
        print(json.dumps([url, login.client_id, login.client_secret]), flush=True)
        sys.stdin.read()
    counts: Counter[int] = Counter()
    for (_, _, status), number in world.traffic.items():
        counts[status] += number
    print(json.dumps(counts), flush=True)
    world.close()


if __name__ == "__main__":
    main()
