"""What the platform takes, and how it names what it does not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import campaign_rules as rules
from reconciler.sandbox.errors import Invalid
from tests.support.bodies import make_body, make_window

LIMITS = {"max_dial_rate": 50, "max_concurrent_calls": 2000}
WINDOW = make_window()


def wrong(body):
    return [field for field, _ in rules.check_schedule(body, "1001", LIMITS)]


def test_a_schedule_may_stand_at_every_bound(body):
    for change in (
        {"dial_rate": 0.001},
        {"dial_rate": 50},
        {"max_concurrent_calls": 1},
        {"max_concurrent_calls": 2000},
        {"compliance_windows": []},
        {"compliance_windows": [WINDOW | {"start_hour": 0, "end_hour": 23}]},
        {"compliance_windows": [WINDOW | {"end_hour": 12}, WINDOW | {"start_hour": 12}]},
        {"compliance_windows": [WINDOW, WINDOW | {"timezone": "Europe/London"}]},
        {"start_time": "2027-03-08T14:00Z", "end_time": "2027-03-08T14:00:00.000001+00:00"},
        {"timezone": "UTC", "dnc_verification": False},
    ):
        assert wrong(body | change) == []


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"campaign_id": "1002"}, ["campaign_id"]),
        ({"campaign_id": 1001}, ["campaign_id"]),
        ({"timezone": "EST5"}, ["timezone"]),
        ({"timezone": "america/new_york"}, ["timezone"]),
        ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"timezone": ["UTC"]}, ["timezone"]),
        ({"start_time": "2027-03-08T09:00:00"}, ["start_time"]),
        ({"start_time": "2027-02-30T09:00:00Z"}, ["start_time"]),
        ({"start_time": "2027-W10-1T09:00:00Z"}, ["start_time"]),
        ({"start_time": "2027-03-08 09:00:00Z"}, ["start_time"]),
        ({"start_time": "0001-01-01T00:00:00+05:00"}, ["start_time"]),
        ({"start_time": 1_700_000_000}, ["start_time"]),
        ({"end_time": "2027-03-08T14:00:00Z"}, ["end_time"]),
        ({"end_time": "2027-03-08T09:30:00+01:00"}, ["end_time"]),
        ({"dial_rate": 0}, ["dial_rate"]),
        ({"dial_rate": 100.1}, ["dial_rate"]),
        ({"dial_rate": 50.1}, ["dial_rate"]),
        ({"dial_rate": True}, ["dial_rate"]),
        ({"dial_rate": "25"}, ["dial_rate"]),
        ({"dial_rate": None}, ["dial_rate"]),
        ({"dial_rate": float("inf")}, ["dial_rate"]),
        ({"dial_rate": float("nan")}, ["dial_rate"]),
        ({"max_concurrent_calls": 0}, ["max_concurrent_calls"]),
        ({"max_concurrent_calls": 5001}, ["max_concurrent_calls"]),
        ({"max_concurrent_calls": 2001}, ["max_concurrent_calls"]),
        ({"max_concurrent_calls": 10.0}, ["max_concurrent_calls"]),
        ({"max_concurrent_calls": True}, ["max_concurrent_calls"]),
        ({"dnc_verification": 1}, ["dnc_verification"]),
        ({"dnc_verification": None}, ["dnc_verification"]),
        ({"compliance_windows": {}}, ["compliance_windows"]),
        ({"compliance_windows": [WINDOW, 5]}, ["compliance_windows[1]"]),
        (
            {"compliance_windows": [WINDOW | {"start_hour": "9"}]},
            ["compliance_windows[0].start_hour"],
        ),
        ({"compliance_windows": [WINDOW | {"end_hour": 24}]}, ["compliance_windows[0].end_hour"]),
        (
            {"compliance_windows": [WINDOW | {"start_hour": True}]},
            ["compliance_windows[0].start_hour"],
        ),
        ({"compliance_windows": [WINDOW | {"end_hour": 9}]}, ["compliance_windows[0].end_hour"]),
        ({"compliance_windows": [WINDOW | {"days": 5}]}, ["compliance_windows[0].days"]),
        (
            {"compliance_windows": [{"timezone": "UTC"}]},
            ["compliance_windows[0].start_hour", "compliance_windows[0].end_hour"],
        ),
        (
            {"compliance_windows": [WINDOW, WINDOW | {"start_hour": 19, "end_hour": 21}]},
            ["compliance_windows[1].start_hour"],
        ),
        ({"priority": 1}, ["priority"]),
        ({"id": "sch-1"}, ["id"]),
    ],
)
def test_what_is_wrong_is_named(body, change, fields):
    assert wrong(body | change) == fields


def test_every_field_is_required_and_all_that_is_wrong_is_said_at_once(body):
    assert wrong({}) == [field for field in rules.FIELDS if field in body]
    assert set(body) <= set(rules.FIELDS)
    assert wrong(body | {"dial_rate": 0, "timezone": "x", "extra": 1}) == [
        "extra",
        "timezone",
        "dial_rate",
    ]
    assert wrong([]) == ["body"]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b'{"a": NaN}', "body"),
        (b'{"a": -Infinity}', "body"),
        (b'{"a": 1, "a": 1}', "a"),
        (b'{"x": {"b": 1, "b": 2}}', "b"),
        (b'"\xff"', "body"),
        (b'{"a": "\\ud800"}', "body"),
        (b"[" * 100_000, "body"),
        (b"1" * 5000, "body"),
        (b" " * (rules.MAX_BODY + 1), "body"),
    ],
)
def test_what_is_no_strict_json_is_refused(raw, field):
    with pytest.raises(Invalid) as caught:
        rules.load(raw)
    (error,) = caught.value.payload["errors"]
    assert error["field"] == field


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda c: st.lists(c, max_size=4) | st.dictionaries(st.text(), c, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_read_as_it_is_and_judged_without_a_crash(value):
    assert rules.load(json.dumps(value).encode()) == value
    assert rules.check_schedule(value, "1001", LIMITS)
    rules.check_events(value)


ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=100)
@given(st.data())
def test_one_wrong_field_is_always_among_the_named(data):
    good = make_body()
    field = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(ANY)
    named = wrong(good | {field: value})
    assert all(name.partition("[")[0] in {field, "end_time"} for name in named)
