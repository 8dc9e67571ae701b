"""The effect of a change in words: who may newly be called from when, how long, how fast, and with which safeguards."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.effect import Effect, Limit, ZoneEffect
from reconciler.errors import safe
from reconciler.models import Body
from reconciler.plan import Action, Operation
from reconciler.report import value
from reconciler.report.fields import local, marks_of, number, shortened

_EVERYONE = "every other zone"


def effect_lines(operation: Operation) -> tuple[str, ...]:
    """Return a line for each part of an operation's effect that changes; none where nothing is done, or the effect is not part of the plan."""
    effect = operation.effect
    if effect is None or operation.action is Action.HELD:
        return ()
    return lines(effect, operation.live, _clock(operation), widens=operation.verdict.widens)


def lines(
    effect: Effect, before: Body | None, clock: str, *, widens: bool = True
) -> tuple[str, ...]:
    """Return a line for each part of an effect that changes.

    Args:
        effect: the effect.
        before: the body that dials now; `None` is no schedule.
        clock: zone of the schedule.
        widens: whether the change counts as loosening.
    """
    return (
        *_unknown(effect, before or {}, widens=widens),
        *(f"safeguard lost: {name}" for name in effect.lost),
        *(f"safeguard gained: {name}" for name in effect.gained),
        *(() if _is_unread(effect) else _rates(effect.calls_per_hour)),
        *(_zone(zone, clock) for zone in effect.zones or () if _changes(zone)),
    )


def warnings(operation: Operation) -> tuple[str, ...]:
    """Return a phrase that an effect is unknown, one for fields that are dropped, and one for each safeguard that is lost."""
    effect = operation.effect
    if effect is None:
        return ()
    phrases = []
    if effect.zones is None or effect.unknown:
        phrases.append(_unknown_effect(widens=operation.verdict.widens))
    if names := ", ".join(operation.dropped):
        phrases.append(f"drops unknown fields: {shortened(safe(names), 60)}")
    return (*phrases, *(f"safeguard lost: {name}" for name in effect.lost))


def _unknown(effect: Effect, live: Body, *, widens: bool) -> Iterator[str]:
    """Yield each value that cannot be read, as the platform holds it."""
    start = _unknown_effect(widens=widens)
    for name in effect.unknown:
        held = value(live[name]) if name in live else "missing"
        yield f"{start}: {name} (on the platform: {held})"
    if _is_unread(effect):
        yield f"{start}: what dials now cannot be read"


def _unknown_effect(*, widens: bool) -> str:
    return "effect unknown, counts as loosening" if widens else "effect unknown"


def _is_unread(effect: Effect) -> bool:
    """Return whether all of what dials now is unknown."""
    return effect.zones is None and not effect.unknown


def first_new(operation: Operation) -> str:
    """Return a phrase with the first instant at which the operation newly lets dial; empty when there is none."""
    effect = operation.effect
    opened = [
        (zone.first_opened, zone.zone or "")
        for zone in (effect and effect.zones) or ()
        if zone.first_opened
    ]
    if not opened:
        return ""
    first, zone = min(opened)
    return f"newly dials from {local(f'{first:%Y-%m-%dT%H:%M:%SZ}', zone or _clock(operation))}"


def _clock(operation: Operation) -> str:
    """Return the zone of an operation's schedule."""
    return str((operation.desired or operation.live or {}).get("timezone"))


def _changes(zone: ZoneEffect) -> bool:
    return bool(zone.opened or zone.closed or zone.beyond)


def _zone(zone: ZoneEffect, clock: str) -> str:
    """Return a zone's dialable minutes, and from when on new ones."""
    parts = [_moved("dialable", zone.week_before, zone.week_after, "min a week")]
    if zone.week_before == zone.week_after and zone.total_before != zone.total_after:
        parts.append(_moved("in all", zone.total_before, zone.total_after, "min"))
    if zone.first_opened is not None:
        first = f"{zone.first_opened:%Y-%m-%dT%H:%M:%SZ}"
        parts.append(f"newly from {local(first, zone.zone or clock)}")
    if zone.beyond:
        parts.append("also later than the next 400 days")
    return f"{zone.zone or _EVERYONE}: {', '.join(parts)}"


def _moved(what: str, before: float, after: float, unit: str) -> str:
    """Return a quantity before → after with its mark, or once where it stays."""
    if before == after:
        return f"{what} {number(after)} {unit} as before"
    marks = marks_of(after / before) if before and after else ()
    mark = f" ({marks[0]})" if marks else ""
    return f"{what} {number(before)} → {number(after)} {unit}{mark}"


def _rates(limit: Limit | None) -> Iterator[str]:
    if limit is None or limit.before == limit.after:
        return
    if limit.before is None or limit.after is None:
        yield "calls an hour: unknown"
    else:
        yield _moved("at most", limit.before, limit.after, "calls an hour")
