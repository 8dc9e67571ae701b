"""`plan`: read the platform, check the rules, plan, and report."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import tzdata

from reconciler import audit, manifests, policies
from reconciler import plan as plans
from reconciler.audit import Record
from reconciler.commands import baseline, preconditions, unapplied
from reconciler.commands import session as sessions
from reconciler.commands.preconditions import Standing
from reconciler.commands.session import Session
from reconciler.dialects import DIALECTS, kinds_for
from reconciler.effect import Direction
from reconciler.errors import ExitCode, Refused, UsageError
from reconciler.kinds.live import Snapshot
from reconciler.manifests import Folder
from reconciler.models import Desired
from reconciler.plan import (
    STORED,
    Action,
    Base,
    Operation,
    Origin,
    Plan,
    Remarks,
    Result,
    Strictness,
)
from reconciler.policies.base import Facts, Finding
from reconciler.report import Report, changes
from reconciler.report.halt import name_of, reason_of
from reconciler.world import BOTH_CLOCKS, Network, World


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Arguments of `plan`.

    Attributes:
        path, names, tenant: which manifests.
        out: where to write the plan as JSON, too.
        detailed: exit 2 when changes are present.
        revert: manifests whose narrowing outside git is to be undone.
        network: see `Network`.
        accept_history: why HEAD need not descend from the commit applied last, as for `apply`.
        drawn: add week strips and the load to the report, for a page.
    """

    path: Path
    names: tuple[str, ...] = ()
    tenant: str | None = None
    out: Path | None = None
    detailed: bool = False
    revert: tuple[str, ...] = ()
    network: Network = Network()
    accept_history: str | None = None
    drawn: bool = False


async def read(world: World, asked: PlanRequest) -> Plan:
    """Return the plan for one tenant."""
    plan, _, _ = await _read(world, asked)
    return plan


async def show(world: World, asked: PlanRequest) -> Report:
    """Return the report of a plan; write it to a file when asked.

    Raises:
        UsageError: that file is in the tenant's folder.
    """
    if asked.out is not None:
        _require_outside(asked.out, manifests.choose_tenant(asked.path, asked.tenant).path)
    plan, remarks, folder = await _read(world, asked)
    if asked.out is not None:
        _write(asked.out, plan, remarks)
    report = report_of(plan, remarks)
    whole = not asked.names and not folder.partial
    return drawn(report, plan, folder if whole else None) if asked.drawn else report


async def _read(world: World, asked: PlanRequest) -> tuple[Plan, Remarks, Folder]:
    """Plan one tenant, read-only; return the plan, what its report says beside it, and the manifests."""
    where = manifests.choose_tenant(asked.path, asked.tenant)
    async with AsyncExitStack() as stack:
        early = await stack.enter_async_context(sessions.opened_early(world, where))
        folder = manifests.load_tenant(where)
        opening = sessions.open_session(world, folder, asked.network, early=early)
        session = await stack.enter_async_context(opening)
        if session.ledger is not None:
            session.ledger.check()
        (plan, _), standing = await asyncio.gather(
            make(session, asked.names, asked.revert),
            asyncio.to_thread(preconditions.look, session, asked.accept_history),
        )
        left = session.ledger.open_intents() if session.ledger else ()
        local = preconditions.local_notes(session)
        clocks = clock_notes(session, plan)
    undone = unapplied.not_reverted(plan, folder.desired, asked.revert)
    notes = [*clocks, *session.notes, *local, *undone]
    if left:
        names = ", ".join(str(intent.data["name"]) for intent in left)
        notes.append(
            f"an earlier run did not record the outcome of {names}: the next apply reads it back"
        )
    code = exit_code(plan, detailed=asked.detailed, unsettled=bool(left))
    return plan, judged(plan, standing, notes, code), folder


def clock_notes(session: Session, plan: Plan) -> tuple[str, ...]:
    """Return one note for a report if the platform's clock differs from this machine's: by how much, and what follows."""
    apart, contradiction = changes.clock_note(plan.origin.skew_s), session.clock.contradiction()
    if apart and contradiction:
        return (f"{apart} {BOTH_CLOCKS}.",)
    return tuple(filter(None, [apart or contradiction]))


def judged(plan: Plan, standing: Standing, notes: Sequence[str], code: int) -> Remarks:
    """Return every reason for which apply would refuse a plan as a whole, and the exit code of that apply.

    Args:
        plan: the plan.
        standing: reasons that lie in git and the ledger; apply finds them first.
        notes: sentences after the tables.
        code: exit code if there is no such reason.
    """
    errors = [*standing.errors, *map(Refused, beyond(plan, plan.executable))]
    return Remarks(
        int(errors[0].exit_code if errors else code),
        (*notes, *standing.notes),
        tuple((int(each.exit_code), str(each)) for each in errors),
        standing.history,
        standing.differing,
    )


def report_of(plan: Plan, remarks: Remarks) -> Report:
    """Return the report of a plan that was just made, or read from a file."""
    report = changes.of_plan(
        plan,
        exit_code=remarks.exit_code,
        notes=remarks.notes,
        refusals=tuple(message for _, message in remarks.refusals),
        accepted=remarks.accepted,
    )
    facts, data = dict(report.facts or {}), dict(report.data)
    if remarks.refusals:
        data["refusals"] = [
            {"exit_code": code, "message": message} for code, message in remarks.refusals
        ]
    if remarks.differing:
        data["uncommitted"] = list(remarks.differing)
        facts["commit"] = f"{plan.origin.commit or 'none'} + uncommitted changes"
    return report._replace(facts=facts, data=data)


def drawn(report: Report, plan: Plan, folder: Folder | None) -> Report:
    """Return a plan's report with week strips, and with the load if the whole folder was planned."""
    from reconciler.report import loads, plan_figures  # noqa: PLC0415 - only a page needs them

    kinds = {name: kind for api in DIALECTS for name, kind in kinds_for(api).items()}
    if folder is None:
        return plan_figures.with_figures(report, plan, kinds, (), None)
    changed = {each.key for each in plan.operations}
    unchanged = (each for each in folder.desired if each.key not in changed)
    capacity = loads.capacity_of(folder.tenant.spec)
    return plan_figures.with_figures(report, plan, kinds, unchanged, capacity)


def beyond(plan: Plan, operations: Sequence[Operation]) -> tuple[str, ...]:
    """Return a sentence for each limit that the given operations of a plan exceed."""
    limits = plan.strictness.limits
    shares = {
        "changed": limits.changed_share,
        "retired": limits.retired_share,
        "loosened": limits.loosened_share,
    }
    return plans.beyond(operations, plan.total, shares)


def exit_code(plan: Plan, *, detailed: bool, unsettled: bool = False) -> int:
    """Return the exit code of a plan that was only shown (DESIGN §7). A refusal beats "changes present".

    What only an apply can record counts as a change as well: operations that an interrupted run left open, a new policy baseline, and
    objects that are as desired although no apply made them so.
    """
    if plan.refused:
        return ExitCode.REFUSED
    present = plan.operations or unsettled or plan.strictness.pending or plan.unrecorded
    return ExitCode.CHANGES if detailed and present else 0


async def observe(session: Session) -> tuple[Origin, Snapshot]:
    """Read the platform; return what the observation is of, and the snapshot."""
    snapshot, skew_s = await session.read()
    origin = Origin(
        tenant=session.folder.name,
        platform=session.folder.platform,
        url=session.settings.url,
        rules_version=policies.RULES_VERSION,
        tzdata_version=tzdata.IANA_VERSION,
        commit=session.git.checked_out if session.git else None,
        skew_s=0.0 if session.clock.alone else skew_s,
    )
    return origin, snapshot


async def make(
    session: Session, names: tuple[str, ...] = (), revert: tuple[str, ...] = ()
) -> tuple[Plan, Snapshot]:
    """Read the platform and plan. `plan` and `apply` both use this function, so they make the same plan.

    Args:
        session: see `Session`.
        names: manifests to plan; none means all.
        revert: manifests whose narrowing outside git is to be undone.
    """
    keys = session.folder.keys_of(names)
    origin, snapshot = await observe(session)
    past = Past.of(session)
    by = baseline.strictness_of(session, snapshot.at)
    findings = check(session, snapshot, past, by)
    plan = plans.build(
        origin,
        session.folder.desired,
        snapshot,
        session.dialect.KINDS,
        findings=findings,
        held=past.held,
        base=past.base,
        revert=session.folder.keys_of(revert) or (),
        strictness=by,
    )
    if session.folder.partial:  # manifests that were not read may manage these objects
        plan = replace(plan, unmanaged=())
    return (plan if keys is None else plans.only(plan, keys)), snapshot


@dataclass(frozen=True, slots=True)
class Past:
    """The facts from the ledger that planning needs.

    Attributes:
        base: the body applied last, by key.
        held: why an emergency stop holds an object, by key.
        standing: the holds, by key.
        applied: manifest names of the objects that were applied and not removed since, by key.
    """

    base: Mapping[str, Base] | None
    held: Mapping[str, str]
    standing: Mapping[str, Sequence[Record]]
    applied: Mapping[str, str]

    @classmethod
    def of(cls, session: Session) -> Past:
        """Read the facts from the tenant's ledger; outside a repository they are empty."""
        if session.ledger is None:
            return cls(None, {}, {}, {})
        records, last = session.ledger.records(), session.ledger.applied()
        names = {each.key: each.name for each in session.folder.desired}
        holds = audit.standing(records, now=session.clock.passed(), keys=names)
        return cls(
            base={key: _base(each) for key, each in last.items()},
            held={
                key: _hold(each, names.get(key), session.folder.path)
                for key, each in holds.items()
                if key != audit.EVERYTHING
            },
            standing=holds,
            applied={
                key: str(each.intent.data["name"])
                for key, each in last.items()
                if each.base is not None
                and not each.is_imported
                and not (each.stopped and each.stopped.applied is None)
            },
        )


def _base(last: audit.Applied) -> Base:
    intent, body, stopped = last.intent.data, last.base, last.stopped
    result = last.outcome.data.get("result")
    is_again = stopped is not None and last.is_found_since
    if stopped and is_again:  # stored again since the stop: what is missing now was removed later
        body, stopped = stopped.applied, None
    return Base(
        body,
        Direction(intent["direction"]),
        last.outcome.data.get("schedule_id"),
        (stopped.applied, stopped.found) if stopped else None,
        emptied=None if last.is_found_since else intent.get("emptied"),
        unfinished=result in {*STORED, Result.UNKNOWN},
        unsure=intent.get("verb") == Action.CREATE and result == Result.UNKNOWN,
        sent=intent["body"],
        missing=last.missing is not None,
        imported=last.is_imported or is_again,
        imports=tuple(each.data["body"] for each in last.every_import),
    )


def _hold(holds: Sequence[Record], name: str | None, path: Path) -> str:
    """Return why an object is held, naming every halt, and the command that ends the holds.

    Args:
        holds: on the object, or on everything.
        name: the manifest's; `None` if there is no manifest.
        path: the tenant's folder.
    """
    said = dict.fromkeys(map(_stop, holds))
    last = holds[-1]
    held = name if name and last.data["target"] == audit.EVERYTHING else name_of(last)
    name = shlex.quote(held)  # a name on the platform may hold anything
    ends = f"reconcile release {shlex.quote(str(path))} {name} --reason TEXT"
    return f"halted by {', and by '.join(said)}; end it with `{ends}`"


def _stop(hold: Record) -> str:
    until = f" until {hold.data['until']}" if hold.data.get("until") else ""
    what = " (halt --all)" if hold.data["target"] == audit.EVERYTHING else ""
    return f"{hold.data.get('actor') or 'somebody'}{what}{until}: {reason_of(hold)}"


def check(session: Session, snapshot: Snapshot, past: Past, by: Strictness) -> tuple[Finding, ...]:
    """Return the findings of all rules. If there are any, the files are read a second time to get the place of each field.

    Raises:
        Refused: the files changed between the two reads. Only manifests that were checked may be applied.
    """
    findings = _check(session, session.folder.desired, snapshot, past, by)
    if not findings:
        return findings
    asked = {desired.key for desired in session.folder.desired}
    again = manifests.load(session.folder.path, None, keep_places=True)
    if not session.folder.sources.items() <= again.sources.items():
        raise Refused(
            f"files in {session.folder.path} changed while they were read: run the command again"
        )
    placed = tuple(desired for desired in again.desired if desired.key in asked)
    return _check(session, placed, snapshot, past, by)


def check_objects(
    session: Session, desired: tuple[Desired, ...], snapshot: Snapshot, by: Strictness
) -> tuple[Finding, ...]:
    """Return the findings about the given objects, judged by newer facts."""
    return _check(session, desired, snapshot, Past(None, {}, {}, {}), by)


def _check(
    session: Session, desired: tuple[Desired, ...], snapshot: Snapshot, past: Past, by: Strictness
) -> tuple[Finding, ...]:
    gone = {} if session.folder.partial else past.applied
    facts = Facts(
        desired, session.dialect.KINDS, snapshot.at, snapshot, gone, by.names, by.repointed
    )
    return policies.check_all(facts, by.levels, by.waivers)


def _require_outside(out: Path, folder: Path) -> None:
    """Refuse to write a plan into a tenant's folder: the next command would read it as a manifest, or it would replace one."""
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"--out {out} is in the tenant's folder, whose files are read as manifests: write the plan outside {folder}"
        )


def _write(path: Path, plan: Plan, remarks: Remarks) -> None:
    text = json.dumps(plans.saved(plan, remarks), indent=2, ensure_ascii=True)
    try:
        path.write_text(text + "\n", encoding="ascii")
    except OSError as error:
        raise UsageError(f"cannot write the plan to {path}: {error.strerror}") from None
