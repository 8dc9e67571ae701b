"""What the platform's list shows for a stop, even if the list cannot be read to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reconciler.dialects.answers import NOT_FOUND
from reconciler.dialects.base import Dialect, Listed
from reconciler.dialects.calls import Exchange
from reconciler.errors import AccessError, ApiError, ReconcileError
from reconciler.execute.platform import Platform
from reconciler.execute.polling import PATIENCE_S
from reconciler.execute.waits import wait_for
from reconciler.kinds import Kind
from reconciler.kinds.live import Live
from reconciler.world import World


class _Rows(NamedTuple):
    """What the list shows, and the error that ended it early; `None` if it was read to its end."""

    found: Mapping[str, Listed]
    error: ReconcileError | None


@dataclass(slots=True)
class Listing:
    """The platform's list. Those who ask at the same time share one read of it.

    Attributes:
        world: clocks and sleep.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        seen: keys of the objects that the platform showed during this stop.
    """

    world: World
    platform: Platform
    dialect: Dialect
    seen: set[str] = field(default_factory=set)
    _reading: asyncio.Task[_Rows] | None = None

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

    async def doubt(self, key: str, kind: Kind, stop: asyncio.Event) -> str | None:
        """Return why an object may dial although the platform answers 404 for it; `None` if it is gone.

        If the platform answers 404 for the list as well, the requests do not reach the API, as behind a wrong route of a gateway.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        if await wait_for(self.world, self._reading, PATIENCE_S, stop):
            found, error = self._reading.result()
            if (listed := found.get(key)) is not None:
                is_silent = listed.live is not None and kind.is_silent(listed.live)
                return None if is_silent or listed.quiet else "the list shows it"
            if error is None:
                return None
            if isinstance(error, ApiError) and error.status == NOT_FOUND and not found:
                return "there is no list either"
        return "the platform showed it during this halt" if key in self.seen else None

    async def _read(self) -> _Rows:
        found: dict[str, Listed] = {}
        try:
            await self.platform.run(self.dialect.read_pages(found.update))
        except ReconcileError as error:
            return _Rows(found, error)
        return _Rows(found, None)
