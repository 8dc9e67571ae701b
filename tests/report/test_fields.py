"""A field's change in words: what changes stays visible, times are local, and what a typing error may explain is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff import FieldChange
from reconciler.report.fields import differing, local, marks_of, said, times
from tests.support.bodies import make_body

SIGN = "\N{MULTIPLICATION SIGN}"
BODY = make_body()
TOKYO = make_body(timezone="Asia/Tokyo")


def text(path, live, desired, *, now=BODY, limit=None):
    return said(FieldChange(path, live, desired), BODY, now).text(limit)


@pytest.mark.parametrize("other", [1, 1.5, 10**400])
def test_a_number_beyond_what_json_holds_exactly_is_said_without_a_factor(other):
    for live, desired in ((other, 10**400), (10**400, other)):
        found = said(FieldChange("dial_rate", live, desired), BODY, BODY)
        assert (found.marks, found.factor) == ((), 1.0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("dial_rate", 10.0, 40.0), f"dial_rate 10 → 40 (raised {SIGN}4)"),
        (("dial_rate", 10.0, 19.9), "dial_rate 10 → 19.9"),
        (("dial_rate", 10.0, 0.25), "dial_rate 10 → 0.25 (lowered to 1/40)"),
        (("max_concurrent_calls", 5, 500), f"max_concurrent_calls 5 → 500 (raised {SIGN}100)"),
        (("dnc_verification", True, False), "dnc_verification true → false"),
        (("dial_rate", None, 40.0), "dial_rate none → 40"),
        (("dial_rate", 0.0, 40.0), "dial_rate 0 → 40"),
        (("dial_rate", "fast", 40.0), "dial_rate fast → 40"),
        (("timezone", "America/New_York", "Asia/Tokyo"), "timezone America/New_York → Asia/Tokyo"),
    ],
)
def test_a_value_is_said_as_it_is_and_a_large_factor_is_marked(change, expected):
    assert text(*change) == expected


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        (
            "2027-01-15T23:00:00Z",
            "2027-01-17T23:00:00Z",
            "Fri 2027-01-15 18:00 → Sun 2027-01-17 18:00 America/New_York (2 days later, on a Sunday)",
        ),
        (
            "2027-01-15T23:00:00Z",
            "2027-01-15T11:00:00Z",
            "Fri 2027-01-15 18:00 → Fri 2027-01-15 06:00 America/New_York (moved by exactly 12 h: a.m. or p.m.?, at night)",
        ),
        (
            "2027-01-15T23:00:00Z",
            "2027-01-15T22:00:00Z",
            "Fri 2027-01-15 18:00 → Fri 2027-01-15 17:00 America/New_York",
        ),
        (
            "2027-03-26T22:00:00Z",
            "2027-03-12T23:00:00Z",
            "Fri 2027-03-26 18:00 → Fri 2027-03-12 18:00 America/New_York (14 days earlier)",
        ),
        ("soon", "2027-01-15T22:00:00Z", "soon → Fri 2027-01-15 17:00 America/New_York"),
        ("2027-13-45T99:00:00Z", "2027-01-15T22:00:00Z", "2027-13-45T99:00:00Z → Fri 2027-01-15 17:00 America/New_York"),
        ("2027-01-15T22:00:00Z", None, "Fri 2027-01-15 17:00 America/New_York → none"),
    ],
)  # fmt: skip
def test_a_time_is_local_with_its_weekday(live, desired, expected):
    assert text("end_time", live, desired) == f"end_time {expected}"


def test_both_zones_are_named_where_they_differ():
    assert (
        text("end_time", "2027-01-15T23:00:00Z", "2027-01-15T09:00:00Z", now=TOKYO)
        == "end_time Fri 2027-01-15 18:00 America/New_York → Fri 2027-01-15 18:00 Asia/Tokyo"
    )


@pytest.mark.parametrize(
    ("live", "desired", "night"),
    [
        ("9-20", "21-23", True),
        ("9-20", "0-23", True),
        (None, "7-20", True),
        ("09:00-20:00", "09:00-21:01", True),
        ("09:00-20:00", "22:00-02:00", True),
        ("7-20", "8-20", False),
        ("9-20", "8-21", False),
        ("9-12, 13-20", "9-20", False),
        ("9-20", None, False),
        ("9-20", "odd", False),
    ],
)
def test_a_window_that_opens_at_night_is_marked(live, desired, night):
    found = said(FieldChange("compliance_windows[Europe/Oslo]", live, desired), BODY, BODY)
    assert found.unusual is night
    assert ("newly calls before 8:00 or after 21:00" in found.text()) is night


@pytest.mark.parametrize("zone", ["Mars/Olympus", "None", ""])
def test_a_time_in_an_unknown_zone_is_shown_as_it_is(zone):
    assert local("2027-01-15T23:00:00Z", zone) == "2027-01-15T23:00:00Z"


def test_of_two_long_lists_the_items_that_differ_are_shown():
    old = ", ".join(f"{n}-{n + 1}" for n in range(22))
    new = old.replace("13-14", "13-15")
    assert differing(old, new, 40) == ("13-14, 21 unchanged", "13-15, 21 unchanged")
    assert text("w", old, new, limit=60) == "w 13-14, 21 unchanged → 13-15, 21 unchanged"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x" * 300 + "1", "x" * 300 + "2"),
        ("a, " * 80 + "b, c", "a, " * 80 + "c, b"),
        ("", "y" * 99),
    ],
)
def test_of_two_long_values_the_part_that_differs_is_shown(before, after):
    old, new = differing(before, after, 30)
    assert old != new
    assert max(len(old), len(new)) <= 30


@given(st.text(max_size=200), st.text(max_size=200), st.integers(24, 90))
def test_values_that_differ_differ_when_shortened(before, after, limit):
    old, new = differing(before, after, limit)
    assert (old != new) or before == after
    assert max(len(old), len(new)) <= max(limit, len("200 unchanged") + limit)


@given(st.text(), st.none() | st.text() | st.integers() | st.floats(allow_nan=False), st.text())
def test_no_value_is_too_odd_to_be_said(path, live, desired):
    for limit in (None, 24, 110):
        assert " → " in text(path, live, desired, limit=limit)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(2.0, "2"), (2.449, "2.4"), (9.96, "10"), (10.4, "10"), (1200.0, "1,200")],
)
def test_a_factor_has_two_digits_that_count(factor, expected):
    assert times(factor) == f"{SIGN}{expected}"
    assert marks_of(factor) == (f"raised {SIGN}{expected}",)
