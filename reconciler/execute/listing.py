"""What the platform's list shows for a stop, even if the list cannot be read to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.dialects.base import Dialect, Exchange, Listed
from reconciler.errors import AccessError, ApiError, ReconcileError
from reconciler.execute.platform import Platform
from reconciler.execute.polling import PATIENCE_S
from reconciler.execute.waits import wait_for
from reconciler.kinds import Kind
from reconciler.kinds.live import Live
from reconciler.world import World

NOT_FOUND: Final = 404


@dataclass(slots=True)
class Listing:
    """The platform's list. Those who ask at the same time share one read of it.

    Attributes:
        world: clocks and sleep.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        shown: what speaks against the silence of an object that may dial, in words.
    """

    world: World
    platform: Platform
    dialect: Dialect
    shown: str = "the list shows it"
    _reading: asyncio.Task[tuple[Mapping[str, Listed], bool] | None] | None = None

    def close(self) -> None:
        """End the read that runs."""
        if self._reading is not None:
            self._reading.cancel()

    def read_some(self, keys: Sequence[str]) -> Exchange[Mapping[str, Live]]:
        """Return those of the objects `keys` that the list shows in full."""
        found: dict[str, Listed] = {}
        with contextlib.suppress(ApiError, AccessError):
            yield from self.dialect.read_pages(found.update)
        wanted = {key: found[key].live for key in keys if key in found}
        return {key: live for key, live in wanted.items() if live is not None}

    async def may_dial(self, key: str, kind: Kind, stop: asyncio.Event) -> bool | None:
        """Return whether the list holds an object without showing it as silent; `None` if it was not read to its end in time.

        If the platform answers 404 for the list itself, any object may dial: the requests do not reach the API, as behind
        a wrong route of a gateway, and a 404 for an object proves nothing.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        if not await wait_for(self.world, self._reading, PATIENCE_S, stop):
            return None
        result = self._reading.result()
        if result is None:
            return True
        found, whole = result
        if (listed := found.get(key)) is None:
            return False if whole else None
        return not (listed.live and kind.is_silent(listed.live))

    async def _read(self) -> tuple[Mapping[str, Listed], bool] | None:
        """Return the rows that the list shows, and whether it was read to its end; `None` if there is no list."""
        found: dict[str, Listed] = {}
        self.shown = "the list shows it"
        try:
            await self.platform.run(self.dialect.read_pages(found.update))
        except ReconcileError as error:
            if isinstance(error, ApiError) and error.status == NOT_FOUND and not found:
                self.shown = "there is no list either"
                return None
            return found, False
        return found, True
