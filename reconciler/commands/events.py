"""Turns what a run does into telemetry events, and opens the sinks that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler import telemetry
from reconciler.commands.session import Session
from reconciler.plan import STORED, Action, Outcome, Result
from reconciler.telemetry import Activated, Deployed, Event, Failed, Sink, Telemetry

OnEvent = Callable[[Mapping[str, Any]], object]
"""A callback of whoever embeds us; given each event as a mapping."""


def opened(
    session: Session, events: Path | None, on_event: OnEvent | None, *, publish: bool
) -> Telemetry:
    """Return the telemetry of one run: the sinks that were asked for, and no other."""
    sinks: dict[str, Sink] = {}
    if on_event is not None:
        sinks["callback"] = _called(on_event)
    if events is not None:
        sinks[str(events)] = telemetry.to_file(events)

    async def send(records: Sequence[Mapping[str, Any]]) -> int:
        return await session.client.run(session.dialect.publish(records))

    return Telemetry(sinks, send if publish else None)


def _called(on_event: OnEvent) -> Sink:
    def call(event: Event) -> None:
        on_event(event.record())

    return call


def events_of(tenant: str, outcome: Outcome, now: str) -> tuple[Event, ...]:
    """Return what an outcome means to other systems.

    Args:
        tenant: where.
        outcome: what became of an operation.
        now: the platform's clock, ISO 8601, for what carries no instant of its own.
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
