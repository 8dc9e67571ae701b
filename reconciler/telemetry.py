"""Events for other programs: to a Python callback, a file of JSON lines, or the platform's own intake.

Telemetry is not the ledger: losing an event harms nothing. No sink can fail a run. Events that a sink did not take are
counted, and reported in one note when the run ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias

from reconciler.errors import SHORTENED_TO, safe
from reconciler.plan import STORED, Action, Outcome, Result, canonical_json, sha256_of

BATCH = 500
"""Most events in one call to the platform (contract, `POST /api/telemetry/events`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryEvent:
    """Something that happened to one campaign.

    Attributes:
        tenant: identity of the platform (`Folder.platform`), which a renamed folder keeps.
        campaign_id: the campaign.
        at: ISO 8601 with offset, by the platform's clock if the platform did it.
    """

    type: ClassVar[str]

    tenant: str
    campaign_id: str
    at: str

    @property
    def id(self) -> str:
        """SHA-256 of the content: the same event has the same id, so an event that is sent twice counts once."""
        return sha256_of(self._content())

    def record(self) -> dict[str, Any]:
        """Return the event as a dictionary for the sinks: `id`, `type` and every attribute."""
        return {"id": self.id, **self._content()}

    def _content(self) -> dict[str, Any]:
        return {"type": self.type, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed(TelemetryEvent):
    """A schedule was stored, or removed (`schedule_id` is `None`). The dialer may not have taken it yet."""

    type: ClassVar[str] = "deployed"

    schedule_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated(TelemetryEvent):
    """The dialer took the stored schedule.

    Attributes:
        latency_s: seconds from storing to activation by the platform's clock (`pacing.activation_latency`); `None` if the
            platform did not report it, as after a removal.
    """

    type: ClassVar[str] = "activated"

    schedule_id: str | None
    latency_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected(TelemetryEvent):
    """An answer rate was projected for a dial rate (`pacing.project_answer_rate`).

    Attributes:
        dial_rate: calls per second.
        historical_answer_rate, projected_answer_rate: answers per attempt, 0 to 1.
    """

    type: ClassVar[str] = "projected"

    dial_rate: float
    historical_answer_rate: float
    projected_answer_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(TelemetryEvent):
    """An operation was not carried out, or not completely. `reason` may be shown anywhere: it holds no secret."""

    type: ClassVar[str] = "failed"

    action: str
    reason: str


def events_of(tenant: str, outcome: Outcome, now: str) -> tuple[TelemetryEvent, ...]:
    """Return the events of an outcome.

    Args:
        tenant: identity of the platform.
        outcome: of an operation.
        now: the platform's clock, ISO 8601, for an outcome without an instant of its own.
    """
    operation, stored_id = outcome.operation, outcome.stored_id
    key = operation.key
    events: list[TelemetryEvent] = []
    stored = outcome.done or outcome.result in STORED
    if stored and operation.action is not Action.REFRESH:
        at = outcome.stored_at or now
        events.append(Deployed(tenant=tenant, campaign_id=key, at=at, schedule_id=stored_id))
    if outcome.done:
        at, latency_s = outcome.activated_at or now, outcome.latency_s
        events.append(
            Activated(
                tenant=tenant, campaign_id=key, at=at, schedule_id=stored_id, latency_s=latency_s
            )
        )
    elif outcome.result is not Result.NOT_STARTED:
        action, reason = operation.action.value, outcome.message
        events.append(Failed(tenant=tenant, campaign_id=key, at=now, action=action, reason=reason))
    return tuple(events)


Sink: TypeAlias = Callable[[TelemetryEvent], object]
"""Takes one event. Its result is ignored, and an exception is noted."""

Publish: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Awaitable[object]]
"""Sends events to the platform, at most `BATCH` in one call."""

OnEvent: TypeAlias = Callable[[Mapping[str, Any]], object]
"""A callback that is given each event as a mapping."""


class EventSinks(NamedTuple):
    """Where telemetry events go; nowhere by default.

    Attributes:
        file: appended to, one JSON line for each event.
        on_event: called with each event.
        publish: send events to the platform as well.
    """

    file: Path | None = None
    on_event: OnEvent | None = None
    publish: bool = False


def to_file(path: Path) -> Sink:
    """Return a sink that appends one JSON object per line. Each line is one write, so two runs may share a file."""

    def append(event: TelemetryEvent) -> None:
        line = canonical_json(event.record()) + "\n"
        with path.open("ab", buffering=0) as file:
            file.write(line.encode("ascii"))

    return append


class Telemetry:
    """Sends every event to every sink. An error of a sink never reaches the run.

    Args:
        sinks: called at once; a note uses their names.
        publish: the platform's intake, called in batches at the end of the run; `None` sends nothing.
    """

    def __init__(
        self, sinks: Mapping[str, Sink] | None = None, publish: Publish | None = None
    ) -> None:
        self._sinks = dict(sinks or {})
        self._publish = publish
        self._waiting: list[TelemetryEvent] = []
        self._lost: dict[str, _Loss] = {}

    @classmethod
    def open(cls, wanted: EventSinks, publish: Publish) -> Telemetry:
        """Return the telemetry of one run, with the wanted sinks; `publish` is used if it is wanted."""
        sinks: dict[str, Sink] = {}
        if (on_event := wanted.on_event) is not None:
            sinks["callback"] = lambda event: on_event(event.record())
        if wanted.file is not None:
            sinks[str(wanted.file)] = to_file(wanted.file)
        return cls(sinks, publish if wanted.publish else None)

    def emit(self, event: TelemetryEvent) -> None:
        """Send an event to the sinks, and queue it for the platform's intake."""
        for name, sink in self._sinks.items():
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - a sink is foreign code and must not stop an apply
                self._lose(name, 1, error)
        if self._publish is not None:
            self._waiting.append(event)

    async def close(self) -> tuple[str, ...]:
        """Send the queued events to the platform; return one note for each sink that lost events.

        After a failed batch no further one is sent, so that a platform that does not answer costs only one timeout.
        """
        if self._publish is not None:
            await self._send(self._publish)
        return tuple(loss.note(name) for name, loss in self._lost.items())

    async def _send(self, publish: Publish) -> None:
        events, self._waiting = self._waiting, []
        for start in range(0, len(events), BATCH):
            try:
                await publish([event.record() for event in events[start : start + BATCH]])
            except Exception as error:  # noqa: BLE001 - as in `emit`
                self._lose("the platform", len(events) - start, error)
                return

    def _lose(self, name: str, count: int, error: Exception) -> None:
        loss = self._lost.setdefault(name, _Loss(reason=f"{type(error).__name__}: {error}"))
        loss.count += count


@dataclass(slots=True)
class _Loss:
    """The number of events that one sink did not take, and the first reason."""

    reason: str
    count: int = 0

    def note(self, name: str) -> str:
        reason = safe(self.reason, limit=SHORTENED_TO)
        events = "1 event" if self.count == 1 else f"{self.count} events"
        return f"telemetry: {safe(name)} did not take {events} ({reason}); nothing else is affected"
