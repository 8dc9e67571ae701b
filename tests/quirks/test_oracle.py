"""The oracle that judges every life is itself held to examples, worked out by hand."""

from __future__ import annotations

import random

import pytest

from tests.quirks import desk as desks
from tests.quirks import oracle
from tests.quirks.harness import SHORT, TENANT, life, platform
from tests.quirks.platform import BOTH
from tests.quirks.scenarios import CampaignScenario, SkillScenario, window, zone
from tests.quirks.skills import general, week


@pytest.fixture
def campaign():
    return CampaignScenario(platform("campaigns", ()), random.Random(0)).body


@pytest.fixture
def skill():
    return SkillScenario(platform("personal-connection", ()), random.Random(0)).body


def names(scenario_body, facts, one, other):
    return oracle.wider(facts(scenario_body(**one)), [facts(scenario_body(**other))])


@pytest.mark.parametrize(
    ("field", "narrow", "wide", "name"),
    [
        ("dial_rate", 1.0, 1.01, "dial_rate"),
        ("max_concurrent_calls", 1, 2, "concurrency"),
        ("dnc_verification", True, False, "safe dnc"),
        ("compliance_windows", [window("America/Denver", 9, 20)], [], "hours"),
        (
            "compliance_windows",
            [window("America/Denver", 9, 20)],
            [window("America/Denver", 10, 21)],
            "hours",
        ),
        ("end_time", "2027-04-01T00:00:00Z", "2027-04-01T00:00:00-01:00", "end"),
        ("start_time", "2027-03-02T00:00:00-01:00", "2027-03-02T00:00:00Z", "start"),
    ],
)
def test_each_field_of_a_campaign_has_a_wider_side(campaign, field, narrow, wide, name):
    one, other = campaign("1001", **{field: narrow}), campaign("1001", **{field: wide})
    facts = oracle.of_campaign
    assert oracle.wider(facts(other), [facts(one)]) == [name]
    assert name not in oracle.wider(facts(one), [facts(other)]) or field == "compliance_windows"


@pytest.mark.parametrize(
    ("wide", "name"),
    [
        ({"scheduleSettings": week() | {"isScheduled": False}}, "week"),
        ({"scheduleSettings": week("08:00", "08:00")}, "week"),
        ({"timeZoneSettings": [zone("America/New_York", "09:00", "00:00")]}, "zones"),
        ({"timeZoneSettings": [zone("America/Denver", "09:00", "09:30")]}, "zones"),
        ({"generalSettings": general(maximumRatio=1.51)}, "ratio"),
        ({"generalSettings": general(aggressiveness="bold")}, "aggressiveness"),
        ({"generalSettings": general(percentageOfAgentsBeforeOverdial=19)}, "before overdial"),
        ({"generalSettings": general(abandonRateThreshold=3.1)}, "threshold"),
        ({"generalSettings": general(blockMultipleCalls=False)}, "safe multiple"),
        ({"groups": ["71", "72"]}, "safe groups"),
    ],
)
def test_each_field_of_a_skill_has_a_wider_side(skill, wide, name):
    assert names(skill, oracle.of_skill, wide, {}) == [name]


def test_a_body_is_wider_than_others_only_where_none_of_them_is_as_wide(campaign):
    facts = oracle.of_campaign
    fast, long = campaign("1", dial_rate=9.0), campaign("1", compliance_windows=[])
    both = campaign("1", dial_rate=9.0, compliance_windows=[])
    assert oracle.wider(facts(both), [facts(fast), facts(long)]) == []
    assert oracle.wider(facts(both), [facts(fast), None]) == ["hours"]
    assert oracle.wider(facts(fast), [None]) == ["everything"]


def test_windows_that_do_not_meet_leave_nothing_to_dial(campaign):
    facts = oracle.of_campaign
    hand = facts(campaign("1", compliance_windows=[window("America/Denver", 6, 9)]))
    assert oracle.meet(hand, facts(campaign("1"))) is None


@pytest.mark.parametrize("api", BOTH)
def test_a_life_in_which_nobody_obeys_does_not_pass(tmp_path, monkeypatch, api):
    """A product that only says that it is done is found out."""
    monkeypatch.chdir(tmp_path)
    made = desks.template(tmp_path, api, remote=False)
    lived = life(made, tmp_path, api, (), depth=SHORT)
    run = lived.desk.run
    monkeypatch.setattr(
        lived.desk,
        "run",
        lambda *words: run(*(("validate", TENANT) if words[0] == "apply" else words)),
    )
    checks = {each.partition(":")[0] for each in lived.live()}
    assert {"hands-widening-kept", "hands-too-narrow", "plan-hands"} <= checks
