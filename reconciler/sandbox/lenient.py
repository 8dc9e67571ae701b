"""Paths as generous as the vendor's servers take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Lenient:
    """An ASGI app that spells a path as the API's table does: letter case may differ, slashes may be doubled.

    Ids of such an API have no letters, so nothing but the table's words is changed.
    """

    def __init__(self, app: ASGIApp, paths: Sequence[str]) -> None:
        """Pass requests on to `app`, whose table has `paths`."""
        self._app = app
        self._spelt = {part.lower(): part for path in paths for part in path.split("/")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            parts = [part.lower() for part in scope["path"].split("/") if part]
            spelt = "/".join(self._spelt.get(part, part) for part in parts)
            scope = {**scope, "path": f"/{spelt}"}
        await self._app(scope, receive, send)
