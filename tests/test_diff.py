"""Laws and examples of the comparison of canonical bodies."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler import diff
from reconciler.diff import FieldChange, explain, moved, same
from reconciler.kinds.campaign import KIND
from tests.support.bodies import make_body, make_window

ZONES = ("America/New_York", "Europe/London", "Australia/Lord_Howe")

ONE_TO_TWO, TWO_TO_THREE = (make_window("Europe/London", hour, hour + 1) for hour in (1, 2))

windows = st.lists(
    st.builds(
        lambda zone, start, length: make_window(zone, start, min(start + length, 23)),
        st.sampled_from(ZONES),
        st.integers(0, 22),
        st.integers(1, 23),
    ),
    max_size=5,
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 2.5])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
bodies = st.builds(
    lambda fields, extra, gone: {
        name: value for name, value in {**make_body(**fields), **extra}.items() if name not in gone
    },
    st.fixed_dictionaries(
        {},
        optional={
            "dial_rate": st.sampled_from([1, 1.0, True, 20, 25.0, "25", None]),
            "max_concurrent_calls": st.sampled_from([500, 500.0, 0, False]),
            "dnc_verification": st.sampled_from([True, False, 1, 0, None]),
            "compliance_windows": windows | json_values,
            "start_time": st.sampled_from(
                ["2027-01-11T09:00:00-05:00", "2027-01-11T14:00:00Z", "soon"]
            ),
        },
    ),
    st.dictionaries(st.sampled_from(["note", "tags", "x"]), json_values, max_size=2),
    st.sets(st.sampled_from(["timezone", "end_time", "compliance_windows"]), max_size=2),
).map(KIND.canonical)


def shuffled(body, order):
    """Return a mapping with its keys in another order."""
    return {name: body[name] for name in order.sample(list(body), len(body))}


@given(bodies)
def test_a_body_is_the_same_as_itself_and_has_nothing_to_explain(body):
    assert same(body, body, KIND.canonical)
    assert explain(body, body) == ()


@given(bodies, bodies)
def test_an_explanation_is_empty_when_and_only_when_the_bodies_are_equal(live, desired):
    assert (explain(live, desired) == ()) == (live == desired)
    assert (moved(live, desired) == []) == (live == desired)


@given(bodies, bodies)
def test_an_explanation_names_only_fields_that_differ_and_every_one_of_them(live, desired):
    named = {change.path.split("[")[0] for change in explain(live, desired)}
    assert named == set(moved(live, desired))


@given(bodies, bodies, st.randoms())
def test_the_order_of_fields_does_not_matter(live, desired, order):
    again = explain(shuffled(live, order), shuffled(desired, order))
    assert again == explain(live, desired)


@given(windows, windows, st.randoms())
def test_the_order_of_windows_and_of_their_fields_does_not_matter(one, other, order):
    again = [shuffled(window, order) for window in order.sample(one, len(one))]
    before, after, aim = (
        KIND.canonical({"compliance_windows": each}) for each in (one, again, other)
    )
    assert explain(before, aim) == explain(after, aim)


@given(bodies, bodies)
def test_swapping_the_sides_swaps_the_values(live, desired):
    there, back = explain(live, desired), explain(desired, live)
    assert [(c.path, c.live, c.desired) for c in there] == [
        (c.path, c.desired, c.live) for c in back
    ]


def test_nothing_is_the_same_as_nothing_and_as_nothing_else():
    assert same(None, None, KIND.canonical)
    assert not same(None, make_body(), KIND.canonical)
    assert not same(make_body(), None, KIND.canonical)


def test_a_body_that_was_received_in_another_form_is_the_same():
    received = make_body(
        start_time="2027-01-11T09:00:00-05:00",
        dial_rate=25,
        compliance_windows=[make_window("Europe/London"), make_window()],
        updated_by="somebody",
    )
    desired = make_body(compliance_windows=[make_window(), make_window("Europe/London")])
    assert received != desired
    assert same(received, desired, KIND.canonical)


def test_what_is_equal_as_received_is_never_made_canonical():
    def fail(_body):
        raise AssertionError("made canonical for nothing")

    assert same(make_body(), make_body(), fail)


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        ({}, {}, ()),
        (None, {"dial_rate": 20.0}, (FieldChange("dial_rate", None, 20.0),)),
        ({"dial_rate": 25.0}, {"dial_rate": 20.0}, (FieldChange("dial_rate", 25.0, 20.0),)),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, (FieldChange("a", 1, 2), FieldChange("b", 1, 2))),
        ({"note": None}, {}, (FieldChange("note", None, None),)),
        ({"tags": "a"}, {"tags": ["b"]}, (FieldChange("tags", "a", ["b"]),)),
        ({"tags": [1]}, {"tags": [make_window()]}, (FieldChange("tags", [1], [make_window()]),)),
        ({"n": 0}, {"n": None}, (FieldChange("n", 0, None),)),
    ],
    ids=[
        "equal",
        "no-body",
        "number",
        "sorted",
        "null-is-not-missing",
        "a-text-and-a-list",
        "mixed",
        "zero-is-not-null",
    ],
)
def test_fields_are_explained_by_name(live, desired, expected):
    assert explain(live, desired) == expected


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        (
            [
                make_window("America/New_York"),
                make_window("Europe/London"),
                make_window("Europe/Paris"),
            ],
            [make_window("Europe/London"), make_window("Europe/Paris")],
            (FieldChange("w[America/New_York]", "9-20", None),),
        ),
        (
            [make_window("Europe/London", 9, 10), make_window("Europe/London", 10, 12)],
            [make_window("Europe/London", 9, 17)],
            (FieldChange("w[Europe/London]", "9-10, 10-12", "9-17"),),
        ),
        (
            [{"end_hour": 20, "start_hour": 9, "timezone": "Europe/London"}],
            [make_window("Europe/London", 9, 17)],
            (FieldChange("w[Europe/London]", "9-20", "9-17"),),
        ),
        (
            [],
            [make_window("Europe/London")],
            (FieldChange("w[Europe/London]", None, "9-20"),),
        ),
        (
            [make_window("Europe/London", 9, 17)],
            [make_window("Europe/Paris", 9, 17)],
            (
                FieldChange("w[Europe/London]", "9-17", None),
                FieldChange("w[Europe/Paris]", None, "9-17"),
            ),
        ),
    ],
    ids=["one-of-three-removed", "split", "foreign-order-of-fields", "first", "none-in-common"],
)
def test_windows_are_keyed_by_zone_never_by_position(live, desired, expected):
    assert explain({"w": live}, {"w": desired}) == expected


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ([{"tz": "A", "start_hour": 9}], [{"tz": "A", "first_hour": 9}]),
        ([{"tz": "A", "n": 1}, {"tz": "A", "n": 1}], ({"tz": "A", "n": 1}, {"tz": "A", "n": 1})),
        ([{"n": 1}, {"n": [2]}], [{"n": 1}, {"n": "[2]"}]),
    ],
    ids=["renamed-key", "list-and-tuple", "text-of-a-list"],
)
def test_where_keyed_forms_hide_the_difference_something_is_still_said(live, desired):
    assert explain({"w": live}, {"w": desired})


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        (["70", "71"], ["72", "70"], {"f[71]": ("71", None), "f[72]": (None, "72")}),
        ([], ["70"], {"f[70]": (None, "70")}),
        (
            [1, {"a": ["x"]}],
            [1, {"a": ["y"]}],
            {"f[1][a][x]": ("x", None), "f[1][a][y]": (None, "y")},
        ),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}, {"f[a][b]": (1, 3)}),
        ({"a": 1}, {"a": 1, "b": [["x"]]}, {"f[b]": (None, [["x"]])}),
        ([[1, 2]], [[2, 1]], {"f[0][0]": (1, 2), "f[0][1]": (2, 1)}),
        (["a", "b"], ["b", "a"], {"f": (["a", "b"], ["b", "a"])}),
        ({"a": [{"timezone": "UTC", "h": 9}]}, {"a": []}, {"f[a][UTC]": ("9", None)}),
    ],
    ids=["set", "first", "nested", "mapping", "new-key", "ordered", "order-alone", "keyed-inside"],
)
def test_values_of_any_shape_are_explained_by_path(live, desired, expected):
    found = explain({"f": live}, {"f": desired})
    assert {change.path: (change.live, change.desired) for change in found} == expected


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.randoms())
def test_an_explanation_of_a_set_brings_the_live_one_to_the_desired_one(live, desired, order):
    lists = [order.sample(sorted(each), len(each)) for each in (live, desired)]
    if live == desired:
        return
    made = {*live}
    for change in explain({"f": lists[0]}, {"f": lists[1]}):
        made = (made - {change.live}) | ({change.desired} - {None})
    assert made == desired


@given(windows, windows)
@example([ONE_TO_TWO, TWO_TO_THREE], [TWO_TO_THREE, ONE_TO_TWO])
def test_an_explanation_of_windows_brings_the_live_ones_to_the_desired_ones(live, desired):
    made, aim = hours(live), hours(desired)
    found = explain({"w": live}, {"w": desired})
    if live != desired and made == aim:  # the order alone: no zone says it, so the whole lists do
        assert [(each.path, each.live, each.desired) for each in found] == [("w", live, desired)]
        return
    for change in found:
        zone = change.path.removeprefix("w")[1:-1]
        assert change.live == made.pop(zone, None)
        made |= {} if change.desired is None else {zone: change.desired}
    if live != desired:
        assert made == aim


def hours(items) -> dict[str, str]:
    """Return windows as an explanation says them."""
    found: dict[str, list[tuple[int, int]]] = {}
    for item in items:
        found.setdefault(item["timezone"], []).append((item["start_hour"], item["end_hour"]))
    return {
        zone: ", ".join(f"{start}-{end}" for start, end in sorted(spans))
        for zone, spans in found.items()
    }


def test_the_example_in_the_documentation_holds():
    assert doctest.testmod(diff).failed == 0


def test_a_missing_hour_of_a_range_is_shown_as_everywhere():
    live = {"windows": [{"timezone": "Europe/London", "start": None, "end": "21:00"}]}
    (change,) = explain(live, {"windows": []})
    assert (change.path, change.live) == ("windows[Europe/London]", "none-21:00")


def test_times_of_day_are_a_range_and_never_a_name():
    def window(zone, start, end):
        return {"timezone": zone, "start": start, "end": end}

    live = {
        "windows": [
            window("Europe/London", "09:00", "17:00"),
            window("Europe/Paris", "09:00", "12:00"),
        ]
    }
    desired = {
        "windows": [
            window("Europe/London", "09:00", "18:30"),
            window("Europe/Paris", "09:00", "12:00"),
        ]
    }
    assert explain(live, desired) == (
        FieldChange("windows[Europe/London]", "09:00-17:00", "09:00-18:30"),
    )
