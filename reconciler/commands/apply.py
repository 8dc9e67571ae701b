"""`apply`: lock, plan again, check the approval and the limits, record intents, carry out, record outcomes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reconciler import defaults, execute, manifests
from reconciler import plan as plans
from reconciler.audit import Event, Run
from reconciler.commands import events as events_command
from reconciler.commands import ledgers, leftovers, recovery
from reconciler.commands import plan as plan_command
from reconciler.commands import session as sessions
from reconciler.commands.events import OnEvent
from reconciler.commands.journal import Recorder, provenance
from reconciler.commands.rejudgement import Rejudgement
from reconciler.commands.session import Network, Online, Session
from reconciler.errors import (
    ExitCode,
    GitError,
    ReconcileError,
    Refused,
    StalePlan,
    UsageError,
    safe,
)
from reconciler.execute import Execution, WriteOptions
from reconciler.git import Git, worktree
from reconciler.ledger import CHECKPOINTS as LEDGER_CHECKPOINTS
from reconciler.ledger import Ledger
from reconciler.manifests import Folder
from reconciler.plan import FAILURES, Action, Approval, Cut, Operation, Outcome, Plan, Result
from reconciler.report import Report, changes
from reconciler.settings import CIContext, user
from reconciler.world import World

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
"""Points that `World.checkpoint` is told of during an apply: a crash at each of them loses nothing (tests kill there)."""

Confirm = Callable[[Report], bool]
"""Shows a plan to whoever is there, and returns whether to go on."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Request(Online):
    """What `apply` was asked; see its options on the command line."""

    path: Path
    names: tuple[str, ...] = ()
    tenant: str | None = None
    approved: Path | None = None
    expect: str | None = None
    tighten_only: bool = False
    revert: tuple[str, ...] = ()
    ask: bool = False
    concurrency: int = defaults.CONCURRENCY
    wait_s: float = defaults.WAIT_S
    events: Path | None = None
    publish: bool = False
    on_event: OnEvent | None = None

    @property
    def network(self) -> Network:
        """How the platform is reached."""
        return Network(
            self.deadline, self.ca_bundle, self.proxy, concurrency=max(8, self.concurrency)
        )


async def apply(world: World, asked: Request, confirm: Confirm, stop: asyncio.Event) -> Report:
    """Carry out the plan for one tenant and return the report of what became of it.

    Args:
        world: see `World`.
        asked: see `Request`.
        confirm: shown the plan. Where somebody is asked, it is before the lock is taken: what is planned again under the lock must then be the
            same, operation by operation.
        stop: set by whoever interrupts the run.
    """
    approval = read_approval(asked)
    folder = manifests.load(asked.path, asked.tenant)
    async with sessions.opened(world, folder, asked.network) as session:
        git = committed(session)
        ledgers.require_key(world, session.trust.spec if session.trust else folder.tenant.spec)
        if asked.ask:
            plan, _ = await plan_command.make(session, asked.names, asked.revert)
            if not confirm(changes.of_plan(plan, exit_code=ExitCode.DONE)):
                return changes.of_declined(plan, exit_code=ExitCode.ERROR)
            approval = approval or plans.approved(plan)
        ledger = session.ledger or Ledger.open(git, folder.platform, clock=world.now)
        world.checkpoint("apply:opened")
        with ledger.locked(holder=_holder(world)):
            world.checkpoint("apply:locked")
            report = await _Run(session, git, asked, ledger, stop).carry_out(approval, confirm)
        world.checkpoint("apply:released")
        return report


def _holder(world: World) -> str:
    said = CIContext.read(world.environ)
    return said.run_url or said.actor or user(world.environ) or f"run {world.new_id()}"


def committed(session: Session) -> Git:
    """Return the repository, refusing a folder that is not what HEAD says: nobody reviewed what is only on disk."""
    git = session.git
    if git is None:
        raise GitError(
            f"{session.folder.path} is in no git repository: apply records what it does in git; put the manifests into one and commit them"
        )
    differing = worktree.differences(git, session.folder.path)
    if differing:
        raise Refused(
            f"the tenant's folder differs from HEAD ({', '.join(differing[:5])}): commit or undo that first, so that what is applied is what was reviewed"
        )
    return git


def _as_committed(git: Git, folder: Folder, commit: str) -> None:
    """Refuse what was read when it is not, byte for byte, what a commit holds.

    `differing` compares what lies on the disk now, after line ends and filters were converted. What is applied was read before that. A file
    that was not read is none of this: absence never deletes.
    """
    read = folder.hashes
    held = {
        path: hashlib.sha256(data).hexdigest()
        for path, data in worktree.contents(git, commit, folder.path)
        if path in read
    }
    other = sorted(path for path in read if read[path] != held.get(path))
    if other:
        raise Refused(
            f"what was read of {folder.path} is not what the commit holds ({', '.join(map(safe, other[:5]))}): either it changed meanwhile, or git converts"
            " these files (line ends, filters); switch that off with `* -text -filter -ident` in their folder's .gitattributes, check out again, and apply again"
        )


def read_approval(asked: Request) -> Approval | None:
    """Return what was approved: a saved plan, a digest, or both; `None` when nothing was.

    Raises:
        UsageError: the file is no plan.
        StalePlan: the file is not the plan whose digest was approved.
    """
    if asked.expect is not None and not _DIGEST.fullmatch(asked.expect.strip().lower()):
        raise UsageError("--expect is no digest: write the 64 digits that `reconcile plan` shows")
    if asked.approved is None:
        return None if asked.expect is None else Approval(asked.expect.strip().lower())
    try:
        approval = plans.approval_from(json.loads(asked.approved.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{asked.approved} is no plan written by `reconcile plan --out`: {error}"
        ) from None
    if asked.expect is not None and asked.expect.strip().lower() != approval.digest:
        raise StalePlan(
            f"{asked.approved} is not the plan that was approved: its digest is {approval.digest}, --expect says {asked.expect}"
        )
    return approval


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of carrying out a plan.

    Attributes:
        outcomes: one for each operation.
        unrecorded: why the ledger does not hold all of them; `None` when it does.
        lost: what telemetry did not take.
    """

    outcomes: tuple[Outcome, ...]
    unrecorded: ReconcileError | None
    lost: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report must say of it."""
        if self.unrecorded is None:
            return self.lost
        return (
            f"the ledger does not hold every outcome of this run ({self.unrecorded}); the next apply settles what is open",
            *self.lost,
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """One apply that holds the tenant's lock."""

    session: Session
    git: Git
    asked: Request
    ledger: Ledger
    stop: asyncio.Event

    async def carry_out(self, approval: Approval | None, confirm: Confirm) -> Report:
        """Settle, plan again now that nobody else applies, and carry out what was approved."""
        session, ledger = self.session, self.ledger
        commit, world = self.git.head(), session.world
        await self._as_committed(commit)
        told = None if approval is None or self.asked.ask else approval.digest
        run = Run(ledger.tenant, commit, world.new_id(), world.now, provenance(world, told))
        passed_over = recovery.skipped(session, self.git, ledger)
        left = await recovery.look(session, ledger)
        world.checkpoint("settle:looked")
        ledger.append(recovery.told(session, left, run))
        world.checkpoint("settle:recorded")
        judged_at = world.monotonic()
        plan, snapshot = await plan_command.make(session, self.asked.names, self.asked.revert)
        world.checkpoint("apply:planned")
        ledger.append(recovery.dropped(session, ledger, left, plan, run))
        world.checkpoint("settle:dropped")
        undone = leftovers.not_reverted(plan, session.folder.desired, self.asked.revert)
        notes = (*session.notes, *recovery.notes_on(left), *undone)
        cut = plans.hold_against(plan, approval, tighten_only=self.asked.tighten_only)
        _within_limits(plan, cut.run)
        if not self.asked.ask:
            confirm(changes.of_plan(plan, exit_code=ExitCode.DONE, notes=notes))
        notes = (*notes, *leftovers.notes_on(cut, plan, tighten_only=self.asked.tighten_only))
        if not _may_judge(plan, self.asked.names):
            run = replace(run, judges=False)
            notes = (*notes, _NO_JUDGE)
        found = self._found(plan, run)
        if not cut.run:
            code = exit_code(plan, cut, ())
            refused = plan.refused and not plan.strictness.recorded
            if run.judges and (plan.strictness.pending or refused):
                found.append(run.judged([each.setting for each in plan.strictness.weakenings]))
            if (
                code != ExitCode.STALE
            ):  # what is found makes its commit the one that was applied, too
                ledger.append(found)
            return changes.of_apply(plan, (), exit_code=code, notes=notes)
        before = (*map(run.superseded, passed_over), *found)
        again = Rejudgement(session, ledger, plan, snapshot, judged_at)
        done = await self._execute(run, again, cut.run, before)
        code = exit_code(plan, cut, done.outcomes)
        if done.unrecorded is not None:
            code = (
                ExitCode.PARTLY
                if any(outcome.wrote for outcome in done.outcomes)
                else done.unrecorded.exit_code
            )
        return changes.of_apply(plan, done.outcomes, exit_code=code, notes=(*notes, *done.notes))

    async def _as_committed(self, commit: str) -> None:
        """Hold what was read against a commit (`_as_committed`). Git takes a while over it, and meanwhile the platform gives us a token."""
        signing_in = asyncio.create_task(self.session.client.sign_in())
        try:
            await asyncio.to_thread(_as_committed, self.git, self.session.folder, commit)
        except ReconcileError:
            signing_in.cancel()
            await asyncio.gather(signing_in, return_exceptions=True)
            raise
        await signing_in

    def _found(self, plan: Plan, run: Run) -> list[Event]:
        """Return what was found as its manifest says and not applied like that by us: imported, or taken over by a commit."""
        desired = {each.key: each for each in self.session.folder.desired}
        held = {each.key: each.live for each in plan.operations if each.action is Action.HELD}
        events = (run.found(desired[key], plan.at, held.get(key)) for key in plan.unrecorded)
        return [event for event in events if "body" in event.data]

    async def _execute(
        self,
        run: Run,
        again: Rejudgement,
        operations: Sequence[Operation],
        before: Sequence[Event],
    ) -> _Done:
        """Record every intent, carry the operations out, record every outcome."""
        world, asked = self.session.world, self.asked
        telemetry = events_command.opened(
            self.session, asked.events, asked.on_event, publish=asked.publish
        )
        recorder = Recorder(self.ledger, self.session, run, telemetry, self.stop)
        recorder.seen = again.seen
        world.checkpoint("intents:before")
        await recorder.open(again.plan, operations, again.snapshot, before)
        world.checkpoint("intents:recorded")
        execution = Execution(
            world=world,
            platform=self.session.client,
            dialect=self.session.dialect,
            journal=recorder,
            live=again.snapshot.objects,
            options=WriteOptions(asked.concurrency, asked.wait_s),
            stop=self.stop,
            objection=again.objection,
        )
        with self.session.client.guarded(recorder.may_write):
            outcomes = await execute.carry_out(execution, operations)
        world.checkpoint("apply:executed")
        unrecorded = await recorder.close(outcomes)
        world.checkpoint("apply:closed")
        return _Done(outcomes, unrecorded, await telemetry.close())


def _within_limits(plan: Plan, operations: Sequence[Operation]) -> None:
    beyond = plan_command.beyond(plan, operations)
    if beyond:
        raise Refused("; ".join(beyond))


_NO_JUDGE: Final = "what this commit weakens stays without effect: apply a commit that holds nothing but the weakening, with no names, before the change that needs it"


def _may_judge(plan: Plan, names: Sequence[str]) -> bool:
    """Return whether a commit may judge the next change once it was applied.

    One that weakens a rule for a change of its own, which that rule refuses now, may not: else an empty commit after it would
    pass the change. Nor may one that weakens a rule and of which only a part is planned.
    """
    strictness = plan.strictness
    if not strictness.weakenings:
        return True
    refused = (each for each in plan.operations if each.blocked and each.action is not Action.HELD)
    own = any(
        each.direction.widens and (strictness.shared or each.place.file in strictness.changed)
        for each in refused
    )
    return not names and not own


def exit_code(plan: Plan, cut: Cut, outcomes: Sequence[Outcome]) -> int:
    """Return DESIGN §7's code of an apply: the worst that happened, partly applied first.

    While a finding of level error stands, it is 5 if nothing was written, else 3. What somebody narrowed by hand or halted is held, which is no
    refusal by a rule: it is reported, and changes no code.
    """
    results = {outcome.result for outcome in outcomes}
    failed = [
        outcome
        for outcome in outcomes
        if outcome.result in FAILURES or outcome.code not in {0, ExitCode.NOT_FINISHED}
    ]
    if failed:
        return (
            ExitCode.PARTLY
            if any(outcome.wrote for outcome in outcomes)
            else max(outcome.code for outcome in failed) or 1
        )
    if results & {Result.STORED_NOT_ACTIVE, Result.NOT_STARTED}:
        return ExitCode.NOT_FINISHED
    if Result.STALE in results or cut.is_stale:
        return ExitCode.STALE
    if not plan.refused:
        return 0
    return ExitCode.PARTLY if any(outcome.wrote for outcome in outcomes) else ExitCode.REFUSED
