"""A platform whose answers are changed on their way out: what a server says a little differently, and what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from reconciler.sandbox import platforms

Change = Callable[[str, dict[str, str], Any], Any]
"""Path, query and decoded body of an answer → the body to send; an integer is a status without a body."""


def changed(monkeypatch: pytest.MonkeyPatch, api: str, change: Change) -> None:
    """Have the embedded platform of an API answer every 200 of a GET as `change` says."""
    kind = platforms.PLATFORMS[api]
    platform = replace(kind, app=lambda world: changing(kind.app(world), change))
    monkeypatch.setitem(platforms.PLATFORMS, api, platform)


def changing(app: Any, change: Change, *, writes: bool = False) -> Any:
    """Return an ASGI app that answers every 200 of a GET as `change` says; with `writes`, every 201 of a POST, too."""
    touched = {("GET", 200), ("POST", 201)} if writes else {("GET", 200)}

    async def quirky(scope, receive, send):
        held = []

        async def hold(message):
            held.append(message)

        await app(scope, receive, hold)
        start, body = held[0], b"".join(each.get("body", b"") for each in held[1:])
        if (scope["method"], start["status"]) in touched and body[:1] in {b"{", b"["}:
            query = dict(parse_qsl(scope["query_string"].decode()))
            made = change(scope["path"], query, json.loads(body))
            if isinstance(made, int):
                start, body = {**start, "status": made}, b""
            else:
                body = json.dumps(made).encode()
            headers = [each for each in start["headers"] if each[0].lower() != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            start = {**start, "headers": [*headers, length]}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return quirky
