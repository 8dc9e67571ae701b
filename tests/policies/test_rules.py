"""Each rule's edges, beyond the examples in its own docstring."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.errors import Place
from reconciler.policies import POLICIES
from reconciler.policies.base import Level
from tests.support.bodies import make_body, make_window
from tests.support.factories import (
    NOW,
    make_desired,
    make_facts,
    make_live,
    make_retired,
    make_scrub_list,
    make_silent,
    make_snapshot,
)


def said(rule, desired, **parts):
    return list(POLICIES[rule].check(make_facts(desired, **parts)))


# --- calling-windows ----------------------------------------------------------------------------------------------------


def test_a_span_that_meets_one_of_its_windows_is_enough():
    body = make_body(
        start_time="2027-01-13T02:00:00Z",
        end_time="2027-01-13T03:00:00Z",
        compliance_windows=[make_window(), make_window("Asia/Tokyo")],
    )
    assert said("calling-windows", [make_desired(body=body)]) == []


def test_a_span_between_the_windows_of_every_day_is_a_warning():
    body = make_body(start_time="2027-01-13T02:00:00Z", end_time="2027-01-13T14:00:00Z")
    (finding,) = said("calling-windows", [make_desired(body=body)])
    assert finding.level is Level.WARNING
    assert "never dial" in finding.message


def test_a_span_that_fills_only_an_hour_that_the_clocks_skip_never_dials():
    body = make_body(
        start_time="2027-03-14T06:30:00Z",
        end_time="2027-03-14T07:30:00Z",
        compliance_windows=[make_window(start=2, end=3)],
    )
    assert len(said("calling-windows", [make_desired(body=body)])) == 1


# --- dnc-list -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "levels"),
    [
        ((), [Level.ERROR]),
        (("ACTIVE",), []),
        (("INACTIVE",), [Level.ERROR]),
        (("active",), [Level.ERROR]),
        (("INACTIVE", "ACTIVE"), []),
        (("SYNCING",), [Level.ERROR]),
        (("SYNCING", "ACTIVE"), [Level.WARNING]),
        (("SYNCING", "ACTIVE", "SYNCING"), [Level.WARNING, Level.WARNING]),
        (("SYNCING", "INACTIVE", "SYNCING"), [Level.ERROR]),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, tuple) else "",
)
def test_an_active_list_is_required_and_a_syncing_one_beside_it_is_a_wait(statuses, levels):
    lists = tuple(make_scrub_list(f"dnc-{n}", status=status) for n, status in enumerate(statuses))
    live = make_snapshot([make_live()], scrubs={"1001": lists})
    found = said("dnc-list", [make_desired()], live=live)
    assert [finding.level for finding in found] == levels


def test_the_lists_that_do_not_count_are_named():
    live = make_snapshot([make_live()], scrubs={"1001": (make_scrub_list(status="INACTIVE"),)})
    (finding,) = said("dnc-list", [make_desired()], live=live)
    assert "only Federal DNC (INACTIVE)" in finding.message


def test_a_list_that_is_syncing_alone_checks_nothing_yet():
    live = make_snapshot([make_live()], scrubs={"1001": (make_scrub_list(status="SYNCING"),)})
    (finding,) = said("dnc-list", [make_desired()], live=live)
    assert "only Federal DNC (SYNCING)" in finding.message
    assert "wait until the sync is done" in finding.message


def test_a_list_is_required_whatever_the_flag_says():
    live = make_snapshot([make_live()], scrubs={})
    for flag in (True, False):
        assert (
            len(said("dnc-list", [make_desired(body=make_body(dnc_verification=flag))], live=live))
            == 1
        )


def test_a_campaign_that_the_platform_does_not_know_is_the_business_of_another_rule():
    assert said("dnc-list", [make_desired("404")], live=make_snapshot()) == []
    assert len(said("identity", [make_desired("404")], live=make_snapshot())) == 1


# --- ended --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "number"), [(-1, 0), (0, 1), (1, 1)])
def test_a_schedule_has_ended_from_the_instant_of_its_end(after, number):
    end = NOW - timedelta(seconds=after)
    body = make_body(end_time=end.strftime("%Y-%m-%dT%H:%M:%SZ"))
    found = said("ended", [make_desired(body=body)])
    assert len(found) == number
    assert all("2027-01-12" in finding.message for finding in found)


# --- identity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_desired, make_retired], ids=["wanted", "retired"])
def test_another_name_than_the_platforms_stops_the_object_whatever_would_be_done(make):
    live = make_snapshot([make_live(name="Debt Reminders")])
    (finding,) = said("identity", [make(platform_name="Spring Renewals")], live=live)
    assert finding.stops
    assert '"Debt Reminders", not "Spring Renewals"' in finding.message


def test_a_manifest_that_gives_no_name_is_believed():
    assert said("identity", [make_desired()], live=make_snapshot([make_live()])) == []


def test_a_tombstone_of_what_the_platform_does_not_know_is_done():
    assert said("identity", [make_retired("404")], live=make_snapshot()) == []


# --- tenant-limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"dial_rate": 50.0, "max_concurrent_calls": 2000}, 0),
        ({"dial_rate": 50.001}, 1),
        ({"max_concurrent_calls": 2001}, 1),
        ({"dial_rate": 51.0, "max_concurrent_calls": 2001}, 2),
    ],
)
def test_a_limit_itself_is_allowed_and_each_quantity_above_its_own_is_said(fields, number):
    live = make_snapshot([make_live()])
    assert len(said("tenant-limits", [make_desired(body=make_body(**fields))], live=live)) == number


def test_a_quantity_without_a_limit_is_free():
    live = make_snapshot([make_live()], ceilings={})
    assert said("tenant-limits", [make_desired(body=make_body(dial_rate=99.0))], live=live) == []


# --- vanished -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "number"),
    [
        (make_live(), 1),
        (make_silent(active_id="s-0"), 1),
        (make_live(active_id=None), 1),
        (make_silent(), 0),
        (make_live("1002"), 0),
    ],
    ids=["dials", "dials-what-is-not-stored", "stored", "silent", "unknown"],
)
def test_what_we_applied_is_missed_while_it_holds_or_dials_anything(live, number):
    found = said("vanished", [], live=make_snapshot([live]), applied={"1001": "spring-renewals"})
    assert len(found) == number
    assert all((each.key, each.name) == ("1001", "spring-renewals") for each in found)


def test_what_we_never_applied_is_not_missed():
    assert said("vanished", [], live=make_snapshot([make_live()])) == []


# --- places -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "field", "fields"),
    [
        ("calling-windows", "compliance_windows", {"compliance_windows": []}),
        ("dnc-flag", "dnc_verification", {"dnc_verification": False}),
        ("ended", "end_time", {"end_time": "2027-01-12T00:00:00Z"}),
        ("tenant-limits", "dial_rate", {"dial_rate": 99.0}),
        ("tenant-limits", "max_concurrent_calls", {"max_concurrent_calls": 5000}),
    ],
)
def test_a_finding_points_at_its_field_when_places_were_kept_and_at_the_manifest_otherwise(
    rule, field, fields
):
    body, there = make_body(**fields), Place("a.yaml", 9, 5)
    live = make_snapshot([make_live()])
    (exact,) = said(rule, [make_desired(body=body, places={field: there})], live=live)
    (whole,) = said(rule, [make_desired(body=body)], live=live)
    assert exact.place == there
    assert whole.place == Place("schedules/acme/1001.yaml", 1, 1)
