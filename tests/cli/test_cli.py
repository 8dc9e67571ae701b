"""The command line: every unhappy path has one clear message, its exit code, and writes nothing."""

import html
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from reconciler import manifests, sandbox
from reconciler.audit import Attribution, Run
from reconciler.cli import COMMANDS, GROUPS, reconcile
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.manifests import Folder
from reconciler.sandbox.writes import Conditions
from reconciler.world import here
from tests import readme
from tests.support import fasttime
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.gitfakes import PLATFORM
from tests.support.samples import HERE

__all__ = ["desk", "server"]


def test_the_first_run_applies_the_samples_and_the_second_finds_nothing(desk: Desk) -> None:
    assert desk.run("apply", "--yes", "schedules/sandbox") == 0
    assert "5 planned, 5 applied, 5 active, 0 failed, 0 held" in desk.out
    shown = desk.out
    assert desk.run("plan", "schedules/sandbox") == 0
    assert "No changes. 6 schedules match their manifests." in desk.out
    assert readme.unseen(shown + desk.out) == []
    assert desk.run("plan", "--detailed-exitcode", "schedules/sandbox") == 0
    notes = git(desk.folder, "log", "-1", "--notes=reconcile/sandbox/sandbox")
    assert '"action":"SCHEDULE_DEPLOYED"' in notes
    assert '"action":"SCHEDULE_RETIRED"' in notes


def test_a_job_that_is_run_again_does_not_bring_back_what_was_removed_by_hand_since(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.configure(activation_s=0)
    saved = str(desk.folder / ".reconcile-plan.json")
    assert desk.run("plan", "--out", saved, "schedules/sandbox") == 0
    approved = ("apply", "--yes", "--approved", saved, "schedules/sandbox")
    assert desk.run(*approved) == 0
    by_hand = {"client": "console", "ticket": None, "conditions": Conditions()}
    server.write_schedule("1001", None, **by_hand)
    server.refresh("1001", "console")
    assert desk.run(*approved) == 4
    assert "the schedule was removed outside git" in desk.out
    assert server.campaign("1001")["schedule_id"] is None
    assert desk.run("apply", "--yes", "--revert", "spring-renewals", "schedules/sandbox") == 0
    assert server.campaign("1001")["schedule_id"] is not None


def test_plan_changes_nothing_and_says_so_by_its_code(desk: Desk) -> None:
    assert desk.run("plan", "schedules/sandbox") == 0
    assert desk.run("plan", "--detailed-exitcode", "schedules/sandbox") == 2
    assert (desk.written(), desk.records()) == (0, "")


# --- usage: 64 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "--nonsense"], "No such option"),
        (
            ["halt", "schedules/sandbox", "--all"],
            "Missing option '--reason' (see reconcile halt --help)",
        ),
        (["nonsense"], "No such command"),
        ([], "name a command (see reconcile --help)"),
        (["audit"], "name a command (see reconcile audit --help)"),
        (["plan", "nowhere/at/all"], "nowhere/at/all"),
        (["plan", "schedules", "--tenant", "acme"], "there is no tenant 'acme'"),
        (["plan", "schedules/sandbox", "no-such-manifest"], "no manifest named no-such-manifest"),
        (["apply", "schedules/sandbox"], "add --yes"),
        (["apply", "--yes", "--approved", "README", "schedules/sandbox"], "README"),
        (["schema"], "name a kind"),
        (["sandbox", "serve", "--fault", "nonsense"], "nonsense"),
    ],
)
def test_a_wrong_call_is_64_and_never_clicks_own_2(
    desk: Desk, arguments: list[str], says: str
) -> None:
    assert says in desk.says(64, *arguments)
    assert (desk.written(), desk.records()) == (0, "")


def test_several_tenants_and_no_choice_are_listed(desk: Desk) -> None:
    shutil.copytree(desk.tenant, desk.folder / "schedules" / "second")
    said = desk.says(64, "plan", "schedules")
    assert "sandbox" in said
    assert "second" in said
    assert desk.run("validate", "schedules") == 0


# --- manifests: 65 --------------------------------------------------------------------------------------------------------

BAD_YAML = {
    "syntax": ("kind: [a\n", "broken.yaml:2:1"),
    "anchor": ("kind: &a CampaignSchedule\n", "broken.yaml:1:7"),
    "tag": ("kind: !!str x\n", "broken.yaml:1:7"),
    "directive": ("%YAML 1.1\n---\nkind: x\n", "broken.yaml:1:1"),
    "duplicate key": ("kind: a\nkind: b\n", "broken.yaml:2:1"),
    "key that is no text": ("1: a\n", "broken.yaml:1:1"),
    "control character": ("kind: 'a\u202eb'\n", "broken.yaml:1"),
    "unknown kind": ("apiVersion: cxone.reconciler/v1\nkind: Nonsense\n", "broken.yaml:2:7"),
    "unknown key": ("apiVersion: cxone.reconciler/v1\nkind: Tenant\nsurprise: 1\n", "broken.yaml"),
}


@pytest.mark.parametrize("text", BAD_YAML)
@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_bad_yaml_is_65_with_its_place(desk: Desk, command: str, text: str) -> None:
    (desk.tenant / "broken.yaml").write_text(BAD_YAML[text][0], encoding="utf-8")
    commit(desk.folder)
    extra = ["--yes"] if command == "apply" else []
    assert desk.run(command, *extra, "schedules/sandbox") == 65
    assert f"schedules/sandbox/{BAD_YAML[text][1]}" in desk.err
    assert "Traceback" not in desk.err
    assert (desk.written(), desk.records()) == (0, "")


def test_every_problem_is_named_in_one_run(desk: Desk) -> None:
    desk.edit("dial_rate: 2.0", "dial_rate: 0")
    desk.edit("timezone: Europe/London", "timezone: Europe/Londom", "home-broadband-upgrade.yaml")
    assert desk.run("validate", "schedules/sandbox") == 65
    assert "spring-renewals.yaml:15:14" in desk.err
    assert "home-broadband-upgrade.yaml" in desk.err


def test_no_manifests_is_65_and_not_no_changes(desk: Desk) -> None:
    for file in desk.tenant.glob("*.yaml"):
        if file.name != "tenant.yaml":
            file.unlink()
    assert "no manifests" in desk.says(65, "plan", "schedules/sandbox")


@pytest.mark.parametrize(
    ("style", "shown"),
    [("github", "::error file="), ("markdown", "is not valid YAML"), ("json", '"problems"')],
)
def test_bad_yaml_shows_on_the_page_that_the_format_is_for(
    desk: Desk, style: str, shown: str
) -> None:
    (desk.tenant / "broken.yaml").write_text("kind: [a\n", encoding="utf-8")
    assert desk.run("validate", "--format", style, "schedules/sandbox") == 65
    assert shown in desk.out
    assert "broken.yaml" in desk.out


@pytest.mark.parametrize(
    "line",
    ["policies: {dnc-lst: 'off'}", "waivers: [{rule: dnc-lst, reason: r, until: 2027-12-31}]"],
)
def test_a_rule_that_does_not_exist_is_refused_and_not_ignored(desk: Desk, line: str) -> None:
    desk.edit(
        "  requests_per_second: 20\n", f"  requests_per_second: 20\n  {line}\n", "tenant.yaml"
    )
    assert desk.run("validate", "schedules/sandbox") == 5
    assert "'dnc-lst', which does not exist. The rules are calling-windows" in desk.out


def test_a_plan_needs_no_commit_and_exits_as_the_apply_that_needs_one(desk: Desk) -> None:
    shutil.rmtree(desk.folder / ".git")
    for code in (1, 5):
        assert desk.run("plan", "schedules/sandbox") == code
        assert "3 to create, 1 to update" in desk.out
        assert desk.run("apply", "--yes", "schedules/sandbox") == code
        git(desk.folder, "init", "-q")


@pytest.mark.parametrize("style", ["text", "markdown", "html", "github"])
def test_a_plan_of_what_is_not_committed_says_so_in_every_format(desk: Desk, style: str) -> None:
    said = "apply would refuse this: the tenant's folder differs from HEAD ("
    desk.run("plan", "schedules/sandbox", "--format", style)
    assert "uncommitted" not in desk.out
    assert said not in desk.out
    desk.edit("dial_rate: 2.0", "dial_rate: 1.5")
    desk.run("plan", "schedules/sandbox", "--format", style)
    assert html.unescape(desk.out).replace("\\", "").count(said) == 1
    assert "spring-renewals.yaml (changed)" in desk.out.replace("\\", "")
    if style != "github":  # that one shows no facts
        head = git(desk.folder, "rev-parse", "HEAD").strip()
        assert f"{head} + uncommitted changes" in desk.out
    assert desk.run("plan", "schedules/sandbox", "--detailed-exitcode") == 5
    assert "the tenant's folder differs from HEAD" in desk.says(
        5, "apply", "schedules/sandbox", "--yes"
    )


def test_what_is_not_committed_is_named_to_machines_and_changes_no_digest(desk: Desk) -> None:
    desk.run("plan", "schedules/sandbox", "--format", "json")
    committed = json.loads(desk.out)
    (desk.tenant / "notes.txt").write_text("beside the manifests")
    desk.run("plan", "schedules/sandbox", "--format", "json")
    shown = json.loads(desk.out)
    assert shown.pop("uncommitted") == ["schedules/sandbox/notes.txt (untracked)"]
    assert "uncommitted" not in committed
    assert shown["digest"] == committed["digest"]


# --- secret, host, scope: 77 ----------------------------------------------------------------------------------------------


def test_a_missing_secret_is_77_and_names_the_variable(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.edit('url: "sandbox:"', "url: https://acme.cxonecloud.com", "tenant.yaml")
    desk.edit('  clock: "2027-03-01T12:00:00Z"\n', "", "tenant.yaml")
    said = desk.says(77, "plan", "schedules/sandbox")
    assert "CXONE_CLIENT_SECRET" in said
    monkeypatch.setenv("CXONE_TENANT_URL", "https://evil.example")
    monkeypatch.setenv("CXONE_CLIENT_ID", "a")
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "canary-secret")
    said = desk.says(77, "plan", "schedules/sandbox")
    assert "https://evil.example" in said
    assert "https://acme.cxonecloud.com" in said
    assert "canary-secret" not in desk.out + desk.err


def test_a_url_with_api_is_refused_with_the_value_to_use(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXONE_TENANT_URL", "https://acme.cxonecloud.com/api")
    monkeypatch.setenv("CXONE_CLIENT_ID", "a")
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "b")
    assert "write https://acme.cxonecloud.com" in desk.says(77, "plan", "schedules/sandbox")
    desk.edit('url: "sandbox:"', "url: https://acme.cxonecloud.com/api", "tenant.yaml")
    desk.edit('  clock: "2027-03-01T12:00:00Z"\n', "", "tenant.yaml")
    assert "https://acme.cxonecloud.com" in desk.says(65, "plan", "schedules/sandbox")


def test_a_wrong_secret_says_that_it_may_have_been_rotated(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "canary-wrong-secret")
    said = desk.says(77, "plan", "schedules/sandbox")
    assert "rotated" in said
    assert "CXONE_CLIENT_SECRET" in said
    assert "canary-wrong-secret" not in desk.out + desk.err


def test_a_missing_scope_is_named(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = sandbox.credentials(server, "read-only")
    monkeypatch.setenv("CXONE_CLIENT_ID", login.client_id)
    monkeypatch.setenv("CXONE_CLIENT_SECRET", login.client_secret)
    assert desk.run("plan", "schedules/sandbox") == 0
    login = sandbox.credentials(server, without="dnc:read")
    monkeypatch.setenv("CXONE_CLIENT_ID", login.client_id)
    monkeypatch.setenv("CXONE_CLIENT_SECRET", login.client_secret)
    assert "dnc:read" in desk.says(77, "plan", "schedules/sandbox")


def test_an_apply_with_the_read_only_client_writes_nothing(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = sandbox.credentials(server, "read-only")
    monkeypatch.setenv("CXONE_CLIENT_ID", login.client_id)
    monkeypatch.setenv("CXONE_CLIENT_SECRET", login.client_secret)
    assert desk.run("apply", "--yes", "schedules/sandbox") == 77
    assert "campaigns:write" in desk.out + desk.err
    assert server.executed() == 0


# --- platform down, locked, stale, refused --------------------------------------------------------------------------------


def test_a_platform_that_is_down_is_69(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.client.full_jitter", lambda *_: 0.0)
    monkeypatch.setenv("CXONE_TENANT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CXONE_CLIENT_ID", "a")
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "b")
    desk.says(69, "plan", "schedules/sandbox")
    assert desk.err.count("retrying, for 60 s at most") == 1


def test_a_dialer_locked_beyond_the_wait_is_75_and_the_next_run_finishes(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.faults.add("locked:1003")
    assert (
        desk.run("apply", "--yes", "--wait", "0", "schedules/sandbox", "warranty-reminders") == 75
    )
    assert "stored, not active: the dialer is locked" in desk.out
    server.faults.clear()
    assert desk.run("apply", "--yes", "schedules/sandbox", "warranty-reminders") == 0
    assert server.executed("1003") == 1


def test_a_stale_approval_is_4_and_writes_nothing(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert (
        desk.run(
            "plan",
            "schedules/sandbox",
            "warranty-reminders",
            "--out",
            "plan.json",
            "--format",
            "json",
        )
        == 0
    )
    digest = json.loads(desk.out)["digest"]
    body = json.loads(str(server.campaign("1003")["schedule"]))
    server.put_campaign(
        "1003", "Warranty Reminders", schedule={**body, "campaign_id": "1003", "dial_rate": 1.0}
    )
    approved = ["--approved", "plan.json", "--expect", digest]
    assert desk.run("apply", *approved, "schedules/sandbox", "warranty-reminders") == 4
    assert "stale" in desk.out
    assert server.executed("1003") == 0


def test_an_edited_plan_is_no_approval(desk: Desk) -> None:
    assert desk.run("plan", "schedules/sandbox", "--out", "plan.json") == 0
    plan = json.loads(Path("plan.json").read_text(encoding="ascii"))
    plan["operations"][0]["desired"]["dial_rate"] = 40.0
    Path("plan.json").write_text(json.dumps(plan), encoding="ascii")
    assert "edited" in desk.says(64, "apply", "--approved", "plan.json", "schedules/sandbox")
    assert (desk.written(), desk.records()) == (0, "")


def test_only_what_was_approved_runs(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("plan", "schedules/sandbox", "warranty-reminders", "--out", "plan.json") == 0
    assert desk.run("apply", "--approved", "plan.json", "schedules/sandbox") == 4
    assert "not approved" in desk.out
    assert (server.executed("1003"), server.executed()) == (1, 1)


def test_what_was_blocked_when_it_was_approved_does_not_run_once_nothing_blocks_it(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """The narrowing that was approved beside it does."""
    for each in server.list_page(1, 100)[0]:
        server.put_list(each["id"], campaign_ids=each["campaign_ids"], status="INACTIVE")
    names = ("schedules/sandbox", "spring-renewals", "warranty-reminders")
    assert desk.run("plan", *names, "--out", "plan.json") == 5
    digest = json.loads(Path("plan.json").read_text(encoding="ascii"))["digest"]
    for each in server.list_page(1, 100)[0]:
        server.put_list(each["id"], campaign_ids=each["campaign_ids"], status="ACTIVE")
    assert desk.run("apply", "--expect", digest, *names) == 4
    assert f"and {digest} was approved; nothing was written" in desk.out
    assert server.executed() == 0
    assert desk.run("apply", "--approved", "plan.json", "--expect", digest, *names) == 4
    assert "not approved: spring-renewals was blocked or held" in desk.out
    assert (server.executed("1001"), server.executed("1003")) == (0, 1)


def test_a_folder_that_differs_from_head_is_refused(desk: Desk) -> None:
    desk.edit("dial_rate: 2.0", "dial_rate: 2.5")
    assert "spring-renewals.yaml" in desk.says(5, "apply", "--yes", "schedules/sandbox")
    assert (desk.written(), desk.records()) == (0, "")


def test_what_was_read_must_be_what_the_commit_holds_whatever_lies_there_by_now(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody swaps a file in for the moment in which it is read, and back before it is held against HEAD."""
    load = manifests.load

    def swapped(path: Path, tenant: str | None) -> Folder:
        desk.edit("dial_rate: 2.0", "dial_rate: 2.5")
        folder = load(path, tenant)
        desk.edit("dial_rate: 2.5", "dial_rate: 2.0")
        return folder

    monkeypatch.setattr(manifests, "load", swapped)
    said = desk.says(5, "apply", "--yes", "schedules/sandbox")
    assert "differ from the commit (spring-renewals.yaml)" in said
    assert (desk.written(), desk.records()) == (0, "")


def test_what_is_judged_must_be_what_was_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings are read again for their places: a file without the fault, swapped in for that, hides nothing."""
    desk.edit("dial_rate: 2.0", "dial_rate: 60")
    commit(desk.folder)
    load = manifests.load

    def swapped(path: Path, tenant: str | None, *, keep_places: bool = False) -> Folder:
        if not keep_places:
            return load(path, tenant)
        desk.edit("dial_rate: 60", "dial_rate: 2.0")
        folder = load(path, tenant, keep_places=keep_places)
        desk.edit("dial_rate: 2.0", "dial_rate: 60")
        return folder

    monkeypatch.setattr(manifests, "load", swapped)
    assert "changed while they were read" in desk.says(5, "apply", "--yes", "schedules/sandbox")
    assert (desk.written(), desk.records()) == (0, "")


def test_a_file_whose_line_ends_git_converts_is_refused_with_the_way_out(desk: Desk) -> None:
    attributes = desk.tenant / ".gitattributes"
    attributes.write_text("loyalty-survey.yaml text eol=crlf\n", encoding="utf-8")
    commit(desk.folder)
    (desk.tenant / "loyalty-survey.yaml").unlink()
    git(desk.folder, "checkout", "-q", "--", "schedules")
    assert git(desk.folder, "status", "--porcelain") == ""
    said = desk.says(5, "apply", "--yes", "schedules/sandbox")
    assert "loyalty-survey.yaml" in said
    assert "* -text -filter -ident" in said
    assert (desk.written(), desk.records()) == (0, "")
    attributes.write_text("* -text -filter -ident\n", encoding="utf-8")
    commit(desk.folder)
    (desk.tenant / "loyalty-survey.yaml").unlink()
    git(desk.folder, "checkout", "-q", "--", "schedules")
    assert desk.run("apply", "--yes", "schedules/sandbox") == 0


def test_what_is_not_the_commits_is_refused_as_that_though_the_sign_in_beside_it_fails_too(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is fetched while git reads the commit: whichever fails first, the commit is what somebody must look at."""
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "rotated")
    assert "CXONE_CLIENT_SECRET" in desk.says(77, "apply", "--yes", "schedules/sandbox")
    (desk.tenant / ".gitattributes").write_text("*.yaml text eol=crlf\n", encoding="utf-8")
    commit(desk.folder)
    (desk.tenant / "loyalty-survey.yaml").unlink()
    git(desk.folder, "checkout", "-q", "--", "schedules")
    said = desk.says(5, "apply", "--yes", "schedules/sandbox")
    assert "* -text -filter -ident" in said
    assert "CXONE_CLIENT_SECRET" not in said
    assert server.executed() == 0


def test_a_part_of_a_folder_is_held_against_the_commit_from_wherever_it_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.tenant)
    assert desk.run("apply", "--yes", "warranty-reminders.yaml") == 0
    assert "1 applied" in desk.out
    assert desk.run("apply", "--yes", ".") == 0
    assert "4 applied" in desk.out
    assert desk.run("apply", "--yes", str(desk.tenant)) == 0
    assert "No changes" in desk.out


def test_no_git_repository_is_an_error(desk: Desk) -> None:
    shutil.rmtree(desk.folder / ".git")
    assert "git repository" in desk.says(1, "apply", "--yes", "schedules/sandbox")
    assert desk.written() == 0
    assert desk.run("plan", "schedules/sandbox") == 1, "a plan exits like the apply"
    assert "git repository" in desk.out


def test_a_rule_blocks_its_own_object_alone_and_5_says_that_nothing_was_written(desk: Desk) -> None:
    desk.edit("dial_rate: 2.0", "dial_rate: 60")
    commit(desk.folder)
    assert desk.run("plan", "schedules/sandbox") == 5
    assert "tenant-limits" in desk.out
    assert "schedules/sandbox/spring-renewals.yaml:15:14" in desk.out
    assert desk.run("apply", "--yes", "schedules/sandbox") == 3
    assert "4 applied" in desk.out
    assert desk.run("apply", "--yes", "schedules/sandbox") == 5


def test_a_finding_that_names_no_object_lets_only_narrowings_pass(desk: Desk) -> None:
    line = "  requests_per_second: 20\n"
    desk.edit(line, line + "  policies: {dnc-lst: 'off'}\n", "tenant.yaml")
    commit(desk.folder)
    assert desk.run("plan", "schedules/sandbox") == 5
    assert desk.run("apply", "--yes", "schedules/sandbox") == 3
    assert "5 planned, 2 applied" in desk.out
    assert desk.run("apply", "--yes", "schedules/sandbox") == 5


def test_somebody_else_applying_is_6(desk: Desk) -> None:
    ledger = Ledger.open(
        Git(desk.folder, environ=dict(os.environ)),
        "sandbox/sandbox",
        here(print),
    )
    with ledger.locked(holder="another run"):
        assert "another run" in desk.says(6, "apply", "--yes", "schedules/sandbox")
        assert desk.run("lock", "status", "schedules/sandbox") == 0
        assert "another run" in desk.out
    assert desk.written() == 0


def test_declining_is_1_and_writes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert desk.run("apply", "schedules/sandbox") == 1
    assert "Declined." in desk.out
    assert (desk.written(), desk.records()) == (0, "")


def test_ctrl_c_at_the_question_ends_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Enter is needed, and no `y` after it counts."""
    answers = []

    def typed(_: str) -> str:
        signal.raise_signal(signal.SIGINT)
        answers.append("y")
        return "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", typed)
    assert desk.run("apply", "schedules/sandbox") == 130
    assert desk.err.endswith("\nerror: interrupted; nothing was written\n")
    assert answers == []
    assert (desk.written(), desk.records()) == (0, "")


def test_tighten_only_leaves_every_widening_out(desk: Desk, server: sandbox.CampaignState) -> None:
    assert desk.run("apply", "--yes", "--tighten-only", "schedules/sandbox") == 0
    assert {
        entry.campaign_id
        for entry in server.journal()
        if entry.client != "console" and entry.action == "STORED"
    } == {"1003"}


# --- optimize and telemetry -----------------------------------------------------------------------------------------------


def observed(desk: Desk, **answers: int) -> str:
    """Write a CSV of one hour in which 1,000 were called and so many answered, by campaign."""
    rows = [
        f"{key.removeprefix('c')},2027-03-01T10:00:00Z,1000,{number}"
        for key, number in answers.items()
    ]
    (desk.folder / "metrics.csv").write_text(
        "\n".join(["campaign_id,start,attempts,answers", *rows, ""]), encoding="utf-8"
    )
    return "metrics.csv"


def test_optimize_proposes_and_writes_only_when_told(desk: Desk) -> None:
    path = desk.tenant / "spring-renewals.yaml"
    before = path.read_text(encoding="utf-8")
    asked = [
        "optimize",
        "--target-answer-rate",
        "0.3",
        "--metrics",
        observed(desk, c1001=100, c1003=290),
        "schedules/sandbox",
    ]
    assert desk.run(*asked) == 0
    assert "dial_rate 2 → 1.7" in desk.out
    assert "warranty-reminders" in desk.out
    assert "`--write` puts this into the manifests" in desk.out
    assert path.read_text(encoding="utf-8") == before
    assert desk.run(*asked, "--write") == 0
    assert "commit the edits" in desk.out
    assert path.read_text(encoding="utf-8") == before.replace("dial_rate: 2.0", "dial_rate: 1.7")
    assert (desk.written(), desk.records()) == (0, "")


def test_optimize_keeps_its_report_in_markdown_before_it_edits(desk: Desk) -> None:
    before = (desk.tenant / "spring-renewals.yaml").read_bytes()
    asked = [
        "optimize",
        "--target-answer-rate",
        "0.3",
        "--metrics",
        observed(desk, c1001=100),
        "--write",
    ]
    assert "cannot write" in desk.says(64, *asked, "--report", "none/pr.md", "schedules/sandbox")
    assert (desk.tenant / "spring-renewals.yaml").read_bytes() == before
    for read in ("metrics.csv", "schedules/sandbox/spring-renewals.yaml", "predictions.md"):
        assert f"--report would overwrite {read}" in desk.says(64, *asked, "--report", read, "schedules/sandbox")  # fmt: skip
    assert (desk.tenant / "spring-renewals.yaml").read_bytes() == before
    assert desk.run(*asked, "--report", "pr.md", "schedules/sandbox") == 0
    report = (desk.folder / "pr.md").read_text(encoding="utf-8")
    assert report.startswith(
        "## 1 change written to schedules/sandbox/spring-renewals.yaml, schedules/sandbox/predictions.md; "
    )
    assert "dial\\_rate 2 → 1.7" in report
    assert "at most 7,200 → 6,120 calls an hour" in report
    assert (desk.tenant / "spring-renewals.yaml").read_bytes() != before


def test_optimize_makes_no_proposal_that_its_clamp_turns_round(desk: Desk) -> None:
    desk.edit("dial_rate: 2.0", "dial_rate: 0.5")
    asked = [
        "optimize",
        "--target-answer-rate",
        "0.3",
        "--metrics",
        observed(desk, c1001=10),
        "schedules/sandbox",
        "spring-renewals",
    ]
    assert desk.run(*asked) == 0
    assert "0 changes proposed" in desk.out
    assert "the rule never proposes less than 1 calls/s" in desk.out


def test_optimize_reads_the_platforms_own_metrics(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    start = datetime(2027, 2, 28, 15, tzinfo=UTC)
    for hour in range(3):
        server.put_metrics(
            "1003",
            start + timedelta(hours=hour),
            {"attempts": 1000, "answers": 100, "abandons": 1, "agents": 5, "handle_time_s": 180},
        )
    assert (
        desk.run(
            "optimize",
            "--target-answer-rate",
            "0.3",
            "schedules/sandbox",
            "warranty-reminders",
            "--from",
            "2027-02-28T15:00:00Z",
            "--to",
            "2027-02-28T18:00:00Z",
            "--format",
            "json",
        )
        == 0
    )
    assert json.loads(desk.out)["proposals"][0]["changes"] == [
        {"field": "dial_rate", "current": 2.4, "proposed": 2.04}
    ]


def test_bad_rows_of_metrics_are_named_and_left_out_and_the_others_are_used(desk: Desk) -> None:
    bad = "".join(f"1001,2027-03-01T{hour:02}:00:00Z,-1,0,\n" for hour in range(9))
    good = "1001,2027-03-01T10:00:00Z,1000,100,?\n9999,2027-03-01T10:00:00Z,9,1,\n"
    (desk.folder / "metrics.csv").write_bytes(
        f"campaign_id,start,attempts,answers,mood\n{bad}".encode()
        + b"\xff,\xff,,,\n"
        + good.encode()
    )
    asked = ["optimize", "--target-answer-rate", "0.3", "--metrics", "metrics.csv"]
    assert desk.run(*asked, "schedules/sandbox", "spring-renewals") == 0
    assert "dial_rate 2 → 1.7" in desk.out
    for said in (
        "metrics.csv: unknown columns are ignored: mood; known are campaign_id, ",
        "metrics.csv: without a column abandons, the number of abandoned calls is unknown",
        "metrics.csv: 10 rows left out; all others are used",
        "metrics.csv:2:1: attempts must be a whole number from 0 up, not '-1'",
        "metrics.csv:10:1: 4 more problems from here on",
        "metrics.csv: rows of ids that no manifest has are not used: 9999",
    ):
        assert said in desk.out


def test_metrics_without_a_usable_row_are_65_with_each_line_and_write_nothing(desk: Desk) -> None:
    (desk.folder / "metrics.csv").write_text(
        "campaign_id,start,attempts,answers\n1001,yesterday,1,1\n", encoding="utf-8"
    )
    path = desk.tenant / "spring-renewals.yaml"
    before = path.read_bytes()
    said = desk.says(
        65,
        "optimize",
        "--target-answer-rate",
        "0.3",
        "--metrics",
        "metrics.csv",
        "--write",
        "schedules/sandbox",
    )
    assert "metrics.csv:2:1: start must be a whole hour" in said
    assert path.read_bytes() == before


def test_events_of_a_run_are_written_once_each_with_their_latency(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    asked = [
        "apply",
        "--yes",
        "--events",
        "events.jsonl",
        "--publish-events",
        "schedules/sandbox",
        "warranty-reminders",
    ]
    assert desk.run(*asked) == 0
    events = [
        json.loads(line) for line in Path("events.jsonl").read_text(encoding="ascii").splitlines()
    ]
    assert [event["type"] for event in events] == ["deployed", "activated"]
    assert 0 < events[1]["latency_s"] < 5 * fasttime.SPEED
    assert [event["id"] for event in server.events()] == [event["id"] for event in events]


def test_a_sink_that_fails_is_reported_and_harms_nothing(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert (
        desk.run(
            "apply",
            "--yes",
            "--events",
            "no/such/folder/events.jsonl",
            "schedules/sandbox",
            "warranty-reminders",
        )
        == 0
    )
    assert "no/such/folder/events.jsonl" in desk.out
    assert server.executed("1003") == 1


# --- records that a remote keeps ------------------------------------------------------------------------------------------


@pytest.fixture
def remote(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The desk's tenant lives on a real platform, so its records live in `origin`; one was pushed by another clone."""
    desk.edit('url: "sandbox:"', "url: https://acme.cxonecloud.com", "tenant.yaml")
    desk.edit('  clock: "2027-03-01T12:00:00Z"\n', "", "tenant.yaml")
    commit(desk.folder)
    shared = tmp_path_factory.mktemp("origin")
    git(shared, "init", "-q", "--bare")
    git(desk.folder, "remote", "add", "origin", str(shared))
    git(desk.folder, "push", "-q", "origin", "HEAD:refs/heads/main")
    other = tmp_path_factory.mktemp("other") / "clone"
    git(desk.folder, "clone", "-q", "-b", "main", str(shared), str(other))
    there = Git(other, environ=dict(os.environ))
    maker = Run(
        PLATFORM, there.head(), "run-1", lambda: datetime.now(UTC), Attribution("somebody else")
    )
    ledger = Ledger.open(there, PLATFORM, here(print), remote="origin")
    ledger.append([maker.note("written in another clone")])
    return shared


@pytest.mark.usefixtures("remote")
def test_the_audit_log_fetches_what_other_clones_recorded(desk: Desk) -> None:
    assert desk.run("audit", "log", "schedules/sandbox") == 0
    assert "written in another clone" in desk.out


@pytest.mark.usefixtures("remote")
def test_the_audit_log_needs_no_valid_manifests(desk: Desk) -> None:
    (desk.tenant / "broken.yaml").write_text("kind: [a\n", encoding="utf-8")
    assert desk.run("audit", "log", "schedules/sandbox") == 0
    assert "written in another clone" in desk.out


def test_a_remote_that_does_not_answer_is_69_and_never_an_empty_log(
    desk: Desk, remote: Path
) -> None:
    shutil.rmtree(remote)
    desk.says(69, "audit", "log", "schedules/sandbox")
    desk.says(69, "lock", "status", "schedules/sandbox")


def test_what_is_no_digest_is_no_stale_approval(desk: Desk) -> None:
    assert "is not a digest" in desk.says(64, "apply", "schedules/sandbox", "--expect", "0000")


def test_a_plan_of_one_file_calls_nothing_unmanaged_that_the_others_name(desk: Desk) -> None:
    assert desk.run("plan", "schedules/sandbox/spring-renewals.yaml") == 0
    assert "no manifest names" not in desk.out


# --- the face -------------------------------------------------------------------------------------------------------------


def test_every_command_has_help_that_names_it(desk: Desk) -> None:
    for name in COMMANDS:
        assert desk.run(name, "--help") == 0
        assert f"reconcile {name}" in desk.out


def test_a_working_directory_that_was_deleted_is_told_and_needed_by_no_absolute_path(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path_factory.mktemp("gone")
    for path, code in ((str(desk.folder / "schedules" / "sandbox"), 0), ("schedules/sandbox", 64)):
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert desk.run("validate", path) == code
        assert "the working directory was deleted" in desk.err
        gone.mkdir()


def test_help_imports_nothing_of_the_engine() -> None:
    code = "import sys; from reconciler.cli import run; run(['--help']); run(['validate', '--help']); print(*sorted(m for m in sys.modules if m.split('.')[0] in {'httpx','pydantic','deepdiff','ruamel','fastapi','asyncio'}), sep=',', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    assert done.stderr.strip() == ""


def test_commands_about_the_ledger_import_no_http() -> None:
    code = "import sys, reconciler.commands.audit; print(sorted({'httpx', 'httpcore', 'h11'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_check_of_manifests_imports_no_network_no_other_format_and_no_schemas() -> None:
    unwanted = (
        *("httpx", "deepdiff", "asyncio", "reconciler.plan"),
        *("reconciler.models.schemas", "reconciler.models.skill", "reconciler.manifests.edits"),
        *("reconciler.dialects.base", "reconciler.renderers.html", "reconciler.cli.changes"),
        *("reconciler.commands.explain", "reconciler.models.fields", "reconciler.cli.explain"),
    )
    code = (
        "import sys; import reconciler.__main__ as entry\n"
        f"sys.exit = lambda code: print(code, *sorted(set(sys.modules) & {set(unwanted)}), file=sys.stderr)\n"
        "sys.argv[1:] = ['validate', 'schedules/sandbox/loyalty-survey.yaml']\n"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE
    )
    assert done.stderr.strip() == "0"


def test_no_plugin_of_another_package_has_a_say_in_what_a_manifest_may_be() -> None:
    code = (
        "import importlib.metadata as found, sys; import reconciler.__main__ as entry\n"
        "def asked(**_): raise SystemExit('looked for plugins')\n"
        "found.entry_points = asked\n"
        "sys.argv[1:] = ['validate', 'schedules/sandbox']\n"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=HERE
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("hlat", "halt"),
        ("aply", "apply"),
        ("audit veriy", "verify"),
        ("plan --tenat x", "--tenant"),
    ],
)
def test_a_mistyped_command_or_option_is_told_the_nearest_one(
    desk: Desk, call: str, meant: str
) -> None:
    assert f"Did you mean '{meant}'?" in desk.says(64, *call.split())


def commands(group: click.Group) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(command) if isinstance(command, click.Group) else [command]


def test_every_command_shows_an_example() -> None:
    missing = [each.name for each in commands(reconcile) if "Example: " not in (each.help or "")]
    assert missing == []


def test_help_shows_every_command_once_in_its_group(desk: Desk) -> None:
    assert desk.run("--help") == 0
    shown = [line.split()[0] for line in desk.out.splitlines() if line.startswith("  ")]
    assert [name for name in shown if name in COMMANDS] == list(COMMANDS)
    assert all(f"{group}:" in desk.out.splitlines() for group in GROUPS)


def test_the_table_of_commands_matches_the_group() -> None:
    context = click.Context(reconcile)
    for name in COMMANDS:
        command = reconcile.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_a_retired_manifest_is_rendered_as_what_it_does(desk: Desk) -> None:
    assert desk.run("render", "schedules/sandbox", "winter-clearance") == 0
    assert (
        "retired: compiles to nothing, and apply removes the schedule of campaign 1005" in desk.out
    )
    assert "winter-clearance.yaml:" in desk.out
    assert desk.run("render", "schedules/sandbox", "winter-clearance", "--format", "json") == 0
    assert json.loads(desk.out)[0]["body"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_result_that_cannot_be_shown_is_one_line_and_no_success() -> None:
    command = [sys.executable, "-m", "reconciler", "validate", "schedules/sandbox"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=HERE
        )
    said = "error: cannot print the report (No space left on device); the command's result: "
    assert done.returncode == 1
    assert done.stderr == f"{said}6 manifests in 7 files: no findings\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("style", ["text", "json"])
def test_an_apply_whose_report_cannot_be_shown_is_no_success_and_says_the_outcome(
    desk: Desk, style: str
) -> None:
    for code, said in ((3, "5 planned, 5 applied, 5 active, 0 failed"), (1, "No changes.")):
        call = f"apply --yes --format {style} schedules/sandbox >/dev/full"
        done = desk.shell("sh", f"{{reconcile}} {call}")
        assert done.returncode == code
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: cannot print the report (No space left on device)")
        assert said in last


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("--help >/dev/full", 1, "error: cannot write: [Errno 28] No space left on device\n"),
        ("plan nosuch 2>/dev/full", 64, ""),
        ("plan --nonsense 2>/dev/full", 64, ""),
        ("--help | true", 0, ""),
        ("plan --detailed-exitcode schedules/sandbox | true", 2, ""),
        ("plan nosuch 2>&1 | true", 64, ""),
    ],
)
def test_where_nothing_can_be_shown_the_code_still_says_what_happened(
    desk: Desk, call: str, code: int, said: str
) -> None:
    done = desk.shell("bash", f"set -o pipefail; {{reconcile}} {call}")
    assert (done.returncode, done.stderr) == (code, said)


def test_whoever_closes_stdout_still_learns_the_exit_code(desk: Desk) -> None:
    done = desk.shell("sh", "{reconcile} plan --detailed-exitcode schedules/sandbox >&-")
    assert (done.returncode, done.stderr) == (2, "")


def test_no_repr_of_the_world_shows_its_environment() -> None:
    world = here(lambda _: None)._replace(environ={"CXONE_CLIENT_SECRET": "do-not-tell"})
    assert "do-not-tell" not in f"{world!r} {world}"


def test_a_connection_that_is_cancelled_before_it_begins_says_nothing_at_the_end() -> None:
    """The end of a stop cancels the reads that are still on their way."""
    code = (
        "import asyncio, gc, socket, anyio\n"
        "import reconciler.__main__ as entry, reconciler.cli as cli\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "async def work():\n"
        "    asyncio.ensure_future(anyio.connect_tcp(*server.getsockname()))\n"
        "cli.run = lambda: [asyncio.run(work()), gc.collect(), 0][-1]\n"
        "entry.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
