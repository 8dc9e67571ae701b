"""A run makes events: one function for each thing that it may have to tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypedDict, Unpack

from reconciler.audit.records import LINE_LIMIT, Event, Record, key, stamp
from reconciler.audit.schema import ACTIONS, APPLY, RUN, RecordKind
from reconciler.dialects.base import ScrubList
from reconciler.effect import Direction
from reconciler.errors import LedgerError, safe
from reconciler.models import Desired
from reconciler.plan import DONE, STORED, Action, Operation, Result, canonical_json, sha256_of

TEXT_LIMIT: Final = 500
"""Characters of a reason, a note or a message."""

MARK: Final = 16
"""Digits of a mark: enough to tell apart what one body holds, few enough for one record."""

TEXT_BYTES: Final = 6 * TEXT_LIMIT + 2
"""Bytes of such a text in a record: `TEXT_LIMIT` characters of any script, but of emoji and of what is shown as an escape fewer."""

HEADER_BYTES: Final = 1024
"""Bytes of a record that are kept for what every record says."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who stands behind a run, as far as it is known. `None` is "not known", never "the same as the actor".

    `approved` is the digest of the plan that was approved; an `approver` approved that plan and no other. `run_attempt` is that of the CI run.
    """

    actor: str
    approver: str | None = None
    pull_request: str | None = None
    reviewed_head: str | None = None
    run_url: str | None = None
    approved: str | None = None
    run_attempt: str | None = None

    def fields(self) -> dict[str, str | None]:
        """Return what every record says of it."""
        return {name: _text(getattr(self, name)) for name in _WHO}

    def approval(self) -> dict[str, str | None]:
        """Return what the record `open` says besides, as far as it is known."""
        known = {"approved": self.approved, "run_attempt": _text(self.run_attempt)}
        return {name: value for name, value in known.items() if value}


class Observed(TypedDict, total=False):
    """What apply saw of one write. What is left out was not seen."""

    at: str | None
    """The platform's clock when it took effect, as it wrote it; ours counts when it said nothing."""
    dnc_verified: bool | None
    """What the check at apply found: scrubbing on and an ACTIVE list linked; `None` when not checked."""
    dnc_lists: Sequence[ScrubList]
    """The do-not-call lists linked at apply."""
    schedule_id: str | None
    """The platform's id of what it now stores."""
    latency_s: float | None
    """From stored to active, seconds, by the platform's clock."""
    live: str | None
    """Hash of what was read back."""
    message: str | None
    """For a person: why it did not end well, or what is to be known of it although it did."""


@dataclass(frozen=True, slots=True)
class Run:
    """Makes the events of one run of a command on one commit.

    Attributes:
        tenant, commit: what it acts on.
        id: unique: letters, digits, `.`, `_`, `-`, at most 64.
        clock: our clock, aware.
        provenance: who stands behind it.
        judges: whether its commit judges the next change. One does not that weakens a rule for a change of its own which the rule refuses, or
            of which only a part was planned.
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
        """Begin.

        Args:
            digest: of the plan.
            operations: how many will be carried out.
            tool: name and version.
            ledger: the ledger's head that this run saw; `None` when it was empty.
            applied: the commit applied last, as far as the ledger says.
            purpose: what the run is for; only an apply makes its commit the one that was applied.
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
                "tool": _text(tool),
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
        """Say what is about to be written. No write before this is acknowledged.

        Args:
            operation: the write.
            digest: of the plan that it was approved in.
            generation: outcomes that the ledger holds for this commit and operation (`generations`).
            attempt: raised only when the platform pinned an error to the key.
            atomic: the platform stores the write as one or not at all; else the marks of what was there before are kept, which tell a write that
                was cut off between its parts from what somebody else wrote.
        """
        op = operation.hash
        desired = operation.desired
        parts: dict[str, Any] = {} if atomic else {"parts": marks(operation.live or {})}
        if operation.base is not None:
            parts["base"] = _beyond(desired, operation.base)
        if operation.after is not None:
            parts["first"] = [operation.after, sha256_of(operation.live)]
        return self._event(
            RecordKind.INTENT,
            self.provenance.fields()
            | parts
            | {
                "after": None if desired is None else sha256_of(desired),
                "attempt": attempt,
                "before": operation.live_hash,
                "body": None if desired is None else dict(desired),
                "digest": digest,
                "direction": str(operation.direction),
                "generation": generation,
                "key": key(self.tenant, self.commit, op, generation, attempt),
                "name": _text(operation.name),
                "object": operation.kind,
                "op": op,
                "target": operation.key,
                "verb": operation.action.value,
            },
        )

    def outcome(
        self,
        intent: Event | Record,
        result: Result,
        *,
        audit: Mapping[str, Any],
        **observed: Unpack[Observed],
    ) -> Event:
        """Say how a write ended: the audit entry.

        Args:
            intent: the write; who approved it, and as what, is copied from there.
            result: how it ended.
            audit: the kind's fields of the desired body (`Operation.audit`).
            **observed: what the platform said (`Observed`).
        """
        said = intent.data
        event = self._event(RecordKind.OUTCOME, {name: said.get(name) for name in _COPIED})
        entry = {
            "campaign_id": said["target"],
            **audit,
            **_observed(observed),
            "action": action_of(Action(said["verb"]), result),
            "intent": intent.id,
            "result": result.value,
            "timestamp": observed.get("at") or event.ts,
        }
        if isinstance(entry.get("dial_rate"), int):
            entry["dial_rate"] = float(entry["dial_rate"])
        return replace(event, data=_frozen({**event.data, **entry}))

    def close(self, counts: Mapping[str, int]) -> Event:
        """End. `counts`: planned, applied, active, failed, held."""
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
        """Forbid apply to touch an object, until released or until an instant.

        Args:
            target: the object.
            name: what people call it.
            reason: why, for whoever reads it later.
            until: when it ends by itself.
            body: what was stored, as far as it fits: of an object that no manifest names it stands nowhere else.
        """
        data: dict[str, Any] = {
            **self.provenance.fields(),
            "name": _text(name),
            "reason": _text(reason),
            "target": target,
            "until": None if until is None else stamp(until),
        }
        kept = data | {"body": None if body is None else dict(body)}
        fits = body is not None and len(canonical_json(kept)) <= LINE_LIMIT - HEADER_BYTES
        return self._event(RecordKind.HOLD, kept if fits else data)

    def release(self, target: str, *, name: str, reason: str) -> Event:
        """End a hold."""
        data = {"name": _text(name), "reason": _text(reason), "target": target}
        return self._event(RecordKind.RELEASE, self.provenance.fields() | data)

    def note(self, text: str) -> Event:
        """Say something to whoever reads the ledger later."""
        return self._event(RecordKind.NOTE, self.provenance.fields() | {"text": _text(text)})

    def superseded(self, commit: str) -> Event:
        """Record that a commit never got an apply of its own: this run's commit came after it."""
        event = self.note(f"superseded: {commit} was not applied by itself")
        return replace(event, data=_frozen({**event.data, "superseded": commit}))

    def found(
        self, desired: Desired, at: datetime, stored: Mapping[str, Any] | None = None
    ) -> Event:
        """Record that an object was as its manifest says without a write of ours: what somebody narrows of it from here on is told by that.

        A body that does not fit a record is left out, and then tells nothing.

        Args:
            desired: the object as its manifest wants it.
            at: the platform's clock when it was read.
            stored: what the platform holds where that is not what the manifest says, because a narrowing by hand is held.
        """
        event = self.note(f"found as its manifest says: {desired.name} ({desired.key})")
        data = {
            **event.data,
            "direction": str(Direction.NEUTRAL),
            "name": _text(desired.name),
            "object": desired.kind,
            "target": desired.key,
            "timestamp": stamp(at),
            **self._no_judge(),
        }
        body = desired.body or {}
        kept = data | {"body": dict(body if stored is None else stored)}
        if stored is not None:
            kept["base"] = _beyond(stored, body)
        fits = len(canonical_json(kept)) <= LINE_LIMIT - HEADER_BYTES
        return replace(event, data=_frozen(kept if fits else data))

    def vouched(self, head: str, reason: str) -> Event:
        """Record that whoever signs this read the ledger up to the commit `head`, unsigned records and all, and stands for it."""
        event = self.note(f"vouched for the ledger at {head}: {reason}")
        return replace(event, data=_frozen({**event.data, "vouches": head}))

    def creating(self) -> Event:
        """Record that this run may send its creates from now on. A create that is left open without this was certainly not sent (`may_be_sent`)."""
        event = self.note("creates schedules from here on")
        return replace(event, data=_frozen({**event.data, "creating": True}))

    def _no_judge(self) -> dict[str, bool]:
        return {} if self.judges else {"judges": False}

    def nothing_to_do(self, settings: Sequence[str]) -> Event:
        """Record an apply of this commit that had nothing to do: the commit judges the next change.

        Args:
            settings: what it weakens, which counts from the next change on.
        """
        event = self.note(
            f"weakened from the next change on: {', '.join(settings)}"
            if settings
            else "applied with nothing to do: this commit judges the next change"
        )
        return replace(event, data=_frozen({**event.data, "judge": True}))

    def _event(self, kind: RecordKind, data: Mapping[str, Any]) -> Event:
        return Event(kind, self.tenant, self.commit, self.id, stamp(self.clock()), _frozen(data))


_WHO: Final = ("actor", "approver", "pull_request", "reviewed_head", "run_url")
_WRITE: Final = ("digest", "op", "generation", "attempt", "target", "object", "name", "verb")
_COPIED: Final = (*_WHO, *_WRITE, "direction")
"""What an outcome repeats of its intent, so that one line answers who, what and by whose leave."""


def _beyond(body: Mapping[str, Any] | None, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields in which what counts as applied last is not what is stored: a narrowing by hand was kept there."""
    stored = body or {}
    return {
        name: value for name, value in base.items() if name not in stored or stored[name] != value
    }


def marks(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return short hashes of what each field of a body holds: of each item of a list, of anything else as a whole."""
    return {
        name: [sha256_of(item)[:MARK] for item in (value if isinstance(value, list) else [value])]
        for name, value in body.items()
    }


def _observed(observed: Observed) -> dict[str, Any]:
    lists = sorted(observed.get("dnc_lists", ()), key=lambda each: each.id)
    latency_s = observed.get("latency_s")
    return {
        "dnc_lists": [
            {"id": each.id, "status": each.status, "updated_at": each.updated_at} for each in lists
        ],
        "dnc_verified": observed.get("dnc_verified"),
        "latency_s": None if latency_s is None else round(float(latency_s), 3),
        "live": observed.get("live"),
        "message": _text(observed.get("message")),
        "schedule_id": observed.get("schedule_id"),
    }


def action_of(verb: Action, result: Result) -> str:
    """Name what happened to the schedule: an attempt that changed nothing is no deployment."""
    if result in DONE:
        return ACTIONS[verb]
    if result in STORED:
        return "SCHEDULE_STORED"
    return "SCHEDULE_UNKNOWN" if result is Result.UNKNOWN else "SCHEDULE_UNCHANGED"


def _text(text: str | None) -> str | None:
    if text is None:
        return None
    text = safe(text, limit=TEXT_LIMIT)
    while (size := len(canonical_json(text))) > TEXT_BYTES:
        text = text[: len(text) * TEXT_BYTES // size - 2] + "…"
    return text


def _frozen(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return JSON data as it will be read back, with a clear error for what JSON cannot hold."""
    try:
        return MappingProxyType({name: _read_back(value) for name, value in data.items()})
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"an audit record cannot hold this: {error}") from error


def _read_back(value: Any) -> Any:
    """Return what a JSON value is once it was written and read. What cannot change on the way is not sent on it: a run makes thousands of records."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool:
        return value
    if kind is list or kind is tuple:
        return [_read_back(item) for item in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: _read_back(item) for name, item in value.items()}
    return json.loads(canonical_json(value))
