"""Draw a plan: week strips of each changed object, before and after, and the load of all objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

from reconciler.effect import UNREADABLE
from reconciler.kinds import Kind
from reconciler.models import Body, Desired, zone
from reconciler.plan import Action, Operation, Plan
from reconciler.report import Report, Row
from reconciler.report.figures import Chart, Figure
from reconciler.report.loads import Frame, charts, steps
from reconciler.report.strips import (
    DAYS_PER_WEEK,
    HORIZON_DAYS,
    Schedule,
    Subject,
    Window,
    differing,
    figure,
    first_week,
)
from reconciler.report.timeline import usual_clock

MOST_DRAWN: Final = 450
"""Week strips on one page, worst objects first: with them a page stays below 2 MB."""

WEEKS_OF_LOAD: Final = 4
"""Weeks for which the load is shown."""

_Part: TypeAlias = tuple[str, bool]
"""What has strips of its own: an object, and whether they show the part of its change that is held."""

_HELD: Final = (Action.HELD, "dialing")
"""Status of a row about what is held (`change_rows`)."""

_UNREADABLE: Final = "The hours of one side cannot be read, so no week is drawn."
_NEVER: Final = f"It does not dial in the next {HORIZON_DAYS} days, neither before nor after."
_TOO_MANY: Final = (
    "Not drawn, because the page has many strips: `reconcile timeline` shows its weeks."
)


def with_figures(
    report: Report,
    plan: Plan,
    kinds: Mapping[str, Kind],
    unchanged: Iterable[Desired],
    capacity: Mapping[str, float | None] | None,
) -> Report:
    """Return a plan's report with week strips below each change, and with the load before and after.

    Args:
        report: the report, in the order of which strips are drawn.
        plan: its plan.
        kinds: the kinds of the plan's objects.
        unchanged: manifests of the objects that the plan does not change.
        capacity: by unit, what the tenant declares; `None`: the load is not shown.
    """
    subjects = _drawn_apart(plan.operations, kinds)
    names = {each.key: each.name for each in plan.operations}
    drawn: dict[_Part, Figure] = {}
    left = MOST_DRAWN
    tables = []
    for table in report.tables:
        rows = []
        for row in table.rows:
            every = [(key, row.status in _HELD) for key in row.keys]
            parts = [each for each in every if each in subjects and each not in drawn]
            for part in parts:
                if left > 0:
                    drawn[part] = _figure(subjects[part], plan.at)
                    left -= len(drawn[part].strips)
                else:
                    drawn[part] = Figure((), (), _TOO_MANY)
            named = {names[part[0]]: drawn[part] for part in parts}
            rows.append(row._replace(figures=tuple(_grouped(row, named))))
        tables.append(table._replace(rows=tuple(rows)))
    return report._replace(
        tables=tuple(tables),
        charts=() if capacity is None else _load(plan, kinds, unchanged, capacity),
    )


def _grouped(row: Row, named: Mapping[str, Figure]) -> Iterator[Figure]:
    """Yield the figures of a row; objects with the same strips share one, which names them if it is not that of the whole row."""
    alike: dict[Figure, list[str]] = {}
    for name, drawn in named.items():
        alike.setdefault(drawn, []).append(name)
    for each, names in alike.items():
        yield each._replace(names=() if len(names) == len(row.keys) else tuple(names))


def _drawn_apart(
    operations: Sequence[Operation], kinds: Mapping[str, Kind]
) -> dict[_Part, Subject | None]:
    """Return the subjects of the strips below each row: a held part of a change is drawn from what will be stored without it."""
    stored = {each.key: each.desired for each in operations if each.executable}
    held = [
        replace(each, live=stored.get(each.key, each.live))
        for each in operations
        if each.action is Action.HELD
    ]
    rest = (each for each in operations if each.action is not Action.HELD)
    parts = {(key, False): each for key, each in _subjects(rest, kinds).items()}
    return parts | {(key, True): each for key, each in _subjects(held, kinds).items()}


def _subjects(
    operations: Iterable[Operation], kinds: Mapping[str, Kind], *, runs: bool = False
) -> dict[str, Subject | None]:
    """Return the changed objects as subjects of strips, by key; `None`: one side cannot be read.

    Args:
        operations: their operations; of several steps of one object, the first knows what is live, and the last what is desired.
        kinds: the kinds of the objects.
        runs: whether operations that do not run leave their object as it is live.
    """
    steps_of: dict[str, list[Operation]] = {}
    for each in operations:
        steps_of.setdefault(each.key, []).append(each)
    found: dict[str, Subject | None] = {}
    for key, group in steps_of.items():
        first = group[0]
        body = first.live
        for each in group:
            body = each.desired if each.executable or not runs else body
        try:
            kind = kinds[first.kind]
            sides = _schedule(kind, first.live), _schedule(kind, body)
        except UNREADABLE:
            found[key] = None
        else:
            found[key] = Subject(key, first.name, first.kind, *sides)
    return found


def _schedule(kind: Kind, body: Body | None) -> Schedule | None:
    return None if body is None else Schedule.of(kind, body)


def _figure(subject: Subject | None, at: datetime) -> Figure:
    """Return the strips of the first week in which an object's hours differ, else of the first in which it dials."""
    if subject is None:
        return Figure((), (), _UNREADABLE)
    try:
        week = _week([subject], at, subject.clock_of(next(iter(subject.zones), None)))
    except UNREADABLE:
        return Figure((), (), _UNREADABLE)
    if week is None:
        return Figure((), (), _NEVER)
    return figure(subject, _window(week), compared=True)


def _week(subjects: Sequence[Subject], at: datetime, clock: str) -> date | None:
    today = at.astimezone(zone(clock)).date()
    return first_week(subjects, today, clock, differing) or first_week(subjects, today, clock)


def _window(monday: date, weeks: int = 1) -> Window:
    return Window(monday, monday + timedelta(days=weeks * DAYS_PER_WEEK))


def _load(
    plan: Plan,
    kinds: Mapping[str, Kind],
    unchanged: Iterable[Desired],
    capacity: Mapping[str, float | None],
) -> tuple[Chart, ...]:
    """Return the load of some weeks, from the first on in which it changes. What does not run counts as it is live."""
    changed = _subjects(plan.operations, kinds, runs=True)
    subjects = [each for each in changed.values() if each is not None]
    for desired in unchanged:
        schedule = _schedule(kinds[desired.kind], desired.body)
        subjects.append(Subject(desired.key, desired.name, desired.kind, schedule, schedule))
    clock = usual_clock(subjects)
    week = _week(subjects, plan.at, clock)
    if week is None:
        return ()
    window = _window(week, WEEKS_OF_LOAD)
    frame = Frame(window, clock, compared=True)
    return charts(steps(subjects, window, clock), frame, capacity)
