"""Approvals: save a plan, read it back, and select the approved operations of the current plan. Also the limits of one apply."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.effect import Direction
from reconciler.models import Body
from reconciler.plan.values import (
    FORMAT_VERSION,
    Action,
    Operation,
    Origin,
    Plan,
    digest_of,
    hash_of,
)


def serialised(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values: what `plan --format json` prints and `plan --out` writes."""
    return {
        "format_version": FORMAT_VERSION,
        "tenant": plan.origin.tenant,
        "url": plan.origin.url,
        "platform": plan.origin.platform,
        "digest": plan.digest,
        "commit": plan.origin.commit,
        "at": plan.at.isoformat(),
        "skew_s": round(plan.origin.skew_s, 3),
        "rules_version": plan.origin.rules_version,
        "tzdata_version": plan.origin.tzdata_version,
        "operations": [_serialised_operation(operation) for operation in plan.operations],
        "unchanged": list(plan.unchanged),
        "unmanaged": list(plan.unmanaged),
        "unrecorded": list(plan.unrecorded),
        "findings": [finding.serialised() for finding in plan.findings],
        "weakenings": [each.serialised() for each in plan.strictness.weakenings],
    }


def _serialised_operation(operation: Operation) -> dict[str, Any]:
    reverts = {"reverts": True} if operation.reverts else {}
    return {
        **reverts,
        "hash": operation.hash,
        "kind": operation.kind,
        "key": operation.key,
        "name": operation.name,
        "platform_name": operation.platform_name,
        "action": operation.action.value,
        "direction": operation.verdict.value,
        "moved_by": operation.moved_by.value,
        "fields_moved_by": {name: by.value for name, by in operation.fields_moved_by.items()},
        "desired": operation.desired,
        "live": operation.live,
        "live_hash": operation.live_hash,
        "fields": [
            {"path": change.path, "live": change.live, "desired": change.desired}
            for change in operation.fields
        ],
        "dropped": list(operation.dropped),
        "effect": operation.effect and operation.effect.serialised(),
        "blocked": list(operation.blocked),
        "notes": list(operation.notes),
        "place": str(operation.place),
    }


@dataclass(frozen=True, slots=True)
class Approval:
    """What a reviewer approved: operations by hash, from a saved plan or a digest.

    Attributes:
        digest: of the approved plan.
        operations: hash → (key, desired body) of each operation that would have run; `None` when only the digest is known.
        origin: the tenant of the plan, which the hash of an operation does not contain; `None` when only the digest is known.
        left: hashes of the operations that were blocked or held, and so are not approved.
    """

    digest: str
    operations: Mapping[str, tuple[str, Body | None]] | None = None
    origin: Origin | None = None
    left: frozenset[str] = frozenset()


def approval_from(saved: Mapping[str, Any]) -> Approval:
    """Read the approval from a saved plan.

    Raises:
        ValueError: the file is not a plan of this format, or it was edited, so that a hash does not match.
    """
    runs: dict[str, tuple[str, Body | None]] = {}
    blocked: dict[str, tuple[str, Body | None]] = {}
    try:
        if saved["format_version"] != FORMAT_VERSION:
            raise ValueError(
                f"format_version is {saved['format_version']!r}, this version reads {FORMAT_VERSION}"
            )
        entries = saved["operations"]
        for entry in entries:
            if entry["action"] != Action.HELD:
                name, what = _approved(entry)
                (blocked if _is_blocked(entry) else runs)[name] = what
        held = {str(entry["hash"]) for entry in entries if entry["action"] == Action.HELD}
        parts = (saved[name] for name in ("tenant", "url", "rules_version", "tzdata_version"))
        origin = replace(Origin(*parts), platform=saved["platform"])
        claimed = saved["digest"]
    except (KeyError, TypeError) as error:
        raise ValueError("it is not a plan, or only a part of one") from error
    if digest_of(origin, runs, blocked) != claimed:
        raise ValueError("its digest does not match its operations, so it was edited or cut")
    return Approval(claimed, runs, origin, frozenset(held.union(blocked)))


def _is_blocked(entry: Mapping[str, Any]) -> bool:
    """Return whether a saved operation was blocked when it was shown."""
    if not isinstance(entry["blocked"], list):
        raise TypeError("`blocked` is a list")
    return bool(entry["blocked"])


def _approved(entry: Mapping[str, Any]) -> tuple[str, tuple[str, Body | None]]:
    """Return a saved operation's hash, computed afresh, with its key and desired body."""
    key, desired = entry["key"], entry["desired"]
    if not isinstance(key, str) or not (desired is None or isinstance(desired, dict)):
        raise TypeError("`key` is text, and `desired` an object or null")
    parts = {name: entry[name] for name in ("action", "desired", "key", "kind")}
    parts["live"] = entry["live_hash"]
    if (name := hash_of(parts, reverts=entry.get("reverts") is True)) != entry["hash"]:
        raise ValueError(f"the operation on {entry['key']} was edited: its hash does not match")
    return name, (key, desired)


def approved(plan: Plan) -> Approval:
    """Return the approval of everything that a plan would run, for a plan confirmed at the prompt."""
    operations = {
        operation.hash: (operation.key, operation.desired) for operation in plan.executable
    }
    left = frozenset(each.hash for each in plan.operations if not each.executable)
    return Approval(plan.digest, operations, plan.origin, left)


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a plan that an approval allows to run, and the rest by reason.

    Attributes:
        run: operations to run.
        stale: keys of approved operations that the current plan does not have.
        strange: names of operations that were not approved.
        behind: names of approved operations that widen and do not run, because an approved tightening is stale.
        freed: names of operations that were blocked or held when the plan was approved and now could run.
        other: the approved digest, if only the digest is known and the plan's digest differs.
    """

    run: tuple[Operation, ...]
    stale: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    other: str | None = None

    @property
    def is_stale(self) -> bool:
        """Whether the plan differs from what was approved."""
        return bool(self.stale or self.strange or self.freed or self.other)


def hold_against(plan: Plan, approval: Approval | None, *, tighten_only: bool = False) -> Cut:
    """Return the operations of a plan that an approval allows. An approved operation that is missing in the plan is stale.

    - What was blocked or held when the plan was shown is not approved.
    - An approved operation that an earlier run has done is neither run nor stale.
    - A schedule that an earlier run stored, and that is not active, is refreshed under the same approval.
    - The second step of an object does not run without its first step.
    - Nothing is widened while an approved tightening is stale and still wanted.
    """
    if approval is None or (approval.operations is None and approval.digest == plan.digest):
        return Cut(_wanted(plan.executable, tighten_only=tighten_only))
    if approval.operations is None:
        return Cut((), other=approval.digest)
    if not _same_tenant(approval, plan):
        return Cut((), stale=tuple(sorted(key for key, _ in approval.operations.values())))
    covered = [_covered(operation, approval.operations) for operation in plan.operations]
    run = _with_first(plan, [operation for operation in covered if operation is not None])
    ready = _wanted(
        (operation for operation in run if operation.executable), tighten_only=tighten_only
    )
    stale = _stale(plan, approval.operations.values(), run)
    strange, freed = _unapproved(plan, approval, run, stale)
    narrows = any(
        operation.key in stale and operation.direction is Direction.TIGHTEN
        for operation in plan.operations
    )
    behind = [operation for operation in ready if narrows and operation.direction.widens]
    return Cut(
        tuple(operation for operation in ready if operation not in behind),
        stale,
        strange,
        tuple(operation.name for operation in behind),
        freed,
    )


def _unapproved(
    plan: Plan, approval: Approval, run: Sequence[Operation], stale: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return two tuples of names: operations that were not approved, and operations that were blocked or held at the approval."""
    runs = {operation.hash for operation in run}
    answered = {*stale, *(each.key for each in run if not each.executable or each.reverts)}
    rest = [each for each in plan.executable if each.hash not in runs]
    freed = dict.fromkeys(each.name for each in rest if each.hash in approval.left)
    strange = dict.fromkeys(
        each.name for each in rest if each.key not in answered and each.hash not in approval.left
    )
    return tuple(strange), tuple(freed)


def _with_first(plan: Plan, run: Sequence[Operation]) -> list[Operation]:
    """Return the operations, except each second step whose first step is missing."""
    runs = {operation.hash for operation in run}
    missing = {
        operation.key
        for operation in plan.executable
        if operation.after is None and operation.hash not in runs
    }
    return [each for each in run if each.after is None or each.key not in missing]


def _stale(
    plan: Plan, approved: Iterable[tuple[str, Body | None]], run: Iterable[Operation]
) -> tuple[str, ...]:
    """Return the keys of approved operations that will not run and are not done.

    If the second of two steps is done, the first counts as done.
    """
    steps: dict[str, list[Body | None]] = {}
    for key, body in approved:
        steps.setdefault(key, []).append(body)
    lives: dict[str, Body | None] = {}
    for operation in plan.operations:
        lives.setdefault(operation.key, operation.live)
    running = [(operation.key, operation.desired) for operation in run]
    stale = []
    for key, bodies in steps.items():
        if key in plan.unchanged:
            continue
        done = max(
            (n for n, body in enumerate(bodies) if key in lives and body == lives[key]), default=-1
        )
        if any((key, body) not in running for body in bodies[done + 1 :]):
            stale.append(key)
    return tuple(stale)


def _wanted(operations: Iterable[Operation], *, tighten_only: bool) -> tuple[Operation, ...]:
    return tuple(
        operation
        for operation in operations
        if not tighten_only or operation.verdict is Direction.TIGHTEN
    )


def _covered(
    operation: Operation, approved: Mapping[str, tuple[str, Body | None]]
) -> Operation | None:
    """Return the operation in the form that its approval allows; `None` if it is not approved.

    An approved hold becomes the action that it would run. A refresh or a stop that completes an approved write is covered, too.
    """
    if operation.hash in approved:
        if operation.action is Action.HELD and operation.would is not None:
            return replace(
                operation, action=operation.would, would=None, blocked=operation.blocked[1:]
            )
        return operation
    finishes = operation.action is Action.REFRESH or (
        operation.action is Action.RETIRE and operation.live is None
    )
    return (
        operation if finishes and (operation.key, operation.desired) in approved.values() else None
    )


def _same_tenant(approval: Approval, plan: Plan) -> bool:
    """Return whether the approval is for this tenant, which the hash of an operation does not contain."""
    origin = approval.origin
    return origin is None or origin.where == plan.origin.where


SHARES_FROM = 10
"""Number of objects from which on shares count exactly. With fewer, one may always be retired and one loosened, and any number tightened."""


def beyond(
    operations: Sequence[Operation], total: int, shares: Mapping[str, float]
) -> tuple[str, ...]:
    """Return a sentence for each limit that `operations` would exceed. Creates do not count, nor does what finishes an earlier write.

    Args:
        operations: what would run.
        total: the tenant's objects before these operations.
        shares: largest share of `total` that may be `changed`, `retired`, `loosened`, 0 to 1; 0 allows none, however small the tenant. 1 is
            no limit: a change that takes over a live object may touch more objects than there were.
    """
    moved = [each for each in operations if each.action is not Action.CREATE and not each.finishes]
    counts = {
        "changed": len({operation.key for operation in moved}),  # one object may take two steps
        "retired": sum(  # one with a base takes back what a hand did, and is held after it
            operation.action is Action.RETIRE and operation.base is None for operation in moved
        ),
        "loosened": sum(operation.direction.widens for operation in moved),
    }
    total = max(total, 1)
    small = {} if total >= SHARES_FROM else {"changed": total, "retired": 1, "loosened": 1}
    least = {what: number for what, number in small.items() if shares[what] > 0}
    return tuple(
        f"{number} of {total} {'object' if total == 1 else 'objects'} would be {what}, and the limit is {_limit(shares[what], least.get(what))}: apply fewer"
        f" (NAME…), or raise limits.{what}_share in tenant.yaml with a reason and a last day"
        for what, number in counts.items()
        if number > least.get(what, 0) and number / total > shares[what] < 1
    )


def _limit(share: float, least: int | None) -> str:
    return f"{share:.0%}" if least is None else f"{share:.0%} or {least}, whichever is more"
