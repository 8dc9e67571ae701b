"""`halt` and `release`: dialing is stopped at once, whatever else is down; and allowed again, by name and with a reason.

A stop asks for no plan, no clean tree and no approval. It reads what the platform holds, records in this clone what it is about
to do, and stops every object side by side. Meanwhile it takes the tenant's lock from whoever holds it, so that a running apply
ends at its next write; a git remote that is out of reach keeps nothing waiting: its records follow with the next command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias

from reconciler import audit
from reconciler.audit import Event, Record, RecordKind, Run
from reconciler.commands import earlier, ledgers
from reconciler.commands import session as sessions
from reconciler.commands.journal import LOOK_S, Recorder, provenance
from reconciler.commands.release import HoldRequest
from reconciler.commands.session import Session, require_reason
from reconciler.commands.takeover import Takeover
from reconciler.commands.targets import Known, Target
from reconciler.commands.trust import stopping
from reconciler.dialects.base import Live, Snapshot
from reconciler.errors import (
    AccessError,
    ApiError,
    IncompleteList,
    Place,
    ReconcileError,
    UnknownObject,
    UsageError,
)
from reconciler.execute import WriteOptions
from reconciler.execute.halt import Silencer
from reconciler.plan import Operation, Origin, Outcome, Plan
from reconciler.report import Report
from reconciler.report.halt import Stopped, exit_code, how_to_release, of_halt
from reconciler.telemetry import Telemetry
from reconciler.world import Network, World

REFUSED: Final = range(400, 500)
"""Statuses by which the platform says that a request means nothing to it."""

_ABSENT: Final = Live("", "")
"""Stands for an object that the platform does not have."""

Recording: TypeAlias = Callable[[Sequence[Target], Sequence[Operation]], Awaitable[None]]
"""Records what is about to be stopped."""


@dataclass(frozen=True, slots=True)
class HaltRequest(HoldRequest):
    """What to stop.

    Attributes:
        until: when the holds end by themselves; `None`: `release` ends them.
        writing: see `WriteOptions`.
        network: see `Network`.
    """

    until: datetime | None = None
    writing: WriteOptions = WriteOptions()
    network: Network = Network()


async def halt(world: World, asked: HaltRequest, stop: asyncio.Event) -> Report:
    """Stop what was named, or everything that dials; return what became of it.

    Args:
        world: see `World`.
        asked: see `HaltRequest`.
        stop: set by whoever interrupts the run: it ends the waits.

    Raises:
        UsageError: no such tenant, or none of the names means anything.
        ManifestError: `tenant.yaml` is wrong and was in none of its last commits right, so nobody knows where the platform is.
        AccessError: the secret, the host or a scope.
    """
    require_reason(asked.reason)
    if asked.until is not None and asked.until <= world.now():
        raise UsageError(f"--until {asked.until.isoformat()} is over: name an instant to come")
    refused: list[AccessError] = []
    for folder, remarks in earlier.folders(world, asked.path, asked.tenant, refused):
        try:
            async with sessions.open_session(
                world,
                folder,
                asked.network,
                concurrency=asked.writing.concurrency,
                urgent=True,
                recorded=False,
            ) as session:
                return await _Halt(session, asked, stop, remarks).carry_out()
        except AccessError as error:
            refused.append(error)
    raise refused[0]


@dataclass(slots=True)
class _Halt:
    """One emergency stop. `remarks` are for people, `troubles` are what somebody must look after."""

    session: Session
    asked: HaltRequest
    stop: asyncio.Event
    remarks: Sequence[str] = ()
    troubles: list[str] = field(default_factory=list)
    unknown: Sequence[str] = ()

    async def carry_out(self) -> Report:
        """Stop, and give the lock back whatever happens: a stop that fails must not keep an apply out, too."""
        takeover = Takeover(self.session)
        try:
            return await self._carried_out(takeover)
        finally:
            await takeover.give_back()

    async def _carried_out(self, takeover: Takeover) -> Report:
        journal = _Journal(self.session, self.asked)
        targets = self._chosen(await self._look(journal))

        async def begin(targets: Sequence[Target], operations: Sequence[Operation]) -> None:
            await journal.open(targets, operations)
            takeover.share()

        outcomes = await self._silenced(targets, journal, begin)
        if await takeover.went_past():
            # Whoever held the lock looks at it once in a LOOK_S.
            await self.session.world.sleep(2 * LOOK_S)
        more, again = await self._again(targets, outcomes, journal)
        targets, outcomes = (*targets, *more), outcomes | again
        await journal.close()
        await takeover.end()
        self.troubles += journal.troubles
        code = exit_code(
            outcomes.values(),
            troubled=bool(self.troubles or (takeover.troubles and not takeover.is_away)),
            away=takeover.is_away,
        )
        self.troubles += takeover.troubles
        path = self.session.folder.path
        names = [each.name for each in targets]
        ends = (how_to_release(str(path), names, self.asked.until),) if journal.holds else ()
        return of_halt(
            f"Halt of tenant {self.session.folder.name} ({self.session.settings.url})",
            [
                Stopped(each.key, each.name, outcomes.get(each.key), seen=each.live is not None)
                for each in targets
            ],
            code=code,
            held=journal.holds,
            unknown=self.unknown,
            notes=(*self.remarks, *self.troubles, *ends),
            facts={"reason": self.asked.reason, "lock": takeover.said},
        )

    async def _look(self, journal: _Journal, keys: Iterable[str] = ()) -> Known:
        """Return what can be stopped: what the platform lists, and what somebody names and no list shows.

        Args:
            journal: what is recorded.
            keys: objects to be looked at in any case.
        """
        live, complete = await self._listed()
        known = Known(self.session.folder, self.session.dialect, journal.names(), live, complete)
        if live is None:
            return known
        asked = self.asked
        unlisted = known.unlisted(() if asked.everything else asked.names, keys)
        found = await asyncio.gather(*(self._alone(key, known) for key in unlisted))
        alone = {key: each for key, each in zip(unlisted, found, strict=True) if each != _ABSENT}
        return replace(known, live={**live, **alone})

    async def _listed(self) -> tuple[Mapping[str, Live] | None, bool]:
        """Return what the platform lists (`None`: the list cannot be had), and whether that is everything."""
        try:
            return await self.session.client.run(self.session.dialect.read_some(None)), True
        except AccessError:
            raise
        except IncompleteList as error:
            self._trouble(
                f"the platform's list is incomplete ({error}): of what it does not show, only what a manifest, a record or the command names was stopped"
            )
            return error.shown, False
        except ReconcileError as error:
            self._trouble(
                f"the platform's list could not be read ({error}): only what a manifest, a record or the command names was stopped"
            )
            return None, False

    async def _alone(self, key: str, known: Known) -> Live | None:
        """Return an object that no list shows; `None` when it cannot be read, so that it is stopped unseen."""
        try:
            return await self.session.client.run(self.session.dialect.read_one(key))
        except UnknownObject:
            return _ABSENT
        except ReconcileError as error:
            if isinstance(error, ApiError) and error.status in REFUSED and key not in known.keys:
                return _ABSENT  # no id at all
            self.session.world.progress(f"{key}: cannot be read, so it is stopped unseen: {error}")
            return None

    def _trouble(self, said: str) -> None:
        """Keep what somebody must look after; the same is said once."""
        if said not in self.troubles:
            self.troubles.append(said)

    def _chosen(self, known: Known) -> tuple[Target, ...]:
        if self.asked.everything:
            return known.everything()
        targets, unknown = known.named(self.asked.names)
        said = f"nobody knows {', '.join(unknown)}: name manifests, ids of the platform, or --all"
        if not targets:
            raise UsageError(said)
        if unknown:
            self.unknown = unknown
            self._trouble(f"{said}; nothing was stopped by that name")
        return targets

    async def _again(
        self, targets: Sequence[Target], ended: Mapping[str, Outcome], journal: _Journal
    ) -> tuple[tuple[Target, ...], dict[str, Outcome]]:
        """Look once more and stop what dials again, or only now: a run that this one went past may have had a write under way.

        Return what was not among the targets: that run may carry out manifests that are not here.
        """
        if self.stop.is_set():
            return (), {}
        quiet = [each for each in targets if each.key not in ended or ended[each.key].done]
        known = await self._look(journal, [each.key for each in quiet])
        if known.live is None:
            return (), {}
        live = {each.key: known.live.get(each.key, Live(each.key, "")) for each in quiet}
        seen = [replace(each, live=live[each.key]) for each in quiet if live[each.key] is not None]
        before = {each.key for each in targets}
        now = self._chosen(known) if self.asked.everything else ()
        more = tuple(each for each in now if each.key not in before)
        return more, await self._silenced((*seen, *more), journal, journal.further)

    async def _silenced(
        self, targets: Sequence[Target], journal: _Journal, record: Recording
    ) -> dict[str, Outcome]:
        """Record what is about to be stopped, then stop it; return how each that dialed ended, by key."""
        place, dialect = Place(str(self.session.folder.path)), self.session.dialect
        operations = [each.operation(dialect, place) for each in targets if each.dials(dialect)]
        await record(targets, operations)
        silencer = Silencer(
            self.session.world,
            self.session.client,
            dialect,
            journal,
            self.asked.writing,
            self.stop,
        )
        return {each.operation.key: each for each in await silencer.run(operations)}


class _Journal:
    """What is recorded of a stop: in this clone, at once. A ledger that fails keeps nothing from being stopped."""

    def __init__(self, session: Session, asked: HaltRequest) -> None:
        """Read what this clone knows; no remote is asked."""
        self.troubles: list[str] = []
        self.holds = False
        """Whether the records say what is held."""
        self._session, self._asked = session, asked
        self._id = session.world.new_id()
        self._records: tuple[Record, ...] = ()
        self._run: Run | None = None
        self._recorder: Recorder | None = None
        self._held: set[str] = set()
        try:
            self._prepare()
        except ReconcileError as error:
            self._fail(error)

    def _prepare(self) -> None:
        session, world = self._session, self._session.world
        git = session.repository()
        tenant, trust = session.folder.name, stopping(world, git, session.folder)
        ledger = ledgers.open_ledger(world, git, tenant, trust, offline=True, stop=True)
        self._records = ledger.records()
        # What is stopped is what was applied, whatever commit somebody stands on while stopping it.
        commit = ledger.last_applied() or git.head()
        self._run = Run(ledger.tenant, commit, self._id, world.now, provenance(world))
        nobody = asyncio.Event()  # a recorder that fails ends the run that it records; not this one
        self._recorder = Recorder(ledger, session, self._run, Telemetry(), nobody)

    def _fail(self, error: ReconcileError) -> None:
        self._recorder = None
        self.troubles.append(
            f"nothing of this could be recorded ({error}): the next apply does not know of it and would dial again, so stop that as well"
        )

    def names(self) -> dict[str, set[str]]:
        """Return the keys of everything that was ever applied, by its name then."""
        found: dict[str, set[str]] = {}
        for each in self._records:
            if each.kind is RecordKind.INTENT:
                found.setdefault(str(each.data.get("name")), set()).add(each.data["target"])
        return found

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of an attempt."""
        if self._recorder is not None:
            return self._recorder.key(operation, attempt)
        return audit.key(self._session.folder.platform, self._id, operation.hash, 0, attempt)

    async def open(self, targets: Sequence[Target], operations: Sequence[Operation]) -> None:
        """Record the holds and the intents."""
        if self._recorder is None or self._run is None:
            return
        session = self._session
        folder = session.folder
        origin = Origin(folder.name, session.settings.url, platform=folder.platform)
        now = session.client.now or session.world.now()
        plan = Plan(origin, tuple(operations), (), (), (), now)
        snapshot = Snapshot({}, {}, {}, now)
        try:
            await self._recorder.open(
                plan, operations, snapshot, self._holds(targets), purpose=audit.HALT
            )
            self.holds = True
        except ReconcileError as error:
            self._fail(error)

    def _holds(self, targets: Sequence[Target]) -> list[Event]:
        """Return the holds of what this stop does not hold yet."""
        new = [each for each in targets if each.key not in self._held]
        self._held.update(each.key for each in new)
        asked = self._asked
        return [
            self._run.hold(
                each.key,
                name=each.name,
                reason=asked.reason,
                until=asked.until,
                body=each.live.stored if each.live else None,
            )
            for each in new
            if self._run is not None
        ]

    async def further(self, targets: Sequence[Target], operations: Sequence[Operation]) -> None:
        """Record the intents of what has to be stopped once more, and the holds of what came up only now."""
        holds = self._holds(targets)
        if self._recorder is not None and (operations or holds):
            try:
                await self._recorder.further(operations, holds)
            except ReconcileError as error:
                self._fail(error)

    async def outcome(self, outcome: Outcome) -> None:
        """Record how one ended."""
        if self._recorder is not None:
            await self._recorder.outcome(outcome)

    async def close(self) -> None:
        """Record the end."""
        if self._recorder is not None and (error := await self._recorder.close(())) is not None:
            self.troubles.append(
                f"not every outcome is recorded ({error}); the next apply settles what is open"
            )
