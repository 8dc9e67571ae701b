"""The order of every report: what a reviewer with one minute must see comes first."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff import FieldChange
from reconciler.effect import Direction, Effect, Limit, ZoneEffect
from reconciler.plan import Action, build
from reconciler.renderers import RENDERERS, renderer_for
from reconciler.report import Risk
from reconciler.report.changes import of_plan
from reconciler.report.risk import in_risk_order
from tests.support.bodies import make_body, make_window
from tests.support.factories import (
    KINDS,
    make_desired,
    make_live,
    make_operation,
    make_origin,
    make_plan,
    make_snapshot,
)

NEW_YORK = ZoneEffect("America/New_York", 4620, 4620, 9000, 9000)


MORE = Limit("max_concurrent_calls", None, 1, 2, loosens=True)


def rates(before: float, after: float) -> Effect:
    limit = Limit("calls_per_hour", None, before, after, loosens=after > before)
    return Effect((NEW_YORK,), limit)


def loosen(key: str, effect: Effect | None = None, **parts):
    fields = (FieldChange(f"label[{key}]", "a", "b"),)
    loosening = {"direction": Direction.LOOSEN, "effect": effect, "fields": fields}
    return make_operation(key, **{**loosening, **parts})


def rate(before: float, after: float) -> tuple[FieldChange, ...]:
    return (FieldChange("dial_rate", before, after),)


SUNDAY = (FieldChange("end_time", "2027-01-15T23:00:00Z", "2027-01-17T23:00:00Z"),)

IN_ORDER = [
    make_operation("dialing", action=Action.HELD, blocked=("halted",), dialing=True),
    loosen("blocked", blocked=("tenant-limits",)),
    loosen("no DNC", Effect((NEW_YORK,), lost=("dnc_verification",))),
    loosen("unknown hours", Effect(None)),
    loosen("unknown and x 2", Effect((NEW_YORK,), limits=(MORE,), unknown=("new_field",))),
    loosen("unknown and Sunday", Effect((NEW_YORK,), unknown=("new_field",)), fields=SUNDAY),
    loosen("new field", Effect((NEW_YORK,), unknown=("new_field",))),
    loosen("new zone", Effect((ZoneEffect("Asia/Tokyo", 0, 60, 0, 99),))),
    loosen("new and fast", rates(0, 9e4), action=Action.CREATE, live=None),
    loosen("new and slow", rates(0, 9e2), action=Action.CREATE, live=None),
    loosen("x 4", rates(900, 3600)),
    loosen("x 3 of calls at once", Effect((NEW_YORK,), limits=(Limit("m", None, 1, 3, loosens=True),))),
    loosen("x 2.5 without an effect", fields=rate(2.0, 5.0)),
    loosen("Sunday", fields=SUNDAY),
    make_operation("less and an odd field", effect=rates(900, 600), dropped=("new_field",)),
    loosen("x 1.1", rates(900, 990)),
    make_operation("retired", action=Action.RETIRE, desired=None),
    make_operation("zone left out", effect=Effect((ZoneEffect("Asia/Tokyo", 60, 0, 99, 0),))),
    make_operation(
        "half a day", fields=(FieldChange("end_time", "2027-01-15T23:00:00Z", "2027-01-15T11:00:00Z"),)
    ),
    make_operation("a tenth", fields=rate(10.0, 1.0)),
    make_operation("a half", fields=rate(10.0, 5.0)),
    make_operation("held", action=Action.HELD, blocked=("narrowed outside git",)),
]  # fmt: skip


@given(st.permutations(IN_ORDER))
def test_operations_are_listed_by_risk_whatever_their_order_was(operations):
    shown = [each.operation.name for each in in_risk_order(operations)]
    assert shown == [operation.name for operation in IN_ORDER]


@pytest.mark.parametrize("style", [*RENDERERS])
def test_every_format_lists_them_in_this_order(style):
    plan = make_plan(sorted(IN_ORDER, key=lambda each: each.key))
    output = renderer_for(style).render(of_plan(plan, exit_code=5))
    names = [each.name for each in IN_ORDER]
    if style == "github":  # it shows what blocks, warns or widens
        names = [each.name for each in IN_ORDER if each.blocked or each.verdict.widens]
    table = output[max(0, output.find("Blocked")) :]  # what stands before is the first screen
    starts = [table.index(name) for name in names]
    assert starts == sorted(starts)


def test_the_steps_of_one_object_stay_together_and_in_their_order():
    first = make_operation("1", fields=rate(9.0, 5.0))
    second = loosen("1", rates(900, 9000))
    other = loosen("2", rates(900, 3600))
    assert [each.operation for each in in_risk_order([first, other, second])] == [
        first,
        second,
        other,
    ]


@pytest.mark.parametrize("factor", [2.0, 1.99])
def test_a_factor_of_two_is_large(factor):
    (each,) = in_risk_order([loosen("1", rates(100, 100 * factor))])
    assert (each.risk, each.step) == (Risk.LOOSENS, 8 if factor >= 2 else 11)
    assert each.size == pytest.approx(factor)


def test_an_unknown_limit_counts_as_infinite():
    effect = Effect((NEW_YORK,), limits=(Limit("maximum_ratio", None, None, 3.0, loosens=True),))
    assert in_risk_order([loosen("1", effect)])[0].size == math.inf


def test_a_condition_that_is_lowered_counts_by_its_inverse():
    lower = Limit("percentage_of_agents_before_overdial", None, 20.0, 1.0, loosens=True)
    assert in_risk_order([loosen("1", Effect((NEW_YORK,), limits=(lower,)))])[0].size == 20


def test_the_effect_is_data_in_json_and_outside_the_digest():
    opened = datetime(2027, 1, 11, 2, 0, tzinfo=UTC)
    zone = ZoneEffect("America/New_York", 4620, 6000, 9000, 9999, 999, 0, opened)
    plain, with_effect = make_operation(), make_operation(effect=Effect((zone,)))
    assert plain.hash == with_effect.hash
    assert make_plan([plain]).digest == make_plan([with_effect]).digest
    (said,) = of_plan(make_plan([with_effect]), exit_code=0).data["operations"]
    assert said["effect"] == with_effect.effect.serialised()
    assert said["effect"]["zones"][0]["first_opened"] == "2027-01-11T02:00:00Z"


@pytest.mark.parametrize("held", ["Mars/Base", 5, None])
def test_an_unknown_zone_of_a_schedule_is_shown_raw(held):
    """It only names the clock of the manifest: what the platform stores are instants."""
    live = make_live(stored=make_body(timezone=held, end_time="2027-01-16T23:00:00Z"))
    plan = build(make_origin(), [make_desired()], make_snapshot([live]), KINDS)
    for style in ("text", "markdown", "html"):
        output = renderer_for(style).render(of_plan(plan, exit_code=2))
        assert f"timezone {'none' if held is None else held} → America/New" in output.replace(
            "\\", ""
        )
        assert "2027-01-16T23:00:00Z → Fri 2027-01-15 18:00" in output


ODD = [
    ("compliance_windows", [make_window(end=25)], "9-25"),
    ("compliance_windows", [{"timezone": "America/New_York", "start_hour": "nine"}], "nine"),
    ("compliance_windows", [make_window("Mars/Base")], "Mars/Base"),
    ("compliance_windows", "always", "always"),
    ("compliance_windows", None, "none"),
    ("start_time", "soon", "soon"),
    ("end_time", {"in": "weeks"}, "weeks"),
    ("end_time", "9999-99-99T99:99:99Z", "9999-99-99T99:99:99Z"),
    ("dial_rate", "fast", "fast"),
    ("dnc_verification", "maybe", "maybe"),
]


@pytest.mark.parametrize(("name", "held", "raw"), ODD)
def test_a_body_that_nobody_can_read_is_shown_raw_as_unknown_and_loosens(name, held, raw):
    live = make_live(stored=make_body(**{name: held}))
    plan = build(make_origin(), [make_desired()], make_snapshot([live]), KINDS)
    (each,) = in_risk_order(plan.operations)
    assert (each.operation.direction.widens, each.risk, each.step) == (True, Risk.LOOSENS, 1)
    for style in {*RENDERERS} - {"json"}:
        output = renderer_for(style).render(of_plan(plan, exit_code=2))
        assert raw in output.replace("\\", "")
        assert "effect unknown, counts as loosening" in output
    assert each.operation.effect is not None
    assert name in each.operation.effect.unknown
