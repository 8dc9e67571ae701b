"""The life of a hand edit: what was narrowed outside git stays narrow, what was widened is taken back, whatever else the apply does."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler import sandbox
from reconciler.audit import RecordKind
from reconciler.commands import apply as apply_command
from reconciler.commands import recovery
from reconciler.world import here
from tests.commands.test_halt import KEY, NAME, PATH, by_hand, ledger, silent
from tests.support.desk import Desk, commit, desk, git, samples_served

__all__ = ["desk"]

FILE = f"{NAME}.yaml"
WINDOWS = "compliance_windows"


@pytest.fixture
def server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.CampaignState]:
    """The samples' platform over loopback, after the first apply."""
    with samples_served(monkeypatch) as world:
        assert desk.run("apply", "--yes", PATH) == 0
        yield world


def stored(server: sandbox.CampaignState) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(server.campaign(KEY)["schedule"]))
    return found


def apply(desk: Desk, *more: str) -> int:
    return desk.run("apply", "--yes", PATH, *more)


def test_one_narrowing_shields_no_widening(desk: Desk, server: sandbox.CampaignState) -> None:
    """Whoever lowers a rate by a hair and removes every window and the do-not-call check keeps the rate alone."""
    before = stored(server)
    by_hand(server, KEY, dial_rate=2.39, compliance_windows=[], dnc_verification=False)
    assert apply(desk) == 0
    after = stored(server)
    assert (after["dial_rate"], after["dnc_verification"]) == (2.39, True)
    assert after[WINDOWS] == before[WINDOWS]
    assert f"`reconcile import schedules/sandbox {KEY}`" in desk.out
    writes = server.executed(KEY)
    assert apply(desk) == 0
    assert "1 held" in desk.out
    assert server.executed(KEY) == writes
    assert ledger(desk.folder).verify().defects == ()
    assert apply(desk, "--revert", NAME) == 0
    assert stored(server)["dial_rate"] == 2.4


def test_the_hours_that_a_hand_moved_become_those_that_both_allow(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    (window, *_) = stored(server)[WINDOWS]
    moved = {**window, "start_hour": window["start_hour"] + 1, "end_hour": 23}
    by_hand(server, KEY, compliance_windows=[moved])
    assert apply(desk, "--tighten-only") == 0
    assert stored(server)[WINDOWS] == [{**moved, "end_hour": window["end_hour"]}]


def test_hours_that_share_nothing_silence_the_campaign_until_somebody_decides(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    (window, *_) = stored(server)[WINDOWS]
    night = {**window, "start_hour": window["end_hour"], "end_hour": 23}
    by_hand(server, KEY, compliance_windows=[night])
    assert apply(desk) == 0
    assert silent(server, KEY)
    assert "do not overlap" in desk.out
    assert apply(desk) == 0
    assert "did not overlap, so the schedule was removed" in desk.out
    assert silent(server, KEY)
    assert apply(desk, "--revert", NAME) == 0
    assert window in stored(server)[WINDOWS]


def test_a_commit_to_the_hours_undoes_no_other_narrowing_of_a_schedule_that_was_removed(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    (window, *_) = stored(server)[WINDOWS]
    night = {**window, "start_hour": window["end_hour"], "end_hour": 23}
    by_hand(server, KEY, compliance_windows=[night], dial_rate=1.0)
    assert apply(desk) == 0
    assert silent(server, KEY)
    file = desk.folder / PATH / FILE
    file.write_text(file.read_text().replace("end_hour: 20", "end_hour: 19"))
    commit(desk.folder)
    assert apply(desk) == 0
    assert stored(server)["dial_rate"] == 1.0
    assert "`dial_rate` (2.4 → 1) was narrowed outside git" in desk.out
    assert ledger(desk.folder).verify().defects == ()
    assert apply(desk, "--revert", NAME) == 0
    assert stored(server)["dial_rate"] == 2.4


MARS = {"timezone": "Mars/Olympus", "start_hour": 9, "end_hour": 20}


def test_hours_in_a_zone_that_tzdata_does_not_know_are_set_back(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    before = stored(server)
    by_hand(server, KEY, compliance_windows=[MARS], dial_rate=1.0, dnc_verification=False)
    assert desk.run("plan", PATH) == 0
    assert "this machine's tzdata does not know (Mars/Olympus)" in desk.out
    assert apply(desk) == 0
    after, changed = stored(server), {"dial_rate": 1.0}
    for name in set(before) - {"id", "updated_at"}:
        assert after[name] == changed.get(name, before[name]), name
    assert desk.run("apply", "--yes", PATH) == 0
    assert stored(server)["dial_rate"] == 1.0


def test_the_first_apply_after_an_import_sets_hours_in_an_unknown_zone_back(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.put_list("dnc-1901", campaign_ids=["1901"])
    server.put_campaign("1901", name="Imported", schedule={**stored(server), "campaign_id": "1901"})
    assert desk.run("import", PATH, "1901") == 0
    commit(desk.folder)
    by_hand(server, "1901", compliance_windows=[MARS])
    assert apply(desk) == 0
    assert "this machine's tzdata does not know (Mars/Olympus)" in desk.out
    after = json.loads(str(server.campaign("1901")["schedule"]))
    assert after[WINDOWS] == stored(server)[WINDOWS]


def test_a_commit_to_another_field_undoes_no_narrowing(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=1.0, dnc_verification=False)
    desk.edit("max_concurrent_calls: 300", "max_concurrent_calls: 310", FILE)
    commit(desk.folder)
    assert apply(desk) == 0
    after = stored(server)
    assert (after["dial_rate"], after["max_concurrent_calls"]) == (1.0, 310)
    assert after["dnc_verification"] is True
    intents = [each for each in ledger(desk.folder).records() if each.kind is RecordKind.INTENT]
    directions = [each.data["direction"] for each in intents if each.data["target"] == KEY]
    assert directions[-2:] == ["tighten", "loosen"]
    desk.edit("dial_rate: 2.4", "dial_rate: 2.0", FILE)
    commit(desk.folder)
    assert apply(desk) == 0
    assert stored(server)["dial_rate"] == 2.0, "a commit to that very field decides"


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("write:before", 1),
        ("write:answered", 1),
        ("write:before", 2),
        *(
            pytest.param(*each, marks=pytest.mark.long)
            for each in (
                ("intents:recorded", 1),
                ("write:answered", 2),
                *((point, nth) for nth in (1, 2) for point in ("refresh:before", "outcome:told")),
            )
        ),
    ],
)
def test_a_run_that_dies_between_the_two_steps_is_finished_by_the_next(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    """What a hand widened is taken back in a first step, what git widens follows: a crash between them makes no hand edit of our own."""
    monkeypatch.setattr(recovery, "SETTLE_S", 0.0)
    by_hand(server, KEY, dial_rate=1.0, dnc_verification=False)
    desk.edit("max_concurrent_calls: 300", "max_concurrent_calls: 310", FILE)
    commit(desk.folder)
    passed = Counter[str]()

    def checkpoint(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == nth:
            raise Killed

    world = here(lambda _: None)._replace(checkpoint=checkpoint)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group with ours in it, or ours
        asyncio.run(
            apply_command.apply(world, apply_command.ApplyRequest(Path(PATH)), asyncio.Event())
        )
    assert "Killed" in "".join(traceback.format_exception(caught.value))
    assert apply(desk) == 0
    after = stored(server)
    assert after["dnc_verification"] is True
    assert (after["dial_rate"], after["max_concurrent_calls"]) == (1.0, 310)
    assert apply(desk) == 0
    assert stored(server) == after
    assert ledger(desk.folder).verify().defects == ()
    assert ledger(desk.folder).open_intents() == ()


def move_to_the_night(server: sandbox.CampaignState) -> dict[str, Any]:
    """Store hours by hand that share none with the manifest's; return the manifest's window."""
    window: dict[str, Any] = stored(server)[WINDOWS][0]
    night = {**window, "start_hour": window["end_hour"], "end_hour": 23}
    by_hand(server, KEY, compliance_windows=[night])
    return window


def active(server: sandbox.CampaignState) -> dict[str, Any] | None:
    return server.active_history(KEY)[-1][1]


def test_a_take_back_that_waits_for_a_locked_dialer_is_finished_by_the_next_apply(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=1.0, dnc_verification=False)
    server.faults.add(f"locked:{KEY}:times=1")
    assert apply(desk, "--wait", "0") == 75
    assert (active(server) or {})["dnc_verification"] is False
    assert desk.run("plan", PATH, "--detailed-exitcode") == 2
    assert apply(desk) == 0
    now = active(server) or {}
    assert (now["dnc_verification"], now["dial_rate"]) == (True, 1.0)
    assert "1 held" in desk.out


def test_a_removal_that_waits_for_a_locked_dialer_is_finished_by_the_next_apply(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    move_to_the_night(server)
    server.faults.add(f"locked:{KEY}:times=1")
    assert apply(desk, "--wait", "0") == 75
    assert not silent(server, KEY)
    assert apply(desk) == 0
    assert silent(server, KEY)


def test_what_a_hand_stored_without_a_refresh_does_not_leave_a_wider_one_dialing(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=9.0)
    lower = {**stored(server), "campaign_id": KEY, "dial_rate": 1.0}
    server.put_campaign(KEY, "Warranty Reminders", schedule=lower, active=False)
    assert (active(server) or {})["dial_rate"] == 9.0
    assert apply(desk) == 0, desk.out + desk.err
    assert (active(server) or {})["dial_rate"] == 1.0


def test_a_commit_that_changes_the_hours_ends_a_removal_for_want_of_common_ones(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    window = move_to_the_night(server)
    assert apply(desk) == 0
    assert silent(server, KEY)
    desk.edit("start_hour: 9, end_hour: 20", "start_hour: 18, end_hour: 20", FILE)
    commit(desk.folder)
    assert apply(desk) == 0
    assert stored(server)[WINDOWS] == [{**window, "start_hour": 18, "end_hour": 20}]


def remove_by_hand(
    server: sandbox.CampaignState, *, refresh: bool = True, ticket: str = "by-hand"
) -> None:
    login = sandbox.credentials(server)
    with sandbox.loopback(sandbox.create_app(server)) as url, httpx.Client(base_url=url) as client:
        form = {
            "grant_type": "client_credentials",
            "client_id": login.client_id,
            "client_secret": login.client_secret,
        }
        token = client.post("/api/oauth2/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        key = {"Idempotency-Key": ticket}
        path = f"/api/campaigns/{KEY}"
        assert client.delete(f"{path}/schedule", headers=key).status_code == 204
        assert not refresh or client.put(f"{path}/actions/refresh").status_code == 202


def test_a_schedule_that_was_removed_by_hand_stays_removed_until_revert(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    remove_by_hand(server)
    desk.edit("dial_rate: 2.4", "dial_rate: 2.0", FILE)
    commit(desk.folder)
    assert apply(desk) == 0
    assert "the schedule was removed outside git" in desk.out
    assert silent(server, KEY)
    assert apply(desk, "--revert", NAME) == 0
    assert stored(server)["dial_rate"] == 2.0


def noted(desk: Desk) -> list[str]:
    """Return the notes that the schedule was found missing, as git shows them."""
    name = "refs/notes/reconcile/sandbox/sandbox"
    said = git(desk.folder, "log", f"--notes={name}", "--format=%N").splitlines()
    texts = [str(json.loads(line).get("text")) for line in said if line]
    return [each for each in texts if each.startswith("removed outside git since record ")]


def test_what_a_killed_stop_removed_without_a_record_is_named_held_and_recorded_once(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """The stop died between its DELETE and the push of its hold, in a clone that was thrown away."""
    remove_by_hand(server)
    for command in ("plan", "drift"):
        assert desk.run(command, PATH) in {0, 2}
        assert NAME in desk.out
        assert noted(desk) == []
    for _ in range(2):
        assert apply(desk) == 0
        assert f"held: {NAME}: the schedule was removed outside git" in desk.out
        assert silent(server, KEY)
    (found,) = noted(desk)
    assert found.endswith(f"and held: {NAME} ({KEY}) is missing on the platform")
    assert desk.run("audit", "show", NAME, PATH) == 0
    assert "removed outside git since record " in desk.out
    assert apply(desk, "--revert", NAME) == 0
    remove_by_hand(server, ticket="by-another-hand")
    assert apply(desk) == 0
    assert len(noted(desk)) == 2, "another removal is another record"
    assert ledger(desk.folder).verify().defects == ()


def test_what_was_removed_by_hand_and_still_dialed_stays_removed_although_a_commit_changes_its_hours(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """A stop that was killed right after its DELETE, in a clone that was thrown away, leaves the same behind."""
    remove_by_hand(server, refresh=False)
    assert not silent(server, KEY)
    desk.edit("end_hour: 20", "end_hour: 19", FILE)
    commit(desk.folder)
    assert apply(desk) == 0
    assert silent(server, KEY)
    for _ in range(2):
        assert apply(desk) == 0
        assert "the schedule was removed outside git" in desk.out
    assert silent(server, KEY), (
        "the removal that silenced it is no removal for want of common hours"
    )


def test_an_approval_of_the_reverting_plan_stores_the_manifest_as_a_whole(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=1.0, dnc_verification=False)
    out = desk.folder / "plan.json"
    desk.run("plan", PATH, "--revert", NAME, "--out", str(out))
    assert apply(desk, "--approved", str(out)) == 0
    after = stored(server)
    assert (after["dial_rate"], after["dnc_verification"]) == (2.4, True)


def test_an_approved_plan_that_only_takes_back_is_carried_out_and_then_done(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=1.0, dnc_verification=False)
    out = desk.folder / "plan.json"
    desk.run("plan", PATH, "--out", str(out))
    assert apply(desk, "--approved", str(out)) == 0
    assert stored(server)["dnc_verification"] is True
    assert apply(desk, "--approved", str(out)) == 0, "an earlier run did it: nothing is stale"
