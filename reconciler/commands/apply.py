"""`apply`: take the lock, plan, check the approval and the limits, and carry the plan out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from reconciler import execute, manifests
from reconciler import plan as plans
from reconciler.audit import Event, Run
from reconciler.commands import (
    apply_records,
    baseline_commit,
    begin,
    ledgers,
    lock_wait,
    preconditions,
    recovery,
    unapplied,
)
from reconciler.commands import plan as plan_command
from reconciler.commands import session as sessions
from reconciler.commands.approval import read_approval, require_platform
from reconciler.commands.journal import Recorder, provenance
from reconciler.commands.preconditions import Standing
from reconciler.commands.recheck import Recheck
from reconciler.commands.session import Session
from reconciler.errors import (
    ExitCode,
    ReconcileError,
    Refused,
)
from reconciler.execute import Execution, WriteOptions
from reconciler.ledger import CHECKPOINTS as LEDGER_CHECKPOINTS
from reconciler.ledger import Ledger
from reconciler.plan import FAILURES, Approval, Cut, Operation, Outcome, Plan, Result
from reconciler.report import Report, changes
from reconciler.report import apply as apply_report
from reconciler.settings import CIContext, user
from reconciler.telemetry import EventSinks, Telemetry
from reconciler.world import Network, World

CHECKPOINTS: Final = (
    "apply:opened",
    "apply:locked",
    "settle:looked",
    "settle:recorded",
    "apply:planned",
    "settle:dropped",
    "intents:before",
    "intents:recorded",
    "apply:executed",
    "apply:closed",
    "apply:released",
    *execute.CHECKPOINTS,
    *LEDGER_CHECKPOINTS,
)
"""Points of an apply at which `World.checkpoint` is called. A crash at any of them loses nothing: crash tests end the process there."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """Arguments of `apply`.

    Attributes:
        path, tenant: the tenant's folder.
        names: manifests to apply; none means all.
        approved: file of the plan that was approved (`plan --out`).
        expect: digest of the plan that was approved.
        tighten_only: run only what narrows dialing.
        revert: manifests whose narrowing outside git is to be undone.
        accept_history: why HEAD need not descend from the commit applied last; `None`: it must.
        wait_for_lock_s: seconds to wait while another run holds the lock; `None`: do not wait. A run that may wait is one of a queue: if a
            newer commit was applied, this commit came with it, and nothing is left to do.
        writing: see `WriteOptions`.
        events: see `EventSinks`.
        network: see `Network`.
    """

    path: Path
    names: tuple[str, ...] = ()
    _: KW_ONLY
    tenant: str | None = None
    approved: Path | None = None
    expect: str | None = None
    tighten_only: bool = False
    revert: tuple[str, ...] = ()
    accept_history: str | None = None
    wait_for_lock_s: float | None = None
    writing: WriteOptions = WriteOptions()
    events: EventSinks = EventSinks()
    network: Network = Network()


def _ignore(_: Report) -> None:
    """Discard the report."""


async def apply(
    world: World,
    asked: ApplyRequest,
    stop: asyncio.Event,
    *,
    show: Callable[[Report], None] = _ignore,
    confirm: Callable[[], bool] | None = None,
) -> Report:
    """Carry out the plan of one tenant, and return the report of its outcomes.

    Args:
        world: see `World`.
        asked: what to apply.
        stop: set it to interrupt the run.
        show: is given the plan before it is carried out.
        confirm: asks whether to apply the shown plan; `None` asks nobody. It is called before the lock is taken. Under the lock the plan
            is made again, and only operations that are still the same are executed.
    """
    approval = read_approval(asked.approved, asked.expect)
    digest = None if approval is None or confirm else approval.digest
    folder = manifests.load(asked.path, asked.tenant)
    require_platform(approval, folder)
    concurrency = asked.writing.concurrency
    async with sessions.open_session(
        world, folder, asked.network, concurrency=concurrency
    ) as session:
        # The answer to the sign-in tells the platform's clock, by which the lock expires.
        standing = await _beside_sign_in(session, lambda: _stand_first(session, asked))
        kept = session.kept
        assert kept is not None  # noqa: S101 - else `_stand` raised
        ledgers.require_key(world, kept.trust.spec)
        if confirm is not None and standing.newer is None:
            plan, _ = await plan_command.make(session, asked.names, asked.revert)
            show(_shown(plan, standing, plan_command.clock_notes(session, plan)))
            if not confirm():
                return apply_report.of_declined(plan, exit_code=ExitCode.ERROR)
            approval, show = approval or plans.approved(plan), _ignore
        world.checkpoint("apply:opened")
        wait_s = asked.wait_for_lock_s or 0.0
        async with lock_wait.locked(
            world, kept.ledger, holder=_holder(world), wait_s=wait_s, stop=stop
        ):
            world.checkpoint("apply:locked")
            run = _Apply(session, asked, kept.ledger, stop, standing)
            report = await run.run(approval, digest, show)
        world.checkpoint("apply:released")
        return report


def _holder(world: World) -> str:
    said = CIContext.read(world.environ)
    return said.run_url or said.actor or user(world.environ) or f"run {world.new_id()}"


async def _beside_sign_in(session: Session, check: Callable[[], T]) -> T:
    """Run a check of git's in a thread, and meanwhile sign in to the platform; return the check's value."""
    signing_in = asyncio.create_task(session.client.sign_in())
    try:
        found = await asyncio.to_thread(check)
    except ReconcileError:
        signing_in.cancel()
        await asyncio.gather(signing_in, return_exceptions=True)
        raise
    await signing_in
    return found


def _stand_first(session: Session, asked: ApplyRequest) -> Standing:
    """Compare HEAD with the ledger. A ledger that does not verify is reported even if the platform does not answer.

    Raises:
        Refused, GitError, LedgerError: see `_stand`; `LedgerError` also if the ledger does not verify.
    """
    standing = _stand(session, asked)
    if session.kept is not None:
        session.kept.ledger.check()
    return standing


def _stand(session: Session, asked: ApplyRequest, before: Standing | None = None) -> Standing:
    """Compare HEAD with the ledger. With `before`, check only what another run may have changed since.

    Raises:
        Refused, GitError, LedgerError: the first reason for which the commit is not applied.
    """
    accept = asked.accept_history
    standing = (
        preconditions.look(session, accept)
        if before is None
        else preconditions.again(session, before, accept)
    )
    if standing.newer is not None and asked.wait_for_lock_s is not None and not standing.errors[1:]:
        return standing
    standing.require()
    return replace(standing, newer=None)


@dataclass(frozen=True, slots=True)
class _Done:
    """The result of executing operations.

    Attributes:
        outcomes: one for each operation.
        unrecorded: why the ledger does not hold all of them; `None` when it does.
        lost: a note for each telemetry sink that failed.
    """

    outcomes: tuple[Outcome, ...]
    unrecorded: ReconcileError | None
    lost: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the report."""
        if self.unrecorded is None:
            return self.lost
        return (
            f"the ledger does not hold every outcome of this run ({self.unrecorded}). Run apply again: it reads back what is open, and records it",
            *self.lost,
        )

    def exit_code(self, plan: Plan, cut: Cut) -> int:
        """Return the exit code of the apply."""
        if self.unrecorded is None:
            return exit_code(plan, cut, self.outcomes)
        wrote = any(outcome.wrote for outcome in self.outcomes)
        return ExitCode.PARTLY if wrote else self.unrecorded.exit_code


@dataclass(frozen=True, slots=True)
class _Apply:
    """One apply, while it holds the tenant's lock."""

    session: Session
    asked: ApplyRequest
    ledger: Ledger
    stop: asyncio.Event
    before: Standing

    async def run(
        self, approval: Approval | None, digest: str | None, show: Callable[[Report], None]
    ) -> Report:
        """Settle what earlier runs left open, plan again under the lock, and carry out what was approved.

        Args:
            approval: the operations that may run; `None`: all of them.
            digest: digest of the plan that this run was told to carry out.
            show: is given the plan.
        """
        ledger, world, asked = self.ledger, self.session.world, self.asked
        standing = await asyncio.to_thread(_stand, self.session, asked, self.before)
        if standing.newer is not None:
            return apply_report.of_carried(
                self.session.folder.name, str(standing.commit), standing.newer
            )
        run = Run(
            ledger.tenant,
            str(standing.commit),
            world.new_id(),
            world.now,
            provenance(world, ledger.git, digest),
        )
        again, notes = await self._settle_and_plan(run)
        plan, desired, tighten_only = again.plan, self.session.folder.desired, asked.tighten_only
        cut = plans.hold_against(plan, approval, tighten_only=tighten_only)
        if over := plan_command.beyond(plan, cut.run):
            ledger.append(apply_records.stored(plan, desired, ledger, run))
            raise Refused("; ".join(over))
        clocks = plan_command.clock_notes(self.session, plan)
        show(_shown(plan, standing, (*clocks, *notes)))
        notes = (*notes, *unapplied.notes_on(cut, plan, tighten_only=tighten_only))
        if not baseline_commit.may_judge(plan, asked.names):
            run = replace(run, judges=False)
            notes = (*notes, baseline_commit.NO_JUDGE)
        found = [
            *_history(standing, asked.accept_history, run),
            *apply_records.found(plan, desired, ledger, run),
        ]
        if not cut.run:
            code = exit_code(plan, cut, ())
            if code == ExitCode.STALE:
                found = apply_records.stored(plan, desired, ledger, run)
            else:
                found += baseline_commit.judged(plan, run)
            ledger.append(found)
            return apply_report.of_apply(
                plan, (), exit_code=code, notes=(*notes, *self._declare(code))
            )
        superseded = map(run.superseded, standing.passed_over)
        done = await self._execute(run, again, cut.run, [*superseded, *found])
        code = done.exit_code(plan, cut)
        notes = (*notes, *done.notes, *self._declare(code))
        return apply_report.of_apply(plan, done.outcomes, exit_code=code, notes=notes)

    def _declare(self, code: int) -> tuple[str, ...]:
        """Declare the ledger, if this is the first apply that left nothing to do; return notes for the report.

        Before that, the next apply must not wait for the changed `tenant.yaml` to be committed.
        """
        kept, asked = self.session.kept, self.asked
        if kept is None or code != ExitCode.DONE or asked.names or asked.tighten_only:
            return ()
        return begin.declare_first(kept)

    async def _settle_and_plan(self, run: Run) -> tuple[Recheck, tuple[str, ...]]:
        """Record the outcomes of writes that earlier runs left open, then plan; return the plan and notes for the report."""
        session, ledger, world = self.session, self.ledger, self.session.world
        left = await recovery.look(session, ledger)
        world.checkpoint("settle:looked")
        ledger.append(recovery.known_outcomes(session, left, run))
        world.checkpoint("settle:recorded")
        judged_at = world.monotonic()
        plan, snapshot = await plan_command.make(session, self.asked.names, self.asked.revert)
        world.checkpoint("apply:planned")
        ledger.append(recovery.unsent_outcomes(session, left, plan, run))
        world.checkpoint("settle:dropped")
        undone = unapplied.not_reverted(plan, session.folder.desired, self.asked.revert)
        notes = (*session.notes, *recovery.notes_on(left), *undone)
        return Recheck(session, ledger, plan, snapshot, judged_at), notes

    async def _execute(
        self,
        run: Run,
        again: Recheck,
        operations: Sequence[Operation],
        before: Sequence[Event],
    ) -> _Done:
        """Record every intent, carry the operations out, record every outcome."""
        world, asked = self.session.world, self.asked
        telemetry = Telemetry.open(asked.events, self.session.publish)
        recorder = Recorder(
            *(self.ledger, self.session, run, telemetry, self.stop),
            snapshot=again.snapshot,
            seen=again.seen,
        )
        world.checkpoint("intents:before")
        await recorder.open(operations, again.plan.digest, before)
        world.checkpoint("intents:recorded")
        execution = Execution(
            world=world,
            platform=self.session.client,
            dialect=self.session.dialect,
            journal=recorder,
            live=again.snapshot.objects,
            options=asked.writing,
            stop=self.stop,
            objection=again.objection,
        )
        with self.session.client.guard(recorder.may_write):
            outcomes = await execute.carry_out(execution, operations)
        world.checkpoint("apply:executed")
        unrecorded = await recorder.close(outcomes)
        world.checkpoint("apply:closed")
        return _Done(outcomes, unrecorded, await telemetry.close())


def _shown(plan: Plan, standing: Standing, notes: Sequence[str] = ()) -> Report:
    """Return the report of a plan that is about to be carried out."""
    return changes.of_plan(
        plan,
        exit_code=ExitCode.DONE,
        notes=(*notes, *standing.notes),
        accepted=standing.history,
    )


def _history(standing: Standing, reason: str | None, run: Run) -> list[Event]:
    """Return the record that a rewritten history was accepted; empty if HEAD descends from the commit applied last."""
    if standing.accepted is None or reason is None:
        return []
    return [run.accepted(standing.accepted, reason)]


def exit_code(plan: Plan, cut: Cut, outcomes: Sequence[Outcome]) -> int:
    """Return the exit code of an apply (DESIGN §7): that of the worst outcome.

    With a finding of level error the exit code is 5 if nothing was written, else 3. Operations held because of a change outside git or a
    halt are reported, but do not change the exit code.
    """
    results = {outcome.result for outcome in outcomes}
    passing = {0, ExitCode.NOT_FINISHED}
    failed = [each for each in outcomes if each.result in FAILURES or each.code not in passing]
    if failed:
        return (
            ExitCode.PARTLY
            if any(outcome.wrote for outcome in outcomes)
            else max(outcome.code for outcome in failed) or 1
        )
    waits = Result.NOT_STARTED in results and Result.STALE not in results
    if waits or Result.STORED_NOT_ACTIVE in results:
        return ExitCode.NOT_FINISHED
    if Result.STALE in results or cut.is_stale:
        return ExitCode.STALE
    if not plan.refused:
        return 0
    return ExitCode.PARTLY if any(outcome.wrote for outcome in outcomes) else ExitCode.REFUSED
