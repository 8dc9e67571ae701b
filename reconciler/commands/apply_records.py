"""Records of what an apply finds on the platform: what matches its manifest, what is stored, and what is missing.

None of these is a write. They tell a later apply what was stored, when the schedule is then missing or was changed by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from reconciler.audit import Applied, Event, RecordKind, Run
from reconciler.ledger import Ledger
from reconciler.models import Body, Desired
from reconciler.plan import Action, Plan, Result


def found(plan: Plan, desired: Collection[Desired], ledger: Ledger, run: Run) -> list[Event]:
    """Return every record of what an apply found, for an apply that is neither refused nor stale as a whole."""
    return [
        *matching(plan, desired, run),
        *stored(plan, desired, ledger, run, besides=plan.unrecorded),
        *missing(plan, ledger, run),
    ]


def matching(plan: Plan, desired: Iterable[Desired], run: Run) -> list[Event]:
    """Return a `found` record for each object that matches its manifest without an apply: it was imported, or changed by hand."""
    by_key = {each.key: each for each in desired}
    held = {each.key: each.live for each in plan.operations if each.action is Action.HELD}
    events = (run.found(by_key[key], plan.at, held.get(key)) for key in plan.unrecorded)
    return [event for event in events if "body" in event.data]


def stored(
    plan: Plan,
    desired: Iterable[Desired],
    ledger: Ledger,
    run: Run,
    *,
    besides: Collection[str] = (),
) -> list[Event]:
    """Return a record for each object of which the ledger does not say what is stored: its manifest was written by hand.

    It is recorded before anything is written to the object, because nothing may be: the operation may be blocked, not approved or
    stale. When the schedule is missing later, only this record tells that it existed: a stop that is killed leaves none.

    Args:
        plan: the plan.
        desired: the desired state of its objects.
        ledger: the ledger.
        run: makes the records.
        besides: keys of objects that have another record of what is stored.
    """
    last = ledger.applied()
    by_key = {each.key: each for each in desired}
    live = {key: by_key[key].body for key in plan.unrecorded}
    # A second step shows what the first one stores. What was stored in spite of a stop is not taken over while the stop holds it.
    stopped = {
        each.key for each in plan.operations if each.action is Action.HELD and each.would is None
    }
    firsts = (each for each in plan.operations if each.after is None and each.key not in stopped)
    live |= {each.key: each.live for each in firsts}
    events = (
        run.imported(by_key[key].kind, key, by_key[key].name, body, plan.at, by_apply=True)
        for key, body in live.items()
        if key not in besides and body and _is_news(last.get(key), body, by_key[key].body)
    )
    return [event for event in events if "body" in event.data]


def _is_news(last: Applied | None, body: Body, desired: Body | None) -> bool:
    """Return whether the ledger does not say what is stored, and a later apply needs that.

    Until a write is known, a value that was found and is as desired does not count as changed in git (`Base.seen_for`). So a value that
    has become as desired since is news.
    """
    if last is None:
        return True
    if last.intent.data["body"] is not None and not last.is_imported:
        return False
    found = [each.data["body"] for each in last.found_since]
    return not found or any(
        value == (desired or {}).get(name) and all(each.get(name) != value for each in found)
        for name, value in body.items()
    )


def missing(plan: Plan, ledger: Ledger, run: Run) -> list[Event]:
    """Return a record for each schedule of ours that is missing on the platform and held, unless the ledger holds that record.

    Whoever removed the schedule left no record: a person at the console, or a stop that was killed before it could record.
    """
    last = ledger.applied()
    gone = [
        each
        for each in plan.operations
        if each.action is Action.HELD and each.would is Action.CREATE and each.live is None
    ]
    ours = [(each, last[each.key]) for each in gone if _was_written(last.get(each.key))]
    if not ours:
        return []
    known = {each.data.get("text") for each in ledger.records() if each.kind is RecordKind.NOTE}
    found = (
        run.note(
            f"removed outside git since record {each.outcome.id[:16]}, and held: {gone.name} ({gone.key}) is missing on the platform",
            name=gone.name,
            target=gone.key,
        )
        for gone, each in ours
    )
    return [event for event in found if event.data["text"] not in known]


def _was_written(last: Applied | None) -> bool:
    """Return whether the last write to an object certainly stored a schedule."""
    if last is None or last.intent.data["body"] is None:
        return False
    return last.outcome.data.get("result") != Result.UNKNOWN
