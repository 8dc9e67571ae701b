"""Accept paths as leniently as the vendor's servers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Lenient:
    """An ASGI app that normalizes paths to the spelling in the API's table: letter case may differ, slashes may be doubled.

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
