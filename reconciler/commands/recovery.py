"""First step of every apply: resolve the operations that an interrupted run left open.

An intent without an outcome is a write whose outcome was not recorded, because the run was killed or lost its network. The object is
read back, and what the platform holds decides:

| the platform holds | then |
|---|---|
| what was to be written | it is closed as `confirmed`, or as stored and not active; planning decides what happens then |
| what was there before, but under a new id | it is closed as `unknown`: the write may have been executed and undone by hand |
| nothing, as before, and the operation is a create that may have been sent | it is closed as `unknown`, and held until `--revert`: see below |
| what was there before, and this run plans the same write from the same commit | it stays open: this run sends it again under the same idempotency key |
| what was there before, in all other cases, or after a second attempt | it is closed as `not_started`: nothing had been written |
| a mixture of old and new parts, on a platform that writes in parts | it is closed as `failed`: it was interrupted, and the rest is planned again |
| something else | it is closed as `unknown`: somebody else wrote since. Planning treats the write as applied, so that a later narrowing by hand is held |

A missing schedule after a create proves nothing: either it was never written, or it was written and removed by hand since. Sending the
create again under the same idempotency key is safe only on a platform that stores keys, and reconcile cannot detect whether it does. So
the create is not sent again, unless it was certainly not sent before: a run records that it may send creates before its first one
(`Run.creating`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.audit import (
    Applied,
    Defect,
    Event,
    Record,
    Run,
    differing,
    marks,
    may_be_sent,
)
from reconciler.commands.session import Session
from reconciler.errors import LedgerError, UnknownObject
from reconciler.kinds import Kind
from reconciler.kinds.live import Live
from reconciler.ledger import Ledger
from reconciler.models import Body
from reconciler.plan import Action, Plan, Result, live_hash, sha256_of

SETTLE_S: Final = 2.0
"""Seconds to wait before reading back: longer than a platform takes to commit late.

They count from now. Intents give no later bound: all are recorded before the first write, and a run may have sent its last write just before it died.
"""


@dataclass(frozen=True, slots=True)
class Left:
    """An operation that an interrupted run left open.

    Attributes:
        intent: its record.
        result: its outcome; `None` if it can be sent again.
        live: what the platform holds; `None` when the object is gone.
    """

    intent: Record
    result: Result | None
    live: Live | None

    @property
    def is_absent_create(self) -> bool:
        """Whether this is a create that may have been sent, while the platform holds no schedule."""
        created = self.intent.data["verb"] == Action.CREATE and self.result is Result.UNKNOWN
        return created and self.live is not None and self.live.stored is None


async def look(session: Session, ledger: Ledger) -> tuple[Left, ...]:
    """Read back every operation whose intent has no outcome in the ledger."""
    intents = ledger.open_intents()
    if not intents:
        return ()
    await session.world.sleep(SETTLE_S)
    records = ledger.records()
    last = ledger.applied()
    return tuple(
        [
            await _classify(session, intent, last.get(intent.data["target"]), records)
            for intent in intents
        ]
    )


async def _classify(
    session: Session, intent: Record, last: Applied | None, records: Sequence[Record]
) -> Left:
    try:
        live = await session.client.run(session.dialect.read_one(intent.data["target"]))
    except UnknownObject:
        return Left(intent, Result.UNKNOWN, None)
    fate = _fate(session, intent, live)
    kind = _kind_of(session, intent)
    if fate is None and intent.data["verb"] != Action.HALT and _put_back(last, live, kind):
        fate = Result.UNKNOWN
    creates = intent.data["verb"] == Action.CREATE
    if fate is None and creates and live.stored is None and may_be_sent(records, intent):
        fate = Result.UNKNOWN
    return Left(intent, fate, live)


def _kind_of(session: Session, intent: Record) -> Kind:
    """Return the kind of an intent's object.

    Raises:
        LedgerError: the tenant's API has no objects of that kind.
    """
    kind = session.dialect.KINDS.get(intent.data["object"])
    if kind is None:
        problem = (
            f"it concerns a {intent.data['object']}, a kind that the tenant's `api` does not have"
        )
        raise LedgerError(
            f"{Defect(intent.event.commit, 0, problem, intent.id)}: unless `api` in tenant.yaml was changed, reconcile did not write this record. See: reconcile audit verify {shlex.quote(str(session.folder.path))}"
        )
    return kind


def _fate(session: Session, intent: Record, live: Live) -> Result | None:
    kind = _kind_of(session, intent)
    stored = None if live.stored is None else sha256_of(kind.canonical(live.stored))
    if intent.data["verb"] == Action.HALT and not kind.is_silent(live):
        removed = live.stored is None and not live.settled
        return Result.STORED_NOT_ACTIVE if removed else None
    if stored == intent.data["after"]:
        return Result.CONFIRMED if live.settled else Result.STORED_NOT_ACTIVE
    if live_hash(live, kind) == intent.data["before"] or _before_first(intent, live, stored, kind):
        return None
    return Result.FAILED if _cut_off(intent, kind.canonical(live.stored or {})) else Result.UNKNOWN


def _before_first(intent: Record, live: Live, stored: str | None, kind: Kind) -> bool:
    """Return whether the second of two writes to an object was certainly not sent: neither was sent, or the first one is not active."""
    first = intent.data.get("first")
    return isinstance(first, list) and (live_hash(live, kind) == first[0] or stored == first[1])


def _put_back(last: Applied | None, live: Live, kind: Kind) -> bool:
    """Return whether the body that was applied last was stored again since; its new id shows that.

    The open write may then have been executed and undone by hand. Sending it again could widen what somebody narrowed.
    """
    if last is None or live.stored is None:
        return False
    ours = last.outcome.data.get("schedule_id")
    again = None not in {ours, live.stored_id} and ours != live.stored_id
    return again and last.intent.data.get("after") == sha256_of(kind.canonical(live.stored))


def _cut_off(intent: Record, now: Body) -> bool:
    """Return whether a write of several parts was interrupted: each stored part is either the old one or the new one.

    The intent of an atomic write has no marks. For such a write a mixture of old and new parts means that somebody else wrote.
    """
    before, after = intent.data.get("parts"), intent.data["body"]
    if before is None or after is None:
        return False
    meant, found = marks(after), marks(now)
    return all(set(found[name]) <= {*before.get(name, ()), *meant.get(name, ())} for name in found)


def known_outcomes(session: Session, lefts: Iterable[Left], run: Run) -> tuple[Event, ...]:
    """Return outcomes for the operations whose result is known. Record them before planning, because they change what was applied last."""
    return tuple(
        _outcome(session, left, left.result, run) for left in lefts if left.result is not None
    )


def unsent_outcomes(
    session: Session, lefts: Sequence[Left], plan: Plan, run: Run
) -> tuple[Event, ...]:
    """Return `not_started` outcomes for the unwritten operations that this run does not send again under the same idempotency key.

    Three cases: this run's plan does not contain the operation; the open intent is that of a second attempt, for which this run derives
    another key; or the content of the intent would differ, because what was applied last has changed.
    """
    atomic = session.dialect.CAPABILITIES.atomic_writes
    planned = {operation.hash: operation for operation in plan.executable}

    def is_same(intent: Record) -> bool:
        if (operation := planned.get(intent.data["op"])) is None:
            return False
        number = intent.data["generation"]
        event = run.intent(operation, digest=plan.digest, generation=number, atomic=atomic)
        return event.id == intent.id and not differing(intent.event, event)

    return tuple(
        _outcome(session, left, Result.NOT_STARTED, run)
        for left in lefts
        if left.result is None and not is_same(left.intent)
    )


def _outcome(session: Session, left: Left, result: Result, run: Run) -> Event:
    data = left.intent.data
    kind = _kind_of(session, left.intent)
    return run.outcome(
        left.intent,
        result,
        audit=kind.audit_fields(kind.canonical(data["body"])) if data["body"] else {},
        schedule_id=left.live.stored_id if left.live and result is not Result.UNKNOWN else None,
        etag=left.live.version if left.live and result is not Result.UNKNOWN else None,
        message=_ABSENT if left.is_absent_create else _SAID.get(result),
    )


_SAID = {
    Result.FAILED: "read back by a later run: the write was interrupted between its parts",
    Result.NOT_STARTED: "read back by a later run: nothing had been written",
    Result.UNKNOWN: "read back by a later run: somebody else wrote since, so it is unknown whether this write was executed",
}


_ABSENT: Final = "read back by a later run: there is no schedule, and it is unknown whether it was created and then removed outside git"


def notes_on(lefts: Sequence[Left]) -> tuple[str, ...]:
    """Return one note for each operation that an interrupted run left open."""
    said = {
        Result.FAILED: "it was interrupted between its parts; the missing parts are planned again",
        Result.CONFIRMED: "it was executed, and its outcome is recorded now",
        Result.STORED_NOT_ACTIVE: "it was executed, and the dialer has not taken it yet: look at this object in the plan",
        Result.UNKNOWN: "it is unknown whether it was executed, because somebody else wrote since: look at this object in the plan",
        None: "nothing had been written; it is planned again",
    }
    absent = "there is no schedule, and it is unknown whether it was created and then removed outside git; without --revert it is not created again"
    return tuple(
        f"an earlier run left {left.intent.data['name']} open ({left.intent.data['verb']}, {left.intent.event.ts}): {absent if left.is_absent_create else said[left.result]}"
        for left in lefts
    )
