"""`show`: the report of a saved plan, and whether the plan is up to date. Read-only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler import manifests
from reconciler import plan as plans
from reconciler.commands import approval as approvals
from reconciler.commands import plan as plan_command
from reconciler.commands import preconditions, unapplied
from reconciler.commands import session as sessions
from reconciler.errors import ExitCode
from reconciler.manifests import Folder, find_tenants
from reconciler.plan import Approval, Cut, Operation, Plan, Remarks, SavedPlan
from reconciler.report import Report, Tone
from reconciler.report.changes import shown_names
from reconciler.world import Network, World

_WORTH: Final = (
    "The file's digest and content hash match. The digest covers what would run: actions, ids, desired schedules and what is live."
    " Names, directions, findings, notes and what is held are outside the digest, and anybody who edits them can compute the content"
    " hash again: `reconcile show {} --check` plans again and proves the plan."
)


@dataclass(frozen=True, slots=True)
class ShowRequest:
    """Arguments of `show`.

    Attributes:
        file: the saved plan.
        check: plan again, and report whether the saved plan is up to date.
        path: the tenant's folder, or a folder above it; for `check`.
        network: see `Network`.
        drawn: add week strips to the report, for a page.
    """

    file: Path
    check: bool = False
    path: Path = Path("schedules")
    network: Network = Network()
    drawn: bool = False


async def show(world: World, asked: ShowRequest) -> Report:
    """Return the report of a saved plan.

    Raises:
        UsageError: the file is not a plan, or it was edited or cut.
        StalePlan: with `check`, the plan is for another platform than the folder.
    """
    approval, data = approvals.read_file(asked.file)
    try:
        found = plans.read_saved(data)
    except ValueError as error:
        raise approvals.not_a_plan(asked.file, error) from None
    report = plan_command.report_of(found.plan, found.remarks)
    if asked.drawn:
        report = plan_command.drawn(report, found.plan, None)
    if not asked.check:
        notes = (*report.notes, _WORTH.format(asked.file))
        return report._replace(exit_code=ExitCode.DONE, notes=notes)
    plan, remarks = await _plan_again(world, asked, found)
    return _checked(report, plan, remarks, approval, found)


async def _plan_again(world: World, asked: ShowRequest, found: SavedPlan) -> tuple[Plan, Remarks]:
    """Plan the objects of a saved plan again."""
    saved = found.plan
    folder = _folder(asked.path, saved)
    steps = saved.operations
    keys = {*saved.unchanged, *(each.key for each in steps)}
    reverted = {each.key for each in steps if each.reverts and each.executable}
    names = tuple(each.name for each in folder.desired if each.key in reverted)
    async with sessions.open_session(world, folder, asked.network) as session:
        if session.ledger is not None:
            session.ledger.check()
        (plan, _), standing = await asyncio.gather(
            plan_command.make(session, revert=names),
            asyncio.to_thread(preconditions.look, session, None),
        )
    plan = plans.only(plan, keys)
    code = plan_command.exit_code(plan, detailed=False)
    return plan, plan_command.judged(plan, standing, (), code)


def _folder(path: Path, saved: Plan) -> Folder:
    """Load the tenant's folder, which may have another name by now.

    Raises:
        StalePlan: it is for another platform.
    """
    several = len(find_tenants(path)) > 1
    folder = manifests.load(path, saved.origin.tenant if several else None)
    approvals.require_platform(plans.approved(saved), folder)
    return folder


def _checked(
    report: Report, plan: Plan, remarks: Remarks, approval: Approval, found: SavedPlan
) -> Report:
    """Return the report with the result of the check, first of all."""
    cut = plans.hold_against(plan, approval)
    others = [] if cut.is_stale else _shown_otherwise(found.plan, plan)
    stale = bool(cut.is_stale or others)
    notes = [*unapplied.not_as_approved(cut, plan)]
    if others:
        notes.append(f"outside the digest, the file differs from a new plan: {shown_names(others)}")
    notes += [f"apply would refuse this now: {message}" for _, message in remarks.refusals]
    code = remarks.exit_code if remarks.refusals or not stale else ExitCode.STALE
    return report._replace(
        verdict=f"{_verdict(cut, plan, found.plan, stale=stale)} {report.verdict}",
        tone=Tone.BAD if stale or remarks.refusals else report.tone,
        exit_code=int(code),
        notes=(*notes, *report.notes),
        facts={**(report.facts or {}), "digest now": plan.digest},
        data={
            **report.data,
            "check": {"derives": not stale, "digest": plan.digest, "notes": notes},
        },
    )


def _verdict(cut: Cut, plan: Plan, saved: Plan, *, stale: bool) -> str:
    if stale:
        return "STALE: planning again gives another plan."
    if plan.digest == saved.digest:
        return "This plan is up to date."
    every, left = len(saved.executable), len(cut.run)
    return f"{every - left} of {every} operations are done, and the rest is up to date."


def _shown_otherwise(saved: Plan, plan: Plan) -> list[str]:
    """Return names of what a new plan shows differently from the saved one, outside the digest. Objects that are done are left out."""
    now = {each.hash: each for each in plan.operations}
    names = [
        each.key
        for each in saved.operations
        if (again := now.get(each.hash)) is not None and _seen(each) != _seen(again)
    ]
    if (
        plan.digest != saved.digest
    ):  # a part is done, so findings and lists may have changed by that
        return names
    if {each.hash for each in saved.operations} != now.keys():
        names.append("what is held")
    if [each[:5] for each in saved.findings] != [each[:5] for each in plan.findings]:
        names.append("findings")
    if saved.strictness.weakenings != plan.strictness.weakenings:
        names.append("weakened rules")
    lists = (saved.unchanged, saved.unmanaged, saved.unrecorded)
    if lists != (plan.unchanged, plan.unmanaged, plan.unrecorded):
        names.append("lists of objects")
    return names


def _seen(each: Operation) -> tuple[object, ...]:
    """Return what a report shows of an operation, except what depends on the clock."""
    return (
        *(each.name, each.platform_name, each.verdict, each.fields, each.moved_by),
        *(each.fields_moved_by, each.blocked, each.notes, each.dialing),
    )
