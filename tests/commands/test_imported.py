"""Between an import and the first apply: what was stored then is known, and a stop or a hand edit is not undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler import sandbox
from tests.commands.test_begin import BEGIN, shared
from tests.commands.test_halt import by_hand
from tests.commands.test_hand_edits import remove_by_hand
from tests.commands.test_renamed import KEY, NAME, PATH, real
from tests.support.desk import Desk, commit, desk, git, server

__all__ = ["desk", "real", "server", "shared"]

COUNT = 5
"""Number of the samples' schedules."""


@pytest.fixture
def imported(desk: Desk, real: sandbox.CampaignState, shared: Path) -> sandbox.CampaignState:
    """The samples' platform, imported and committed, and nothing applied yet."""
    clear(desk)
    assert desk.run("import", PATH) == 0, desk.out + desk.err
    commit(desk.folder, "take over")
    return real


def clear(desk: Desk) -> None:
    for file in desk.tenant.glob("*.yaml"):
        if file.name != "tenant.yaml":
            file.unlink()
    commit(desk.folder, "no manifests yet")


def log(desk: Desk) -> list[dict[str, Any]]:
    assert desk.run("audit", "log", PATH, "--format", "json") == 0
    found: list[dict[str, Any]] = json.loads(desk.out)
    return found


def shown(desk: Desk) -> str:
    return " ".join(desk.out.split())


def found(desk: Desk) -> list[str]:
    """Return the objects of which an import has recorded what was stored."""
    return [each["target"] for each in log(desk) if each.get("imported")]


def test_a_schedule_that_is_removed_before_the_first_apply_is_not_created_again(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    """A stop that is killed before its first record removes it, too, and leaves no other trace."""
    remove_by_hand(imported)
    for _ in range(2):
        assert desk.run("apply", "--yes", PATH) == 0
        assert "will not be created again" in desk.out.replace("\n", " ")
        assert imported.campaign(KEY)["schedule_id"] is None
    assert desk.run("release", PATH, NAME, "--reason", "it was a mistake") == 0
    assert desk.run("apply", "--yes", PATH) == 0
    assert imported.campaign(KEY)["schedule_id"] is not None


def test_a_narrowing_before_the_first_apply_is_kept(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    by_hand(imported, KEY, dial_rate=0.5)
    assert desk.run("apply", "--yes", PATH) == 0
    assert "was narrowed outside git" in desk.out.replace("\n", " ")
    assert json.loads(str(imported.campaign(KEY)["schedule"]))["dial_rate"] == 0.5


def test_a_change_of_git_before_the_first_apply_is_applied(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    before = json.loads(str(imported.campaign(KEY)["schedule"]))["dial_rate"]
    desk.edit(f"dial_rate: {before}", f"dial_rate: {before + 0.5}", f"{NAME}.yaml")
    commit(desk.folder, "dial faster")
    assert desk.run("apply", "--yes", PATH) == 0
    assert json.loads(str(imported.campaign(KEY)["schedule"]))["dial_rate"] == before + 0.5


def test_the_first_apply_still_records_what_it_finds(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    assert desk.run("plan", PATH) == 0
    assert f"apply will record {COUNT} schedules" in desk.out.replace("\n", " ")
    assert desk.run("apply", "--yes", PATH) == 0
    assert desk.run("plan", PATH) == 0
    assert "will record" not in desk.out
    (desk.tenant / f"{NAME}.yaml").unlink()
    commit(desk.folder, "forget a manifest")
    desk.run("plan", PATH)
    assert "is gone" in desk.out, "an applied schedule still dials"


def test_an_import_of_which_a_manifest_is_thrown_away_leaves_nothing_to_do(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    """The manifest is not missed, and the commit that was imported at counts as no applied one."""
    (desk.tenant / f"{NAME}.yaml").unlink()
    commit(desk.folder, "not this one")
    assert desk.run("plan", PATH) == 0
    assert "is gone" not in desk.out
    git(desk.folder, "checkout", "-q", "--orphan", "elsewhere")
    commit(desk.folder, "a history of its own")
    assert desk.run("plan", PATH) == 0, desk.out


def test_a_new_manifest_of_an_imported_name_may_name_another_object(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    """The names of an import that was thrown away are free."""
    file = desk.tenant / f"{NAME}.yaml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    moved = [line.replace(KEY, "1002") for line in lines if "campaign_name" not in line]
    clear(desk)
    file.write_text("".join(moved), encoding="utf-8")
    commit(desk.folder, "another object")
    desk.run("plan", PATH)
    assert "this manifest was" not in desk.out


def test_an_import_that_finds_nothing_new_adds_no_record(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    for _ in range(2):
        assert len(found(desk)) == COUNT
        assert desk.run("import", PATH) == 0
        assert desk.run("apply", "--yes", PATH) == 0


def test_an_import_that_keeps_a_hand_edit_in_git_does_not_apply_it(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    """Until a commit with it is applied, the edit is one since the last apply."""
    assert desk.run("apply", "--yes", PATH) == 0
    by_hand(imported, KEY, dial_rate=0.5)
    desk.run("import", PATH, KEY)
    git(desk.folder, "checkout", "-q", "--", ".")
    assert found(desk) == [*found(desk)[:COUNT], KEY]
    assert desk.run("apply", "--yes", PATH) == 0
    assert json.loads(str(imported.campaign(KEY)["schedule"]))["dial_rate"] == 0.5


@pytest.mark.parametrize("is_kept", [True, False], ids=["manifest kept", "manifest deleted"])
@pytest.mark.parametrize(("now", "later"), [(3.5, 3.2), (3.5, 3.0), (3.5, 0.5), (2.5, 2.0)])
def test_a_narrowing_after_an_import_of_an_applied_object_is_kept(
    desk: Desk, imported: sandbox.CampaignState, now: float, later: float, *, is_kept: bool
) -> None:
    """The rate was 3 at the apply, `now` at the import, and `later` when what was imported is applied."""
    assert desk.run("apply", "--yes", PATH) == 0
    by_hand(imported, KEY, dial_rate=now)
    if not is_kept:
        clear(desk)
    assert desk.run("import", PATH, KEY) in {0, 2}
    commit(desk.folder, "as the platform has it")
    by_hand(imported, KEY, dial_rate=later)
    for _ in range(2):
        desk.run("apply", "--yes", PATH, NAME)
        assert f"`dial_rate` ({now:g} → {later:g}) was narrowed outside git" in shown(desk)
        assert json.loads(str(imported.campaign(KEY)["schedule"]))["dial_rate"] == later
    assert desk.run("audit", "verify", PATH) == 0


@pytest.mark.parametrize("ended", ["stop", "tombstone", "no common hours"])
def test_a_schedule_that_is_removed_after_an_import_is_not_created_again(
    desk: Desk, imported: sandbox.CampaignState, ended: str
) -> None:
    """Before the import it was stopped, or removed by git or with a narrowing by hand, and somebody stored it again."""
    assert desk.run("apply", "--yes", PATH) == 0
    body = json.loads(str(imported.campaign(KEY)["schedule"]))
    if ended == "stop":
        assert desk.run("halt", PATH, NAME, "--reason", "complaints") == 0
        assert desk.run("release", PATH, NAME, "--reason", "solved") == 0
    elif ended == "no common hours":
        night = [{"timezone": "America/Chicago", "start_hour": 20, "end_hour": 21}]
        by_hand(imported, KEY, compliance_windows=night)
        assert desk.run("apply", "--yes", PATH, NAME) == 0
        assert imported.campaign(KEY)["schedule_id"] is None, desk.out
    else:
        desk.edit("metadata:\n", "metadata:\n  retired: true\n", f"{NAME}.yaml")
        commit(desk.folder, "no longer")
        assert desk.run("apply", "--yes", PATH) == 0, desk.out
        clear(desk)
    name = str(imported.campaign(KEY)["name"])
    imported.put_campaign(KEY, name, schedule={**body, "campaign_id": KEY})
    assert desk.run("import", PATH, KEY) in {0, 2}
    if ended == "no common hours":
        desk.edit("end_hour: 20", "end_hour: 19", f"{NAME}.yaml")
    if ended != "stop":
        commit(desk.folder, "again")
    remove_by_hand(imported)
    for _ in range(2):
        desk.run("apply", "--yes", PATH, NAME)
        assert "will not be created again" in shown(desk)
        assert imported.campaign(KEY)["schedule_id"] is None
    assert desk.run("release", PATH, NAME, "--reason", "it was a mistake") == 0
    assert desk.run("apply", "--yes", PATH, NAME) == 0
    assert imported.campaign(KEY)["schedule_id"] is not None
    assert desk.run("audit", "verify", PATH) == 0


def test_a_value_that_nests_too_deep_for_a_record_leaves_the_ledger_readable(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    windows: Any = "x"
    for _ in range(25):
        windows = [windows]
    by_hand(imported, KEY, compliance_windows=windows)
    desk.run("import", PATH, KEY)
    assert desk.run("audit", "verify", PATH) == 0, desk.out
    assert desk.run("plan", PATH) == 0


def test_an_import_after_a_stop_records_what_an_import_before_the_stop_found(
    desk: Desk, imported: sandbox.CampaignState
) -> None:
    """What a stop ended is no longer known to be stored."""
    body = json.loads(str(imported.campaign(KEY)["schedule"]))
    assert desk.run("halt", PATH, NAME, "--reason", "complaints") == 0
    assert desk.run("release", PATH, NAME, "--reason", "solved") == 0
    name = str(imported.campaign(KEY)["name"])
    imported.put_campaign(KEY, name, schedule={**body, "campaign_id": KEY})
    for _ in range(2):
        assert desk.run("import", PATH, KEY) == 0
        assert found(desk).count(KEY) == 2
    remove_by_hand(imported)
    desk.run("apply", "--yes", PATH, NAME)
    assert "will not be created again" in shown(desk)
    assert imported.campaign(KEY)["schedule_id"] is None


@pytest.mark.parametrize("applied", ["first", "second"])
@pytest.mark.parametrize(("now", "later"), [(0.5, 0.4), (3.5, 3.0), (3.5, 0.4)])
def test_a_narrowing_is_kept_whichever_import_made_the_manifest_that_is_applied(
    desk: Desk, imported: sandbox.CampaignState, applied: str, now: float, later: float
) -> None:
    """Nobody knows which of two imports is thrown away. The rate was 3 at the first one, and `now` at the second one."""
    first = git(desk.folder, "rev-parse", "HEAD").strip()
    by_hand(imported, KEY, dial_rate=now)
    clear(desk)
    assert desk.run("import", PATH) == 0
    commit(desk.folder, "take over again")
    if applied == "first":
        git(desk.folder, "checkout", "-q", "-B", "main", first)
    by_hand(imported, KEY, dial_rate=later)
    assert desk.run("apply", "--yes", PATH) == 0
    kept = min(later, 3.0) if applied == "first" else later
    assert json.loads(str(imported.campaign(KEY)["schedule"]))["dial_rate"] == kept
    assert desk.run("audit", "verify", PATH) == 0


def test_the_record_is_there_before_the_manifest(
    desk: Desk,
    real: sandbox.CampaignState,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clear(desk)
    assert desk.run(*BEGIN) == 0

    def die(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("reconciler.manifests.edits.save", die)
        assert desk.run("import", PATH, KEY) == 130
    assert found(desk) == [KEY]


def test_an_import_without_the_git_remote_says_what_is_not_recorded(
    desk: Desk, real: sandbox.CampaignState, shared: Path
) -> None:
    clear(desk)
    assert desk.run(*BEGIN) == 0
    commit(desk.folder)
    hook = shared / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    assert desk.run("import", PATH) == 0
    said = desk.out.replace("\n", " ")
    assert "the ledger does not hold the imported schedules" in said
    assert (desk.tenant / f"{NAME}.yaml").exists()
    assert desk.run("apply", "--yes", PATH) != 0


def test_an_import_into_the_embedded_platform_records_nothing(desk: Desk) -> None:
    clear(desk)
    assert desk.run("import", PATH) == 0
    assert desk.records() == ""


def test_an_import_before_the_first_commit_is_recorded_when_it_is_run_once_more(
    desk: Desk, real: sandbox.CampaignState, shared: Path
) -> None:
    clear(desk)
    git(desk.folder, "checkout", "-q", "--orphan", "fresh")
    assert desk.run("import", PATH) == 0
    assert "run the same import once more" in desk.out.replace("\n", " ")
    commit(desk.folder, "begin")
    assert desk.run("import", PATH) == 0
    assert len(found(desk)) == COUNT
