"""What blocks, weakens a rule or may widen dialing is in every format of a report, however much else there is to say."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli import options
from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.plan import Action, Operation, Outcome, Plan, Result, Strictness, Weakening
from reconciler.renderers import RENDERERS, markdown, renderer_for
from reconciler.report import Report
from reconciler.report.apply import of_apply
from reconciler.report.changes import of_plan
from tests.support.factories import make_operation, make_plan

STEP_SUMMARY = 1024 * 1024
"""Bytes that GitHub takes of a step summary."""

FIRST = make_operation()


def operation(number: int, direction: Direction = Direction.TIGHTEN) -> Operation:
    """Return an update like no other."""
    change = FieldChange("dial_rate", float(number), float(number + 1))
    name = f"renewals-north-{number:05}"
    return replace(FIRST, key=f"{number:05}", name=name, fields=(change,), direction=direction)


def alike(number: int, direction: Direction) -> Operation:
    """Return an update that moves the same field between the same values as all others."""
    return replace(operation(number, direction), fields=(FieldChange("dial_rate", 1.0, 2.0),))


@functools.cache
def one_of_many() -> Plan:
    """Return a plan of ten thousand changes, of which the last one widens."""
    return make_plan(
        operation(n, Direction.LOOSEN if n == 9_999 else Direction.TIGHTEN) for n in range(10_000)
    )


@functools.cache
def many() -> Plan:
    return make_plan(operation(n, Direction.LOOSEN) for n in range(5_000))


@functools.cache
def all_alike() -> Plan:
    """Return a plan in which every second change widens; but for that they are one line."""
    return make_plan(alike(n, Direction.LOOSEN if n % 2 else Direction.TIGHTEN) for n in range(880))


@functools.cache
def report_of(plan: Callable[[], Plan]) -> Report:
    return of_plan(plan(), exit_code=2)


@pytest.mark.parametrize("style", RENDERERS)
def test_one_loosening_among_ten_thousand_changes_is_shown(style: str) -> None:
    output = renderer_for(style).render(report_of(one_of_many))
    assert "renewals-north-09999" in output
    if style == "markdown":
        assert len(output) <= markdown.CAP
        assert output.index("renewals-north-09999") < output.index("<details>")
        assert "all that blocks, weakens or may widen is among them" in output.splitlines()[0]


@pytest.mark.parametrize("style", RENDERERS)
@pytest.mark.parametrize("plan", [many, all_alike])
def test_every_one_of_many_loosenings_is_shown(style: str, plan: Callable[[], Plan]) -> None:
    output = renderer_for(style).render(report_of(plan))
    found = {*re.findall(r"renewals-north-\d{5}", output)}
    assert {each.name for each in plan().operations if each.direction.widens} <= found
    if style == "markdown":
        assert len(output.encode()) <= STEP_SUMMARY
        assert not output.startswith("## ERROR")


_directions = st.sampled_from(list(Direction))
_blocked = st.sampled_from([(), (), ("dnc-list",)])


@st.composite
def _plans(draw: st.DrawFn) -> Plan:
    operations = [
        replace(
            draw(st.sampled_from([operation, alike]))(number, draw(_directions)),
            action=draw(st.sampled_from([*Action])),
            blocked=draw(_blocked),
        )
        for number in range(draw(st.integers(0, 30)))
    ]
    weakened = tuple(
        Weakening(f"policies.rule-{number}", "error", "off", ())
        for number in range(draw(st.integers(0, 3)))
    )
    return make_plan(operations, strictness=Strictness(weakenings=weakened))


@settings(max_examples=30, deadline=None)
@given(_plans(), st.integers(0, 3_000))
def test_a_plan_shows_all_that_blocks_weakens_or_widens_in_every_format(
    plan: Plan, room: int
) -> None:
    """However little room there is: `CAP` is what else may be shown."""
    report = of_plan(plan, exit_code=0)
    names = [each.name for each in plan.operations if each.blocked or each.direction.widens] + [
        each.setting for each in plan.strictness.weakenings
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown, "CAP", room)
        for style in RENDERERS:
            output = renderer_for(style).render(report)
            assert [name for name in names if name not in output] == [], style
        assert markdown.left_out(report) == 0


@pytest.mark.parametrize("style", RENDERERS)
@pytest.mark.parametrize("many", [1, 500])
def test_a_create_shows_what_it_would_dial_however_many_there_are(style: str, many: int) -> None:
    def create(number: int) -> Operation:
        body = {**(FIRST.desired or {}), "dial_rate": 987.0 if number == many // 2 else 1.0}
        name = f"renewals-north-{number:05}"
        made = replace(FIRST, key=f"{number:05}", name=name, action=Action.CREATE, fields=())
        return replace(made, live=None, desired=body, direction=Direction.LOOSEN)

    plan = make_plan(create(number) for number in range(many))
    assert "987" in renderer_for(style).render(of_plan(plan, exit_code=2))


def test_every_write_that_widened_or_failed_is_shown() -> None:
    outcomes = [
        Outcome(each, Result.UPDATED if number else Result.FAILED, "the platform said no")
        for number, each in enumerate(one_of_many().operations[-3_000:])
    ]
    output = markdown.render(of_apply(one_of_many(), outcomes, exit_code=3))
    found = {*re.findall(r"renewals-north-\d{5}", output)}
    assert {"renewals-north-07000", "renewals-north-09999"} <= found
    assert len(found) < len(outcomes), "the rest is cut"


def test_what_fits_nowhere_is_an_error_in_the_first_line_and_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(markdown, "CAP", 10_000)
    monkeypatch.setattr(markdown, "MOST", 20_000)
    plan = make_plan(many().operations[:500])
    report = of_plan(plan, exit_code=2)
    output = markdown.render(report)
    said = re.match(r"## ERROR: (\d+) of 500 rows that block, weaken a rule or may widen", output)
    assert said is not None
    shown = len({*re.findall(r"renewals-north-\d{5}", output)})
    assert int(said[1]) == 500 - shown == markdown.left_out(report)
    assert 15_000 < len(output.encode()) <= markdown.MOST
    assert f"## {report.verdict}" in output
    assert plan.digest in output
    assert not options.is_whole(report, "markdown")
    assert "use --format text or json" in capsys.readouterr().err
    assert all(options.is_whole(report, style) for style in RENDERERS if style != "markdown")
    assert options.is_whole(report_of(one_of_many), "text")
