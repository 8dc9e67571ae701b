"""`halt`: stop dialing at once, whatever else is down.

A halt needs no plan, no clean tree and no approval. It reads what the platform holds, records in this clone what it is about to do,
and stops the objects side by side. Meanwhile it takes the tenant's lock from whoever holds it, so that a running apply ends at its
next write. An unreachable git remote delays nothing: the next command that reaches the remote pushes the records.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from reconciler.audit import RecordKind
from reconciler.commands import ledgers, tenant_fallback
from reconciler.commands import session as sessions
from reconciler.commands.lock_watch import BLIND_S, LOOK_S
from reconciler.commands.release import HoldRequest
from reconciler.commands.session import Session, require_reason
from reconciler.commands.stop_journal import Kept, StopJournal, Where
from reconciler.commands.takeover import Takeover
from reconciler.commands.targets import Known, Target
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
from reconciler.kinds.live import Live
from reconciler.plan import Outcome
from reconciler.report import Report
from reconciler.report.halt import Stopped, exit_code, how_to_release, of_halt
from reconciler.world import Network, World

REFUSED: Final = range(400, 500)
"""Statuses that mean that the platform does not have the requested object."""

FINISH_S: Final = 10.0
"""Seconds to try to record everything once everything is silent."""

_ABSENT: Final = Live("", "")
"""Stands for an object that the platform does not have."""


@dataclass(frozen=True, slots=True)
class HaltRequest(HoldRequest):
    """Arguments of `halt`.

    Attributes:
        until: when the holds end by themselves, or how long after the stop; `None`: `release` ends them.
        writing: see `WriteOptions`.
        network: see `Network`.
    """

    _: KW_ONLY
    until: datetime | timedelta | None = None
    writing: WriteOptions = WriteOptions()
    network: Network = Network()


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
    refused: list[AccessError] = []
    for folder, remarks in tenant_fallback.folders(world, asked.path, asked.tenant, refused):
        try:
            async with sessions.open_session(
                world,
                folder,
                asked.network,
                concurrency=asked.writing.concurrency,
                urgent=True,
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
        self.session = session
        self.asked = asked
        self.until: datetime | None = None
        """When the holds end by themselves. Known after the sign-in, whose answer tells the platform's clock."""
        self.journal: StopJournal
        self.stop = stop
        self.remarks = remarks
        self.troubles: list[str] = []
        """Notes on problems that need attention; they change the exit code."""
        self.unknown: Sequence[str] = ()
        self.names = _recorded_names(session)
        self.kept = Kept(Where.NOWHERE)
        self.takeover = Takeover(session)

    async def run(self) -> Report:
        """Stop, then release the lock in any case: a halt that fails must not block an apply as well."""
        try:
            return await self._run()
        finally:
            await self.takeover.give_back()

    async def _run(self) -> Report:
        takeover = self.takeover
        await self._sign_in()
        self.until = self._end()
        journal = self.journal = StopJournal(self.session, self.asked, self.until)
        targets = self._select(await self._look())
        outcomes = await self._silence(targets)
        if await takeover.went_past():
            # A running apply that cannot read the lock may start a write for BLIND_S.
            await self.session.world.sleep(BLIND_S + LOOK_S)
        more, again = await self._silence_again(targets, outcomes)
        self.kept = await journal.finish(FINISH_S)
        await takeover.end()
        return self._report((*targets, *more), outcomes | again)

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

    def _end(self) -> datetime | None:
        """Return when the holds end by themselves.

        Raises:
            UsageError: that is in the past.
        """
        clock = self.session.clock
        until = None if self.asked.until is None else clock.end(self.asked.until)
        if until is not None and until <= clock.now():
            clocks = clock.contradiction()
            raise UsageError(
                f"--until {until.isoformat()} is in the past: name a later time{f' ({clocks})' if clocks else ''}"
            )
        return until

    def _report(self, targets: Sequence[Target], outcomes: Mapping[str, Outcome]) -> Report:
        takeover, folder = self.takeover, self.session.folder
        held = self.kept.where is not Where.NOWHERE
        troubles = [*self.troubles, *filter(None, [self.kept.reason])]
        code = exit_code(
            outcomes.values(),
            troubled=bool(troubles or (takeover.troubles and not takeover.is_away)),
            away=takeover.is_away,
        )
        names = [each.name for each in targets]
        ends = (how_to_release(str(folder.path), names, self.until),) if held else ()
        return of_halt(
            f"Halt of tenant {folder.name} ({self.session.settings.url})",
            [
                Stopped(each.key, each.name, outcomes.get(each.key), seen=each.live is not None)
                for each in targets
            ],
            code=code,
            held=held,
            unknown=self.unknown,
            notes=(*self.remarks, *troubles, *takeover.troubles, *ends),
            facts={"reason": self.asked.reason, "lock": takeover.said},
        )

    async def _look(self, keys: Iterable[str] = ()) -> Known:
        """Return the objects that can be stopped: those that the platform lists, and named ones that it does not list.

        Args:
            keys: objects to read in any case.
        """
        live, complete = await self._list()
        session, asked = self.session, self.asked
        known = Known(session.folder, session.dialect, self.names, live, complete)
        if live is None:
            return known
        unlisted = known.unlisted(() if asked.everything else asked.names, keys)
        found = await asyncio.gather(*(self._read_one(key, known) for key in unlisted))
        alone = {key: each for key, each in zip(unlisted, found, strict=True) if each != _ABSENT}
        return replace(known, live={**live, **alone})

    async def _list(self) -> tuple[Mapping[str, Live] | None, bool]:
        """Return the platform's list of objects (`None`: it cannot be read), and whether the list is complete."""
        try:
            return await self.session.client.run(self.session.dialect.read_some(None)), True
        except IncompleteList as error:
            self._trouble(
                f"the platform's list is incomplete ({error}): unlisted objects were stopped only if a manifest, a record or the command names them"
            )
            return error.shown, False
        except ReconcileError as error:
            self._trouble(
                f"the platform's list could not be read ({error}): only objects that a manifest, a record or the command names were stopped"
            )
            return None, False

    async def _read_one(self, key: str, known: Known) -> Live | None:
        """Read an unlisted object; return `_ABSENT` if it does not exist, `None` if the read fails. After a failed read the halt still stops it."""
        try:
            return await self.session.client.run(self.session.dialect.read_one(key))
        except UnknownObject:
            return _ABSENT
        except ReconcileError as error:
            if isinstance(error, ApiError) and error.status in REFUSED and key not in known.keys:
                return _ABSENT  # the key is not a platform id
            self.session.world.progress(
                f"{key}: cannot be read and is stopped without a check: {error}"
            )
            return None

    def _trouble(self, said: str) -> None:
        """Add a note to `troubles`, unless `troubles` already contains it."""
        if said not in self.troubles:
            self.troubles.append(said)

    def _select(self, known: Known) -> tuple[Target, ...]:
        """Return the targets that the command names.

        Raises:
            UsageError: none of the names is known.
        """
        if self.asked.everything:
            return known.everything()
        targets, unknown = known.named(self.asked.names)
        near = [match for name in unknown for match in get_close_matches(name, known.names, n=1)]
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        said = f"unknown: {', '.join(unknown)}{hint}. Give names of manifests, ids of the platform, or --all"
        if not targets:
            raise UsageError(said)
        if unknown:
            self.unknown = unknown
            self._trouble(f"{said}. Nothing was stopped by that name")
        return targets

    async def _silence_again(
        self, targets: Sequence[Target], ended: Mapping[str, Outcome]
    ) -> tuple[tuple[Target, ...], dict[str, Outcome]]:
        """Read again, and stop what dials now: the apply that lost its lock may have had a write in flight.

        Returns:
            Targets that were added, because the apply may run on manifests that this folder lacks; and all outcomes, by key.
        """
        if self.stop.is_set():
            return (), {}
        quiet = [each for each in targets if each.key not in ended or ended[each.key].done]
        known = await self._look([each.key for each in quiet])
        if known.live is None:
            return (), {}
        live = {each.key: known.live.get(each.key, Live(each.key, "")) for each in quiet}
        seen = [replace(each, live=live[each.key]) for each in quiet if live[each.key] is not None]
        before = {each.key for each in targets}
        now = self._select(known) if self.asked.everything else ()
        more = tuple(each for each in now if each.key not in before)
        return more, await self._silence((*seen, *more))

    async def _silence(self, targets: Sequence[Target]) -> dict[str, Outcome]:
        """Record holds and intents, then stop the objects; return the outcome of each object that dialed, by key."""
        session = self.session
        place, dialect = Place(str(session.folder.path)), session.dialect
        operations = [each.operation(dialect, place) for each in targets if each.dials(dialect)]
        self.journal.begin(targets)
        self.journal.intents(operations)
        self.takeover.share()
        silencer = Silencer(
            session.world, session.client, dialect, self.journal, self.asked.writing, self.stop
        )
        return {each.operation.key: each for each in await silencer.run(operations)}


def _recorded_names(session: Session) -> dict[str, set[str]]:
    """Return the keys of all objects that were ever applied, by their manifest's name at that time; empty if the ledger cannot be read."""
    found: dict[str, set[str]] = {}
    with contextlib.suppress(ReconcileError):
        git = session.repository()
        for each in ledgers.open_for_halt(
            session.world, git, session.folder, offline=True
        ).records():
            if each.kind is RecordKind.INTENT:
                found.setdefault(str(each.data.get("name")), set()).add(each.data["target"])
    return found
