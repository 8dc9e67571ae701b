"""A manifest written by hand for a schedule that exists: from the first apply on it is known that the schedule existed, even if nothing was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler import sandbox
from reconciler import world as worlds
from reconciler.commands import recovery
from reconciler.world import World
from tests.commands.test_halt import UNCHANGED, by_hand, ledger
from tests.commands.test_hand_edits import remove_by_hand
from tests.commands.test_life_skills import apply as apply_skills
from tests.commands.test_life_skills import desk as skill_desk
from tests.commands.test_life_skills import plan as plan_skills
from tests.commands.test_renamed import KEY, NAME, PATH
from tests.support.desk import Desk, commit, desk, server
from tests.support.skills import held, set_pace

__all__ = ["desk", "server", "skill_desk"]

FILE = f"{NAME}.yaml"
"""Asks for a rate of 2.4, and 300 calls. The platform has a rate of 3, and 300 calls, and no apply has run."""

OTHER = ("dial_rate: 0.8", "dial_rate: 1.2", "loyalty-survey.yaml")


class Killed(BaseException):
    """The run ends here: not an error that anything may handle."""


def stored(server: sandbox.CampaignState) -> dict[str, Any] | None:
    schedule = server.campaign(KEY)["schedule"]
    return None if schedule is None else dict(json.loads(str(schedule)))


def shown(desk: Desk) -> str:
    return " ".join(desk.out.split())


def apply(desk: Desk, *more: str) -> int:
    return desk.run("apply", "--yes", PATH, *more)


def notes(desk: Desk, key: str = KEY) -> list[dict[str, Any]]:
    """Return the records that say what an apply found stored."""
    records = (each.data for each in ledger(desk.folder).records())
    return [dict(each) for each in records if each.get("imported") and each["target"] == key]


def during(patch: pytest.MonkeyPatch, point: str, event: Callable[[], None]) -> None:
    """Let something happen when the next command passes a point."""
    real = worlds.here

    def checkpoint(name: str) -> None:
        if name == point:
            event()

    def here(*arguments: Any, **more: Any) -> World:
        return real(*arguments, **more)._replace(checkpoint=checkpoint)

    patch.setattr(worlds, "here", here)


def die() -> None:
    raise Killed


def first_apply_is_stale(
    desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch, **by: Any
) -> None:
    """Apply, while a hand stores something else between the intent and the write."""
    with patch.context() as inner:
        during(inner, "intents:recorded", lambda: by_hand(server, KEY, **by))
        assert apply(desk, NAME) == 4, desk.out
    assert "stale" in desk.out


def stale(desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch) -> None:
    first_apply_is_stale(desk, server, patch, dial_rate=2.9)


def killed(desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch) -> None:
    """End the apply after its intents. An apply of another manifest finds that nothing was written."""
    patch.setattr(recovery, "SETTLE_S", 0.0)
    with patch.context() as inner:
        during(inner, "intents:recorded", die)
        with pytest.raises(Killed):
            apply(desk, NAME)
    assert apply(desk, "loyalty-survey") == 0
    assert ledger(desk.folder).open_intents() == ()


def blocked(desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch) -> None:
    """A rule refuses hours at night."""
    window = "compliance_windows:\n    - {timezone: America/Chicago, start_hour: 9, end_hour: 20}"
    desk.edit("dial_rate: 2.4", "dial_rate: 3.5", FILE)
    desk.edit(window, "compliance_windows: []", FILE)
    commit(desk.folder, "at any time")
    assert apply(desk, NAME) == 5, desk.out
    desk.edit("compliance_windows: []", window, FILE)
    commit(desk.folder, "by day")


def beyond_a_limit(desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch) -> None:
    """Two objects would dial more: one at a time is allowed."""
    desk.edit("dial_rate: 2.4", "dial_rate: 3.5", FILE)
    desk.edit(*OTHER)
    commit(desk.folder, "dial faster")
    assert "2 of 3 objects would be loosened" in desk.says(5, "apply", "--yes", PATH)


def not_as_approved(desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch) -> None:
    out = str(desk.folder.parent / "plan.json")
    assert desk.run("plan", PATH, NAME, "--out", out) == 0
    by_hand(server, KEY, dial_rate=2.9)
    assert apply(desk, NAME, "--approved", out) == 4


def left_out(desk: Desk, server: sandbox.CampaignState, patch: pytest.MonkeyPatch) -> None:
    desk.edit("dial_rate: 2.4", "dial_rate: 3.5", FILE)
    commit(desk.folder, "dial faster")
    assert apply(desk, NAME, "--tighten-only") == 0


def assert_missed(desk: Desk, server: sandbox.CampaignState) -> None:
    """Remove the schedule by hand: no apply creates it again before a release."""
    remove_by_hand(server)
    for _ in range(2):
        assert apply(desk, NAME) == 0
        assert "will not be created again" in shown(desk)
        assert stored(server) is None
    assert desk.run("release", PATH, NAME, "--reason", "it was a mistake") == 0
    assert apply(desk, NAME) == 0
    assert stored(server) is not None
    assert desk.run("audit", "verify", PATH) == 0


FIRST = [stale, killed, blocked, beyond_a_limit, not_as_approved, left_out]


@pytest.mark.parametrize("first", FIRST)
def test_a_schedule_that_is_removed_after_a_first_apply_that_wrote_nothing_is_not_created_again(
    desk: Desk,
    server: sandbox.CampaignState,
    monkeypatch: pytest.MonkeyPatch,
    first: Callable[[Desk, sandbox.CampaignState, pytest.MonkeyPatch], None],
) -> None:
    """A halt that is killed before its first record removes it, too, and leaves no other trace."""
    server.configure(requests_per_second=0)
    monkeypatch.setattr("reconciler.ledger.snapshot.SEGMENT_LEAST", 3)
    first(desk, server, monkeypatch)
    assert server.executed(KEY) == 0
    assert_missed(desk, server)


def test_a_value_that_is_narrowed_by_hand_after_a_stale_apply_is_kept(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What git changes is applied all the same."""
    first_apply_is_stale(desk, server, monkeypatch, max_concurrent_calls=200)
    for _ in range(2):
        assert apply(desk, NAME) == 0
        assert "`max_concurrent_calls` (300 → 200) was narrowed outside git" in shown(desk)
        found = stored(server) or {}
        assert (found["dial_rate"], found["max_concurrent_calls"]) == (2.4, 200)


def test_a_value_that_a_hand_made_as_the_manifest_asks_is_kept_narrow_from_then_on(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two applies are stale. The first one found 500 calls, the second one the 300 of the manifest."""
    by_hand(server, KEY, max_concurrent_calls=500)
    first_apply_is_stale(desk, server, monkeypatch, max_concurrent_calls=300)
    first_apply_is_stale(desk, server, monkeypatch, max_concurrent_calls=200)
    assert apply(desk, NAME) == 0
    assert "was narrowed outside git" in shown(desk)
    assert (stored(server) or {})["max_concurrent_calls"] == 200


def test_what_is_found_is_recorded_once_and_with_the_intents(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """Whatever a hand stores meanwhile: only a value that has become as the manifest asks tells a later apply more."""
    desk.edit("dial_rate: 2.4", "dial_rate: 3.5", FILE)
    commit(desk.folder, "dial faster")
    for calls in (300, 310, 320, 300):
        by_hand(server, KEY, max_concurrent_calls=calls)
        assert apply(desk, NAME, "--tighten-only") == 0
    (only,) = notes(desk)
    assert only["body"]["dial_rate"] == 3.0
    assert only["text"] == f"stored when an apply found its manifest: {NAME} ({KEY})"
    assert notes(desk, UNCHANGED) == []
    assert apply(desk) == 0
    assert len(notes(desk)) == 1
    assert notes(desk, UNCHANGED) == [], "it matches its manifest: another record says so"
    by_hand(server, KEY, dial_rate=4.0)
    assert apply(desk) == 0
    assert len(notes(desk)) == 1, "a write says what is stored"


def test_a_stale_apply_records_what_matches_its_manifest_too(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(desk.folder.parent / "plan.json")
    assert desk.run("plan", PATH, "--out", out) == 0
    for key in ("1003", "1005"):
        by_hand(server, key, dial_rate=0.1)
    desk.run("apply", "--yes", PATH, "--approved", out)
    assert len(notes(desk, UNCHANGED)) == 1


def test_a_value_that_nests_too_deep_for_a_record_does_not_keep_an_apply_from_its_work(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    windows: Any = "x"
    for _ in range(25):
        windows = [windows]
    by_hand(server, KEY, compliance_windows=windows)
    assert apply(desk, NAME) == 0
    assert notes(desk) == []
    assert desk.run("audit", "verify", PATH) == 0


def test_a_manifest_that_is_removed_before_anything_was_applied_is_not_missed(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale(desk, server, monkeypatch)
    (desk.tenant / FILE).unlink()
    commit(desk.folder, "not this one")
    desk.run("plan", PATH)
    assert "is gone" not in desk.out


def store_again(server: sandbox.CampaignState, body: dict[str, Any]) -> None:
    name = str(server.campaign(KEY)["name"])
    server.put_campaign(KEY, name, schedule={**body, "campaign_id": KEY})


@pytest.mark.parametrize("ended", ["stop", "tombstone"])
def test_a_schedule_that_is_stored_again_and_removed_after_a_stale_apply_is_not_created_again(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """The ledger says that nothing is stored, because a stop or git ended it."""
    assert apply(desk) == 0
    body = stored(server) or {}
    if ended == "stop":
        assert desk.run("halt", PATH, NAME, "--reason", "complaints") == 0
        assert desk.run("release", PATH, NAME, "--reason", "solved") == 0
    else:
        desk.edit("metadata:\n", "metadata:\n  retired: true\n", FILE)
        commit(desk.folder, "no longer")
        assert apply(desk) == 0
        desk.edit("metadata:\n  retired: true\n", "metadata:\n", FILE)
    store_again(server, body)
    desk.edit("dial_rate: 2.4", "dial_rate: 2.3", FILE)
    commit(desk.folder, "slower")
    stale(desk, server, monkeypatch)
    assert_missed(desk, server)


def test_a_schedule_that_is_stored_in_spite_of_a_stop_is_no_accepted_one(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """Else the drift report would no longer say that somebody stored it again."""
    assert apply(desk) == 0
    body = stored(server) or {}
    assert desk.run("halt", PATH, NAME, "--reason", "complaints") == 0
    store_again(server, body)
    assert apply(desk) == 0
    assert "it still dials" in shown(desk)
    assert desk.run("drift", PATH) == 2
    assert "recreated" in desk.out


def test_a_value_of_a_skill_that_is_narrowed_by_hand_after_a_stale_apply_is_kept(
    skill_desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = skill_desk.platform

    def checkpoint(name: str) -> None:
        if name == "intents:recorded":
            set_pace(world, "4001", aggressiveness="3")

    steady = skill_desk.world
    skill_desk.world = steady._replace(checkpoint=checkpoint)
    report = apply_skills(skill_desk)
    assert "stale" in str(report), report.verdict
    skill_desk.world = steady
    apply_skills(skill_desk)
    after = held(world, "4001")
    (kept,) = [
        each
        for each in plan_skills(skill_desk).operations
        if (each.key, each.action) == ("4001", "held")
    ]
    assert "`aggressiveness` (5 → 3) was narrowed outside git" in kept.blocked[0]
    assert (after["aggressiveness"], after["maximum_ratio"]) == ("3", 1.6)
