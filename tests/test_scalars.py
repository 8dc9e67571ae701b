"""What each reader of a scalar accepts, and what it refuses: one table for each type, for every dialect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import scalars

TWO = datetime(2027, 1, 11, 14, 0, tzinfo=UTC)
NOTHING = [None, "", " ", [], {}, [1], {"a": 1}]
"""No reader takes these: what an absent value means is the caller's to decide."""

ACCEPTED = [
    (scalars.boolean, [True, "true", "True", "TRUE", 1, "1"], True),
    (scalars.boolean, [False, "false", "False", "FALSE", 0, "0"], False),
    (scalars.whole, [12, 12.0, "12", "012", "12.0"], 12),
    (scalars.whole, [0, "0", 0.0], 0),
    (scalars.decimal, [1.5, "1.5", "1.50"], 1.5),
    (scalars.decimal, [2, 2.0, "2"], 2),
    (
        scalars.duration_s,
        [181.5, "181.5", "PT181.5S", "PT3M1.5S", "pt3m1.5s", "00:03:01.5", "0:03:01.500"],
        181.5,
    ),
    (scalars.duration_s, [90000, "P1DT1H", "PT25H", "25:00:00", "90000"], 90000),
    (scalars.duration_s, ["P1W", "P7D"], 604800),
    (
        scalars.instant,
        [
            "2027-01-11T14:00Z",
            "2027-01-11T14:00:00Z",
            "2027-01-11t14:00:00z",
            "2027-01-11 14:00:00Z",
            "2027-01-11T14:00:00.0Z",
            "2027-01-11T14:00:00.0000000Z",
            "2027-01-11T14:00:00.000000000000Z",
            "2027-01-11T09:00-05:00",
            "2027-01-11T09:00:00.000-0500",
            "2027-01-11T09:00:00-05",
        ],
        TWO,
    ),
    (scalars.clock, ["09:00", "9:00", "09:00:00", "09:00:00.000"], "09:00"),
    (scalars.clock, ["23:59", "23:59:00"], "23:59"),
    (scalars.identity, [4001, "4001"], "4001"),
    (scalars.identity, ["sch-7"], "sch-7"),
]

REFUSED = [
    (scalars.boolean, [2, -1, 1.0, "yes", "no", "on", "2", "01", " true", "wahr", "null"]),
    (scalars.whole, [True, 1.5, "1.5", -1, "-1", "1e3", "1,000", "0x1", 2**54, "\uff11", "\u0661"]),
    (scalars.decimal, [True, -0.5, "-0.5", "1e3", "1,5", "nan", "inf", 2.0**54, " 1", "1.", ".5"]),
    (scalars.duration_s, [True, -1, "P", "PT", "P1DT", "P1M", "P1Y", "PT-5S", "3:01", "1:60:00"]),
    (
        scalars.instant,
        [
            *("2027-01-11", "2027-01-11T14Z", "2027-01-11T24:00Z", "2027-13-11T14:00Z", "now"),
            *("2027-01-11T14:00:60Z", "2027-02-29T14:00Z", "2027-01-11T14:00:00.Z", 1804500000),
            *("0001-01-01T00:00:00+14:00", "2027-01-11T14:00:00+25:00", "2027-01-11T14:00:00 Z"),
            *("2027-01-11T14:00:00", "2027-01-11T14:00", True),
        ],
    ),
    (scalars.clock, ["24:00", "09:60", "09:00:30", "9", "0900", "09:00Z", 900, True, "9 AM"]),
    (scalars.identity, [True, 1.5, -1, "a\nb", "a\u200bb", "\ud800", 2**54]),
]


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [(read, value, expected) for read, values, expected in ACCEPTED for value in values],
)
def test_every_form_that_means_one_thing_is_read(read, value, expected):
    assert read(value) == expected
    assert not isinstance(read(value), bool) or read is scalars.boolean


@pytest.mark.parametrize(
    ("read", "value"),
    [(read, value) for read, values in REFUSED for value in [*values, *NOTHING]],
)
def test_whatever_else_is_refused(read, value):
    with pytest.raises(ValueError, match=r"not|neither|out of range|second|month|day"):
        read(value)


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_a_truth_value_is_never_guessed(value):
    known = {"true": True, "false": False, "1": True, "0": False}
    expected = known.get(str(value).lower()) if isinstance(value, str | int) else None
    if expected is None:
        with pytest.raises(ValueError, match="neither true nor false"):
            scalars.boolean(value)
    else:
        assert scalars.boolean(value) is expected


@given(
    st.datetimes(TWO.replace(tzinfo=None), timezones=st.none()),
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 12),
)
def test_an_instant_is_the_same_in_every_zone_and_with_any_number_of_digits(wall, minutes, digits):
    moment = wall.replace(
        year=2027, day=1, microsecond=0, tzinfo=timezone(timedelta(minutes=minutes))
    )
    date, offset = moment.isoformat()[:19], moment.isoformat()[19:]
    assert scalars.instant(f"{date}{'.' * bool(digits)}{'0' * digits}{offset}") == moment


@given(st.integers(0, 999_999), st.integers(0, 999))
def test_what_is_finer_than_a_microsecond_is_cut_off_or_refused(micros, nanos):
    text = f"2027-01-11T14:00:00.{micros:06}{nanos:03}Z"
    assert scalars.instant(text) == TWO + timedelta(microseconds=micros)
    if nanos:
        with pytest.raises(ValueError, match="between two microseconds"):
            scalars.instant(text, exact=True)


def test_an_instant_without_an_offset_is_utc_only_where_the_caller_says_so():
    assert scalars.instant("2027-01-11T14:00", naive_is_utc=True) == TWO


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_same_in_every_form(hours, minutes, seconds):
    total = hours * 3600 + minutes * 60 + seconds
    forms = [total, str(total), f"PT{hours}H{minutes}M{seconds}S", f"PT{total}S"]
    forms += [f"{hours}:{minutes:02}:{seconds:02}"] if hours < 10**5 else []
    assert {scalars.duration_s(form) for form in forms} == {total}
