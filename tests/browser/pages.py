"""Reports as a browser shows them: a plan with twelve changes, one with three hundred, a week with a clock change, hostile values.

Each is made when a test first asks for it: every worker imports this module, and few of them open a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any

from reconciler.errors import Place
from reconciler.models import Body
from reconciler.plan import build
from reconciler.policies.base import Finding, Level
from reconciler.report import Report, Table
from reconciler.report.changes import of_plan
from reconciler.report.figures import Bar, Chart, Day, Figure, LoadDay, Part, Strip
from reconciler.report.figures import Level as Load
from reconciler.report.plan_figures import with_figures
from reconciler.report.strips import Schedule, Subject, Window
from reconciler.report.timeline import Asked, of_timeline
from tests.renderers import plotted
from tests.renderers.sample import HOSTILE, HOSTILE_VALUES
from tests.support.bodies import make_body, make_window
from tests.support.factories import (
    KIND,
    KINDS,
    make_desired,
    make_live,
    make_origin,
    make_retired,
    make_silent,
    make_snapshot,
)

CAPACITY = {"calls/s": 60.0, "calls": 4000.0}
SPAN = {"start_time": "2027-02-22T14:00:00Z", "end_time": "2027-06-30T22:00:00Z", "dial_rate": 5.0}


def body(key: str, **fields: Any) -> dict[str, Any]:
    return make_body(campaign_id=key, **{**SPAN, **fields})


def planned(
    pairs: Mapping[str, tuple[Body | None, Body | None]], findings: Iterable[Finding] = ()
) -> Report:
    """Return the report, with figures, of the plan from live to desired bodies."""
    live = [
        make_silent(key) if was is None else make_live(key, stored=was)
        for key, (was, _) in pairs.items()
    ]
    names = {key: f"renewals-{key}" for key in pairs}
    desired = [
        make_retired(key, name=names[key])
        if now is None
        else make_desired(key, body=now, name=names[key])
        for key, (_, now) in pairs.items()
    ]
    plan = build(make_origin(), desired, make_snapshot(live), KINDS, findings=tuple(findings))
    report = of_plan(plan, exit_code=0)
    changed = {each.key for each in plan.operations}
    others = [each for each in desired if each.key not in changed]
    return with_figures(report, plan, KINDS, others, CAPACITY)


def _twelve() -> dict[str, tuple[Body | None, Body | None]]:
    def change(key: str, **fields: Any) -> tuple[Body, Body]:
        return body(key), body(key, **fields)

    three = [
        make_window(zone) for zone in ("America/Chicago", "America/Denver", "America/New_York")
    ]
    return {
        "1001": change("1001", dial_rate=50.0),
        "1002": change("1002", compliance_windows=[make_window(start=9, end=23)]),
        "1003": change("1003", compliance_windows=[make_window(start=10, end=18)]),
        "1004": change("1004", dnc_verification=False),
        "1005": (body("1005"), None),
        "1006": (None, body("1006", compliance_windows=three)),
        "1007": change("1007", compliance_windows=[make_window(start=21, end=23)]),
        "1008": change("1008", end_time="2027-12-31T22:00:00Z"),
        "1009": change("1009", max_concurrent_calls=50),
        "1010": change("1010", dial_rate=1.0),
        "1011": (body("1011", compliance_windows=three), body("1011", compliance_windows=three[:1])),
        "1012": change("1012", start_time="2027-03-10T02:00:00Z"),
        "1013": (body("1013"), body("1013")),
    }  # fmt: skip


_FINDING = Finding(
    rule="tenant-limits",
    level=Level.ERROR,
    message="dial_rate 50 is above the tenant's limit of 40 calls/s: lower it",
    key="1001",
    name="renewals-1001",
    place=Place("schedules/acme/renewals-1001.yaml", 14, 14),
)


@cache
def plan() -> Report:
    """Twelve changes: blocked, loosened, tightened, mixed, new and retired; one object is unchanged."""
    return planned(_twelve(), [_FINDING])


@cache
def many() -> Report:
    """Three hundred different changes."""
    return planned(
        {
            str(n): (
                body(str(n)),
                body(str(n), dial_rate=5.0 + n / 100, compliance_windows=[
                    make_window("America/New_York", 9, 20 + n % 3), make_window("America/Chicago", 8 + n % 4, 20)
                ]),
            )
            for n in range(1000, 1300)
        }
    )  # fmt: skip


@cache
def timeline() -> Report:
    """The week in which the clocks of New York go forward, and those of Phoenix do not."""
    was = body(
        "1", compliance_windows=[make_window(start=1, end=5), make_window("America/Phoenix")]
    )
    now = body(
        "1",
        compliance_windows=[make_window(start=2, end=23), make_window("America/Phoenix", 10, 19)],
    )
    subjects = [
        Subject("1", "renewals", KIND.name, Schedule.of(KIND, was), Schedule.of(KIND, now)),
        Subject("2", "winback", KIND.name, None, Schedule.of(KIND, body("2", dial_rate=80.0))),
        Subject("3", "over", KIND.name, None, None),
    ]
    window = Window(date(2027, 3, 8), date(2027, 3, 15))
    return of_timeline(
        Asked(
            "acme", "campaign", subjects, window, "America/New_York", CAPACITY, ("main", "c0ffee")
        )
    )


@cache
def hostile() -> Report:
    """Return a report whose every text is hostile, drawings included."""
    (table,) = HOSTILE.tables
    rows = []
    for value, row in zip(HOSTILE_VALUES, table.rows, strict=True):
        day = Day(
            value, value, (Bar(540, 1200, Part.AFTER),), value, f"{value}x", 660, 0, None, value
        )
        figure = Figure((value,), (Strip(value, (day,), value, compared=True),), value)
        rates = plotted.rates(value)._replace(said=value, days=plotted.rates().days[:1])
        plots = (plotted.compared(value), rates, plotted.curve(value)._replace(points=()))
        rows.append(row._replace(figures=(figure,), plots=plots, direction=value))
    loads = (
        LoadDay(value, value, 1, (Load(0, 60, 1, 2),), 1, 2, 60, value) for value in HOSTILE_VALUES
    )
    charts = (
        Chart(
            HOSTILE.title,
            HOSTILE_VALUES[0],
            tuple(loads),
            HOSTILE.verdict,
            1.5,
            compared=True,
            columns=HOSTILE_VALUES,
        ),
    )
    tables = (
        Table(table.title, table.columns, tuple(rows)),
        table._replace(columns=(HOSTILE_VALUES[0], HOSTILE_VALUES[15])),
    )
    return HOSTILE._replace(tables=tables, charts=charts)
