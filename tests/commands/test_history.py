"""Which history an apply accepts: `plan` says beforehand, and exits alike; after a rewrite that was meant there is a recorded way on."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import sandbox
from tests.commands import test_baseline
from tests.commands.test_baseline import OFF, PATH, WINDOW, Office
from tests.support.gitfakes import git

world, office = test_baseline.world, test_baseline.office

STRICT = "  limits: {changed_share: 0.1}\n"
WHY = "history was squashed by the owner"


def head(office: Office) -> str:
    return git(office.folder, "rev-parse", "HEAD")


def slower(office: Office, number: int, *, new: str = "2.0") -> str:
    """Lower the dial rate of one manifest, and commit; return the commit."""
    office.edit("dial_rate: 3.0", f"dial_rate: {new}", f"m{number:02}.yaml")
    return office.commit()


def amended(office: Office) -> None:
    """Rewrite the commit that was applied last."""
    slower(office, 2)
    assert office.apply() == 0
    office.edit("dial_rate: 3.0", "dial_rate: 2.5", "m03.yaml")
    git(office.folder, "add", "-A")
    git(office.folder, "commit", "-q", "--amend", "-m", "amended")


def squashed(office: Office) -> None:
    """Apply a branch, then squash it into main."""
    git(office.folder, "branch", "-q", "-m", "main")
    git(office.folder, "checkout", "-q", "-b", "feature")
    slower(office, 2)
    assert office.apply() == 0
    git(office.folder, "checkout", "-q", "main")
    git(office.folder, "merge", "-q", "--squash", "feature")
    git(office.folder, "commit", "-q", "-m", "feature (#1)")


def begun_anew(office: Office) -> None:
    """Replace the whole history by one commit, and forget the rest."""
    slower(office, 2)
    assert office.apply() == 0
    forget(office)


def forget(office: Office) -> None:
    """Replace the whole history by one commit; the applied one is gone for good."""
    git(office.folder, "checkout", "-q", "--orphan", "anew")
    office.commit()
    for branch in git(office.folder, "branch", "--format=%(refname:short)").split():
        if branch != "anew":
            git(office.folder, "branch", "-q", "-D", branch)
    git(office.folder, "reflog", "expire", "--expire=now", "--all")
    git(office.folder, "gc", "-q", "--prune=now")


def behind(office: Office) -> None:
    """Check out the commit before the one that was applied last."""
    slower(office, 2)
    assert office.apply() == 0
    git(office.folder, "checkout", "-q", "--detach", "HEAD~1")


def beside(office: Office) -> None:
    """Work on a branch that lacks what main applied meanwhile."""
    git(office.folder, "branch", "-q", "-m", "main")
    git(office.folder, "branch", "-q", "feature")
    slower(office, 2)
    assert office.apply() == 0
    git(office.folder, "checkout", "-q", "feature")
    slower(office, 3)


def dirty(office: Office) -> None:
    office.edit("dial_rate: 3.0", "dial_rate: 2.9", "m01.yaml")


def converted(office: Office) -> None:
    """Check the manifests out with other line ends than the commit has."""
    (office.folder / ".gitattributes").write_text("*.yaml text eol=crlf\n", encoding="utf-8")
    office.commit()
    for file in office.tenant.glob("m*.yaml"):
        file.unlink()
    git(office.folder, "checkout", "-q", "--", ".")


def no_commit(office: Office) -> None:
    shutil.rmtree(office.folder / ".git")
    git(office.folder, "init", "-q")


def no_repository(office: Office) -> None:
    shutil.rmtree(office.folder / ".git")


REASONS = {
    amended: (5, "No branch known here holds that commit: history was rewritten"),
    squashed: (5, "That commit is on feature: update the branch (git merge"),
    begun_anew: (5, "Neither this clone nor the remote has that commit"),
    behind: (5, "is older than the commit applied last"),
    beside: (5, "That commit is on main: update the branch (git merge"),
    dirty: (5, "the tenant's folder differs from HEAD"),
    converted: (5, "git converts these files"),
    no_commit: (5, "the tenant's folder differs from HEAD"),
    no_repository: (1, "is not in a git repository"),
}


@pytest.mark.parametrize("disturb", REASONS, ids=lambda each: each.__name__)
def test_a_plan_says_first_why_apply_would_refuse_and_exits_alike(
    office: Office, world: sandbox.CampaignState, disturb: Callable[[Office], None]
) -> None:
    disturb(office)
    code, said = REASONS[disturb]
    before = world.executed()
    error = office.says(code, "apply", "--yes", PATH).removeprefix("error: ")
    assert said in error
    assert world.executed() == before
    assert office.plan("--format", "json") == code
    assert json.loads(office.out)["refusals"] == [{"exit_code": code, "message": error}]
    for style in ("text", "markdown", "html", "github"):
        assert office.run("plan", PATH, "--format", style) == code
        shown = html.unescape(office.out).replace("\\", "").replace("%0A", " ")
        assert shown.index(error[:40]) < shown.index("m0") if "m0" in shown else True


def test_all_reasons_are_shown_at_once(office: Office) -> None:
    amended(office)
    office.set(STRICT)
    office.slow_down(1)
    assert office.plan("--format", "json") == 5
    messages = [each["message"] for each in json.loads(office.out)["refusals"]]
    assert len(messages) == 3
    for message, said in zip(messages, ("differs", "descend", "2 of 10"), strict=True):
        assert said in message


@pytest.mark.parametrize("rewrite", [amended, squashed, begun_anew], ids=lambda each: each.__name__)
def test_a_history_that_was_rewritten_on_purpose_is_accepted_once_and_recorded(
    office: Office, rewrite: Callable[[Office], None]
) -> None:
    slower(office, 1)
    assert office.apply() == 0
    rewrite(office)
    new = head(office)
    assert office.run("plan", PATH, "--accept-history", WHY) == 0
    assert f"history accepted: HEAD ({new[:12]}) does not descend" in office.out
    assert WHY in office.out
    assert office.plan() == 5
    assert office.apply("--accept-history", WHY) == 0
    assert WHY in office.err + office.out
    assert office.plan() == 0
    assert office.run("audit", "log", PATH) == 0
    (line,) = [each for each in office.out.splitlines() if "history accepted" in each]
    assert new[:12] in line
    assert office.apply() == 0
    assert "--accept-history has no effect" not in office.out
    slower(office, 5)
    assert office.apply() == 0


def test_an_acceptance_names_both_commits_for_whoever_asks_about_one(office: Office) -> None:
    old = slower(office, 2)
    assert office.apply() == 0
    git(office.folder, "commit", "-q", "--amend", "-m", "amended")
    new = head(office)
    assert office.apply("--accept-history", WHY) == 0
    for commit in (old, new):
        assert office.run("audit", "show", commit[:12], PATH) == 0
        (line,) = [each for each in office.out.splitlines() if "in place of" in each]
        assert line.endswith(old)
        assert WHY in office.out


@pytest.mark.parametrize("disturb", [behind, dirty, converted], ids=lambda each: each.__name__)
def test_an_acceptance_is_for_no_other_reason(
    office: Office, world: sandbox.CampaignState, disturb: Callable[[Office], None]
) -> None:
    disturb(office)
    before, recorded = world.executed(), office.records()
    assert office.run("plan", PATH, "--accept-history", WHY) == 5
    assert REASONS[disturb][1] in office.says(5, "apply", "--yes", PATH, "--accept-history", WHY)
    assert (world.executed(), office.records()) == (before, recorded)


def test_an_acceptance_without_need_is_said_and_not_recorded(office: Office) -> None:
    slower(office, 2)
    assert office.apply("--accept-history", WHY) == 0
    assert "--accept-history has no effect" in office.err + office.out
    assert office.run("audit", "log", PATH) == 0
    assert "history accepted" not in office.out


def test_an_acceptance_needs_a_reason(office: Office) -> None:
    for command in (["plan"], ["apply", "--yes"]):
        assert "--accept-history is empty" in office.says(
            64, *command, PATH, "--accept-history", " "
        )


@pytest.mark.parametrize("gone", [False, True])
def test_a_rewritten_history_does_not_get_rid_of_its_judge(
    office: Office,
    world: sandbox.CampaignState,
    gone: bool,  # noqa: FBT001 - a table
) -> None:
    """Whoever rewrites history drops a rule or a waiver's limits with it: those of the applied commit, or the defaults, still count."""
    office.set(STRICT)
    office.commit()
    assert office.apply() == 0
    office.set(OFF)
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    office.slow_down(6)
    git(office.folder, "add", "-A")
    git(office.folder, "commit", "-q", "--amend", "-m", "nothing to see")
    if gone:
        forget(office)
    before = world.executed()
    assert office.run("plan", PATH, "--accept-history", WHY) == 5
    assert "policies.calling-windows" in office.out
    assert f"the limit is {'30' if gone else '10'}%" in office.out
    assert ("is neither here nor on the remote" in office.out) is gone
    assert office.run("apply", "--yes", PATH, "--accept-history", WHY) == 5
    assert world.executed() == before


def test_a_stale_approval_accepts_no_history(office: Office) -> None:
    amended(office)
    recorded = office.records()
    assert office.apply("--accept-history", WHY, "--expect", "0" * 64) == 4
    assert office.records() == recorded


def test_the_digest_is_the_same_with_and_without_acceptance(office: Office, tmp_path: Path) -> None:
    """An approval is for what is done to the platform. Why the commit may be applied is recorded beside it."""
    amended(office)
    saved = tmp_path / "plan.json"
    assert office.run("plan", PATH, "--out", str(saved)) == 5
    digest = json.loads(saved.read_text())["digest"]
    assert office.run("plan", PATH, "--accept-history", WHY) == 0
    assert digest in office.out
    assert office.run("apply", PATH, "--approved", str(saved), "--accept-history", WHY) == 0


def test_a_clone_of_one_commit_and_no_files_is_applied_from(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As `actions/checkout` makes it, with `filter: blob:none` or a sparse checkout."""
    for number in (1, 2):
        slower(office, number)
    git(office.folder, "config", "uploadpack.allowFilter", "true")
    for name in ("blob:none", "tree:0"):
        thin = tmp_path_factory.mktemp("thin") / "clone"
        git(
            office.folder,
            *("clone", "-q", "--depth=1", f"--filter={name}", "--sparse"),
            *(office.folder.as_uri(), str(thin)),
        )
        git(thin, "sparse-checkout", "set", PATH)
        git(thin, "fetch", "-q", "origin", "refs/notes/*:refs/notes/*")
        monkeypatch.chdir(thin)
        assert office.plan() == 2, office.out + office.err
    assert office.apply() == 0, office.err
    git(thin, "remote", "set-url", "origin", "file:///nowhere")
    assert office.plan() == 0


def test_a_saved_plan_with_a_key_twice_is_none(office: Office, tmp_path: Path) -> None:
    """Whoever reviews the file with another tool may see the first of the two."""
    slower(office, 2)
    saved = tmp_path / "plan.json"
    assert office.run("plan", PATH, "--out", str(saved)) == 0
    text = saved.read_text()
    saved.write_text(text.replace('"digest":', '"digest": "", "digest":', 1))
    said = office.says(64, "apply", PATH, "--approved", str(saved))
    assert "the key digest is duplicated in one object" in said
