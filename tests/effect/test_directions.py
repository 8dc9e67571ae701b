"""Direction: laws over every rule, and windows against sets of minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.effect import (
    Direction,
    by_fields,
    combine,
    direction,
    higher,
    lower,
    minutes,
    stretches,
    union,
)
from tests.support.bodies import DAYS, make_body, make_skill_body, make_window
from tests.support.factories import KIND, SKILL

BACK = {
    Direction.TIGHTEN: Direction.LOOSEN,
    Direction.LOOSEN: Direction.TIGHTEN,
    Direction.MIXED: Direction.MIXED,
    Direction.NEUTRAL: Direction.NEUTRAL,
}
ZONES = ("America/New_York", "Europe/London")
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
"""Before any span here begins."""

windows = st.lists(
    st.builds(
        lambda zone, start, length: make_window(zone, start, min(start + length, 23)),
        st.sampled_from(ZONES),
        st.integers(0, 22),
        st.integers(1, 23),
    ),
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {
        "compliance_windows": windows,
        "dial_rate": st.sampled_from([1.0, 20.0, 25.0]),
        "dnc_verification": st.booleans(),
        "end_time": st.sampled_from(["2027-01-15T23:00:00Z", "2027-01-16T23:00:00Z"]),
        "max_concurrent_calls": st.sampled_from([100, 500]),
        "start_time": st.sampled_from(["2027-01-11T14:00:00Z", "2027-01-12T14:00:00Z"]),
        "timezone": st.sampled_from(ZONES),
    }
).map(lambda fields: make_body(**fields))
directions = st.sampled_from(list(Direction))


def of(live, desired):
    return direction(live, desired, KIND, NOW)


def admitted(items) -> set[tuple[str, int]]:
    """Every (zone, hour) that windows admit, one by one; no window admits all, other zones too."""
    zones = (*ZONES, "elsewhere")
    return {
        (zone, hour)
        for zone, hour in product(zones, range(24))
        if not items
        or any(w["timezone"] == zone and w["start_hour"] <= hour < w["end_hour"] for w in items)
    }


@given(bodies)
def test_no_change_is_neutral(body):
    assert of(body, body) is Direction.NEUTRAL


@given(bodies, bodies)
def test_what_tightens_one_way_loosens_back(live, desired):
    assert of(desired, live) is BACK[of(live, desired)]


@given(bodies, bodies)
def test_a_change_none_of_whose_fields_widens_does_not_widen(live, desired):
    by_field = by_fields(live, desired, KIND.rules)
    assert by_field.widens or not of(live, desired).widens
    apart = [of(live, {**live, name: desired[name]}) for name in live.keys() - KIND.timed]
    hours = of(live, {**live, **{name: desired[name] for name in KIND.timed}})
    assert of(live, desired) is combine([*apart, hours])


@given(windows, windows)
def test_windows_are_compared_as_the_hours_that_they_admit(live, desired):
    before, after = admitted(live), admitted(desired)
    expected = {
        (False, False): Direction.NEUTRAL,
        (True, False): Direction.TIGHTEN,
        (False, True): Direction.LOOSEN,
        (True, True): Direction.MIXED,
    }[bool(before - after), bool(after - before)]
    found = of(make_body(compliance_windows=live), make_body(compliance_windows=desired))
    assert found is expected


@given(
    bodies,
    st.sampled_from(["note", "ring_time_s"]),
    st.none() | st.integers() | st.text(max_size=2),
)
def test_a_field_that_no_rule_knows_loosens_whichever_way_it_goes(body, name, value):
    assert of(body, {**body, name: value}) is Direction.LOOSEN
    assert of({**body, name: value}, body) is Direction.LOOSEN


@given(bodies, st.sampled_from(sorted(make_body())))
def test_a_field_that_is_missing_on_one_side_loosens(body, name):
    less = {field: value for field, value in body.items() if field != name}
    assert of(body, less) is Direction.LOOSEN
    assert of(less, body) is Direction.LOOSEN


@given(
    st.sampled_from(sorted(set(KIND.rules) - {"timezone", "dnc_verification"})),
    st.none()
    | st.text(max_size=4)
    | st.lists(
        st.none() | st.integers() | st.dictionaries(st.text(max_size=2), st.integers()),
        min_size=1,
        max_size=2,
    )
    | st.dictionaries(st.text(max_size=2), st.integers(), min_size=1, max_size=2),
)
def test_a_live_value_that_a_rule_cannot_read_is_unknown_and_loosens(name, value):
    assert of(make_body(**{name: value}), make_body()) is Direction.LOOSEN


@given(
    st.sampled_from([(KIND, name) for name in ("dial_rate", "max_concurrent_calls")])
    | st.sampled_from([(SKILL, name) for name in ("maximum_ratio", "abandon_rate_threshold")]),
    st.integers(max_value=-1) | st.floats(max_value=-1e-9, allow_infinity=False),
)
def test_a_negative_limit_is_unknown_and_never_a_narrowing(field, value):
    """Many systems write -1 for "no limit"."""
    kind, name = field
    body = make_body() if kind is KIND else make_skill_body()
    for live, desired in permutations((body, {**body, name: value})):
        assert direction(live, desired, kind, NOW) is Direction.LOOSEN


@given(directions)
def test_combining_one_direction_with_itself_or_with_neutral_changes_nothing(one):
    assert combine([one]) is one
    assert combine([one, one]) is one
    assert combine([one, Direction.NEUTRAL]) is one


@given(st.lists(directions, max_size=4), st.lists(directions, max_size=4))
def test_combining_in_groups_or_in_another_order_changes_nothing(some, others):
    assert combine([combine(some), combine(others)]) is combine([*some, *others])
    assert combine([*others, *some]) is combine([*some, *others])


def test_opposite_directions_are_mixed_and_nothing_is_neutral():
    for parts in permutations([Direction.TIGHTEN, Direction.LOOSEN]):
        assert combine(parts) is Direction.MIXED
    assert combine([Direction.MIXED, Direction.TIGHTEN]) is Direction.MIXED
    assert combine([]) is Direction.NEUTRAL


def test_only_what_may_let_the_dialer_do_more_widens():
    assert {each for each in Direction if each.widens} == {Direction.LOOSEN, Direction.MIXED}


@pytest.mark.parametrize(
    ("field", "live", "desired", "expected"),
    [
        ("dial_rate", 25.0, 20.0, Direction.TIGHTEN),
        ("dial_rate", 20.0, 25.0, Direction.LOOSEN),
        ("max_concurrent_calls", 500, 499, Direction.TIGHTEN),
        ("max_concurrent_calls", 499, 500, Direction.LOOSEN),
        ("dnc_verification", False, True, Direction.TIGHTEN),
        ("dnc_verification", True, False, Direction.LOOSEN),
        ("start_time", "2027-01-11T14:00:00Z", "2027-01-11T15:00:00Z", Direction.TIGHTEN),
        ("start_time", "2027-01-11T14:00:00.5Z", "2027-01-11T14:00:00Z", Direction.LOOSEN),
        ("start_time", "2027-01-11T09:30:00-05:00", "2027-01-11T14:00:00Z", Direction.LOOSEN),
        ("end_time", "2027-01-15T23:00:00Z", "2027-01-15T22:00:00Z", Direction.TIGHTEN),
        ("end_time", "2027-01-15T23:00:00Z", "2028-01-01T00:00:00Z", Direction.LOOSEN),
        ("compliance_windows", [make_window(end=20.5)], [make_window()], Direction.LOOSEN),
        ("end_time", "whenever", "2027-01-15T22:00:00Z", Direction.LOOSEN),
        ("end_time", "2027-01-15T23:00:00", "2027-01-15T22:00:00Z", Direction.LOOSEN),
        ("timezone", "America/New_York", "Europe/London", Direction.NEUTRAL),
        ("timezone", "Mars/Olympus", "Europe/London", Direction.LOOSEN),
        ("timezone", 3, "Europe/London", Direction.LOOSEN),
        ("timezone", {}, "Europe/London", Direction.LOOSEN),
        ("campaign_id", "1001", "1002", Direction.LOOSEN),
        ("compliance_windows", [make_window()], [], Direction.LOOSEN),
        ("compliance_windows", [], [make_window()], Direction.TIGHTEN),
        (
            "compliance_windows",
            [make_window(start=9, end=12), make_window(start=12, end=20)],
            [make_window(start=9, end=20)],
            Direction.NEUTRAL,
        ),
        (
            "compliance_windows",
            [make_window("America/New_York")],
            [make_window("America/Chicago")],
            Direction.MIXED,
        ),
    ],
)
def test_each_field_of_a_campaign_has_its_direction(field, live, desired, expected):
    assert of(make_body(**{field: live}), make_body(**{field: desired})) is expected


# --- sets and conditions ------------------------------------------------------------------------------------------------

few = st.sets(st.integers(0, 5))


def step(rule, live, desired):
    return by_fields({"x": live}, {"x": desired}, {"x": rule})


@given(few, few)
def test_the_union_of_safeguards_is_what_both_keep_out(before, after):
    if before != after:
        found = step(union, sorted(before), sorted(after))
        assert (found is Direction.TIGHTEN) == (before < after)
        assert (found is Direction.LOOSEN) == (after < before)


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_higher_condition_tightens_where_a_higher_ceiling_loosens(live, desired):
    if live != desired:
        assert step(higher, live, desired) is BACK[step(lower, live, desired)]


@given(st.sets(st.integers(0, 2879)))
def test_stretches_are_the_minutes_that_they_were_made_of(open_minutes):
    found = stretches(open_minutes)
    assert {minute for start, end in found for minute in range(start, end)} == open_minutes
    assert all(end < start for (_, end), (start, _) in pairwise(found))


@pytest.mark.parametrize(
    ("start", "end", "length"), [(540, 1200, 660), (540, 0, 900), (540, 120, 1020), (0, 1440, 1440)]
)
def test_hours_that_end_at_or_past_midnight_are_read_as_what_they_are(start, end, length):
    found = list(minutes(start, end))
    assert (found[0], len(found)) == (start, length)


@pytest.mark.parametrize(("start", "end"), [(540, 540), (-1, 60), (0, 1441), (1440, 60)])
def test_hours_that_nobody_can_read_are_unknown_and_never_empty(start, end):
    with pytest.raises(ValueError, match="not a valid window"):
        minutes(start, end)


@pytest.mark.parametrize(
    ("field", "live", "desired", "expected"),
    [
        ("maximum_ratio", 2.0, 1.5, Direction.TIGHTEN),
        ("percentage_of_agents_before_overdial", 20.0, 30.0, Direction.TIGHTEN),
        ("abandon_rate_threshold", 3.0, 2.0, Direction.LOOSEN),  # the business unit's counts
        ("block_multiple_calls", False, True, Direction.TIGHTEN),
        ("aggressiveness", "5", "4", Direction.TIGHTEN),
        ("aggressiveness", "10", "9", Direction.TIGHTEN),
        ("aggressiveness", "High", "Low", Direction.LOOSEN),
        ("maximum_ringing_duration_s", 25, 20, Direction.LOOSEN),
        ("override_business_unit_abandon_rate", False, True, Direction.LOOSEN),
        ("dnc_groups", ["70"], ["70", "71"], Direction.TIGHTEN),
        ("dnc_groups", ["70"], ["71"], Direction.MIXED),
        ("dnc_groups", "70", ["70", "71"], Direction.LOOSEN),
        ("calling_windows", [], [{"timezone": "x", "start": "09:00", "end": "10:00"}], Direction.LOOSEN),
        ("run_window", [{"day": "monday", "start": "09:00", "end": "10:00"}], [], Direction.TIGHTEN),
        ("run_window", "odd", [], Direction.LOOSEN),
    ],
)  # fmt: skip
def test_the_settings_of_a_skill_have_their_directions(field, live, desired, expected):
    assert of_skill({field: live}, {field: desired}) is expected


def of_skill(live, desired):
    return direction(make_skill_body(**live), make_skill_body(**desired), SKILL, NOW)


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        (3.0, 2.0, Direction.TIGHTEN),
        (3.0, 4.0, Direction.LOOSEN),
        (3.0, 0.0, Direction.LOOSEN),  # 0 may mean "no limit"
        (0.0, 3.0, Direction.LOOSEN),
    ],
)
def test_a_threshold_is_judged_only_where_it_is_the_one_that_counts(live, desired, expected):
    def of(value):
        return {"abandon_rate_threshold": value, "override_business_unit_abandon_rate": True}

    assert of_skill(of(live), of(desired)) is expected


def day(start, end):
    return [{"day": "monday", "start": start, "end": end}]


def every_day(start, end):
    return [{"day": each, "start": start, "end": end} for each in DAYS]


ALWAYS = {"calling_windows": [{"timezone": ZONES[0], "start": "00:00", "end": "24:00"}]}


@pytest.mark.parametrize("end", ["00:00", "02:00"])
def test_a_day_that_runs_to_midnight_or_past_it_is_wider(end):
    live, desired = ({"run_window": day("09:00", each), **ALWAYS} for each in (end, "20:00"))
    assert of_skill(live, desired) is Direction.TIGHTEN
    windows = [{"timezone": ZONES[0], "start": "09:00", "end": each} for each in (end, "20:00")]
    live, desired = (
        {"calling_windows": [window], "run_window": [*every_day("00:00", "24:00")]}
        for window in windows
    )
    assert of_skill(live, desired) is Direction.TIGHTEN


def test_what_runs_past_midnight_runs_on_the_next_day():
    sunday = [{"day": "sunday", "start": "22:00", "end": "02:00"}]
    both = [{"day": "sunday", "start": "22:00", "end": "24:00"}, *day("00:00", "02:00")]
    live, desired = ({"run_window": each, **ALWAYS} for each in (sunday, both))
    assert of_skill(live, desired) is Direction.NEUTRAL


# --- hours --------------------------------------------------------------------------------------------------------------


def campaign(start="2027-01-11T14:00:00Z", end="2027-01-15T23:00:00Z", **fields):
    return make_body(start_time=start, end_time=end, **fields)


def week(start, end, calls=("09:00", "20:00"), zone=ZONES[0]):
    window = {"timezone": zone, "start": calls[0], "end": calls[1]}
    return {"run_window": every_day(start, end), "calling_windows": [window]}


def test_a_longer_span_opens_nothing_at_night():
    assert of(campaign(), campaign(start="2027-01-11T09:00:00Z")) is Direction.NEUTRAL
    assert of(campaign(), campaign(end="2027-01-16T13:59:59Z")) is Direction.LOOSEN  # 23:00 to 1:00
    night = campaign(end="2027-01-16T01:00:00Z")
    assert of(night, campaign(end="2027-01-16T14:00:00Z")) is Direction.NEUTRAL
    assert of(night, campaign(end="2027-01-16T14:00:01Z")) is Direction.LOOSEN


def test_what_is_past_does_not_count():
    """The clock is the platform's. A span that began is not widened by an earlier start; one that ends is, however it began."""
    live, desired = campaign(), campaign(start="2027-01-04T11:00:00Z", end="2027-01-14T23:00:00Z")
    later = datetime(2027, 1, 12, 3, tzinfo=UTC)
    assert of(live, desired) is Direction.MIXED
    assert direction(live, desired, KIND, later) is Direction.TIGHTEN
    over = datetime(2027, 1, 20, tzinfo=UTC)
    assert direction(live, desired, KIND, over) is Direction.NEUTRAL
    again = campaign(end="2027-01-21T23:00:00Z")
    assert direction(live, again, KIND, over) is Direction.LOOSEN


def test_a_longer_week_opens_nothing_outside_the_calling_windows():
    assert of_skill(week("08:00", "21:00"), week("07:00", "22:00")) is Direction.NEUTRAL
    assert of_skill(week("10:00", "19:00"), week("07:00", "22:00")) is Direction.LOOSEN
    wide = ("06:00", "23:00")
    assert of_skill(week("10:00", "19:00"), week("10:00", "19:00", wide)) is Direction.NEUTRAL
    assert of_skill(week("08:00", "19:00"), week("08:00", "19:00", wide)) is Direction.LOOSEN


def test_hours_that_open_on_the_days_between_two_clock_changes_loosen():
    """Israel changes its clock two days before Britain does: only then is 09:00 in Jerusalem 07:00 in London."""
    live, desired = (
        {**week("09:00", end, ("06:00", "06:30"), "Europe/London"), "timezone": "Asia/Jerusalem"}
        for end in ("09:01", "09:30")
    )
    assert of_skill(live, desired) is Direction.LOOSEN
    silent = {
        **week("11:00", "12:00", ("06:00", "06:30"), "Europe/London"),
        "timezone": "Asia/Jerusalem",
    }
    assert of_skill(live, silent) is Direction.TIGHTEN


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        ("2030-06-01T00:00:00Z", "2031-06-01T00:00:00Z", Direction.LOOSEN),
        ("2031-06-01T00:00:00Z", "2030-06-01T00:00:00Z", Direction.TIGHTEN),
        ("2027-06-01T00:00:00Z", "2031-06-01T00:00:00Z", Direction.LOOSEN),
    ],
)
def test_an_end_after_the_horizon_counts(live, desired, expected):
    assert of(campaign(end=live), campaign(end=desired)) is expected


def test_a_window_that_opens_after_the_horizon_counts():
    live = campaign(start="2029-01-01T00:00:00Z", end="2029-06-01T00:00:00Z")
    wider = {**live, "compliance_windows": [make_window(end=21)]}
    assert of(live, wider) is Direction.LOOSEN
    assert of(wider, live) is Direction.TIGHTEN
    elsewhere = {**live, "compliance_windows": [make_window(), make_window("Europe/London")]}
    assert of(live, elsewhere) is Direction.LOOSEN


@pytest.mark.parametrize(
    "odd",
    [
        {"compliance_windows": [make_window(end=20.5)]},
        {"compliance_windows": [make_window("Mars/Olympus")]},
        {"compliance_windows": [make_window(start=9, end=9)]},
        {"compliance_windows": [make_window(end="20")]},
        {"compliance_windows": [{"timezone": "America/New_York"}]},
        {"compliance_windows": "9-20"},
        {"start_time": "soon"},
        {"end_time": "2027-01-15T23:00:00"},
        {"end_time": None},
        {"start_time": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_hours_that_nobody_can_read_loosen_whatever_they_become(odd):
    assert of(make_body(**odd), campaign()) is Direction.LOOSEN
    assert of(campaign(), make_body(**odd)) is Direction.LOOSEN


@pytest.mark.parametrize(
    "odd", ["9:60", "25:00", "0900", "9", "", "09:00:00", "\u0660\u0669:\u0660\u0660"]
)
def test_times_of_day_that_nobody_can_read_loosen(odd):
    live = {"run_window": day(odd, "20:00")}
    assert of_skill(live, {"run_window": day("10:00", "11:00")}) is Direction.LOOSEN


@pytest.mark.parametrize("name", ["dial_rate", "max_concurrent_calls"])
@pytest.mark.parametrize("number", [2**53 + 1, 10**400, 1e300])
def test_a_number_beyond_what_json_holds_exactly_loosens_both_ways(name, number):
    huge = make_body(**{name: number})
    assert {of(huge, make_body()), of(make_body(), huge)} == {Direction.LOOSEN}
