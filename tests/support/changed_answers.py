"""A platform whose answers are changed before they are sent, to test servers that vary or omit fields."""

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
    """Apply `change` to every 200 answer to a GET of an API's embedded platform."""
    kind = platforms.PLATFORMS[api]
    platform = replace(kind, app=lambda world: changing(kind.app(world), change))
    monkeypatch.setitem(platforms.PLATFORMS, api, platform)


def changing(app: Any, change: Change, *, writes: bool = False) -> Any:
    """Return an ASGI app that applies `change` to every 200 answer to a GET; with `writes`, also to every 201 to a POST."""
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
