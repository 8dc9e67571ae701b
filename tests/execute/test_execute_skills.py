"""The engine over the personal-connection dialect: plan, carry out, read back; nothing in it knows which dialect it is."""

from __future__ import annotations

import asyncio

import pytest

from reconciler import policies
from reconciler.dialects.personal_connection import api as pc
from reconciler.execute import Execution, WriteOptions, carry_out
from reconciler.plan import Action, Base, Origin, Result, build
from reconciler.policies.base import Facts, Level
from reconciler.world import here
from tests.support.engine import Notebook
from tests.support.factories import make_skill_desired
from tests.support.skills import body_of, held, narrow_by_hand, platform, start


@pytest.fixture
def box():
    with platform() as opened:
        yield opened


def desired(box, key="4001", **changes):
    """Return what the platform holds, but for some fields, as a manifest wants it."""
    return make_skill_desired(key, **{**body_of(box.ask(pc.read_one(key))), **changes})


def planned(box, *wanted, waivers=()):
    snapshot = box.ask(pc.read())
    facts = Facts(wanted, pc.KINDS, snapshot.at, snapshot)
    findings = policies.check_all(facts, {}, waivers)
    return build(Origin("pc", "sandbox:"), wanted, snapshot, pc.KINDS, findings=findings), snapshot


def carried_out(box, plan, snapshot):
    async def run():
        async with box.client() as client:
            world = here(lambda _: None)._replace(sleep=box.ticker.sleep, monotonic=box.ticker)
            execution = Execution(
                world=world,
                platform=client,
                dialect=pc,
                journal=Notebook(),
                live=snapshot.objects,
                options=WriteOptions(settle_s=1.0),
            )
            return await carry_out(execution, plan.executable)

    return asyncio.run(run())


def test_plan_after_apply_is_empty(box):
    wanted = [
        desired(box, "4001", maximum_ratio=2.0),
        desired(box, "4002", percentage_of_agents_before_overdial=90.0, dnc_groups=["70"]),
        desired(box, "4004"),
    ]
    plan, snapshot = planned(box, *wanted)
    assert [(o.key, o.action) for o in plan.operations] == [
        ("4001", Action.UPDATE),
        ("4002", Action.UPDATE),
    ]
    outcomes = carried_out(box, plan, snapshot)
    assert {outcome.result for outcome in outcomes} == {Result.UPDATED}
    again, _ = planned(box, *wanted)
    assert (again.operations, again.noun) == ((), "skill")
    assert again.unchanged == ("4001", "4002", "4004")


def test_a_platform_that_loses_answers_ends_as_wanted_and_every_block_is_whole(box):
    wanted = desired(box, maximum_ratio=2.0, dnc_groups=["70", "71"])
    box.world.faults.add("reset-after:PUT *:times=2")
    box.world.faults.add("500-after:POST *scrubbed*:times=1")
    plan, snapshot = planned(box, wanted)
    (outcome,) = carried_out(box, plan, snapshot)
    assert outcome.done
    assert held(box.world, "4001") == wanted.body


def test_a_write_that_ends_between_its_blocks_is_a_failure_that_wrote(box):
    wanted = desired(box, maximum_ratio=2.0, percentage_of_agents_before_overdial=90.0)
    box.world.faults.add("400:PUT *general-settings:skip=1")
    plan, snapshot = planned(box, wanted)
    (outcome,) = carried_out(box, plan, snapshot)
    assert (outcome.result, outcome.wrote) == (Result.FAILED, True)
    assert held(box.world, "4001")["maximum_ratio"] == 1.2
    assert held(box.world, "4001")["percentage_of_agents_before_overdial"] == 90.0


def test_a_refusal_before_anything_is_written_is_one(box):
    box.world.faults.add("400:PUT *")
    plan, snapshot = planned(box, desired(box, maximum_ratio=2.0))
    (outcome,) = carried_out(box, plan, snapshot)
    assert (outcome.result, outcome.wrote) == (Result.REFUSED, False)


def test_what_moved_since_it_was_planned_is_stale(box):
    plan, snapshot = planned(box, desired(box, maximum_ratio=2.0))
    box.world.put_skill(4001, "Renewals", general={"maximumRatio": 1.9})
    (outcome,) = carried_out(box, plan, snapshot)
    assert outcome.result is Result.STALE


@pytest.mark.parametrize(
    ("fault", "result"),
    [("429:PUT *:after=40", Result.STALE), ("reset-after:PUT *", Result.UNKNOWN)],
)
def test_a_write_that_may_have_been_executed_before_a_hand_came_has_an_unknown_outcome(
    box, fault, result
):
    plan, snapshot = planned(box, desired(box, maximum_ratio=2.0))
    box.world.faults.add(fault)
    box.after = lambda request: (
        narrow_by_hand(box.world, "4001", "general") if request.startswith("PUT") else None
    )
    (outcome,) = carried_out(box, plan, snapshot)
    assert (outcome.result, outcome.wrote) == (result, result is Result.UNKNOWN)
    assert "hanged since" in outcome.message or "changed the settings since" in outcome.message
    assert held(box.world, "4001")["maximum_ratio"] == 1.0


def test_a_write_whose_answer_is_lost_and_that_cannot_be_read_again_has_an_unknown_outcome(box):
    plan, snapshot = planned(box, desired(box, maximum_ratio=1.9))
    box.world.faults.add("reset-after:PUT *")
    box.after = lambda request: (
        box.world.faults.add("404:GET *general-settings") if request.startswith("PUT") else None
    )
    (outcome,) = carried_out(box, plan, snapshot)
    assert (outcome.result, outcome.wrote) == (Result.UNKNOWN, True)
    assert held(box.world, "4001")["maximum_ratio"] == 1.9


def test_a_skill_that_was_started_since_it_was_planned_is_said_to_be(box):
    plan, snapshot = planned(box, desired(box, maximum_ratio=2.0))
    start(box.world, "4001")
    (outcome,) = carried_out(box, plan, snapshot)
    assert (outcome.result, outcome.wrote) == (Result.STALE, False)
    assert outcome.message == "the skill was started since it was planned: plan again"


def test_a_skill_that_starts_between_two_steps_is_slowed_down_and_not_sped_up(box):
    """The rules judged both steps for a skill that does not run."""
    base = body_of(box.ask(pc.read_one("4001")))
    wanted = make_skill_desired(**base | {"maximum_ringing_duration_s": 40})
    box.write("4001", base | {"maximum_ratio": 2.0})
    snapshot = box.ask(pc.read())
    origin, past = Origin("pc", "sandbox:"), {"4001": Base(base)}
    plan = build(origin, [wanted], snapshot, pc.KINDS, base=past)
    assert len(plan.executable) == 2
    box.after = lambda request: start(box.world, "4001") if request.startswith("PUT") else None
    first, second = carried_out(box, plan, snapshot)
    assert (first.result, second.result) == (Result.UPDATED, Result.STALE)
    assert "was started since it was planned" in second.message
    assert held(box.world, "4001") == base


def rules(plan):
    return [(finding.rule, finding.level) for finding in plan.findings]


def test_a_running_skill_may_slow_down_and_not_speed_up(box):
    slower, _ = planned(box, desired(box, "4003", maximum_ratio=1.2))
    assert rules(slower) == [("running", Level.WARNING)]
    assert slower.executable
    faster, _ = planned(box, desired(box, "4003", maximum_ratio=1.9))
    assert rules(faster) == [("running", Level.ERROR)]
    assert not faster.executable


def test_hours_of_a_running_skill_need_no_leave(box):
    hours = [{"timezone": "America/Denver", "start": "09:00", "end": "21:00"}]
    plan, _ = planned(box, desired(box, "4003", calling_windows=hours))
    assert plan.executable
    assert rules(plan) == []


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"timezone": "America/Chicago"}, "fixed-fields", "timezone is America/New_York on the platform"),
        ({"dnc_groups": ["70", "99"]}, "tenant-limits", "dnc_groups names 99"),
        ({"dnc_groups": ["72"]}, "dnc-list", r"no ACTIVE DNC list is linked to this skill"),
        (
            {"calling_windows": [{"timezone": "Europe/London", "start": "09:00", "end": "20:00"}]},
            "tenant-limits",
            "calling_windows names Europe/London",
        ),
        (
            {"run_window": [{"day": "monday", "start": "00:00", "end": "00:01"}]},
            "calling-windows",
            "run_window never meets a calling window",
        ),
    ],
)  # fmt: skip
def test_what_the_tenant_does_not_have_is_said_before_anything_is_sent(box, changes, rule, words):
    plan, _ = planned(box, desired(box, **changes))
    assert any(f.rule == rule and words in f.message for f in plan.findings), plan.findings


def test_dialing_ahead_where_it_is_not_allowed_is_a_limit(box):
    box.world.put_unit(allowPredictiveDialing=False)
    plan, _ = planned(box, desired(box, maximum_ratio=1.4))
    assert any(
        "maximum_ratio 1.4 is above the tenant's limit of 1" in f.message for f in plan.findings
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [("4008", "is inbound only"), ("4009", "is no Personal Connection skill but Manual"), ("9", "the platform has no skill 9")],
)  # fmt: skip
def test_a_skill_that_cannot_be_managed_is_named_with_the_reason(box, key, words):
    plan, _ = planned(box, make_skill_desired(key))
    (finding,) = [each for each in plan.findings if each.rule == "identity"]
    assert words in finding.message
    assert finding.stops
    assert not plan.executable


def test_a_group_that_the_manifest_adds_counts_as_linked(box):
    box.world.put_group(70, skills=[])
    plan, _ = planned(box, make_skill_desired("4001"))
    assert [finding.rule for finding in plan.findings if finding.rule == "dnc-list"] == []
