"""Turn outcomes into telemetry events, and open the sinks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from reconciler import telemetry
from reconciler.commands.session import Session
from reconciler.plan import STORED, Action, Outcome, Result
from reconciler.telemetry import Activated, Deployed, Event, Failed, Sink, Telemetry

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


def open_telemetry(session: Session, wanted: EventSinks) -> Telemetry:
    """Return the telemetry of one run, with the wanted sinks."""
    sinks: dict[str, Sink] = {}
    if (on_event := wanted.on_event) is not None:
        sinks["callback"] = lambda event: on_event(event.record())
    if wanted.file is not None:
        sinks[str(wanted.file)] = telemetry.to_file(wanted.file)

    async def send(records: Sequence[Mapping[str, Any]]) -> int:
        return await session.client.run(session.dialect.publish(records))

    return Telemetry(sinks, send if wanted.publish else None)


def events_of(tenant: str, outcome: Outcome, now: str) -> tuple[Event, ...]:
    """Return the events of an outcome.

    Args:
        tenant: identity of the platform.
        outcome: of an operation.
        now: the platform's clock, ISO 8601, for an outcome without an instant of its own.
    """
    key = outcome.operation.key
    if outcome.result is Result.NOT_STARTED:
        return ()
    events: list[Event] = []
    if (
        outcome.done or outcome.result in STORED
    ) and outcome.operation.action is not Action.REFRESH:
        at = outcome.stored_at or now
        events.append(
            Deployed(tenant=tenant, campaign_id=key, at=at, schedule_id=outcome.stored_id)
        )
    if outcome.done:
        at = outcome.activated_at or now
        events.append(
            Activated(
                tenant=tenant,
                campaign_id=key,
                at=at,
                schedule_id=outcome.stored_id,
                latency_s=outcome.latency_s,
            )
        )
    else:
        action = outcome.operation.action.value
        events.append(
            Failed(tenant=tenant, campaign_id=key, at=now, action=action, reason=outcome.message)
        )
    return tuple(events)
