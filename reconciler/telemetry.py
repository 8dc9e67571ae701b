"""What happened, told to whoever wants to know: a Python callback, a file of JSON lines, the platform's own intake.

Telemetry is not the ledger: it may be lost, and losing it harms nothing. No sink can fail a run; what a sink did not
take is counted and said in one note when the run closes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from reconciler.errors import SHORTENED_TO, safe
from reconciler.plan import canonical_json, sha256_of

BATCH = 500
"""Events that the platform takes in one call (contract, `POST /api/telemetry/events`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to one campaign.

    Attributes:
        tenant: the identity of the platform (`Folder.platform`), the same after its folder was renamed.
        campaign_id: where on it.
        at: when, ISO 8601 with its offset; the platform's clock where the platform did it.
    """

    type: ClassVar[str]

    tenant: str
    campaign_id: str
    at: str

    @property
    def id(self) -> str:
        """SHA-256 of all that it says: the same event has the same id, so sending it twice counts once."""
        return sha256_of(self._said())

    def record(self) -> dict[str, Any]:
        """Return what sinks outside this process are given: `id`, `type`, and every attribute."""
        return {"id": self.id, **self._said()}

    def _said(self) -> dict[str, Any]:
        return {"type": self.type, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed(Event):
    """A schedule was stored, or removed (`schedule_id` is `None`). It need not dial yet."""

    type: ClassVar[str] = "deployed"

    schedule_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated(Event):
    """The dialer took what was stored.

    Attributes:
        latency_s: seconds from storing to taking, both on the platform's clock (`pacing.activation_latency`); `None` when
            the platform did not say, as after a removal.
    """

    type: ClassVar[str] = "activated"

    schedule_id: str | None
    latency_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected(Event):
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
class Failed(Event):
    """An operation was not carried out, or not to its end. The reason names no secret: it is shown everywhere."""

    type: ClassVar[str] = "failed"

    action: str
    reason: str


Sink: TypeAlias = Callable[[Event], object]
"""Takes one event; what it returns is ignored, what it raises is noted."""

Publish: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Awaitable[object]]
"""Hands records to the platform, at most `BATCH` in one call."""


def to_file(path: Path) -> Sink:
    """Return a sink that appends one JSON object a line. Each line is one write, so two runs may share a file."""

    def append(event: Event) -> None:
        line = canonical_json(event.record()) + "\n"
        with path.open("ab", buffering=0) as file:
            file.write(line.encode("ascii"))

    return append


class Telemetry:
    """Hands every event to every sink, and never raises because of one.

    Args:
        sinks: called at once, by the name that a note calls them.
        publish: the platform's intake, called in batches when the run closes; `None` sends nothing.
    """

    def __init__(
        self, sinks: Mapping[str, Sink] | None = None, publish: Publish | None = None
    ) -> None:
        self._sinks = dict(sinks or {})
        self._publish = publish
        self._waiting: list[Event] = []
        self._lost: dict[str, _Loss] = {}

    def emit(self, event: Event) -> None:
        """Tell the sinks, and keep the event for the platform."""
        for name, sink in self._sinks.items():
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - a sink is somebody else's code, and may not stop an apply
                self._lose(name, 1, error)
        if self._publish is not None:
            self._waiting.append(event)

    async def close(self) -> tuple[str, ...]:
        """Send what waits for the platform; return one note for each sink that did not take everything.

        A batch that fails ends it: a platform that does not answer must not cost a timeout for every batch.
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
    """How many events one sink did not take, and its first reason."""

    reason: str
    count: int = 0

    def note(self, name: str) -> str:
        reason = safe(self.reason, limit=SHORTENED_TO)
        events = "1 event" if self.count == 1 else f"{self.count} events"
        return f"telemetry: {safe(name)} did not take {events} ({reason}); nothing else is affected"
