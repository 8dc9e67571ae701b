"""The first screen of a long report: whatever the values are, the verdict and the worst rows with their changes are on it."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.plan import Operation, Strictness, Weakening, build
from reconciler.policies.base import Level
from reconciler.renderers import markdown, text
from reconciler.report import Report, Risk, Row, Table, Tone, screen
from reconciler.report.changes import of_plan
from tests.renderers.sample import CLEAN, HOSTILE_VALUES, LONG, SAMPLE
from tests.support.bodies import make_body, make_skill_body, make_window
from tests.support.factories import (
    KINDS,
    SKILLS,
    make_desired,
    make_finding,
    make_live,
    make_operation,
    make_origin,
    make_plan,
    make_skill_desired,
    make_snapshot,
)

VIEWS = {
    "pipe": text.render,
    "120": lambda report: text.render(report, width=120),
    "80": lambda report: text.render(report, width=80),
    "colour": lambda report: text.render(report, width=80, colour=True),
    "markdown": markdown.render,
}


def first(output: str) -> str:
    """Return the first screen of an output, whichever limit ends it."""
    plain = re.sub("\x1b\\[[0-9]+m", "", output)
    return "\n".join(plain[: screen.CHARACTERS].split("\n")[: screen.LINES])


def words(output: str) -> str:
    """Return an output as it is read: without the escapes of Markdown, on one line."""
    return " ".join(re.sub(r"\\(.)", r"\1", output).replace("&#8203;", "").split())


NAMES = ("m", "x" * 55, "a-very-long-name-" * 3)
THERE = ("", "Spring", "_" * 64, "@" * 64, "\u202e" * 64, *HOSTILE_VALUES)
PATHS = ("dial_rate", "compliance_windows[America/Argentina/ComodRivadavia]", "t" * 90)


def operations_of(seed: int) -> list[Operation]:
    """Return operations with long and hostile values. Hypothesis would take many times as long to draw each of them."""
    rng = random.Random(seed)
    return [
        make_operation(
            f"{number}" + "k" * rng.choice([0, 50]),
            name=f"{rng.choice(NAMES)}{number}",
            platform_name=rng.choice(THERE),
            fields=tuple(_field(rng, f"{number}-{n}") for n in range(rng.randint(1, 9))),
            direction=rng.choice([Direction.LOOSEN, Direction.TIGHTEN]),
        )
        for number in range(rng.randint(11, 30))
    ]


def _field(rng: random.Random, number: str) -> FieldChange:
    shared = ", ".join(f"{n}-{n + 1}" for n in range(rng.randint(1, 40)))
    return FieldChange(f"{rng.choice(PATHS)}{number}", f"{shared}, OLD", f"{shared}, NEW{number}")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([*VIEWS]))
def test_the_worst_ten_rows_are_on_the_first_screen_with_what_changes(seed, view):
    report = of_plan(make_plan(operations_of(seed)), exit_code=2)
    output = VIEWS[view](report)
    shown = words(first(output))
    assert words(report.verdict) in shown
    if "Worst first" not in output:
        assert first(output) == re.sub("\x1b\\[[0-9]+m", "", output)
        return
    found = screen.worst(report)
    assert f"Worst first (10 of {found.total} rows; {found.total - 10} more follow" in shown
    for row in found.rows:
        changed = re.search(r"NEW[0-9]+-[0-9]", row.brief)
        assert changed is not None, row.brief
        assert changed[0] in shown, row.brief
    assert not re.search(r"\b[0-9]+ fields", shown)


@pytest.mark.parametrize("view", VIEWS)
def test_the_worst_rows_of_a_long_plan_stand_before_its_tables(view):
    output = VIEWS[view](LONG)
    shown = words(first(output))
    assert LONG.verdict in shown
    for row in screen.worst(LONG).rows:
        assert words(row.head) in shown
        assert words(row.brief)[:80] in shown
    assert output.index("Worst first") < output.index("Blocked") < output.index("Weakened rules")


@pytest.mark.parametrize("report", [CLEAN, SAMPLE])
def test_a_report_of_one_screen_says_nothing_twice(report):
    if screen.fits(text.render(report)):
        assert "Worst first" not in text.render(report)
        assert text.render(report).count(report.verdict) == 1


def row(risk: Risk, step: int, number: int) -> Row:
    name = f"r{number}"
    return Row((name,), seat=(risk, step), head=name, brief=f"{risk.name} {step}")


def test_each_class_has_a_place_so_that_many_of_one_hide_no_other():
    rows = [row(Risk.LOOSENS, 5, number) for number in range(50)]
    others = [row(Risk.RETIRES, 0, 50), row(Risk.TIGHTENS, 1, 51), row(Risk.TIGHTENS, 1, 52)]
    report = Report("t", "v", Tone.PLAIN, 0, (Table("T", (), (*rows, *others)),))
    found = screen.worst(report)
    assert [each.head for each in found.rows] == [f"r{n}" for n in (*range(8), 50, 51)]
    assert found.title == "Worst first (10 of 53 rows; 43 more follow below)"


def test_many_classes_of_one_kind_hide_no_other_kind():
    rows = [row(Risk.LOOSENS, step, step) for step in range(12)]
    last = [row(Risk.RETIRES, 0, 12), row(Risk.REST, 0, 13), row(Risk.REST, 1, 14)]
    found = screen.worst(Report("t", "v", Tone.PLAIN, 0, (Table("T", (), (*rows, *last)),)))
    assert [each.head for each in found.rows] == [f"r{n}" for n in (*range(8), 12, 13)]


def body_of(number: int) -> dict[str, Any]:
    return make_body(campaign_id=str(number), dial_rate=2 + number / 1000)


DANGERS = {
    "DNC off": {"dnc_verification": False},
    "evening": {"compliance_windows": [make_window(start=21, end=23)]},
    "zone": {"compliance_windows": [make_window("Pacific/Honolulu")]},
    "Sunday": {"end_time": "2027-01-17T23:00:00Z"},
    "twelve hours": {"start_time": "2027-01-11T02:00:00Z"},
    "rate": {"dial_rate": 20.0},
    "calls": {"max_concurrent_calls": 5000},
}


@pytest.mark.parametrize("danger", DANGERS)
def test_a_danger_is_seen_where_the_platform_adds_an_unknown_field_to_all(danger):
    wanted, held = [], []
    for number in range(1000, 1060):
        more = DANGERS[danger] if number == 1057 else {"max_concurrent_calls": 501}
        body = {**body_of(number), "dial_rate": 2.05 + number / 1000, **more}
        wanted.append(make_desired(str(number), body=body))
        unsent = {"newSetting": number % 3}
        held.append(make_live(str(number), stored=body_of(number), unsent=unsent))
    plan = build(make_origin(), wanted, make_snapshot(held), KINDS)
    assert all(each.verdict.widens for each in plan.operations)
    for view in VIEWS.values():
        assert "1057" in first(view(of_plan(plan, exit_code=2)))


def test_an_unknown_field_that_one_narrowing_drops_is_seen_among_harmless_loosenings():
    wanted, held = [], []
    for number in range(1000, 1060):
        rate = (1.9 if number == 1057 else 2.05) + number / 1000
        wanted.append(make_desired(str(number), body={**body_of(number), "dial_rate": rate}))
        unsent = {"stateLawGuard": True} if number == 1057 else {}
        held.append(make_live(str(number), stored=body_of(number), unsent=unsent))
    plan = build(make_origin(), wanted, make_snapshot(held), KINDS)
    for view in VIEWS.values():
        assert "drops unknown fields: stateLawGuard" in first(view(of_plan(plan, exit_code=2)))


SKILL_DANGERS: dict[str, dict[str, Any]] = {
    "ratio": {"maximum_ratio": 3.0},
    "overdialing from few agents on": {"percentage_of_agents_before_overdial": 1.0},
    "calls no longer blocked": {"block_multiple_calls": False},
    "threshold": {"abandon_rate_threshold": 50.0},
    "another list": {"dnc_groups": ["71"]},
    "night": {"calling_windows": [{"timezone": "America/New_York", "start": "21:00", "end": "23:00"}]},
    "zone": {"calling_windows": [{"timezone": "Pacific/Honolulu", "start": "09:00", "end": "20:00"}]},
}  # fmt: skip


def harmless_skill(number: int) -> dict[str, Any]:
    return [
        {"maximum_ratio": 1.45},
        {"maximum_ratio": 1.52 + number % 10 / 1000},
        {"abandon_rate_threshold": 2.9},
        {"maximum_ringing_duration_s": 26 + number % 3},
        {"percentage_of_agents_before_overdial": 21.0},
    ][number % 5]


@pytest.mark.parametrize("danger", SKILL_DANGERS)
def test_a_danger_of_a_skill_is_seen_among_harmless_edits(danger):
    numbers = range(4001, 4061)
    held = [
        make_live(str(n), stored=make_skill_body(skill_id=str(n)), running=False) for n in numbers
    ]
    edits = {n: SKILL_DANGERS[danger] if n == 4058 else harmless_skill(n) for n in numbers}
    wanted = [make_skill_desired(str(n), **edit) for n, edit in edits.items()]
    plan = build(make_origin(), wanted, make_snapshot(held), SKILLS)
    for view in VIEWS.values():
        assert "4058" in first(view(of_plan(plan, exit_code=2)))


def test_rows_of_findings_about_a_changed_object_are_no_rows_of_their_own():
    changes = [(FieldChange("dial_rate", 9.0, float(number)),) for number in range(1, 4)]
    operations = [make_operation(str(n), fields=fields) for n, fields in enumerate(changes)]
    plan = make_plan(
        operations, findings=(make_finding("1", level=Level.WARNING), make_finding("7"))
    )
    heads = [each.head for each in screen.worst(of_plan(plan, exit_code=5)).rows]
    assert len(heads) == 4
    assert heads[0] == "error campaign-7 tenant-limits"


def test_an_error_that_blocks_nothing_stands_above_everything():
    tightens = make_operation("1", fields=(FieldChange("dial_rate", 90.0, 60.0),))
    loosens = make_operation(
        "2", fields=(FieldChange("dial_rate", 9.0, 10.0),), direction=Direction.LOOSEN
    )
    report = of_plan(make_plan([tightens, loosens], findings=(make_finding("1"),)), exit_code=5)
    heads = [each.head for each in screen.worst(report).rows]
    assert heads[0] == "error campaign-1 tenant-limits"
    assert len(heads) == 3
    rows = [each for table in report.tables for each in table.rows]
    assert [each.status for each in rows] == ["error", "update", "update"]


def test_a_warning_about_what_no_manifest_names_is_hidden_by_no_other_warning():
    edits = [make_operation(str(n), direction=Direction.NEUTRAL) for n in range(20)]
    found = [
        make_finding(str(n), level=level, rule=rule, name=f"a{n}")
        for level, rule, count in (
            (Level.WARNING, "dnc-list", 160),
            (Level.WARNING, "vanished", 101),
            (Level.INFO, "ended", 160),
        )
        for n in range(100, count)
    ]
    report = of_plan(make_plan(edits, findings=found), exit_code=0)
    heads = [each.head for each in screen.worst(report).rows]
    assert "warning a100 vanished" in heads


def test_the_first_new_instant_of_many_fields_is_not_cut():
    def edits(number: int) -> dict[str, Any]:
        every = {"dial_rate": 26.0 + number, "max_concurrent_calls": 600, "dnc_verification": False}
        times = {"start_time": "2027-01-13T14:00:00Z", "end_time": "2027-02-27T23:00:00Z"}
        windows = [make_window(), make_window("America/Denver"), make_window("America/Chicago")]
        return {"campaign_id": str(number), **every, **times, "compliance_windows": windows}

    numbers = range(1000, 1030)
    wanted = [make_desired(str(n), body=make_body(**edits(n))) for n in numbers]
    held = [make_live(str(number)) for number in numbers]
    plan = build(make_origin(), wanted, make_snapshot(held), KINDS)
    for view in VIEWS.values():
        shown = words(first(view(of_plan(plan, exit_code=2))))
        assert shown.count("safeguard lost: dnc_verification") == 10
        assert shown.count("newly dials from Wed 2027-01-13 09:00 America/Chicago") == 10


def test_refusals_and_weakenings_compete_as_rows():
    weakened = Weakening("limits.changed_share", "0.3", "0.9", (), factor=3.0)
    plan = make_plan([make_operation()], strictness=Strictness(weakenings=(weakened,)))
    report = of_plan(plan, exit_code=5, refusals=("9 of 10 objects would be changed",))
    shown = [f"{each.head}: {each.brief}" for each in screen.worst(report).rows]
    assert shown[0] == "refused: 9 of 10 objects would be changed"
    assert shown[1].startswith("weakened limits.changed_share: counts now 0.3 → ")
    assert "(raised \N{MULTIPLICATION SIGN}3)" in shown[1]
    assert len(shown) == 3
