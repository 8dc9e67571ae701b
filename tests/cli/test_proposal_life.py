"""The life of a proposal, by the commands that a team uses: proposed, merged, applied, and compared with what then happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler import sandbox
from tests.support.desk import Desk, commit, desk, git

__all__ = ["desk"]

KEY, NAME = "1003", "warranty-reminders"
TENANT = "schedules/sandbox"
MONDAY = datetime(2027, 3, 1, 12, tzinfo=UTC)
"""Before the clocks change. The campaign is open from 9 to 20 o'clock in Chicago, which is from 15:00 UTC on."""

CHEAP = ("--strategy", "budget")
"""A strategy that computes little. What is said of the last proposals is the same with each."""


@pytest.fixture
def platform(desk: Desk) -> Iterator[sandbox.CampaignState]:
    state = desk.folder / ".reconcile" / "sandbox.db"
    state.parent.mkdir()
    world = sandbox.open_samples(state)
    yield world
    world.close()


def pass_days(platform: sandbox.CampaignState, first: int, last: int, **counts: int) -> None:
    """Observe every open hour from one day after `MONDAY` to another, and let it be that day."""
    hour = {"agents": 140, "handle_time_s": 150, **counts}
    for day in range(first, last):
        for number in range(3, 14):
            platform.put_metrics(KEY, MONDAY + timedelta(days=day, hours=number), hour)
    platform.pin((MONDAY + timedelta(days=last)).isoformat())


def past_proposals(desk: Desk, *options: str) -> list[dict[str, Any]]:
    """Run `optimize`, and return what it says of the last proposals."""
    assert desk.run("optimize", TENANT, NAME, "--format", "json", *options) == 0, desk.err
    return json.loads(desk.out)["last_proposals"]


def merge_and_apply(desk: Desk) -> None:
    commit(desk.folder, "merge")
    assert desk.run("apply", "--yes", TENANT, NAME) == 0, desk.out + desk.err


def test_a_merged_proposal_is_compared_with_what_happened_and_another_value_is_not(
    desk: Desk, platform: sandbox.CampaignState
) -> None:
    pass_days(platform, 0, 4, attempts=8640, answers=2880, abandons=95)
    assert past_proposals(desk, "--write", "--report", "pr.md") == []
    report = desk.folder / "pr.md"
    assert "dial\\_rate 2.4 → 2." in report.read_text(encoding="utf-8")
    report.unlink()
    changed = git(desk.folder, "status", "--porcelain").split()
    assert changed == ["M", f"{TENANT}/{NAME}.yaml", "??", f"{TENANT}/predictions.md"]

    (waiting,) = past_proposals(desk, *CHEAP)
    assert (waiting["observed"], waiting["why"]) == (None, "not applied since it was proposed")
    rate = waiting["values"]["dial_rate"]
    merge_and_apply(desk)

    calls = round(rate * 3600)
    pass_days(platform, 4, 8, attempts=calls, answers=calls // 3, abandons=calls // 200)
    (past,) = past_proposals(desk)
    assert (past["key"], past["why"]) == (KEY, "")
    assert past["observed"]["contacts_per_hour"]["hours"] == 44
    assert past["observed"]["contacts_per_hour"]["verdict"] == "inside"
    assert past["observed"]["abandonment"]["verdict"] in {"inside", "chance"}

    desk.edit(f"dial_rate: {rate:g}", "dial_rate: 2.0", f"{NAME}.yaml")
    merge_and_apply(desk)
    (other,) = past_proposals(desk, *CHEAP)
    assert other["observed"] is None
    assert other["why"] == f"applied with other values: dial_rate {rate:g} became 2.0"


def test_a_step_is_not_taken_again_before_its_effect_was_observed(
    desk: Desk, platform: sandbox.CampaignState
) -> None:
    step = ("--target-answer-rate", "0.5")

    def declined() -> str:
        assert desk.run("optimize", TENANT, NAME, *step) == 0, desk.err
        return " ".join(desk.out.split())

    assert desk.run("apply", "--yes", TENANT, NAME) == 0
    pass_days(platform, 0, 4, attempts=8640, answers=2592, abandons=10)
    assert desk.run("optimize", TENANT, NAME, *step, "--write") == 0
    commit(desk.folder, "merge")
    assert "the platform does not hold the manifest's dial_rate yet" in declined()
    assert desk.run("apply", "--yes", TENANT, NAME) == 0
    assert (
        "0 attempts were observed since dial_rate was last changed (2027-03-05 12:00" in declined()
    )
    pass_days(platform, 4, 5, attempts=7344, answers=2203, abandons=10)
    assert "2.04 → 1.734" in declined()
