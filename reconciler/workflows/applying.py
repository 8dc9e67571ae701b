"""`apply`: lock, plan again, check the approval and the limits, record intents, carry out, record outcomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler import plan as plans
from reconciler import report as reports
from reconciler.dialects.base import Snapshot
from reconciler.effect import Direction
from reconciler.errors import GitError, Refused, StalePlan, UsageError
from reconciler.execute import Executor, Options
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.plan import Action, Approval, Operation, Outcome, Plan, Result
from reconciler.report import Report
from reconciler.workflows import planning
from reconciler.workflows import session as sessions
from reconciler.workflows.recording import Recorder
from reconciler.workflows.session import Session
from reconciler.workflows.world import Network, World, load

Confirm = Callable[[Report], bool]
"""Shows a plan to whoever is there, and returns whether to go on."""

LIMITS_FROM = 10
"""Objects from which on shares count (DESIGN §5)."""

DECLINED = 1
PARTLY, STALE, REFUSED, NOT_FINISHED = 3, 4, 5, 75


@dataclass(frozen=True, slots=True)
class Request:
    """What `apply` was asked; see its options on the command line."""

    path: Path
    names: tuple[str, ...] = ()
    tenant: str | None = None
    approved: Path | None = None
    expect: str | None = None
    tighten_only: bool = False
    concurrency: int = 8
    wait_s: float = 900.0
    events: Path | None = None
    deadline: float = 3600.0
    ca_bundle: Path | None = None
    proxy: str | None = None

    @property
    def network(self) -> Network:
        """How the platform is reached."""
        return Network(self.deadline, self.ca_bundle, self.proxy)


@dataclass(frozen=True, slots=True)
class Cut:
    """A plan after its approval was held against it.

    Attributes:
        run: operations to carry out.
        stale: names of approved operations that no longer derive.
        strange: names of operations that derive and were not approved.
    """

    run: tuple[Operation, ...]
    stale: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()


async def apply(world: World, asked: Request, confirm: Confirm, stop: asyncio.Event) -> Report:
    """Carry out the plan for one tenant and return the report of what became of it."""
    approval = read_approval(asked)
    folder = load(asked.path, asked.tenant)
    async with sessions.opened(world, folder, asked.network) as session:
        git = committed(session)
        ledger = Ledger.open(git, folder.name, clock=world.now)
        with ledger.locked(holder=world.new_id()):
            return await _locked(session, asked, approval, ledger, confirm, stop)


def committed(session: Session) -> Git:
    """Return the repository, refusing a folder that is not what HEAD says: nobody reviewed what is only on disk."""
    git = session.git
    if git is None:
        raise GitError(
            f"{session.folder.path} is in no git repository: apply records what it does in git; put the manifests into one and commit them"
        )
    differing = git.differing(session.folder.path)
    if differing:
        raise Refused(
            f"the tenant's folder differs from HEAD ({', '.join(differing[:5])}): commit or undo that first, so that what is applied is what was reviewed"
        )
    return git


def read_approval(asked: Request) -> Approval | None:
    """Return what was approved: a saved plan, a digest, or both; `None` when nothing was.

    Raises:
        UsageError: the file is no plan.
        StalePlan: the file is not the plan whose digest was approved.
    """
    if asked.approved is None:
        return None if asked.expect is None else Approval(asked.expect.strip().lower())
    try:
        approval = plans.approval_from(json.loads(asked.approved.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{asked.approved} is no plan written by `reconcile plan --out`: {error}"
        ) from None
    if asked.expect is not None and asked.expect.strip().lower() != approval.digest:
        raise StalePlan(
            f"{asked.approved} is not the plan that was approved: its digest is {approval.digest}, --expect says {asked.expect}"
        )
    return approval


async def _locked(
    session: Session,
    asked: Request,
    approval: Approval | None,
    ledger: Ledger,
    confirm: Confirm,
    stop: asyncio.Event,
) -> Report:
    """Plan again now that nobody else applies, and carry out what was approved."""
    notes = _left_open(ledger)
    plan, snapshot = await planning.make(session, asked.names)
    cut = approve(plan, approval, tighten_only=asked.tighten_only)
    check_limits(session, cut.run)
    if not confirm(reports.of_plan(plan, exit_code=0, notes=notes)):
        return reports.of_apply(
            plan, (), exit_code=DECLINED, notes=(*notes, "declined: nothing was written")
        )
    outcomes = (
        await _carry_out(session, asked, plan, snapshot, cut.run, ledger, stop) if cut.run else ()
    )
    return reports.of_apply(
        plan, outcomes, exit_code=exit_code(plan, cut, outcomes), notes=(*notes, *_held(cut, plan))
    )


def _left_open(ledger: Ledger) -> tuple[str, ...]:
    left = ledger.open_intents()
    return tuple(
        f"an earlier run left {record.data['name']} open ({record.data['verb']} at {record.event.ts}); it is planned afresh"
        for record in left
    )


def approve(plan: Plan, approval: Approval | None, *, tighten_only: bool) -> Cut:
    """Hold an approval against a plan: only what was approved runs, and what no longer derives is stale."""
    ready = tuple(
        operation
        for operation in plan.executable
        if not tighten_only or operation.direction is Direction.TIGHTEN
    )
    if approval is None:
        return Cut(ready)
    if approval.operations is None:
        every = tuple(operation.name for operation in plan.executable)
        return (
            Cut(ready)
            if approval.digest == plan.digest
            else Cut((), stale=every or ("every operation",))
        )
    derived = {operation.hash for operation in plan.operations}
    already = set(plan.unchanged)
    stale = tuple(
        key
        for hash_, (key, _) in approval.operations.items()
        if hash_ not in derived and key not in already
    )
    return Cut(
        tuple(operation for operation in ready if operation.hash in approval.operations),
        stale=stale,
        strange=tuple(
            operation.name
            for operation in ready
            if operation.hash not in approval.operations and operation.key not in stale
        ),
    )


def _held(cut: Cut, plan: Plan) -> tuple[str, ...]:
    names = {operation.key: operation.name for operation in plan.operations}
    notes = [
        f"stale: {names.get(key, key)} is not as it was when it was approved; nothing was written to it, plan and approve again"
        for key in cut.stale
    ]
    notes += [
        f"not approved: {name} needs a change that the approved plan did not hold; it was left alone"
        for name in cut.strange
    ]
    return tuple(notes)


def check_limits(session: Session, operations: Sequence[Operation]) -> None:
    """Refuse an apply that touches too much of the tenant at once (DESIGN §5: shares count from 10 objects up; creates do not count).

    Raises:
        Refused: a share is above its limit; the message says which, how far, and how to allow it.
    """
    total = len(session.folder.desired)
    if total < LIMITS_FROM:
        return
    limits = session.folder.tenant.spec.limits.on(session.world.now().date())
    moved = [operation for operation in operations if operation.action is not Action.CREATE]
    shares = {
        "changed": (len(moved), limits.changed_share),
        "retired": (
            sum(operation.action is Action.RETIRE for operation in moved),
            limits.retired_share,
        ),
        "loosened": (sum(operation.direction.widens for operation in moved), limits.loosened_share),
    }
    for what, (number, share) in shares.items():
        if number > share * total:
            raise Refused(
                f"{number} of {total} objects would be {what}, the limit is {share:.0%}: apply fewer (NAME…), or raise limits.{what}_share in tenant.yaml with a reason and a last day"
            )


async def _carry_out(
    session: Session,
    asked: Request,
    plan: Plan,
    snapshot: Snapshot,
    operations: Sequence[Operation],
    ledger: Ledger,
    stop: asyncio.Event,
) -> tuple[Outcome, ...]:
    """Record every intent, carry the operations out, record every outcome."""
    world = session.world
    recorder = Recorder(ledger, session, plan, snapshot)
    await recorder.open(operations)
    executor = Executor(
        platform=session.client,
        dialect=session.dialect,
        journal=recorder,
        live=snapshot.objects,
        options=Options(concurrency=asked.concurrency, wait_s=asked.wait_s),
        sleep=world.sleep,
        monotonic=world.monotonic,
        progress=world.progress,
        stop=stop,
    )
    outcomes = await executor.run(operations)
    await recorder.close(outcomes)
    return outcomes


def exit_code(plan: Plan, cut: Cut, outcomes: Sequence[Outcome]) -> int:
    """Return DESIGN §7's code of an apply: the worst that happened, partly applied first."""
    results = {outcome.result for outcome in outcomes}
    wrote = any(outcome.wrote for outcome in outcomes)
    if results & {Result.FAILED, Result.UNKNOWN, Result.REFUSED}:
        return PARTLY if wrote else 1
    if results & {Result.STORED_NOT_ACTIVE, Result.NOT_STARTED}:
        return NOT_FINISHED
    if Result.STALE in results or cut.stale or cut.strange:
        return STALE
    return REFUSED if any(operation.blocked for operation in plan.operations) else 0
