"""`reconcile show`: a saved plan is rendered as it was, edits are refused, and --check plans again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import sandbox
from reconciler.plan import sha256_of
from reconciler.renderers import RENDERERS
from tests.commands.test_halt import KEY, NAME, PATH, by_hand
from tests.support.desk import Desk, commit, git, samples_in, samples_served

FILE = "plan.json"


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """A repository with the samples."""
    return samples_in(tmp_path, monkeypatch, capsys, ignored=".reconcile/\nplan.json\n")


@pytest.fixture
def server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.CampaignState]:
    """The samples' platform over loopback."""
    with samples_served(monkeypatch) as world:
        world.configure(activation_s=0)
        yield world


def edit(**changes: Any) -> None:
    """Edit the saved plan as a forger does: with a new content hash."""
    data = json.loads(Path(FILE).read_text(encoding="ascii"))
    data.update(changes)
    data["content"] = sha256_of({k: v for k, v in data.items() if k != "content"})
    Path(FILE).write_text(json.dumps(data), encoding="ascii")


def without(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if not any(word in line for word in words)]


@pytest.mark.parametrize("out", ["plan.json", "warranty-reminders.yaml", "new/../plan.txt"])
def test_no_plan_is_saved_among_the_manifests(desk: Desk, out: str) -> None:
    """The next command would read it as a manifest, or it would replace one."""
    said = desk.says(64, "plan", PATH, "--out", f"{PATH}/{out}")
    assert f"--out {PATH}/{out} is in the tenant's folder" in said
    assert f"write the plan outside {PATH}" in said
    assert git(desk.folder, "status", "--porcelain") == ""


@pytest.mark.parametrize("style", ["text", "markdown", "github", "html"])
def test_a_saved_plan_is_shown_as_it_was(desk: Desk, style: str) -> None:
    """But for one note, on what the hashes are worth, and without the load, which the manifests of all objects make."""
    assert desk.run("plan", PATH, "--out", FILE, "--format", style) == 0
    planned = desk.out
    assert desk.run("show", FILE, "--format", style) == 0
    note = "digest and content hash match"
    load = re.compile(r'<section aria-labelledby="load">.*?</section>\n|<nav.*?</nav>\n', re.DOTALL)
    planned, loads = load.subn("", planned)
    assert loads == (2 if style == "html" else 0)
    assert without(desk.out, note) == without(planned, note)
    if style != "github":
        assert note in desk.out


def test_a_saved_plan_is_shown_as_the_same_data(desk: Desk) -> None:
    assert desk.run("plan", PATH, "--out", FILE, "--format", "json") == 0
    planned = desk.out
    assert desk.run("show", FILE, "--format", "json") == 0
    assert desk.out == planned


def test_why_apply_would_refuse_it_is_shown_too(desk: Desk) -> None:
    desk.edit("dial_rate: 2.4", "dial_rate: 2.0", f"{NAME}.yaml")
    assert desk.run("plan", PATH, "--out", FILE) == 5
    assert desk.run("show", FILE) == 0
    assert "Apply would refuse this." in desk.out
    assert "uncommitted changes" in desk.out


def test_it_needs_no_manifest_no_platform_and_no_repository(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(FILE, elsewhere)
    monkeypatch.chdir(elsewhere)
    assert desk.run("show", FILE) == 0
    assert "5 to apply" not in desk.out
    assert "spring-renewals" in desk.out


@pytest.mark.parametrize("style", RENDERERS)
def test_an_edited_plan_is_refused_in_every_format(desk: Desk, style: str) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    path = Path(FILE)
    path.write_text(path.read_text().replace("spring-renewals", "harmless"), encoding="ascii")
    assert "edited or cut" in desk.says(64, "show", FILE, "--format", style)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"operations": [}', "[" * 100_000])
def test_what_is_no_plan_is_refused(desk: Desk, text: str) -> None:
    Path(FILE).write_text(text, encoding="ascii")
    said = desk.says(64, "show", FILE)
    assert "is not a plan written by" in said
    assert said.endswith(f"Save the plan again with `reconcile plan --out {FILE}`")
    assert "Expecting" not in said, "the words of a library do not say where to look"


def test_a_file_without_an_end_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.commands.approval.LARGEST", 1 << 20)
    said = desk.says(64, "show", "/dev/zero")
    assert "/dev/zero is not a plan written by" in said
    assert "larger than 1 MiB" in said


def test_an_edited_plan_is_no_approval_either(desk: Desk) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    path = Path(FILE)
    path.write_text(path.read_text().replace("spring-renewals", "harmless"), encoding="ascii")
    assert "edited or cut" in desk.says(64, "apply", PATH, "--approved", FILE)


# --- --check ------------------------------------------------------------------------------------------------------------


def test_a_plan_that_still_derives_is_said_to(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    assert desk.run("show", FILE, "--check", PATH) == 0
    assert "This plan is up to date." in desk.out
    assert server.executed() == 0


def test_a_plan_that_no_longer_derives_is_4(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    by_hand(server, KEY, dial_rate=1.0)
    assert desk.run("show", FILE, "--check", PATH) == 4
    assert "STALE: planning again gives another plan." in desk.out
    assert f"stale: {NAME} changed since it was approved" in desk.out
    assert desk.run("show", FILE, "--check", PATH, "--format", "json") == 4
    assert json.loads(desk.out)["check"]["derives"] is False


def test_a_plan_that_was_applied_is_done(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("plan", PATH, NAME, "--out", FILE) == 0
    assert desk.run("apply", "--yes", PATH, NAME) == 0
    assert desk.run("show", FILE, "--check", PATH) == 0
    assert "1 of 1 operations are done" in desk.out


def test_a_plan_of_some_manifests_is_checked_for_these(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert desk.run("plan", PATH, NAME, "--out", FILE) == 0
    by_hand(server, "1005", dial_rate=1.0)
    assert desk.run("show", FILE, "--check", PATH) == 0
    assert "This plan is up to date." in desk.out


def test_a_plan_that_reverts_is_planned_so_again(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    by_hand(server, KEY, dial_rate=1.0)
    assert desk.run("plan", PATH, "--revert", NAME, "--out", FILE) == 0
    assert desk.run("show", FILE, "--check", PATH) == 0
    assert "This plan is up to date." in desk.out


def test_a_commit_that_changes_a_manifest_makes_it_stale(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    desk.edit("dial_rate: 2.4", "dial_rate: 2.0", f"{NAME}.yaml")
    commit(desk.folder)
    assert desk.run("show", FILE, "--check", PATH) == 4


def test_what_apply_would_refuse_now_is_5(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    (desk.tenant / "notes.md").write_text("new", encoding="utf-8")
    assert desk.run("show", FILE, "--check", PATH) == 5
    assert "apply would refuse this now" in desk.out


def test_a_plan_of_another_tenant_is_stale_and_names_both(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    other = desk.folder / "schedules" / "acme"
    shutil.copytree(desk.tenant, other)
    text = (other / "tenant.yaml").read_text(encoding="utf-8")
    assert '"sandbox:"' in text or "sandbox:" in text
    commit(desk.folder)
    apply = ("apply", "--yes", "schedules/acme", "--approved", FILE)
    for command in (("show", FILE, "--check", "schedules/acme"), apply):
        said = desk.says(4, *command)
        assert "sandbox/sandbox" in said
        assert "sandbox/acme" in said


def test_a_name_that_somebody_forged_is_found_by_planning_again(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    data = json.loads(Path(FILE).read_text(encoding="ascii"))
    for each in (*data["operations"], *data["shown"]["plan"]["operations"]):
        each["platform_name"] = "Harmless"
    edit(**data)
    assert desk.run("show", FILE) == 0
    assert "--check` plans again and proves the plan" in desk.out
    assert desk.run("show", FILE, "--check", PATH) == 4
    assert "differs from a new plan" in desk.out


def test_hostile_text_in_a_forged_plan_is_no_markup(desk: Desk) -> None:
    assert desk.run("plan", PATH, "--out", FILE) == 0
    data = json.loads(Path(FILE).read_text(encoding="ascii"))
    hostile = "<script>alert(1)</script>\u001b[31m ::error::x @team"
    for each in (*data["operations"], *data["shown"]["plan"]["operations"]):
        each["platform_name"] = each["name"] = hostile
    edit(**data)
    for style in RENDERERS:
        assert desk.run("show", FILE, "--format", style) == 0
        assert "\u001b" not in desk.out
        if style == "html":
            assert "<script>alert" not in desk.out
        if style == "github":
            assert all(line.count("::error::") <= 1 for line in desk.out.splitlines())
