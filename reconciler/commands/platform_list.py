"""The platform's list, as a stop with `--all` uses it: what it shows dialing is stopped first, and what it shows as silent is not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.commands.session import Session
from reconciler.commands.targets import Known, Target
from reconciler.dialects.base import Listed
from reconciler.errors import IncompleteList, ReconcileError
from reconciler.execute.halt import Silencer
from reconciler.execute.waits import ends_in_time, wait_for
from reconciler.kinds.live import Live

UNLISTED: Final = "the platform's list is incomplete ({}): unlisted objects were stopped only if a manifest, a record or the command names them"

_FAILED: Final = (
    "the platform's list could not be read to its end ({}): of what it did not show, only objects that a manifest, a record or the command"
    " names were stopped"
)

TOLD_S: Final = 5.0
"""Seconds after which progress says that objects are read one by one."""

_CHECKING: Final = (
    "the platform's list shows {} objects as silent, but it may lag behind: reading each of them, for {:.0f} s at most"
    " (Ctrl-C ends that and leaves the rest unverified; --wait SECONDS limits it)"
)


@dataclass(slots=True)
class PlatformList:
    """What the platform's list shows during a stop.

    Attributes:
        session: see `Session`.
        silencer: stops objects.
        known: returns the objects that the halt knows without the platform.
        start: holds targets, and begins to stop those that dial.
        trouble: reports a problem that needs attention.
        quiet: objects that the list shows as silent and that are stopped after the others, because that costs no more than a read.
        unread: objects that the list shows as silent, until each was read by itself. A list may lag behind, or lack a field.
        others: objects that run and that no halt stops.
    """

    session: Session
    silencer: Silencer
    known: Callable[[], Known]
    start: Callable[[Iterable[Target]], None]
    trouble: Callable[[str], None]
    quiet: dict[str, Listed] = field(default_factory=dict)
    unread: dict[str, Target] = field(default_factory=dict)
    others: dict[str, Listed] = field(default_factory=dict)
    _is_checked: bool = False
    _has_ended: bool = False

    async def read(self) -> bool:
        """Read the list, and stop what each page shows dialing, then the rest; return whether the list is complete."""
        is_complete = False
        try:
            await self.silencer.platform.run(self.session.dialect.read_pages(self._stop_page))
            is_complete = True
        except IncompleteList as error:
            self.trouble(UNLISTED.format(error))
        except ReconcileError as error:
            self.trouble(_FAILED.format(error))
        self.start(self.rest())
        return is_complete

    def _stop_page(self, page: Mapping[str, Listed]) -> None:
        self.silencer.listing.seen.update(page)
        self.start(self._take(page, self.known()))

    def _take(self, page: Mapping[str, Listed], known: Known) -> Iterator[Target]:
        """Take a page of the list; yield what has to be stopped or held at once."""
        for key, listed in page.items():
            if listed.other:
                self.others[key] = listed
                continue
            if listed.quiet:
                self.quiet[key] = listed
                continue
            target = known.target(key, listed)
            dials = target.dials(known.dialect)
            if dials:
                self.unread.pop(key, None)
            elif not self._is_checked:
                self.unread[key] = target
            if dials or key in known.wanted:
                yield target

    def rest(self) -> list[Target]:
        """Return what is stopped after what dials: what the list shows as quiet, and what a manifest could make dial."""
        known = self.known()
        quiet = (known.target(key, listed) for key, listed in self.quiet.items())
        return [*quiet, *known.targets(known.wanted)]

    async def check(
        self, found: Callable[[Target], None], seconds: float, stop: asyncio.Event
    ) -> None:
        """Read each object of `unread` by itself, after everything else was stopped. Those that cannot be read stay in `unread`.

        Args:
            found: holds and stops an object that dials.
            seconds: longest time.
            stop: ends the reads when it is set.
        """
        self._is_checked = True
        if not self.unread:
            return
        world, until = self.session.world, self.session.world.monotonic() + seconds
        task = asyncio.ensure_future(self._read_each(found))
        if not (await wait_for(world, task, min(TOLD_S, seconds), stop) or stop.is_set()):
            world.progress(_CHECKING.format(len(self.unread), max(until - world.monotonic(), 0.0)))
        if await ends_in_time(world, task, max(until - world.monotonic(), 0.0), stop):
            task.result()
        self._has_ended = True

    async def check_again(self, found: Callable[[Target], None]) -> None:
        """Read once more what `check` could not read, once it has ended."""
        if self._has_ended:
            await self._read_each(found)

    async def _read_each(self, found: Callable[[Target], None]) -> None:
        def take(live: Live) -> None:
            target = self.unread.pop(live.key, None)
            if target is None:  # meanwhile the list showed it dialing, and it was stopped
                return
            target = replace(target, live=live)
            if target.dials(self.session.dialect):
                found(target)

        await self.silencer.read_each(tuple(self.unread), take)

    def note(self, keys: Collection[str]) -> tuple[str, ...]:
        """Return a note on the objects that run and are not among the stopped ones."""
        rest = [
            f"{each.name} ({key}, {each.other})"
            for key, each in self.others.items()
            if key not in keys
        ]
        said = "running, but of a kind that --all does not stop: {}. Stop them by their id, or on the platform"
        return (said.format(", ".join(rest)),) if rest else ()
