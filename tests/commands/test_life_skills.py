"""The life of a change at a Personal Connection tenant: imported, edited, applied, cut off anywhere, finished; and what is measured."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from reconciler import audit, manifests, sandbox
from reconciler.audit import Attribution, RecordKind, Run
from reconciler.commands import apply as apply_command
from reconciler.commands import halt as halt_command
from reconciler.commands import import_, optimize, release, stop_writer, takeover
from reconciler.commands import plan as plan_command
from reconciler.commands.ledgers import open_ledger
from reconciler.commands.trust import Trust
from reconciler.errors import ExitCode
from reconciler.execute import WriteOptions
from reconciler.git import Git
from reconciler.sandbox import platforms
from tests.commands.test_import import Desk
from tests.support import fasttime
from tests.support.gitfakes import git, repository
from tests.support.skills import held, narrow_by_hand, wider

API = "personal-connection"
EDITS = {
    "renewals.yaml": (
        ("maximum_ratio: 1.2", "maximum_ratio: 1.6"),
        (
            "percentage_of_agents_before_overdial: 20.0",
            "percentage_of_agents_before_overdial: 30.0",
        ),
        ('start: "09:00", end: "18:00"', 'start: "09:00", end: "20:00"'),
        ('dnc_groups: ["70"]', 'dnc_groups: ["71"]'),
    ),
    "fiber-upgrade.yaml": (
        (
            "percentage_of_agents_before_overdial: 20.0",
            "percentage_of_agents_before_overdial: 35.0",
        ),
    ),
}


STANDING = 5
"""The exit code of every apply here: one of the samples names no group that is ACTIVE, and the finding stands whatever was done."""


class CutOff(BaseException):
    """The run ends here: not an error that anything may handle."""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    repository(tmp_path)
    (tmp_path / ".gitignore").write_text(".reconcile/\n")
    made = Desk(tmp_path, API)
    # Three seconds of the fast clock are too short for git to release a lock on a busy machine.
    monkeypatch.setattr(takeover, "GIVE_BACK_S", 200.0)

    ids = (f"run-{number}" for number in itertools.count(1))
    made.world = made.world._replace(
        sleep=fasttime.sleep, monotonic=fasttime.monotonic, new_id=lambda: next(ids)
    )
    sandbox.seed_skill_samples(made.platform)
    made.platform.configure(requests_per_second=0)
    asyncio.run(import_.run(made.world, import_.ImportRequest(made.folder)))
    for file, edits in EDITS.items():
        path = made.folder / file
        text = path.read_text()
        for old, new in edits:
            assert text.count(old) == 1
            text = text.replace(old, new)
        path.write_text(text)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "faster renewals")
    yield made
    made.platform.close()


def apply(desk):
    asked = apply_command.ApplyRequest(desk.folder)
    return asyncio.run(apply_command.apply(desk.world, asked, asyncio.Event()))


def plan(desk):
    return asyncio.run(plan_command.read(desk.world, plan_command.PlanRequest(desk.folder)))


def cut_off(monkeypatch, nth: int, *, executed: bool, seen: list) -> None:
    """End the run at its nth write: before the platform executes it, or after and before the answer."""
    kind = platforms.PLATFORMS[API]
    writes = 0

    def app_over(world):
        app = kind.app(world)

        async def cutting(scope, receive, send):
            nonlocal writes
            if scope["method"] != "GET" and scope["path"].startswith("/inContactAPI"):
                writes += 1
                if writes == nth and not executed:
                    raise CutOff

                async def hold(message):
                    if writes == nth:
                        raise CutOff
                    await send(message)

                try:
                    await app(scope, receive, hold)
                finally:
                    seen.append(held(world, "4001"))
                return
            await app(scope, receive, send)

        return cutting

    monkeypatch.setitem(platforms.PLATFORMS, API, replace(kind, app=app_over))


def test_an_edit_is_applied_once_and_recorded(desk):
    report = apply(desk)
    assert report.exit_code == ExitCode.PARTLY
    assert [row.cells[0] for row in report.tables[0].rows] == ["updated", "updated"]
    assert plan(desk).operations == ()
    again = apply(desk)
    assert again.exit_code == STANDING
    writes = len(desk.platform.journal())
    assert apply(desk).exit_code == STANDING
    assert len(desk.platform.journal()) == writes


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, 7))
def test_a_run_that_is_cut_off_at_any_write_is_finished_by_the_next(
    desk, monkeypatch, nth, executed
):
    before, seen = held(desk.platform, "4001"), []
    wanted = next(each for each in plan(desk).operations if each.key == "4001").desired
    with monkeypatch.context() as patch:
        cut_off(patch, nth, executed=executed, seen=seen)
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group of ours, or ours
            apply(desk)
        assert not isinstance(caught.value, AssertionError)
    assert all(wider(each, before, wanted) == [] for each in seen)
    report = apply(desk)
    assert report.exit_code in {ExitCode.PARTLY, STANDING}, report
    assert plan(desk).operations == ()
    assert held(desk.platform, "4001") == wanted
    ledger = records_of(desk)
    assert audit.open_intents(ledger.records()) == ()


def records_of(desk):
    spec = manifests.load(desk.folder).tenant.spec
    trust = Trust(spec, required=False)
    git = Git(desk.folder.parent, environ={})
    return open_ledger(desk.world, git, desk.folder.name, desk.folder, trust)


def test_the_audit_entry_says_which_groups_scrub_the_skill_from_now_on(desk):
    apply(desk)
    ledger = records_of(desk)
    (outcome,) = [
        record.data
        for record in ledger.records()
        if record.kind is audit.RecordKind.OUTCOME and record.data["target"] == "4001"
    ]
    assert outcome["campaign_id"] == "4001"
    assert outcome["action"] == "SCHEDULE_DEPLOYED"
    assert outcome["dnc_verified"] is True
    assert [each["id"] for each in outcome["dnc_lists"]] == ["71"]
    assert outcome["maximum_ratio"] == 1.6


def test_what_was_narrowed_by_hand_stays_narrow_and_what_was_widened_is_taken_back(desk):
    apply(desk)
    before = held(desk.platform, "4002")
    pace = {"maximumRatio": 1.0, "percentageOfAgentsBeforeOverdial": 90}
    always = {"isScheduled": False}
    desk.platform.put_skill(4002, "Fiber Upgrade", general=pace, schedule=always)
    by_hand = held(desk.platform, "4002")
    assert {each["end"] for each in by_hand["run_window"]} == {"24:00"}
    apply(desk)
    after = held(desk.platform, "4002")
    assert (after["maximum_ratio"], after["percentage_of_agents_before_overdial"]) == (1.0, 90.0)
    assert after["run_window"] == before["run_window"]
    assert not wider(after, before)
    assert not wider(after, by_hand)
    held_back = [each for each in plan(desk).operations if each.key == "4002"]
    assert [each.action.value for each in held_back] == ["held"]


@pytest.mark.parametrize(
    ("fault", "nth", "result", "said"),
    [
        ("429:PUT *general-settings:after=40", 1, "stale", "generalSettings of the skill changed"),
        ("429:PUT *general-settings:after=40", 2, "failed", "restored (calling_windows)"),
        ("503:PUT *general-settings:", 1, "unknown", "somebody else wrote since"),
        ("503:PUT *general-settings:", 2, "unknown", "somebody else wrote since"),
    ],
)
def test_what_a_hand_narrows_between_two_attempts_of_a_write_stays(
    desk, monkeypatch, fault, nth, result, said
):
    """A write that may have been executed counts as applied, so the next apply does not widen what the hand narrowed."""
    kind, sent, before = platforms.PLATFORMS[API], [], held(desk.platform, "4001")
    by_hand = {}

    def app_over(world):
        spec, _, option = fault.rpartition(":")
        options = [option] * bool(option) + [f"skip={nth - 1}", "times=3"]
        world.faults.add(f"{spec.replace('*', '*/4001/*')}:{','.join(options)}")
        app = kind.app(world)

        async def with_a_hand(scope, receive, send):
            await app(scope, receive, send)
            if scope["method"] == "PUT" and scope["path"].endswith(
                "/4001/parameters/general-settings"
            ):
                sent.append(scope["path"])
                if len(sent) == nth:
                    narrow_by_hand(world, "4001", "general")
                    by_hand.update(held(world, "4001"))

        return with_a_hand

    with monkeypatch.context() as patch:
        patch.setitem(platforms.PLATFORMS, API, replace(kind, app=app_over))
        apply(desk)
        assert len(sent) == nth
    if result == "unknown":
        apply(desk)
    outcomes = [r.data for r in records_of(desk).records() if r.kind is RecordKind.OUTCOME]
    entry = next(each for each in outcomes if each["target"] == "4001")
    assert (entry["result"], said in entry["message"]) == (result, True), entry
    after = held(desk.platform, "4001")
    assert (after["maximum_ratio"], wider(after, by_hand)) == (1.0, [])
    assert after["calling_windows"] == before["calling_windows"]


def test_a_widening_behind_a_stale_tightening_has_nothing_to_wait_for(desk, monkeypatch):
    kind = platforms.PLATFORMS[API]

    def app_over(world):
        world.faults.add("412:PUT */4002/*")
        return kind.app(world)

    monkeypatch.setitem(platforms.PLATFORMS, API, replace(kind, app=app_over))
    report = apply(desk)
    assert sorted(row.cells[0] for row in report.tables[0].rows) == ["not started", "stale"]
    assert report.exit_code == ExitCode.STALE


def test_optimize_says_what_it_saw_and_that_there_is_no_rate_to_propose(desk):
    asked = optimize.OptimizeRequest(
        desk.folder, ("fiber-upgrade", "partner-overflow"), target_answer_rate=0.3
    )
    report = asyncio.run(optimize.optimize(desk.world, asked))
    reasons = {each["name"]: each["reason"] for each in report.data["declined"]}
    assert report.data["proposals"] == []
    assert "SkillSchedule has no rate in calls/s" in reasons["fiber-upgrade"]
    assert "attempts were answered" in reasons["fiber-upgrade"]
    assert "nothing was observed" in reasons["partner-overflow"]


def halt(desk, *names):
    asked = halt_command.HaltRequest(
        desk.folder,
        names,
        everything=not names,
        reason="calls at night",
        writing=WriteOptions(wait_s=60),
    )
    return asyncio.run(halt_command.halt(desk.world, asked, asyncio.Event()))


def running(desk) -> list[str]:
    rows = desk.platform.skills()
    return [str(row["id"]) for row in rows if row["running"]]


def test_a_stop_stops_what_runs_and_keeps_its_settings(desk):
    assert running(desk)
    before = held(desk.platform, "4001")
    report = halt(desk)
    assert report.exit_code == 0, report
    assert running(desk) == []
    assert held(desk.platform, "4001") == before
    assert not any("force" in str(entry) for entry in desk.platform.journal())
    outcomes = [r for r in records_of(desk).records() if r.kind is RecordKind.OUTCOME]
    assert {r.data["action"] for r in outcomes} == {"SCHEDULE_HALTED"}
    assert records_of(desk).open_intents() == ()


def changes_only_after_a_release(desk):
    """Check that an apply leaves skill 4001 as it is until it is released."""
    before = held(desk.platform, "4001")
    apply(desk)
    assert held(desk.platform, "4001") == before
    release.release(
        desk.world, release.HoldRequest(desk.folder, ("renewals",), reason="hours corrected")
    )
    apply(desk)
    assert held(desk.platform, "4001") != before


def test_what_is_stopped_is_not_written_to_before_it_is_released(desk):
    halt(desk, "renewals")
    changes_only_after_a_release(desk)


def test_what_only_a_stop_of_everything_holds_is_not_widened_before_it_is_released(desk):
    """Its list may lack a skill, or the stop may have died before it read that list."""
    commit, actor = git(desk.folder, "rev-parse", "HEAD").strip(), Attribution("somebody")
    maker = Run(records_of(desk).tenant, commit, "stop", desk.world.now, actor)
    records_of(desk).append([maker.hold(audit.EVERYTHING, name="everything", reason="lists")])
    changes_only_after_a_release(desk)


def test_a_released_skill_is_not_said_to_stay_held(desk):
    """A stop of a skill removes nothing, so nothing that it removed is unknown."""
    apply(desk)
    halt(desk, "renewals")
    asked = release.HoldRequest(desk.folder, ("renewals",), reason="hours corrected")
    assert not any("stays held" in each for each in release.release(desk.world, asked).notes)


def test_no_apply_starts_a_skill_that_a_stop_without_a_record_stopped(desk, monkeypatch):
    """No request of an apply starts a skill, so what a stop stopped stays stopped, held or not."""

    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stop_writer.StopWriter, "store", full)
        assert halt(desk, "renewals").exit_code == ExitCode.PARTLY
    assert not any(each.kind is RecordKind.HOLD for each in records_of(desk).records())
    assert "4001" not in running(desk)
    before = held(desk.platform, "4001")
    apply(desk)
    assert held(desk.platform, "4001") != before, "the settings of git are stored"
    assert "4001" not in running(desk)


def test_a_stop_that_died_before_it_stopped_anything_is_no_stop(desk, monkeypatch):
    """The settings of a stopped skill are what they were: only silence tells whether the stop was done."""
    with monkeypatch.context() as patch:
        cut_off(patch, 1, executed=False, seen=[])
        with pytest.raises(BaseException):  # noqa: B017, PT011 - a group of ours, or ours
            halt(desk, "payment-reminders")
    apply(desk)
    ended = [r.data["result"] for r in records_of(desk).records() if r.kind is RecordKind.OUTCOME]
    assert "deleted" not in ended
    assert halt(desk, "payment-reminders").exit_code == 0
