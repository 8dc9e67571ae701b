"""The report of `timeline`: when the manifests let each object dial, and how much at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reconciler.calendar import without
from reconciler.errors import ExitCode
from reconciler.kinds.base import CALLS, CALLS_PER_SECOND
from reconciler.report import Report, Row, Table, Tone, clocks, count, value
from reconciler.report.fields import number
from reconciler.report.figures import Chart
from reconciler.report.loads import Frame, Step, charts, steps
from reconciler.report.strips import Schedule, Shown, Subject, Window, figure, shown

OFFLINE: Final = "Desired state of the files. The platform was not asked: `reconcile plan` shows what differs there."


@dataclass(frozen=True, slots=True)
class Asked:
    """What a timeline is about.

    Attributes:
        tenant: its name.
        noun: what its objects are called.
        subjects: the objects.
        window: the days.
        clock: zone of the clock of the charts.
        capacity: what `tenant.yaml` declares, by unit.
        revision: what the manifests are compared with, and its commit id; `None`: nothing.
        notes: sentences for the reader.
    """

    tenant: str
    noun: str
    subjects: Sequence[Subject]
    window: Window
    clock: str
    capacity: Mapping[str, float | None]
    revision: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> bool:
        """Whether two states are compared."""
        return self.revision is not None


def usual_clock(subjects: Iterable[Subject]) -> str:
    """Return the zone that most schedules name, the first by name of several; UTC if there is no schedule."""
    zones = Counter(side.clock for each in subjects if (side := each.after or each.before))
    return min(zones, key=lambda zone: (-zones[zone], zone), default="UTC")


def of_timeline(asked: Asked) -> Report:
    """Return the report: an object's strips below its row, and the load of all of them."""
    intervals = {each.key: list(shown(each, asked.window)) for each in asked.subjects}
    load = steps(asked.subjects, asked.window, asked.clock)
    drawn = charts(load, Frame(asked.window, asked.clock, asked.compared), asked.capacity)
    rows = [_row(each, intervals[each.key], asked) for each in asked.subjects]
    against = f", compared with {asked.revision[0]}" if asked.revision else ""
    facts = {"days": asked.window.title, "clock of the charts": asked.clock}
    if asked.revision:
        facts["compared with"] = asked.revision[1]
    return Report(
        title=f"Timeline of tenant {asked.tenant}{against}",
        verdict=_verdict(asked, intervals, drawn),
        tone=Tone.WARN if any(_is_over(each) for each in drawn) else Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=(
            Table(
                f"{asked.noun.capitalize()}s",
                (asked.noun, "id", "limits", "hours"),
                tuple(rows),
            ),
        ),
        notes=(*asked.notes, OFFLINE),
        facts=facts,
        data=_data(asked, intervals, load),
        charts=drawn,
    )


def _verdict(asked: Asked, intervals: Mapping[str, Sequence[Shown]], drawn: Sequence[Chart]) -> str:
    dial = sum(any(each.after for each in found) for found in intervals.values())
    said = f"{dial} of {count(len(intervals), asked.noun)} may dial from {asked.window.title}"
    peaks = [f"{number(max(day.after for day in each.days))} {each.unit}" for each in drawn]
    most = f", at most {' and '.join(peaks)} at once" if dial and peaks else ""
    over = " Above the capacity." if any(_is_over(each) for each in drawn) else ""
    return f"{said}{most}.{over}"


def _is_over(chart: Chart) -> bool:
    return any(day.over for day in chart.days)


def _row(subject: Subject, found: Sequence[Shown], asked: Asked) -> Row:
    """Return the row of an object; its strips unless it never dials in these days."""
    before = subject.before if asked.compared else subject.after
    change = _change(subject, found) if asked.compared else _hours(found)
    dials = any(each.before or each.after for each in found)
    limits = _limits(before, subject.after)
    tone = _TONES.get(change, Tone.CHANGE if "→" in limits else Tone.PLAIN)
    return Row(
        (subject.name, subject.key, limits, change),
        tone if dials else Tone.DIM,
        figures=(figure(subject, asked.window, compared=asked.compared),) if dials else (),
        name=subject.name,
        key=subject.key,
    )


def _hours(found: Sequence[Shown]) -> str:
    """Return the open hours of the zone that has most."""
    most = max((each.minutes[1] for each in found), default=0)
    if not most:
        return "does not dial" if found else "retired"
    more = f" in each of {len(found)} zones"
    alike = {each.minutes[1] for each in found} == {most}
    return f"{'' if alike else 'up to '}{clocks.hours_of(most)}{more if len(found) > 1 else ''}"


_TONES: Final = {
    "new": Tone.ADD,
    "removed": Tone.REMOVE,
    "opens": Tone.CHANGE,
    "closes": Tone.CHANGE,
    "opens and closes": Tone.CHANGE,
}


def _change(subject: Subject, found: Sequence[Shown]) -> str:
    """Return what a comparison shows in these days, in one word."""
    if subject.before is None or subject.after is None:
        return "new" if subject.after else "removed" if subject.before else "retired"
    opens = any(without(each.after, each.before) for each in found)
    closes = any(without(each.before, each.after) for each in found)
    if opens or closes:
        return " and ".join(("opens",) * opens + ("closes",) * closes)
    return "same hours" if any(each.after for each in found) else "does not dial"


def _limits(before: Schedule | None, after: Schedule | None) -> str:
    """Return rate and calls in progress, before → after where they differ."""
    side = after or before
    if side is None:
        return ""
    pairs = [
        ((before or side).rate, (after or side).rate, "calls/s"),
        ((before or side).concurrent, (after or side).concurrent, "at once"),
    ]
    return ", ".join(
        f"{value(was)} → {value(now)} {unit}" if was != now else f"{value(now)} {unit}"
        for was, now, unit in pairs
        if now is not None
    )


def _data(
    asked: Asked, intervals: Mapping[str, Sequence[Shown]], load: Sequence[Step]
) -> dict[str, Any]:
    """Return the timeline as JSON values; instants are UTC."""
    sides = ("before", "after") if asked.compared else ("after",)
    return {
        "tenant": asked.tenant,
        "from": asked.window.first.isoformat(),
        "to": asked.window.end.isoformat(),
        "zone": asked.window.clock,
        "compared_with": asked.revision[1] if asked.revision else None,
        "objects": [
            {
                "name": subject.name,
                "key": subject.key,
                "kind": subject.kind,
                "zones": [
                    {
                        "zone": each.contacts,
                        "clock": each.clock,
                        **{side: _pairs(getattr(each, side)) for side in sides},
                        "clock_changes": list(_changes(each.clock, asked.window)),
                    }
                    for each in intervals[subject.key]
                ],
            }
            for subject in asked.subjects
        ],
        "load": {
            "clock": asked.clock,
            "capacity": {
                "calls_per_second": asked.capacity.get(CALLS_PER_SECOND),
                "concurrent_calls": asked.capacity.get(CALLS),
            },
            "steps": [step.serialised(compared=asked.compared) for step in load],
        },
    }


def _pairs(intervals: Iterable[tuple[float, float]]) -> list[list[str]]:
    return [[clocks.instant(start), clocks.instant(end)] for start, end in intervals]


def _changes(clock: str, window: Window) -> Iterator[dict[str, Any]]:
    for each in clocks.changes(clock, window.first, window.end):
        yield {"at": clocks.instant(each.at), "minutes": each.shift}
