"""`halt`: stop dialing at once, whatever else is down.

A halt needs no plan, no clean tree, no approval and no read: it sends its stops first. Names come from the manifests and from this
clone's records. Meanwhile it records what it does, and takes the tenant's lock from whoever holds it, so that a running apply ends
at its next write. Neither a failed read nor an unreachable git remote delays a stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler.commands import session as sessions
from reconciler.commands import targets, tenant_fallback
from reconciler.commands.platform_list import UNLISTED, PlatformList
from reconciler.commands.release import HoldRequest
from reconciler.commands.session import Session, require_reason
from reconciler.commands.stop_journal import Kept, StopJournal, Where, end_of_holds
from reconciler.commands.takeover import Takeover
from reconciler.commands.targets import Known, Recorded, Target
from reconciler.defaults import URGENT_CONCURRENCY
from reconciler.dialects.base import Listed
from reconciler.errors import AccessError, Place, ReconcileError, UnknownObject, UsageError
from reconciler.execute import WriteOptions
from reconciler.execute.halt import Silencer
from reconciler.execute.stop_sender import SEEN_S
from reconciler.execute.waits import GRACE_S, wait_for
from reconciler.git import Children
from reconciler.ledger.locks import TTL_S
from reconciler.report import Report
from reconciler.report.halt import Stopped, exit_code, how_to_release, of_halt
from reconciler.world import World

RECORDS_S: Final = 0.25
"""Longest time in seconds that a stop waits for this clone's records, beyond its sign-in, before it sends. They save one read."""

LEARN_S: Final = 60.0
"""Longest time in seconds that a stop waits for this clone's records after it has sent what it could without them."""

SIGN_IN_S: Final = 3.0
"""Longest time in seconds that a stop waits for its sign-in alone. After that its removals wait for the token."""

CLOCK_S: Final = 10.0
"""Longest time in seconds that a stop with `--until` waits for the platform's clock before it goes by this machine's."""


@dataclass(frozen=True, slots=True)
class HaltRequest(HoldRequest):
    """Arguments of `halt`.

    Attributes:
        until: when the holds end by themselves, or how long after the stop; `None`: `release` ends them.
        writing: see `WriteOptions`.
    """

    _: KW_ONLY
    until: datetime | timedelta | None = None
    writing: WriteOptions = WriteOptions()


async def halt(world: World, asked: HaltRequest, stop: asyncio.Event) -> Report:
    """Stop the named objects, or everything that dials, and hold them; report the outcome of each.

    Args:
        world: see `World`.
        asked: see `HaltRequest`.
        stop: set it to end the waits.

    Raises:
        UsageError: there is no such tenant, none of the names is known, or `--until` is in the past.
        ManifestError: neither `tenant.yaml` nor any of its last versions in git is valid, so the platform is unknown.
        AccessError: the secret, the host or a scope was refused.
    """
    require_reason(asked.reason)
    many = max(asked.writing.concurrency, URGENT_CONCURRENCY)
    asked = replace(asked, writing=replace(asked.writing, concurrency=many))
    refused: list[AccessError] = []
    names = () if asked.everything else asked.names
    for folder, remarks in tenant_fallback.folders(
        world, asked.path, asked.tenant, refused, mentioning=names
    ):
        try:
            async with sessions.open_session(
                world,
                folder,
                asked.network,
                concurrency=asked.writing.concurrency,
                urgent_s=asked.writing.wait_s,
                recorded=False,
            ) as session:
                return await _Halt(session, asked, stop, remarks).run()
        except AccessError as error:
            refused.append(error)
    raise refused[0]


class _Halt:
    """One emergency stop."""

    def __init__(
        self, session: Session, asked: HaltRequest, stop: asyncio.Event, remarks: Sequence[str]
    ) -> None:
        """Begin to take the lock. `remarks` are notes for the report that change no exit code."""
        self.session, self.asked = session, asked
        self.stop = stop
        self.remarks = remarks
        self.troubles: list[str] = []
        """Notes on problems that need attention; they change the exit code."""
        self.unknown: Sequence[str] = ()
        self.targets: dict[str, Target] = {}
        self.known = Known(session.folder, session.dialect)
        self.until: datetime | None = None
        self.journal: StopJournal
        self.silencer: Silencer
        self.listed: PlatformList
        self.began = session.world.monotonic()
        self.kept = Kept(Where.NOWHERE)
        self.takeover = Takeover(session, lambda: self.known.recorded.snapshot)
        self.reader = Children()

    async def run(self) -> Report:
        """Stop, then release the lock in any case: a halt that fails must block no apply."""
        signing_in = asyncio.create_task(self._sign_in())
        signing_in.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            reading = asyncio.to_thread(targets.recorded, self.session, self.reader)
            records = asyncio.create_task(reading)
            await self._hold_early(signing_in)
            try:
                await self._run(records)
            except Exception:  # what was begun is finished in any case
                await self.silencer.ended()
                await self.journal.finish(self._left_s, self.stop)
                raise
            finally:
                await self.silencer.cancel()
            self.kept = await self.journal.finish(self._left_s, self.stop, self.takeover.ledger)
            return self._report()
        finally:
            signing_in.cancel()
            self.reader.end()  # a thread that waits for git would keep the process from ending
            await self.takeover.give_back()

    async def _hold_early(self, signing_in: asyncio.Future[None]) -> None:
        """Wait for the sign-in. Meanwhile hold what manifests name, so that a stop that dies at its first removal leaves its holds in the remote.

        Raises:
            AccessError: the sign-in was refused. The error says what is held all the same.
            UsageError: see `_open`.
        """
        asked = self.asked
        if asked.until is not None:  # the sign-in tells the clock by which the holds end
            await self._wait_for(signing_in, CLOCK_S)
        self._open()
        self.journal.begin(each for name in asked.names for each in self.known.named(name))
        try:
            if await self._wait_for(signing_in, SIGN_IN_S):
                signing_in.result()
        except AccessError as error:
            kept = await self.journal.finish(0.0, self.stop)
            if not self.journal.held:
                raise
            path, shared = str(self.session.folder.path), kept.where is Where.SHARED
            ends = how_to_release(path, asked.names, self.until, shared=shared)
            said = f"Nothing was stopped{kept.after_refusal(ends)}"
            raise AccessError(f"{error}. {said}") from error

    def _open(self) -> None:
        """Open the journal, and what sends the stops.

        Raises:
            UsageError: `--until` is in the past.
        """
        session, asked = self.session, self.asked
        self.until = end_of_holds(session, asked.until)
        self.journal = StopJournal(session, asked, self.until)
        self.silencer = Silencer(
            session.world, session.client, session.dialect, self.journal, asked.writing, self.stop
        )
        self.listed = PlatformList(
            session, self.silencer, lambda: self.known, self._start, self._trouble
        )

    async def _run(self, records: asyncio.Future[Recorded]) -> None:
        await self._wait_for(records, RECORDS_S)
        await (self._stop_everything if self.asked.everything else self._stop_named)(records)
        until = self.began + min(TTL_S / 2, self.asked.writing.wait_s)
        watch = asyncio.create_task(self.takeover.watch(until, self.stop, self._look_again))
        check = asyncio.create_task(self.listed.check(self._stop_found, self._left_s, self.stop))
        try:
            await self.silencer.ended()
            await watch
            await check
            await self.silencer.ended()
        finally:
            watch.cancel()
            check.cancel()

    @property
    def _left_s(self) -> float:
        """Seconds left of `--wait`."""
        left_s = self.asked.writing.wait_s + self.began - self.session.world.monotonic()
        return 0.0 if self.stop.is_set() else max(0.0, left_s)

    async def _sign_in(self) -> None:
        """Request a token.

        Raises:
            AccessError: it was refused, so nothing can be sent. A later refusal concerns only the call that it answers.
        """
        try:
            await self.session.client.sign_in()
        except AccessError:
            raise
        except ReconcileError as error:
            self.session.world.progress(str(error))

    async def _wait_for(self, task: asyncio.Future[Any], seconds: float) -> bool:
        """Wait for a task, for `seconds` and `--wait` at most; return whether it ended."""
        seconds = min(seconds, max(self._left_s, GRACE_S))
        return await wait_for(self.session.world, task, seconds, self.stop)

    async def _learn(self, records: asyncio.Future[Recorded]) -> None:
        """Wait for the records, which name further objects. Records that cannot be read in time name none."""
        if await self._wait_for(records, LEARN_S):
            recorded = records.result()
            self.known = replace(self.known, recorded=recorded)
            keys = {key for name in self.asked.names for key in recorded.keys.get(name, ())}
            if not self.asked.everything and keys - {
                each.key for each in self.known.folder.desired
            }:
                self._load((*self.asked.names, *sorted(keys)))

    def _load(self, mentioning: Collection[str] = ()) -> None:
        """Load further manifests: those that mention the given texts, or all. A named stop loads as few as it needs before it sends."""
        world, asked = self.session.world, self.asked
        folder = tenant_fallback.again(world, asked.path, asked.tenant, mentioning)
        if folder and folder.tenant.spec.api == self.known.folder.tenant.spec.api:
            self.known = replace(self.known, folder=folder)

    # --- what to stop ---------------------------------------------------------------------------------------------------

    async def _stop_named(self, records: asyncio.Future[Recorded]) -> None:
        """Stop the objects with the given names. An unknown name may be an id of the platform, so the platform is asked.

        Raises:
            UsageError: none of the names is known.
        """
        names = self.asked.names
        if not records.done():  # what manifests name waits for no git
            self._start(each for name in names for each in self.known.named(name))
        await self._learn(records)
        self._start(each for name in names for each in self.known.named(name))
        if not all(map(self.known.named, names)):
            self._load()
            self._start(each for name in names for each in self.known.named(name))
        # A manifest may be named like the id of an object that no manifest knows. Such ids are numbers.
        ids = [
            name
            for name in names
            if name not in self.known.keys and (name.isdecimal() or not self.known.named(name))
        ]
        found = dict(zip(ids, await asyncio.gather(*map(self._by_id, ids)), strict=True))
        self._start(target for target in found.values() if target is not None)
        missing = [name for name in names if not (found.get(name) or self.known.named(name))]
        if missing:
            self._tell_unknown(missing)

    async def _by_id(self, name: str) -> Target | None:
        """Return the object of the platform with an id; `None` if there is none. If nobody can tell in time, it is stopped without a check."""
        dialect = self.session.dialect
        try:
            live = await self.silencer.sender.read_before(
                targets.unless_refused(dialect.read_one(name))
            )
        except UnknownObject:
            return None
        if live is not None:
            return self.known.target(name, Listed(live.name, live))
        if self.known.named(name):
            return None
        self.session.world.progress(f"{name}: cannot be read and is stopped without a check")
        return self.known.target(name)

    def _tell_unknown(self, missing: Sequence[str]) -> None:
        said = self.known.unknown(missing, self.asked.path)
        if self.targets.keys() <= set(missing):
            raise UsageError(said)
        self.unknown = [*self.unknown, *missing]
        self._trouble(said)

    async def _stop_everything(self, records: asyncio.Future[Recorded]) -> None:
        """Stop every object of the platform's list, each page as it is read. Known objects wait for the list only for a moment."""
        if records.done():
            await self._learn(records)
        listing = asyncio.create_task(self.listed.read())
        try:
            await self._wait_for(listing, SEEN_S)
            self._start(self.listed.rest())
            await self._learn(records)
            if not await self._wait_for(listing, self._left_s):
                self._trouble(UNLISTED.format("it was not read to its end"))
            elif listing.result():
                return
            self._start([*self.listed.rest(), *self.known.targets(self.known.keys)])
        finally:
            listing.cancel()
            await asyncio.wait([listing])

    def _start(self, targets: Iterable[Target]) -> None:
        """Hold targets, and begin to stop those that dial or were not read. Each target counts once, unless it was silent and dials now."""
        new = {each.key: each for each in targets if self._is_new(each)}
        self.targets |= new
        self.journal.begin(new.values())
        self._send(new.values())
        self.takeover.sent.set()

    def _is_new(self, target: Target) -> bool:
        if target.key not in self.targets:
            return True
        is_shown = target.live is not None and target.dials(self.session.dialect)
        return is_shown and not self.silencer.was_sent(target.key)

    def _send(self, targets: Collection[Target]) -> None:
        place, dialect = Place(str(self.session.folder.path)), self.session.dialect
        loud = [(each, each.operation(dialect, place)) for each in targets if each.dials(dialect)]
        self.journal.intents(operation for _, operation in loud)
        for each, operation in loud:
            # With --all, only a condition tells what is removed: a read of each object would delay the others.
            unreadable = self.asked.everything and not (each.written and each.written.version)
            self.silencer.start(operation, each.written, seen=each.live is not None or unreadable)

    # --- what comes back ------------------------------------------------------------------------------------------------

    async def _look_again(self) -> None:
        """Stop objects that were silent and dial now; with `--all`, also objects that did not exist before."""
        if self.stop.is_set():
            return
        if self.asked.everything:
            await self.listed.read()
            await self.listed.check_again(self._stop_found)
        quiet = filter(self.silencer.is_quiet, self.targets)
        found = await self.silencer.look([key for key in quiet if key not in self.listed.unread])
        self._send([replace(self.targets[key], live=live) for key, live in found.items()])

    def _stop_found(self, target: Target) -> None:
        """Stop an object that the list showed as silent and that dials."""
        if self.silencer.is_quiet(target.key):
            self.targets[target.key] = target
            self.journal.begin([target])
            self._send([target])

    # --- the end --------------------------------------------------------------------------------------------------------

    def _report(self) -> Report:
        absent = self.silencer.absent.intersection(self.asked.names)
        if unknown := sorted(each for each in absent if self.known.is_unmanaged(each)):
            self._tell_unknown(unknown)
            self.targets = {key: each for key, each in self.targets.items() if key not in unknown}
        takeover, folder, outcomes = self.takeover, self.session.folder, self.silencer.outcomes
        unread = {key: each for key, each in self.listed.unread.items() if key not in outcomes}
        unverified, needless = self.silencer.unverified.union(unread), self.silencer.needless
        held = self.kept.where is Where.SHARED
        troubles = [*self.troubles, *filter(None, [self.kept.reason])]
        code = exit_code(
            outcomes.values(),
            unread=bool(unread),
            troubled=bool(self.troubles or (self.kept.reason and not self.kept.away)),
            away=self.kept.away,
        )
        names = () if self.asked.everything else self.known.accepted(self.targets.values())
        ends = (how_to_release(str(folder.path), names, self.until, shared=held),)
        return of_halt(
            f"Halt of tenant {folder.name} ({self.session.settings.url})",
            [
                Stopped(key, each.name, outcomes.get(key), key not in unverified, key in needless)
                for key, each in (self.targets | unread).items()
            ],
            code=code,
            unheld="" if held else self.kept.command or "the same command again",
            unknown=self.unknown,
            notes=(
                *self.remarks,
                *self.known.guesses(self.targets),
                *self.listed.note(self.targets),
                *troubles,
                *self.kept.notes,
                *(() if self.kept.where is Where.NOWHERE else ends),
            ),
            facts={"reason": self.asked.reason, "lock": takeover.said},
        )

    def _trouble(self, said: str) -> None:
        """Add a note to `troubles`, unless `troubles` already contains it."""
        if said not in self.troubles:
            self.troubles.append(said)
