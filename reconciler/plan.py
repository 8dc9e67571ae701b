"""The plan: a value, sorted and serialisable, the same for the same inputs on any machine.

`build` is the only planner: what `plan` shows is what `apply` executes. The digest names exactly what would be done; an
approval of a digest is an approval of these operations and of nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from reconciler import diff, effect
from reconciler.dialects.base import Kind, Live, Snapshot
from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.models import Body, Desired
from reconciler.policies.base import Finding, Level

FORMAT_VERSION = 1
"""Version of the plan's serialised form, and so of its digest."""


class Action(StrEnum):
    """What has to happen to one object."""

    CREATE = "create"
    UPDATE = "update"
    RETIRE = "retire"
    REFRESH = "refresh"
    """Stored as desired, but the dialer has not taken it."""
    HELD = "held"
    """Reported, never done: a hold, or narrowed by hand since it was last applied."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One object that is not as its manifest says, and what would make it so.

    Attributes:
        kind, key: the object.
        name: the manifest's name; `platform_name` the platform's own.
        action: see `Action`.
        desired: canonical body to store; `None` to remove.
        live: canonical stored body it was planned against; `None` when there is none.
        live_hash: hash of what the platform held and dialed.
        fields: live → desired.
        direction: of the whole operation.
        place: where the manifest stands.
        blocked: why it will not be carried out (findings of level error), empty when it will.
        audit: what an audit record says of the desired body, without what only apply can know.
    """

    kind: str
    key: str
    name: str
    platform_name: str
    action: Action
    desired: Body | None
    live: Body | None
    live_hash: str
    fields: tuple[FieldChange, ...]
    direction: Direction
    place: Place
    blocked: tuple[str, ...] = ()
    audit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 over object, action, desired body and live hash."""
        return sha256_of(
            {
                "action": self.action,
                "desired": self.desired,
                "key": self.key,
                "kind": self.kind,
                "live": self.live_hash,
            }
        )

    @property
    def executable(self) -> bool:
        """Whether apply would carry it out."""
        return self.action is not Action.HELD and not self.blocked


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plan was made for, and with.

    Attributes:
        tenant, url: where.
        rules_version, tzdata_version: data that decided with us.
        commit: the commit that was planned; `None` outside git.
        skew_s: how far the platform's clock was ahead of ours, seconds.
    """

    tenant: str
    url: str
    rules_version: str = ""
    tzdata_version: str = ""
    commit: str | None = None
    skew_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What would make live equal desired.

    Attributes:
        origin: see `Origin`.
        operations: sorted by key; objects that are as desired are not among them.
        unchanged: keys of the objects that are as desired.
        unmanaged: keys of platform objects that hold or dial a schedule and that no manifest names.
        findings: all of them, errors first.
        at: the platform's clock when it was read.
    """

    origin: Origin
    operations: tuple[Operation, ...]
    unchanged: tuple[str, ...]
    unmanaged: tuple[str, ...]
    findings: tuple[Finding, ...]
    at: datetime

    @property
    def digest(self) -> str:
        """SHA-256 that names the operations; see `digest_of`."""
        hashes = (
            operation.hash for operation in self.operations if operation.action is not Action.HELD
        )
        return digest_of(self.origin, hashes)

    @property
    def executable(self) -> tuple[Operation, ...]:
        """The operations that apply would carry out."""
        return tuple(operation for operation in self.operations if operation.executable)

    @property
    def refused(self) -> bool:
        """Whether a finding of level error stands."""
        return any(finding.level is Level.ERROR for finding in self.findings)


def build(
    origin: Origin,
    desired: Iterable[Desired],
    snapshot: Snapshot,
    kinds: Mapping[str, Kind],
    *,
    findings: Sequence[Finding] = (),
    held: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan that makes `snapshot` say what `desired` says.

    Args:
        origin: see `Origin`.
        desired: compiled manifests; no two of one key.
        snapshot: what the platform holds.
        kinds: the dialect's kinds, by name.
        findings: every finding of every rule; errors block their object, unless the operation only tightens.
        held: why an object is to be left as it is, by key.
    """
    wanted_all = sorted(desired, key=lambda item: item.key)
    blocking = _blocking(findings)
    operations, unchanged = [], []
    for wanted in wanted_all:
        live = snapshot.objects.get(wanted.key) or Live(wanted.key, "")
        operation = _operation(wanted, live, kinds[wanted.kind])
        if operation is None:
            unchanged.append(wanted.key)
        else:
            operations.append(
                _judged(operation, blocking.get(wanted.key, ()), (held or {}).get(wanted.key))
            )
    named = {wanted.key for wanted in wanted_all}
    unmanaged = sorted(
        key
        for key, live in snapshot.objects.items()
        if key not in named and (live.stored is not None or live.active_id is not None)
    )
    return Plan(
        origin, tuple(operations), tuple(unchanged), tuple(unmanaged), tuple(findings), snapshot.at
    )


def _operation(desired: Desired, live: Live, kind: Kind) -> Operation | None:
    """Return what one object needs; `None` when it is as desired and dials as desired."""
    if diff.same(live.stored, desired.body, kind.canonical):
        if live.settled:
            return None
        action = Action.RETIRE if desired.retired else Action.REFRESH
    elif desired.retired:
        action = Action.RETIRE
    else:
        action = Action.CREATE if live.stored is None else Action.UPDATE
    before = None if live.stored is None else kind.canonical(live.stored)
    return Operation(
        kind=desired.kind,
        key=desired.key,
        name=desired.name,
        platform_name=live.name,
        action=action,
        desired=desired.body,
        live=before,
        live_hash=live_hash(live, kind),
        fields=diff.explain(before, desired.body) if action is Action.UPDATE else (),
        direction=_direction(action, before, desired.body, live, kind),
        place=desired.place,
        audit=kind.audit_fields(desired.body or before or {}) if (desired.body or before) else {},
    )


def _direction(
    action: Action, before: Body | None, after: Body | None, live: Live, kind: Kind
) -> Direction:
    """Return what an operation does to dialing. What dials without being stored is unknown, and unknown loosens."""
    if action is Action.RETIRE:
        return Direction.TIGHTEN
    if action is not Action.UPDATE or before is None or after is None:
        return Direction.LOOSEN
    step = effect.direction(before, after, kind.rules)
    return step if live.settled else effect.combine([step, Direction.LOOSEN])


def live_hash(live: Live, kind: Kind) -> str:
    """Return the SHA-256 of what an object holds and dials.

    Ids and instants stay outside: storing the same schedule again does not void an approval of what comes after it.
    """
    dials = "stored" if live.settled else "nothing" if live.active_id is None else "another"
    return sha256_of(
        {"dials": dials, "stored": None if live.stored is None else kind.canonical(live.stored)}
    )


def _blocking(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    errors: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.level is Level.ERROR and finding.key:
            errors.setdefault(finding.key, []).append(finding)
    return errors


def _judged(operation: Operation, errors: Iterable[Finding], held: str | None) -> Operation:
    """Return the operation with what stands in its way: a hold first, then the errors that count for its direction."""
    if held is not None:
        return replace(operation, action=Action.HELD, blocked=(held,))
    counts = [
        error for error in errors if error.stops or operation.direction is not Direction.TIGHTEN
    ]
    return replace(operation, blocked=tuple(error.rule for error in counts))


class Result(StrEnum):
    """How an operation ended."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    REFRESHED = "refreshed"
    CONFIRMED = "confirmed"
    """The answer was lost, and reading back showed that it had been done."""
    STORED_NOT_ACTIVE = "stored_not_active"
    """Stored, but the dialer has not taken it; the next run finishes it."""
    STALE = "stale"
    """The object moved since it was planned; nothing was written."""
    REFUSED = "refused"
    """The platform said no; nothing was written."""
    FAILED = "failed"
    """Could not be done, or what was read back is not what was written."""
    UNKNOWN = "unknown"
    """A write was sent and its fate could not be learned; the next run settles it."""
    NOT_STARTED = "not_started"
    """Held back: a tightening before it is not active, the run was interrupted, or its time was over."""


DONE = frozenset(
    {Result.CREATED, Result.UPDATED, Result.DELETED, Result.REFRESHED, Result.CONFIRMED}
)
"""Results after which the platform holds and dials what was desired."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one operation.

    Attributes:
        operation: what was to be done.
        result: see `Result`.
        message: why, for every result that is not done; one sentence.
        stored_id: the platform's id of what it stored.
        latency_s: seconds from stored to active, by the platform's clock; `None` when unknown.
        tries: writes that were sent.
        wrote: whether the platform's state changed, or may have.
        code: exit code of the error that ended it (DESIGN §7); 0 when none did.
        stored_at, activated_at: the platform's clock, as it wrote them.
    """

    operation: Operation
    result: Result
    message: str = ""
    stored_id: str | None = None
    latency_s: float | None = None
    tries: int = 0
    wrote: bool = False
    code: int = 0
    stored_at: str | None = None
    activated_at: str | None = None

    @property
    def done(self) -> bool:
        """Whether the platform holds and dials what was desired."""
        return self.result in DONE


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no spaces, ASCII only: the form in which everything here is hashed."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def sha256_of(value: object) -> str:
    """Return the hex SHA-256 of a JSON value's canonical form."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def only(plan: Plan, keys: Collection[str]) -> Plan:
    """Return the plan restricted to some objects; its digest is that of what is left."""
    return replace(
        plan,
        operations=tuple(operation for operation in plan.operations if operation.key in keys),
        unchanged=tuple(key for key in plan.unchanged if key in keys),
        findings=tuple(
            finding for finding in plan.findings if not finding.key or finding.key in keys
        ),
    )


def serialised(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values: what `plan --format json` prints and `plan --out` writes."""
    return {
        "format_version": FORMAT_VERSION,
        "tenant": plan.origin.tenant,
        "url": plan.origin.url,
        "digest": plan.digest,
        "commit": plan.origin.commit,
        "at": plan.at.isoformat(),
        "skew_s": round(plan.origin.skew_s, 3),
        "rules_version": plan.origin.rules_version,
        "tzdata_version": plan.origin.tzdata_version,
        "operations": [_serialised_operation(operation) for operation in plan.operations],
        "unchanged": list(plan.unchanged),
        "unmanaged": list(plan.unmanaged),
        "findings": [_serialised_finding(finding) for finding in plan.findings],
    }


def _serialised_operation(operation: Operation) -> dict[str, Any]:
    return {
        "hash": operation.hash,
        "kind": operation.kind,
        "key": operation.key,
        "name": operation.name,
        "platform_name": operation.platform_name,
        "action": operation.action.value,
        "direction": operation.direction.value,
        "desired": operation.desired,
        "live": operation.live,
        "live_hash": operation.live_hash,
        "fields": [
            {"path": change.path, "live": change.live, "desired": change.desired}
            for change in operation.fields
        ],
        "blocked": list(operation.blocked),
        "place": str(operation.place),
    }


def _serialised_finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "level": finding.level.value,
        "message": finding.message,
        "key": finding.key,
        "name": finding.name,
        "place": str(finding.place) if finding.place else None,
    }


@dataclass(frozen=True, slots=True)
class Approval:
    """What a reviewer approved: operations by hash, as a saved plan or a digest names them.

    Attributes:
        digest: of the approved plan.
        operations: hash → (key, desired body) of each operation; `None` when only the digest is known.
        origin: what the plan was made for: an operation's hash does not say on which tenant; `None` when only the digest is known.
    """

    digest: str
    operations: Mapping[str, tuple[str, Body | None]] | None = None
    origin: Origin | None = None


def approval_from(saved: Mapping[str, Any]) -> Approval:
    """Return the approval that a saved plan carries.

    Raises:
        ValueError: the file is no plan of this format, or was edited: what it says does not hash to what it claims.
    """
    try:
        if saved["format_version"] != FORMAT_VERSION:
            raise ValueError(
                f"format_version is {saved['format_version']!r}, this version reads {FORMAT_VERSION}"
            )
        operations = dict(
            _approved(entry) for entry in saved["operations"] if entry["action"] != Action.HELD
        )
        parts = (saved[name] for name in ("tenant", "url", "rules_version", "tzdata_version"))
        origin, claimed = Origin(*parts), saved["digest"]
    except (KeyError, TypeError) as error:
        raise ValueError("it is no plan, or only a part of one") from error
    if digest_of(origin, operations) != claimed:
        raise ValueError("its digest is not the digest of what it says, so it was edited or cut")
    return Approval(claimed, operations, origin)


def _approved(entry: Mapping[str, Any]) -> tuple[str, tuple[str, Body | None]]:
    """Return a saved operation's hash, computed afresh, with its key and desired body."""
    parts = {name: entry[name] for name in ("action", "desired", "key", "kind")}
    if (name := sha256_of({**parts, "live": entry["live_hash"]})) != entry["hash"]:
        raise ValueError(
            f"the operation on {entry['key']} was edited: it does not hash to its hash"
        )
    return name, (entry["key"], entry["desired"])


def digest_of(origin: Origin, hashes: Iterable[str]) -> str:
    """Return the SHA-256 that names a set of operations on a tenant; findings, effect, commit, paths and time stand outside it."""
    return sha256_of(
        {
            "format_version": FORMAT_VERSION,
            "operations": sorted(hashes),
            "rules_version": origin.rules_version,
            "tenant": origin.tenant,
            "tzdata_version": origin.tzdata_version,
            "url": origin.url,
        }
    )


def approved(plan: Plan) -> Approval:
    """Return the approval of everything that a plan would do, for whoever said yes to it."""
    return Approval(
        plan.digest,
        {operation.hash: (operation.key, operation.desired) for operation in plan.executable},
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """A plan after an approval was held against it.

    Attributes:
        run: operations to carry out.
        stale: keys of approved operations that no longer derive.
        strange: names of operations that derive and were not approved.
    """

    run: tuple[Operation, ...]
    stale: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()


def hold_against(plan: Plan, approval: Approval | None, *, tighten_only: bool = False) -> Cut:
    """Return what of a plan may run: only what was approved; what was approved and no longer derives is stale.

    What was approved and is already so is neither: an earlier run did it.
    """
    ready = tuple(
        operation
        for operation in plan.executable
        if not tighten_only or operation.direction is Direction.TIGHTEN
    )
    if approval is None:
        return Cut(ready)
    if approval.operations is None:
        return (
            Cut(ready)
            if approval.digest == plan.digest
            else Cut((), stale=tuple(operation.key for operation in plan.operations) or ("all",))
        )
    derived = {operation.hash for operation in plan.operations}
    already = set(plan.unchanged)
    stale = tuple(
        key
        for hash_, (key, _) in approval.operations.items()
        if hash_ not in derived and key not in already
    )
    strangers = (operation for operation in ready if operation.hash not in approval.operations)
    return Cut(
        run=tuple(operation for operation in ready if operation.hash in approval.operations),
        stale=stale,
        strange=tuple(operation.name for operation in strangers if operation.key not in stale),
    )


SHARES_FROM = 10
"""Objects from which on shares count (DESIGN §5)."""


def beyond(
    operations: Sequence[Operation], total: int, shares: Mapping[str, float]
) -> tuple[str, ...]:
    """Return each limit that carrying out `operations` would pass, in one sentence; creates do not count.

    Args:
        operations: what would run.
        total: the tenant's objects.
        shares: largest share of `total` that may be `changed`, `retired`, `loosened`, 0 to 1.
    """
    moved = [operation for operation in operations if operation.action is not Action.CREATE]
    counts = {
        "changed": len(moved),
        "retired": sum(operation.action is Action.RETIRE for operation in moved),
        "loosened": sum(operation.direction.widens for operation in moved),
    }
    if total < SHARES_FROM:
        return ()
    return tuple(
        f"{number} of {total} objects would be {what}, the limit is {shares[what]:.0%}: apply fewer (NAME…), or raise limits.{what}_share in "
        "tenant.yaml with a reason and a last day"
        for what, number in counts.items()
        if number > shares[what] * total
    )
