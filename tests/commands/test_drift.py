"""`reconcile drift`: what was changed outside git is reported, worst first, and nothing is written."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import api, sandbox
from reconciler.commands import plan as plan_command
from reconciler.commands.session import Session
from reconciler.renderers import RENDERERS
from reconciler.sandbox.writes import Conditions
from tests.commands.test_halt import KEY, NAME, PATH, by_hand, ledger
from tests.support.desk import Desk, desk, git, samples_served

__all__ = ["desk"]
from tests.support.samples import SAMPLES


@pytest.fixture
def server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.CampaignState]:
    """The samples' platform over loopback, after the first apply. What no manifest names is silent."""
    with samples_served(monkeypatch) as world:
        world.configure(activation_s=0)
        for each in world.list_page(1, 100)[0]:
            world.put_list(each["id"], campaign_ids=each["campaign_ids"], status="ACTIVE")
        for key in ("2001", "2002"):
            remove(world, key)
        assert desk.run("apply", "--yes", PATH) == 0
        yield world


def remove(server: sandbox.CampaignState, key: str) -> None:
    """Remove a campaign's schedule, as somebody does at the console."""
    server.write_schedule(key, None, client="console", ticket=None, conditions=Conditions())
    server.refresh(key, "console")


def drifted(desk: Desk, *more: str, code: int = 2) -> list[dict[str, Any]]:
    """Return the drift as data."""
    assert desk.run("drift", PATH, "--format", "json", *more) == code, desk.err
    found: list[dict[str, Any]] = json.loads(desk.out)["drift"]
    return found


def test_after_an_apply_there_is_no_drift(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("drift", PATH) == 0
    assert "No drift. 6 schedules are as applied." in desk.out
    assert drifted(desk, code=0) == []


def test_an_edit_is_told_with_its_writer_its_direction_and_what_apply_does(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=9.0)
    assert desk.run("drift", PATH) == 2
    assert ", widened: apply sets it back" in desk.out
    assert "console" in desk.out
    assert "last written by reconcile" in desk.out
    (one,) = drifted(desk)
    assert (one["cause"], one["direction"], one["key"]) == ("changed", "widened", KEY)
    assert one["stored_by"] == "console"
    assert one["last_write"]["commit"] == git(desk.folder, "rev-parse", "HEAD").strip()
    assert desk.run("apply", "--yes", PATH) == 0
    assert desk.run("drift", PATH) == 0


def test_the_worst_comes_first_whatever_its_id(desk: Desk, server: sandbox.CampaignState) -> None:
    by_hand(server, "1001", dial_rate=0.5)
    remove(server, "1002")
    by_hand(server, "1006", dnc_verification=False)
    server.put_campaign("2002", schedule=json.loads(str(server.campaign("1006")["schedule"])))
    assert [(each["key"], each["cause"]) for each in drifted(desk)] == [
        ("1006", "changed"),
        ("2002", "unmanaged"),
        ("1001", "changed"),
        ("1002", "missing"),
    ]


def test_what_is_narrowed_is_said_to_be_kept_and_how_to_undo_it(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    by_hand(server, KEY, dial_rate=1.0)
    assert desk.run("apply", "--yes", PATH) == 0
    assert desk.run("drift", PATH) == 2
    assert ", narrowed: apply keeps it" in desk.out
    assert f"--revert {NAME}" in desk.out


@pytest.mark.parametrize(
    ("rate", "codes"),
    [(1.0, {"any": 2, "loosening": 0, "none": 0}), (9.0, {"any": 2, "loosening": 2, "none": 0})],
)
def test_the_exit_code_is_chosen(
    desk: Desk, server: sandbox.CampaignState, rate: float, codes: dict[str, int]
) -> None:
    by_hand(server, KEY, dial_rate=rate)
    for fail_on, code in codes.items():
        assert desk.run("drift", PATH, "--fail-on", fail_on) == code
        assert "was changed" in desk.out


@pytest.mark.parametrize("style", RENDERERS)
def test_every_format_shows_it(desk: Desk, server: sandbox.CampaignState, style: str) -> None:
    by_hand(server, KEY, dial_rate=9.0)
    assert desk.run("drift", PATH, "--format", style) == 2
    assert NAME in desk.out
    assert "dial" in desk.out


def test_it_writes_nothing(desk: Desk, server: sandbox.CampaignState) -> None:
    by_hand(server, KEY, dial_rate=9.0)
    remove(server, "1002")
    before = (git(desk.folder, "for-each-ref"), server.executed(), git(desk.folder, "status", "-s"))
    assert desk.run("drift", PATH) == 2
    after = (git(desk.folder, "for-each-ref"), server.executed(), git(desk.folder, "status", "-s"))
    assert after == before


def test_a_stop_is_told_with_who_since_when_and_why(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") == 0
    (one,) = drifted(desk)
    assert one["cause"] == "held"
    (hold,) = one["holds"]
    assert hold["reason"] == "calls at night"
    assert hold["until"] is None
    assert hold["since"]
    assert hold["by"]
    assert desk.run("release", PATH, NAME, "--reason", "corrected") == 0
    assert drifted(desk, code=0) == [], "what a stop removed was not removed outside git"
    assert desk.run("drift", PATH) == 0
    assert f"{NAME} is silent since an emergency stop" in desk.out
    assert "5 schedules are as applied" in desk.out


@pytest.mark.parametrize("which", [NAME, "--all"])
@pytest.mark.parametrize("status", [403, 404, 409, 500])
def test_a_stop_that_stopped_nothing_is_not_told_as_one_that_did(
    desk: Desk, server: sandbox.CampaignState, status: int, which: str
) -> None:
    """A stop that was refused, or of which nobody knows whether it was executed, leaves the schedule from before."""
    server.faults.add(f"{status}:DELETE */{KEY}/schedule")
    assert desk.run("halt", PATH, which, "--reason", "calls at night", "--wait", "0") != 0
    server.faults.clear()
    rows = drifted(desk, "--fail-on", "loosening")
    (mine,) = (each for each in rows if each["key"] == KEY)
    assert (mine["cause"], mine["widens"], rows[0]["cause"]) == ("dialing", True, "dialing")
    assert mine["holds"][0]["reason"] == "calls at night"
    assert desk.run("drift", PATH) == 2
    (verdict,) = (line for line in desk.out.splitlines() if "STILL DIALING: " in line)
    assert NAME in verdict
    assert "nothing dials more" not in verdict
    assert desk.run("release", PATH, which, "--reason", "the platform refused") == 0
    desk.run("drift", PATH, "--format", "json")
    assert KEY not in {each["key"] for each in json.loads(desk.out)["drift"]}, "nobody removed it"


def test_a_schedule_that_is_removed_and_stored_again_is_compared_like_any_other(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    body = json.loads(str(server.campaign(KEY)["schedule"]))
    remove(server, KEY)
    server.put_campaign(KEY, "Warranty Reminders", schedule={**body, "campaign_id": KEY})
    assert drifted(desk, code=0) == [], "the same schedule dials"


def test_a_retired_schedule_that_is_stored_again_widens(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    body = json.loads(str(server.campaign(KEY)["schedule"]))
    server.put_campaign("1005", "Winter Clearance", schedule={**body, "campaign_id": "1005"})
    (one,) = drifted(desk)
    assert (one["cause"], one["direction"]) == ("recreated", "widened")


def test_a_schedule_that_the_dialer_has_not_taken_is_not_active(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    body = json.loads(str(server.campaign(KEY)["schedule"]))
    server.put_campaign(
        KEY, "Warranty Reminders", schedule={**body, "campaign_id": KEY}, active=False
    )
    (one,) = drifted(desk)
    assert (one["cause"], one["direction"]) == ("inactive", "unknown")


def test_only_the_named_objects_are_looked_at(desk: Desk, server: sandbox.CampaignState) -> None:
    by_hand(server, KEY, dial_rate=9.0)
    server.put_campaign("2001", schedule=json.loads(str(server.campaign(KEY)["schedule"])))
    assert [each["key"] for each in drifted(desk, NAME)] == [KEY]
    assert drifted(desk, "spring-renewals", code=0) == []


def test_a_change_in_git_alone_is_no_drift(desk: Desk, server: sandbox.CampaignState) -> None:
    desk.edit("dial_rate: 2.4", "dial_rate: 2.0", f"{NAME}.yaml")
    assert desk.run("plan", PATH, "--detailed-exitcode") == 5, "it is not committed"
    assert drifted(desk, code=0) == []


def test_the_client_of_the_command_itself_is_named_as_such(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    ours = sandbox.credentials(server).client_id
    found = json.loads(str(server.campaign(KEY)["schedule"]))
    body = {name: value for name, value in found.items() if not name.startswith(("id", "updated"))}
    raw = json.dumps({**body, "campaign_id": KEY, "dial_rate": 9.0}).encode()
    server.write_schedule(KEY, raw, client=ours, ticket=None, conditions=Conditions())
    server.refresh(KEY, ours)
    assert desk.run("drift", PATH) == 2
    assert f"the platform names the client {ours}, which this command uses itself" in desk.out


def test_a_running_apply_is_not_taken_for_drift(desk: Desk, server: sandbox.CampaignState) -> None:
    held = ledger(desk.folder)
    held.lock.acquire(holder="ci run 7")
    assert "ci run 7 is writing to this tenant" in desk.says(6, "drift", PATH)
    held.lock.release()
    assert desk.run("drift", PATH) == 0


def test_a_run_that_records_while_the_platform_is_read_is_not_taken_for_drift(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has ended, and released the lock, before the ledger is read again."""
    observe = plan_command.observe

    async def meanwhile(session: Session) -> Any:
        found = await observe(session)
        await asyncio.to_thread(api.halt, PATH, (NAME,), reason="x")
        return found

    monkeypatch.setattr(plan_command, "observe", meanwhile)
    assert desk.run("drift", PATH) == 6
    assert "recorded changes while drift read the platform" in desk.err


def test_a_platform_that_is_down_is_no_drift(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXONE_TENANT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CXONE_CLIENT_ID", "x")
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "x")
    desk.says(69, "drift", PATH)


def test_a_value_that_nobody_can_read_is_shown_and_counts_as_widening(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    window = {"timezone": "Mars/Olympus", "start_hour": 9, "end_hour": 20}
    by_hand(server, KEY, compliance_windows=[window], dial_rate="fast")
    assert desk.run("drift", PATH, "--fail-on", "loosening") == 2
    assert "Mars/Olympus" in desk.out
    assert "fast, unknown" in desk.out


def test_before_the_first_apply_every_difference_is_unknown(desk: Desk) -> None:
    assert desk.run("drift", PATH) == 2
    assert "unrecorded" in desk.out
    assert "Run `reconcile apply` once" in desk.out


def test_outside_a_repository_it_says_that_nothing_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SAMPLES, tmp_path / "schedules" / "sandbox")
    monkeypatch.chdir(tmp_path)
    outside = Desk(tmp_path, capsys)
    assert outside.run("drift", PATH) == 2
    assert "no git repository" in outside.out


def test_three_hundred_drifted_objects_are_all_shown(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    body = {**json.loads(str(server.campaign(KEY)["schedule"]))}
    for number in range(300):
        key = str(30000 + number)
        server.put_campaign(key, f"Campaign {key}", schedule={**body, "campaign_id": key})
    for style in ("text", "markdown", "html", "github"):
        assert desk.run("drift", PATH, "--format", style) == 2
        assert all(str(30000 + number) in desk.out for number in range(300)), style
    assert len(desk.out) < 1_000_000


def test_hostile_names_of_the_platform_are_no_markup(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    body = {**json.loads(str(server.campaign(KEY)["schedule"])), "campaign_id": "2001"}
    name = "<img src=x onerror=alert(1)> @team ![x](http://evil.example) \u202e"
    server.put_campaign("2001", name, schedule=body)
    for style in RENDERERS:
        assert desk.run("drift", PATH, "--format", style) == 2
        if style == "html":
            assert "<img" not in desk.out
        if style == "markdown":
            assert "\\<img" in desk.out
            assert " @team" not in desk.out
            assert "![x]" not in desk.out
        assert "\u202e" not in desk.out
