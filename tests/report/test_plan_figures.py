"""The drawings of a plan: each changed object's week, and a load that counts only what runs."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.effect import Direction
from reconciler.plan import Action, Operation
from reconciler.report import Report, Row
from reconciler.report import plan_figures as drawing
from reconciler.report.changes import of_plan
from tests.support.bodies import make_body, make_window
from tests.support.factories import KINDS, make_desired, make_operation, make_plan

LATE = [make_window(start=9, end=22)]


def drawn(*operations: Operation, unchanged: Any = (), capacity: Any = None) -> Report:
    plan = make_plan(operations)
    return drawing.with_figures(of_plan(plan, exit_code=0), plan, KINDS, unchanged, capacity)


def widened(key: str, **parts: Any) -> Operation:
    desired = make_body(campaign_id=key, compliance_windows=LATE)
    return make_operation(key, **{"desired": desired, "direction": Direction.LOOSEN, **parts})


def rows(report: Report) -> list[Row]:
    return [row for table in report.tables for row in table.rows]


def test_a_change_has_the_first_week_in_which_its_hours_differ() -> None:
    (row,) = rows(drawn(widened("1")))
    (figure,) = row.figures
    assert figure.names == ()
    assert figure.strips[0].days[0].name == "Mon 2027-01-11"
    assert figure.strips[0].days[2].said == "09:00-20:00 → 09:00-22:00"
    later = make_body(campaign_id="2", end_time="2027-03-01T23:00:00Z")
    (row,) = rows(drawn(make_operation("2", desired=later, direction=Direction.LOOSEN)))
    assert row.figures[0].strips[0].days[0].name == "Mon 2027-01-11"


def test_objects_of_one_row_with_the_same_week_share_it_and_are_named() -> None:
    same = [widened(key, fields=()) for key in ("1", "2")]
    other = make_body(campaign_id="3", compliance_windows=[make_window(start=9, end=22)])
    third = widened("3", live=make_body(campaign_id="3", compliance_windows=[]), desired=other)
    (row,) = rows(drawn(*same, third))
    assert [figure.names for figure in row.figures] == [
        ("campaign-1", "campaign-2"),
        ("campaign-3",),
    ]
    (row,) = rows(drawn(*same))
    assert [figure.names for figure in row.figures] == [()]  # the row names them itself


@pytest.mark.parametrize(
    "odd",
    [
        {"compliance_windows": [{"timezone": "Mars/Olympus", "start_hour": 9, "end_hour": 20}]},
        {"dial_rate": "fast"},
        {"max_concurrent_calls": 10**400},
        {"timezone": 7},
        {"end_time": None},
    ],
)
def test_hours_that_cannot_be_read_are_said_to_be_unknown(odd: dict[str, Any]) -> None:
    report = drawn(widened("1", live=make_body(**odd)), capacity={})
    (row,) = rows(report)
    assert row.figures[0].strips == ()
    assert "cannot be read" in row.figures[0].note
    assert report.charts == ()


def test_a_schedule_that_is_over_has_a_sentence_instead_of_a_week() -> None:
    past = {"start_time": "2026-01-11T14:00:00Z", "end_time": "2026-01-15T23:00:00Z"}
    (row,) = rows(
        drawn(widened("1", live=make_body(**past), desired=make_body(**past, dial_rate=9)))
    )
    assert "does not dial in the next 400 days" in row.figures[0].note


def test_a_long_plan_draws_its_worst_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MOST_DRAWN", 2)
    every = [widened(str(n), live=None, action=Action.CREATE) for n in range(4)]
    found = [row.figures[0] for row in rows(drawn(*every))]
    assert [bool(figure.strips) for figure in found] == [True, True, False, False]
    assert "reconcile timeline" in found[-1].note


def test_the_load_counts_what_runs_what_is_live_and_what_does_not_change() -> None:
    """A blocked change counts as it is live; the unchanged object is there before and after."""
    faster = make_body(campaign_id="1", dial_rate=40.0)
    report = drawn(
        make_operation("1", desired=faster),
        make_operation("2", desired=make_body(campaign_id="2", dial_rate=45.0), blocked=("rule",)),
        make_operation("3", action=Action.RETIRE, desired=None),
        unchanged=[make_desired("4")],
        capacity={"calls/s": 95.0},
    )
    rate = report.charts[0]
    day = rate.days[1]
    assert (day.before, day.after) == (100.0, 90.0)
    assert (rate.capacity, day.over) == (95.0, 0)
    assert sum(each.repeated for each in rate.days) == 28


def test_two_steps_of_one_object_are_drawn_once_from_live_to_desired() -> None:
    narrow = make_body(campaign_id="1", compliance_windows=[make_window(start=12, end=15)])
    first = make_operation("1", desired=narrow)
    second = widened("1", live=narrow, after=first.hash)
    figures = [figure for row in rows(drawn(first, second)) for figure in row.figures]
    (figure,) = figures
    assert figure.strips[0].days[2].said == "09:00-20:00 → 09:00-22:00"


def test_a_held_part_is_drawn_from_what_will_be_stored_and_not_with_what_runs() -> None:
    """A hand moved 9-20 to 12-22: the plan takes 20-22 back, and holds what would open 9-12 again."""
    moved, kept = (
        make_body(campaign_id="1", compliance_windows=[make_window(start=12, end=end)])
        for end in (22, 20)
    )
    takes_back = make_operation("1", live=moved, desired=kept, direction=Direction.TIGHTEN)
    held = make_operation("1", live=moved, action=Action.HELD, would=Action.UPDATE)
    said = {
        row.status: row.figures[0].strips[0].days[2].said
        for row in rows(drawn(takes_back, held))
        if row.figures
    }
    assert said == {
        "update": "12:00-22:00 → 12:00-20:00",
        "held": "12:00-20:00 → 09:00-20:00",
    }
