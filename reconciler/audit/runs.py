"""The events of one run of a command, with one method for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Unpack

from reconciler.audit.keys import key, scope_of
from reconciler.audit.observed import Observed, observed_fields
from reconciler.audit.records import LINE_LIMIT, Event, Record, stamp
from reconciler.audit.rules import RUN
from reconciler.audit.schema import ACTIONS, APPLY, RecordKind, is_deep
from reconciler.audit.values import frozen, marks, shortened
from reconciler.effect import Direction
from reconciler.models import Desired
from reconciler.plan import DONE, STORED, Action, Operation, Result, canonical_json, sha256_of

HEADER_BYTES: Final = 1024
"""Bytes of a record that are reserved for its header."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who started and approved a run. `None` means "not known", never "the same as the actor".

    Attributes:
        approved: digest of the plan that `approver` approved.
        run_attempt: attempt number of the CI run.
    """

    actor: str
    approver: str | None = None
    pull_request: str | None = None
    reviewed_head: str | None = None
    run_url: str | None = None
    approved: str | None = None
    run_attempt: str | None = None

    def fields(self) -> dict[str, str | None]:
        """Return the attribution fields that every record of the run has; `None` for unknown values."""
        return {name: shortened(getattr(self, name)) for name in _WHO}

    def approval(self) -> dict[str, str | None]:
        """Return the additional fields of the `open` record. Unknown values are left out."""
        known = {"approved": self.approved, "run_attempt": shortened(self.run_attempt)}
        return {name: value for name, value in known.items() if value}


@dataclass(frozen=True, slots=True)
class Run:
    """Makes the events of one run of a command on one commit.

    Attributes:
        tenant, commit: what the run acts on.
        id: unique; at most 64 letters, digits, `.`, `_` and `-`.
        clock: this machine's clock, aware.
        provenance: who started and approved it.
        judges: whether the rules and limits of its commit judge the next change. They do not if the commit weakens a rule that
            refuses a change of the same commit, or if only a part of the commit was planned.
    """

    tenant: str
    commit: str
    id: str
    clock: Callable[[], datetime]
    provenance: Attribution
    judges: bool = True

    def __post_init__(self) -> None:
        if not RUN.fullmatch(self.id):
            raise ValueError(f"{self.id!r}: not a run id")

    def open(
        self,
        *,
        digest: str,
        operations: int,
        tool: str,
        ledger: str | None,
        applied: str | None,
        purpose: str = APPLY,
    ) -> Event:
        """Record the beginning of the run.

        Args:
            digest: of the plan.
            operations: how many will be carried out.
            tool: name and version of this program.
            ledger: the ledger head that the run saw; `None` if the ledger was empty.
            applied: the commit applied last, according to the ledger.
            purpose: `APPLY` or `HALT`; only an apply makes its commit the applied one.
        """
        return self._event(
            RecordKind.OPEN,
            {
                **self.provenance.fields(),
                **self.provenance.approval(),
                "applied": applied,
                "digest": digest,
                "ledger": ledger,
                "operations": operations,
                "purpose": purpose,
                "tool": shortened(tool),
                **self._no_judge(),
            },
        )

    def intent(
        self,
        operation: Operation,
        *,
        digest: str,
        generation: int,
        attempt: int = 0,
        atomic: bool = True,
    ) -> Event:
        """Record a write before it is sent. No write is sent before this record is acknowledged.

        Args:
            operation: the write.
            digest: of the plan in which it was approved.
            generation: a number that no earlier write of this operation from this commit has. An apply uses the number of the
                next record of the ledger that it read, or the number of an intent that is still open (`open_generations`).
                An emergency stop counts its own writes from 0, because its keys belong to its run.
            attempt: raised only if the platform stored an error under the idempotency key.
            atomic: whether the platform stores the write as a whole or not at all. If not, marks of the old body are kept:
                they tell a write that was cut off between its parts from a change by somebody else.
        """
        op, desired = operation.hash, operation.desired
        data = {
            **self.provenance.fields(),
            "after": None if desired is None else sha256_of(desired),
            "attempt": attempt,
            "before": operation.live_hash,
            "body": None if desired is None else dict(desired),
            "digest": digest,
            "direction": str(operation.direction),
            "generation": generation,
            "key": self.key(operation, generation, attempt),
            "name": shortened(operation.name),
            "object": operation.kind,
            "op": op,
            "target": operation.key,
            "verb": operation.action.value,
        }
        data |= _optional(operation, atomic=atomic)
        # Without the body a plan takes the removal for one outside git, and no commit creates the schedule again.
        removed = {"emptied": dict(operation.live or {})} if operation.empties else {}
        return self._event(RecordKind.INTENT, _if_it_fits(data, removed))

    def key(self, operation: Operation, generation: int, attempt: int) -> str:
        """Return the idempotency key of a write of this run."""
        scope = scope_of(operation.action, self.commit, self.id)
        return key(self.tenant, scope, operation.hash, generation, attempt)

    def outcome(
        self,
        intent: Event | Record,
        result: Result,
        *,
        audit: Mapping[str, Any],
        **observed: Unpack[Observed],
    ) -> Event:
        """Record how a write ended: the audit entry.

        Args:
            intent: the write. Actor, approval and names are copied from it. Somebody else may have written it, with texts of any length.
            result: how it ended.
            audit: audit fields of the desired body (`Operation.audit`).
            **observed: what was observed (`Observed`).
        """
        said = intent.data
        event = self._event(RecordKind.OUTCOME, {name: said.get(name) for name in _COPIED})
        entry = {
            **{name: value for name, value in audit.items() if not is_deep([value])},
            "name": shortened(said["name"]),
            **observed_fields(observed),
            "action": action_of(Action(said["verb"]), result),
            "intent": intent.id,
            "result": result.value,
            "timestamp": observed.get("at") or event.ts,
        }
        data = frozen({**event.data, **entry})
        return replace(event, data=_if_it_fits(data, {"campaign_id": said["target"]}))

    def close(self, counts: Mapping[str, int]) -> Event:
        """Record the end of the run, with its counts: planned, applied, active, failed, held."""
        return self._event(RecordKind.CLOSE, {"counts": dict(counts)})

    def hold(
        self,
        target: str,
        *,
        name: str,
        reason: str,
        until: datetime | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Event:
        """Record a hold: no apply may touch the object until it is released, or until an instant.

        Args:
            target: the object's key.
            name: its name for people.
            reason: why, for later readers.
            until: when the hold ends by itself.
            body: what was stored, left out if too large. Of an object without a manifest, no other copy exists.
        """
        data: dict[str, Any] = {
            **self.provenance.fields(),
            "name": shortened(name),
            "reason": shortened(reason),
            "target": target,
            "until": None if until is None else stamp(until),
        }
        extra = {} if body is None else {"body": dict(body)}
        return self._event(RecordKind.HOLD, _if_it_fits(data, extra))

    def release(self, target: str, *, name: str, reason: str) -> Event:
        """Record the end of all holds on an object."""
        data = {"name": shortened(name), "reason": shortened(reason), "target": target}
        return self._event(RecordKind.RELEASE, self.provenance.fields() | data)

    def note(self, text: str, **about: str) -> Event:
        """Record a remark for later readers; `about`: the `target` and the `name` of the object that it is about."""
        return self._note(text, **about)

    def superseded(self, commit: str) -> Event:
        """Record that a commit was never applied by itself, because this run applies a later commit."""
        return self._note(f"superseded: {commit} was not applied by itself", superseded=commit)

    def accepted(self, commit: str, reason: str) -> Event:
        """Record that this commit is applied although it does not descend from the one applied last. It judges the next change.

        Args:
            commit: the commit applied last.
            reason: why, for later readers.
        """
        said = f"history accepted: this commit does not descend from {commit}, applied before: {reason}"
        return self._note(said, accepts=commit, judge=True, **self._no_judge())

    def found(
        self, desired: Desired, at: datetime, stored: Mapping[str, Any] | None = None
    ) -> Event:
        """Record that an object matched its manifest without an apply. Later changes by hand are compared with this record.

        A body that is too large for a record is left out, and then nothing is compared with it.

        Args:
            desired: the desired state from the object's manifest.
            at: the platform's clock when the object was read.
            stored: what the platform holds, if that differs from the manifest because a narrowing by hand is held.
        """
        body = desired.body or {}
        extra: dict[str, Any] = {"body": dict(body if stored is None else stored)}
        if stored is not None:
            extra["base"] = _beyond(stored, body)
        data = {
            **self.provenance.fields(),
            "text": shortened(
                f"matched its manifest without an apply: {desired.name} ({desired.key})"
            ),
            "direction": str(Direction.NEUTRAL),
            "name": shortened(desired.name),
            "object": desired.kind,
            "target": desired.key,
            "timestamp": stamp(at),
            **self._no_judge(),
        }
        return self._event(RecordKind.NOTE, _if_it_fits(data, extra))

    def imported(
        self,
        kind: str,
        key: str,
        name: str,
        body: Mapping[str, Any],
        at: datetime,
        *,
        by_apply: bool = False,
    ) -> Event:
        """Record what an import found, so that an apply neither creates the schedule again if it is missing later, nor widens it.

        It is compared with what the platform holds until the next apply. A body that is too large for a record is left out.

        Args:
            kind: kind of the object.
            key: the object's key.
            name: name of its manifest.
            body: what the platform stores, in canonical form.
            at: the platform's clock when the object was read.
            by_apply: an apply found it, for a manifest that was not imported.
        """
        when = "an apply found its manifest" if by_apply else "it was imported"
        data = {
            **self.provenance.fields(),
            "text": shortened(f"stored when {when}: {name} ({key})"),
            "direction": str(Direction.NEUTRAL),
            "imported": True,
            "name": shortened(name),
            "object": kind,
            "target": key,
            "timestamp": stamp(at),
        }
        return self._event(RecordKind.NOTE, _if_it_fits(data, {"body": dict(body)}))

    def missing(self, last: Record, *, name: str, reason: str) -> Event:
        """Record that an object's schedule is missing on the platform without a hold, and that the next apply may create it again.

        Args:
            last: outcome of the last write to the object, or its `found` note. The permission ends with the next write, so it
                covers no later removal.
            name: the object's name for people.
            reason: why, for later readers.
        """
        target = str(last.data["target"])
        return self._note(
            f"missing on the platform, and to be created again: {name} ({target}): {reason}",
            missing=last.id,
            name=shortened(name),
            target=target,
        )

    def vouched(self, head: str, reason: str) -> Event:
        """Record that the signer has read the ledger up to the commit `head`, unsigned records included, and vouches for it."""
        return self._note(f"vouched for the ledger at {head}: {reason}", vouches=head)

    def creating(self) -> Event:
        """Record that this run may send its creates from now on.

        An open create without this record was certainly not sent (`may_be_sent`).
        """
        return self._note("may send creates from now on", creating=True)

    def nothing_to_do(self, settings: Sequence[str]) -> Event:
        """Record an apply of this commit that had nothing to do. The commit's rules and limits judge the next change.

        Args:
            settings: what the commit weakens from the next change on.
        """
        weakened = f"weakened from the next change on: {', '.join(settings)}"
        plain = "applied with nothing to do: this commit judges the next change"
        return self._note(weakened if settings else plain, judge=True)

    def _no_judge(self) -> dict[str, bool]:
        return {} if self.judges else {"judges": False}

    def _note(self, text: str, **more: Any) -> Event:
        data = {**self.provenance.fields(), "text": shortened(text), **more}
        return self._event(RecordKind.NOTE, data)

    def _event(self, kind: RecordKind, data: Mapping[str, Any]) -> Event:
        return Event(kind, self.tenant, self.commit, self.id, stamp(self.clock()), frozen(data))


_WHO: Final = ("actor", "approver", "pull_request", "reviewed_head", "run_url")
_WRITE: Final = ("digest", "op", "generation", "attempt", "target", "object", "name", "verb")
_COPIED: Final = (*_WHO, *_WRITE, "direction")
"""Fields that an outcome repeats of its intent, so that one line says what was done, by whom, and who approved it."""


def _if_it_fits(data: Mapping[str, Any], extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `data` with `extra`, or without it if the record would be too large, or nest too deep to be read."""
    whole = {**data, **extra}
    fits = not is_deep(extra) and len(canonical_json(whole)) <= LINE_LIMIT - HEADER_BYTES
    return whole if fits else data


def _optional(operation: Operation, *, atomic: bool) -> dict[str, Any]:
    """Return the optional fields of an intent."""
    data: dict[str, Any] = {} if atomic else {"parts": marks(operation.live or {})}
    if operation.base is not None:
        data["base"] = _beyond(operation.desired, operation.base)
    if operation.after is not None:
        data["first"] = [operation.after, sha256_of(operation.live)]
    return data


def _beyond(body: Mapping[str, Any] | None, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `base` that differ from the stored body. In these fields a narrowing by hand was kept."""
    stored = body or {}
    return {
        name: value for name, value in base.items() if name not in stored or stored[name] != value
    }


def action_of(verb: Action, result: Result) -> str:
    """Return the audit action of a write with the given result. An attempt that changed nothing is not a deployment."""
    if result in DONE:
        return ACTIONS[verb]
    if result in STORED:
        return "SCHEDULE_REMOVED" if verb in {Action.HALT, Action.RETIRE} else "SCHEDULE_STORED"
    return "SCHEDULE_UNKNOWN" if result is Result.UNKNOWN else "SCHEDULE_UNCHANGED"
