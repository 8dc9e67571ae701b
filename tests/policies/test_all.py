"""What every policy owes its reader, and how levels and waivers change what it says."""

from __future__ import annotations

import importlib
import pkgutil
import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import policies
from reconciler.models import Waiver
from reconciler.policies import POLICIES, check_all
from reconciler.policies.base import Level
from tests.policies.examples import examples, facts_of, findings
from tests.support.bodies import make_body
from tests.support.factories import (
    NOW,
    make_desired,
    make_facts,
    make_live,
    make_retired,
    make_snapshot,
)


def make_waiver(**changes: object) -> Waiver:
    waiver = {"rule": "calling-windows", "reason": "pilot until spring", "until": date(2027, 1, 12)}
    return Waiver.model_validate(waiver | changes)


@pytest.fixture(params=sorted(POLICIES))
def policy(request):
    return POLICIES[request.param]


# --- the manual pages ---------------------------------------------------------------------------------------------------


def test_every_policy_shows_what_passes_and_what_fails(policy):
    shown = {verdict for verdict, _ in examples(policy)}
    assert shown == {"PASS", "FAIL"}
    assert len(examples(policy)) == len(re.findall(r"^(?:PASS|FAIL)", policy.__doc__, re.MULTILINE))


def test_what_is_shown_as_passing_passes_and_as_failing_fails(policy):
    for verdict, example in examples(policy):
        found = findings(policy, example)
        assert bool(found) == (verdict == "FAIL"), (verdict, example, found)
        assert all((each.rule, each.level) == (policy.ID, policy.LEVEL) for each in found)


def test_what_passes_one_policy_passes_all_but_those_it_says_nothing_about(policy):
    for verdict, example in examples(policy):
        if verdict == "PASS":
            others = {finding.rule for finding in check_all(facts_of(example), {})}
            assert others <= {"dnc-flag"}, example


def test_every_policy_names_its_source(policy):
    assert re.search(r"^Source: \w", policy.__doc__, re.MULTILINE)


def test_every_policy_says_what_to_do(policy):
    for verdict, example in examples(policy):
        if verdict == "FAIL":
            for finding in findings(policy, example):
                assert re.search(r": |; ", finding.message), finding.message
                assert "\n" not in finding.message
                assert finding.key


def test_every_module_is_a_policy_with_its_line_in_the_table():
    modules = {name for _, name, _ in pkgutil.iter_modules(policies.__path__)} - {"base"}
    named = {policy.__name__.rpartition(".")[2] for policy in POLICIES.values()}
    assert modules == named
    for module in modules:
        policy = importlib.import_module(f"reconciler.policies.{module}")
        assert policy.ID.replace("-", "_") == module


def test_a_policy_says_nothing_of_nothing(policy):
    assert list(policy.check(make_facts())) == []
    assert list(policy.check(make_facts(live=make_snapshot()))) == []


def test_a_tombstone_is_judged_only_for_being_the_right_campaign(policy):
    live = make_snapshot([make_live()], scrubs={}, ceilings={"dial_rate": 0.0})
    assert list(policy.check(make_facts([make_retired()], live=live))) == []


def test_offline_only_what_needs_no_platform_is_said():
    bad = make_desired(
        body=make_body(
            compliance_windows=[],
            dnc_verification=False,
            dial_rate=99.0,
            end_time="2027-01-11T15:00:00Z",
        )
    )
    facts = make_facts([bad], applied={"1002": "gone"})
    assert {finding.rule for finding in check_all(facts, {})} == {
        "calling-windows",
        "dnc-flag",
        "ended",
    }


# --- levels -------------------------------------------------------------------------------------------------------------

NAKED = make_desired(body=make_body(compliance_windows=[]))
NEVER_OPEN = make_desired(
    body=make_body(start_time="2027-01-13T02:00:00Z", end_time="2027-01-13T03:00:00Z")
)


def levels_of(desired, levels, waivers=(), **parts):
    return [finding.level for finding in check_all(make_facts([desired], **parts), levels, waivers)]


@pytest.mark.parametrize("level", list(Level))
def test_a_tenant_may_set_the_level_of_a_rule(level):
    assert levels_of(NAKED, {"calling-windows": level.value}) == [level]
    assert levels_of(NAKED, {"dnc-flag": level.value}) == [Level.ERROR]


def test_a_rule_that_is_off_says_nothing_not_even_that_it_is_waived():
    assert levels_of(NAKED, {"calling-windows": "off"}) == []
    assert levels_of(NAKED, {"calling-windows": "off"}, [make_waiver()]) == []


@pytest.mark.parametrize(
    ("level", "expected"),
    [("error", Level.WARNING), ("warning", Level.WARNING), ("info", Level.INFO)],
)
def test_a_level_is_the_most_that_the_milder_findings_of_a_rule_may_be(level, expected):
    assert levels_of(NEVER_OPEN, {}) == [Level.WARNING]
    assert levels_of(NEVER_OPEN, {"calling-windows": level}) == [expected]


@pytest.mark.parametrize("level", ["off", "info"])
def test_what_may_be_the_wrong_object_can_be_neither_lowered_nor_waived(level):
    facts = make_facts([make_desired("404")], live=make_snapshot())
    (finding,) = check_all(facts, {"identity": level}, [make_waiver(rule="identity")])
    assert finding.level is Level.ERROR
    assert finding.stops


# --- waivers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, Level.ERROR), (0, Level.INFO), (1, Level.INFO)],
    ids=["yesterday", "today", "tomorrow"],
)
def test_a_waiver_holds_to_the_end_of_its_last_day(days, expected):
    waiver = make_waiver(until=NOW.date() + timedelta(days=days))
    assert levels_of(NAKED, {}, [waiver]) == [expected]


def test_the_last_day_of_a_waiver_ends_at_midnight_utc():
    late = datetime(2027, 1, 12, 23, 59, tzinfo=UTC)
    waiver = make_waiver(until=date(2027, 1, 12))
    assert levels_of(NAKED, {}, [waiver], now=late) == [Level.INFO]
    assert levels_of(NAKED, {}, [waiver], now=late + timedelta(minutes=1)) == [Level.ERROR]
    tokyo = late.astimezone(timezone(timedelta(hours=9)))
    assert levels_of(NAKED, {}, [waiver], now=tokyo) == [Level.INFO]


@pytest.mark.parametrize(
    ("waiver", "expected"),
    [
        (make_waiver(name="campaign-1001"), Level.INFO),
        (make_waiver(name="campaign-1002"), Level.ERROR),
        (make_waiver(rule="dnc-flag"), Level.ERROR),
    ],
    ids=["its-own", "anothers", "another-rule"],
)
def test_a_waiver_is_for_its_rule_and_its_manifest(waiver, expected):
    assert levels_of(NAKED, {}, [waiver]) == [expected]


def test_a_waived_finding_still_says_what_is_wrong_and_why_it_is_let_pass():
    (plain,) = check_all(make_facts([NAKED]), {})
    (waived,) = check_all(make_facts([NAKED]), {}, [make_waiver()])
    assert waived == plain._replace(
        level=Level.INFO,
        message=f"{plain.message} (waived until 2027-01-12: pilot until spring)",
    )


# --- order --------------------------------------------------------------------------------------------------------------


@given(st.permutations(["1", "2", "3"]))
def test_findings_are_sorted_whatever_the_order_of_the_manifests(keys):
    def facts(order):
        return make_facts(
            [
                make_desired(key, body=make_body(compliance_windows=[], dnc_verification=False))
                for key in order
            ]
        )

    found = check_all(facts(keys), {})
    assert found == check_all(facts(["1", "2", "3"]), {})
    assert [(each.level, each.name) for each in found] == [
        (level, f"campaign-{key}")
        for level in (Level.ERROR, Level.WARNING)
        for key in ("1", "2", "3")
    ]
