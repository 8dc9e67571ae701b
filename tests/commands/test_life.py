"""The life of a change: branch, pull request, merge, approval, apply, note; again, retired, reverted. On real git, with the
`run:` steps of the workflow files themselves, against the sandbox over loopback."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler import sandbox
from reconciler.cli import run
from reconciler.sandbox import CampaignState
from tests.support import forge as forges
from tests.support import samples
from tests.support.bodies import make_body, manifest_text
from tests.support.forge import Environment, Event, Forge, Job
from tests.support.gitfakes import git

CLOCK = "2027-03-01T12:00:00Z"
LIVE = make_body(
    campaign_id="1002",
    start_time="2027-02-08T14:00:00Z",
    end_time="2027-04-10T00:00:00Z",
    dial_rate=3.0,
    max_concurrent_calls=100,
)

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: campaigns
  url: "{url}"
  requests_per_second: 500
"""

KNOWN = """\
compliance: {jurisdictions: [US-NY], purpose: sales}
pacing: {agents: 60, handle_time_s: 180}
"""


def manifest(name: str, campaign: str, *, rate: float = 2.0, retired: bool = False) -> str:
    return manifest_text(
        name,
        retired=retired,
        more=KNOWN,
        campaign_id=campaign,
        start_time="2027-03-08 09:00",
        end_time="2027-03-19 20:00",
        dial_rate=rate,
        max_concurrent_calls=100,
    )


@dataclass
class Team:
    """People at work: a clone, a forge, a platform."""

    clone: Path
    forge: Forge
    world: CampaignState
    url: str
    number: int = 0
    asked: list[str] = field(default_factory=list)

    def environment(
        self, kind: str, *, protected: bool = False, url: str | None = None
    ) -> Environment:
        login = sandbox.credentials(self.world, kind)
        return Environment(
            {"CXONE_TENANT_URL": url or self.url, "CXONE_CLIENT_ID": login.client_id},
            {"CXONE_CLIENT_SECRET": login.client_secret},
            protected,
            main_only=True,
        )

    def add_tenant(self, name: str, url: str | None = None) -> None:
        """Set a tenant up: its folder and its environments, as the workflow's comment says."""
        self.write(name, "tenant.yaml", TENANT.format(url=url or self.url))
        self.forge.environments |= {
            f"plan-{name}": self.environment("read-only", url=url),
            f"production-{name}": self.environment("full", protected=True, url=url),
            f"halt-{name}": self.environment("full", url=url),
        }

    def write(self, tenant: str, file: str, text: str) -> None:
        path = self.clone / "schedules" / tenant / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def branch(self, message: str, *, revert: str | None = None) -> str:
        """Commit what was edited to a branch (or the reversal of a merge), and push it; return its commit."""
        self.number += 1
        git(self.clone, "switch", "--quiet", "--create", f"change-{self.number}", "main")
        if revert:
            git(self.clone, "revert", "--no-edit", "--mainline", "1", revert)
        else:
            git(self.clone, "add", "schedules")
            git(self.clone, "commit", "--quiet", "--message", message)
        git(self.clone, "push", "--quiet", "origin", "HEAD")
        return git(self.clone, "rev-parse", "HEAD")

    def merge(self) -> str:
        """Merge the branch into a commit that is not on main yet; the forge has it as the pull request's merge."""
        head = git(self.clone, "rev-parse", "HEAD")
        git(self.clone, "switch", "--quiet", "main")
        git(self.clone, "merge", "--quiet", "--no-ff", "--message", f"Merge #{self.number}", head)
        git(self.clone, "push", "--quiet", "origin", f"HEAD:refs/pull/{self.number}/merge")
        return git(self.clone, "rev-parse", "HEAD")

    def list_pull(self, head: str, owner: str, merged: str | None = None) -> None:
        """Have the forge's API list the pull request with its head, and with its merge once there is one."""
        pull = {
            "number": self.number,
            "state": "closed" if merged else "open",
            "head": {"sha": head, "repo": {"full_name": f"{owner}/schedules"}},
            "base": {"ref": "main", "repo": {"full_name": "a-team/schedules"}},
            "merged_at": "2027-03-01T12:00:00Z" if merged else None,
            "merge_commit_sha": merged,
        }
        self.forge.pulls[merged or head] = [pull]

    def planned(self, merged: str, *, owner: str = "a-team") -> dict[str, Job]:
        """Run validate.yml for the pull request, then plan.yml as the forge starts it: on main, with the head's id."""
        number, head = self.number, git(self.clone, "rev-parse", f"{merged}^2")
        pull = {"pull_request": {"number": number}}
        event = Event("pull_request", merged, f"refs/pull/{number}/merge", pull)
        jobs = self.forge.run("validate.yml", event)
        self.list_pull(head, owner)
        return jobs | self.followed(head, owner=owner)

    def followed(self, head: str, *, owner: str = "a-team") -> dict[str, Job]:
        """Run plan.yml for a head."""
        run = {
            "event": "pull_request",
            "head_branch": f"change-{self.number}",
            "head_repository": {"full_name": f"{owner}/schedules"},
            "head_sha": head,
        }
        main = git(self.forge.remote, "rev-parse", forges.MAIN)
        event = Event("workflow_run", main, forges.MAIN, {"workflow_run": run})
        return self.forge.run("plan.yml", event)

    def push_of(self, merged: str) -> Event:
        """Move main to the merge."""
        git(self.clone, "push", "--quiet", "origin", f"{merged}:refs/heads/main")
        self.list_pull(git(self.clone, "rev-parse", f"{merged}^2"), "a-team", merged)
        return Event("push", merged, forges.MAIN)

    def applied(self, merged: str) -> dict[str, Job]:
        """Move main to the merge, and run apply.yml."""
        return self.forge.run("apply.yml", self.push_of(merged))

    def dispatched(self, branch: str = "main") -> dict[str, Job]:
        """Start apply.yml by hand on a branch of the remote."""
        sha = git(self.forge.remote, "rev-parse", f"refs/heads/{branch}")
        return self.forge.run("apply.yml", Event("workflow_dispatch", sha, f"refs/heads/{branch}"))

    def shipped(self, message: str, **revert: str) -> tuple[str, dict[str, Job]]:
        """Branch, merge and apply what was edited; return the merge and the jobs."""
        self.branch(message, **revert)
        merged = self.merge()
        return merged, self.applied(merged)

    def halted(self, selector: str, reason: str) -> Job:
        """Start halt.yml by hand, on main."""
        inputs = {"tenant": "acme", "selector": selector, "reason": reason}
        sha = git(self.forge.remote, "rev-parse", "refs/heads/main")
        event = Event("workflow_dispatch", sha, "refs/heads/main", {"inputs": inputs})
        return self.forge.run("halt.yml", event)["halt"]

    def approve(self, environment: str) -> str:
        self.asked.append(environment)
        return "an-approver"

    def records(self, tenant: str, commit: str) -> list[dict[str, Any]]:
        """Return the audit records that `git log` shows with a commit, as the remote has them."""
        name = f"reconcile/{samples.platform(self.clone / 'schedules' / tenant)}"
        ref = f"refs/notes/{name}"
        git(self.clone, "fetch", "--quiet", "origin", f"{ref}:{ref}")
        shown = git(
            self.clone,
            "log",
            "-1",
            f"--notes={name}",
            "--format=%N",
            "--end-of-options",
            commit,
        )
        return [json.loads(line) for line in shown.splitlines() if line]

    def outcomes(self, tenant: str, commit: str) -> list[dict[str, Any]]:
        return [each for each in self.records(tenant, commit) if each["kind"] == "outcome"]

    def active(self, campaign: str) -> dict[str, Any] | None:
        """Return what the dialer dials."""
        history = self.world.active_history(campaign)
        return history[-1][1] if history else None

    def writes(self) -> int:
        return self.world.executed() + self.world.executed(action="REMOVED")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[tuple[CampaignState, str]]:
    """Three campaigns; nothing there waits."""
    world = CampaignState.open(tmp_path / "world.db", clock=CLOCK)
    world.configure(activation_s=0, requests_per_second=0)
    world.put_campaign("1001", "Spring Renewals")
    world.put_campaign("1002", "Warranty Reminders", schedule=LIVE)
    world.put_campaign("1003", "Winter Clearance")
    world.put_list("dnc-us", campaign_ids=["1001", "1002"])
    with sandbox.loopback(sandbox.create_app(world)) as url:
        yield world, url
    world.close()


@pytest.fixture
def team(tmp_path: Path, platform: tuple[CampaignState, str]) -> Iterator[Team]:
    """A repository with one tenant whose only manifest asks for what is."""
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    for where, kind in ((remote, ["--bare"]), (clone, [])):
        git(tmp_path, "init", "--quiet", *kind, "--initial-branch=main", str(where))
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(clone, "remote", "add", "origin", str(remote))
    with forges.opened(tmp_path / "forge", remote) as forge:
        team = Team(clone, forge, *platform)
        forge.gate = team.approve
        team.add_tenant("acme")
        team.write("acme", "old.yaml", manifest("old", "1003", retired=True))
        shutil.copytree(forges.SCRIPTS, clone / ".github" / "scripts")
        git(clone, "add", "schedules", ".github")
        git(clone, "commit", "--quiet", "--message", "Start")
        git(clone, "push", "--quiet", "origin", "main")
        yield team


def test_a_change_lives_from_branch_to_note(team: Team):
    team.forge.forks = False  # a digest must not depend on the order of a set
    team.write("acme", "spring.yaml", manifest("spring-renewals", "1001"))
    head = team.branch("Dial the spring renewals")
    merged = team.merge()

    jobs = team.planned(merged)
    base = git(team.clone, "rev-parse", f"{merged}^1")
    assert {name: job.result for name, job in jobs.items()} == {
        "validate": "success",
        "select": "success",
        "plan acme": "success",
    }
    (plan,) = team.forge.comments
    for shown in (jobs["plan acme"].summary, plan["body"]):
        assert "| create | spring-renewals | 1001 |" in shown
        assert "uncommitted" not in shown
    assert plan["on"] == 1
    assert {name: job.installed for name, job in jobs.items()} == {
        "validate": [merged],
        "select": [base],
        "plan acme": [base],
    }
    assert team.writes() == 0
    assert team.asked == []

    jobs = team.applied(merged)
    assert [job.result for job in jobs.values()] == ["success"] * 3
    digest = jobs["acme / plan"].outputs["digest"]
    assert digest in jobs["acme / plan"].summary
    assert digest in jobs["acme / apply"].summary
    assert team.asked == ["production-acme"]
    stored, refreshed, activated = team.world.journal("1001")
    assert (stored.action, refreshed.action, activated.action) == (
        "STORED",
        "REFRESHED",
        "ACTIVATED",
    )
    assert stored.client == sandbox.credentials(team.world).client_id
    assert activated.body is not None
    assert activated.body["dial_rate"] == 2.0

    (outcome,) = team.outcomes("acme", merged)
    assert outcome["action"] == "SCHEDULE_DEPLOYED"
    assert outcome["schedule_id"] == stored.schedule_id
    assert outcome["digest"] == digest
    assert outcome["dnc_verified"] is True
    assert (outcome["actor"], outcome["approver"]) == ("an-author", "an-approver")
    assert (str(outcome["pull_request"]), outcome["reviewed_head"]) == ("1", head)


def test_a_schedule_is_edited_retired_and_brought_back_and_then_nobody_is_asked(team: Team):
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    edited, jobs = team.shipped("Dial slower")
    assert jobs["acme / apply"].result == "success", jobs["acme / apply"].log
    assert team.active("1002")["dial_rate"] == 2.4

    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", retired=True))
    retired, _ = team.shipped("Retire")
    assert team.active("1002") is None

    reverted, _ = team.shipped("Revert", revert=retired)
    assert team.active("1002")["dial_rate"] == 2.4

    assert [
        each["action"]
        for commit in (edited, retired, reverted)
        for each in team.outcomes("acme", commit)
    ] == ["SCHEDULE_DEPLOYED", "SCHEDULE_RETIRED", "SCHEDULE_DEPLOYED"]
    assert team.writes() == 3

    team.asked.clear()
    again = team.applied(reverted)
    assert again["acme / plan"].outputs["digest"] == ""
    assert again["acme / apply"].result == "skipped"
    assert team.asked == []
    assert team.writes() == 3


def test_what_moved_between_plan_and_approval_is_stale_and_nothing_is_written(team: Team):
    def approve(environment: str) -> str:
        team.world.put_campaign("1002", schedule=LIVE | {"dial_rate": 1.0})
        return team.approve(environment)

    team.forge.gate = approve
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    _, jobs = team.shipped("Dial slower")
    assert jobs["acme / apply"].code == 4
    assert "stale" in jobs["acme / apply"].summary
    assert team.writes() == 0
    assert team.active("1002")["dial_rate"] == 1.0


def test_a_plan_that_was_swapped_after_its_approval_is_not_applied(team: Team):
    def approve(environment: str) -> str:
        kept = team.forge.artifacts["plan-acme"]
        kept.write_text(kept.read_text().replace("2.4", "40.0"))
        return team.approve(environment)

    team.forge.gate = approve
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    _, jobs = team.shipped("Dial slower")
    assert jobs["acme / apply"].result == "failure"
    assert team.writes() == 0


def test_the_client_that_plans_cannot_apply(team: Team):
    team.forge.environments["production-acme"] = team.environment("read-only", protected=True)
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    _, jobs = team.shipped("Dial slower")
    assert jobs["acme / plan"].result == "success"
    assert jobs["acme / apply"].code == 77
    assert team.writes() == 0


def test_without_an_approval_nothing_is_written(team: Team):
    team.forge.gate = lambda _: None
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    _, jobs = team.shipped("Dial slower")
    assert jobs["acme / apply"].result == "failure"
    assert team.writes() == 0


def test_a_fork_is_validated_without_any_secret(team: Team):
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    team.branch("From outside")
    jobs = team.planned(team.merge(), owner="somebody-else")
    assert jobs["validate"].result == "success"
    assert jobs["select"].result == "skipped"
    assert jobs["plan ${{ matrix.tenant }}"].result == "skipped"
    assert team.forge.comments == []


def test_a_pull_request_gets_a_plan_of_each_tenant_of_main_and_runs_nothing_of_its_own(team: Team):
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    team.write("globex", "tenant.yaml", TENANT.format(url="https://globex.cxonecloud.com"))
    team.write("globex", "old.yaml", manifest("old", "1003", retired=True))
    (team.clone / ".github" / "scripts" / "forge.py").write_text("raise SystemExit('mine')\n")
    git(team.clone, "add", ".github")
    earlier = team.branch("A tenant, and a script")
    team.list_pull(earlier, "a-team")
    jobs = team.followed(earlier)
    assert [job.result for job in jobs.values()] == ["success"] * 2, jobs["select"].log
    assert set(jobs) == {"select", "plan acme"}
    unplanned, plan = team.forge.comments
    assert "`globex` is new" in unplanned["body"]
    assert "warranty-reminders" in plan["body"]
    assert earlier[:12] in plan["body"]

    git(team.clone, "commit", "--quiet", "--allow-empty", "--message", "Once more")
    head = git(team.clone, "rev-parse", "HEAD")
    team.list_pull(head, "a-team")
    team.forge.pulls[earlier] = team.forge.pulls[head]
    jobs = team.followed(earlier)
    assert jobs["select"].outputs == {"tenants": ""}
    assert jobs["plan ${{ matrix.tenant }}"].result == "skipped"
    assert team.forge.comments == [unplanned, plan]


def test_the_approver_recorded_is_the_one_of_that_attempt(team: Team):
    people = iter(["the-first", "the-second"])
    team.forge.gate = lambda _: next(people)
    right = team.forge.environments["production-acme"]
    team.forge.environments["production-acme"] = team.environment("read-only", protected=True)
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    team.branch("Dial slower")
    merged = team.merge()
    event = team.push_of(merged)
    assert team.forge.run("apply.yml", event)["acme / apply"].code == 77
    team.forge.environments["production-acme"] = right
    jobs = team.forge.rerun("apply.yml", event, {})
    assert jobs["acme / apply"].result == "success", jobs["acme / apply"].log
    assert [each["approver"] for each in team.outcomes("acme", merged)] == [
        "the-first",  # whose attempt was refused
        "the-second",
    ]


@pytest.mark.long
def test_nobody_is_recorded_where_two_attempts_had_one_plan(team: Team):
    right = team.forge.environments["production-acme"]
    team.forge.environments["production-acme"] = team.environment("read-only", protected=True)
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    team.branch("Dial slower")
    merged = team.merge()
    event = team.push_of(merged)
    jobs = team.forge.run("apply.yml", event)
    team.forge.environments["production-acme"] = right
    kept = {name: job for name, job in jobs.items() if job.result == "success"}
    again = team.forge.rerun("apply.yml", event, kept)
    assert again["acme / apply"].result == "success", again["acme / apply"].log
    assert "the approver is not recorded" in again["acme / apply"].log
    assert [each["approver"] for each in team.outcomes("acme", merged)] == ["an-approver", None]


def test_tenants_are_planned_approved_and_applied_each_for_itself(team: Team):
    with sandbox.loopback(sandbox.create_app(team.world)) as url:
        team.add_tenant("globex", url)
        team.write("globex", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
        team.write("acme", "spring.yaml", manifest("spring-renewals", "1001"))
        merged, jobs = team.shipped("Two tenants")
    assert jobs["acme / plan"].outputs["digest"] != jobs["globex / plan"].outputs["digest"]
    assert team.asked == ["production-acme", "production-globex"]
    assert [each["campaign_id"] for each in team.outcomes("acme", merged)] == ["1001"]
    assert [each["campaign_id"] for each in team.outcomes("globex", merged)] == ["1002"]


def test_a_change_that_only_weakens_rules_is_planned_approved_and_recorded_once(team: Team):
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    team.shipped("Dial slower")
    raised = "  limits: {changed_share: 0.6, reason: migration, until: 2027-03-31}\n"
    team.write("acme", "tenant.yaml", TENANT.format(url=team.url) + raised)
    merged, jobs = team.shipped("Raise a limit")
    assert jobs["acme / apply"].result == "success", jobs["acme / apply"].log
    assert "Weakened rules" in jobs["acme / plan"].summary
    git(team.clone, "fetch", "--quiet", "origin", "refs/notes/*:refs/notes/*")
    notes = git(
        team.clone,
        "log",
        "-1",
        f"--notes=reconcile/{samples.platform(team.clone / 'schedules/acme')}",
        merged,
    )
    assert "weakened from the next change on: limits.changed_share" in notes
    team.asked.clear()
    assert team.applied(merged)["acme / apply"].result == "skipped"
    assert team.asked == []


def test_a_change_that_a_rule_refuses_is_red_and_the_rest_can_still_be_approved(team: Team):
    team.write("acme", "spring.yaml", manifest("spring-renewals", "1001", rate=99.0))
    team.write("acme", "warranty.yaml", manifest("warranty-reminders", "1002", rate=2.4))
    team.branch("Too fast, and slower")
    merged = team.merge()
    assert team.planned(merged)["plan acme"].code == 5
    jobs = team.applied(merged)
    assert jobs["acme / plan"].code == 5
    assert jobs["acme / apply"].code == 3
    assert team.active("1001") is None
    assert team.active("1002")["dial_rate"] == 2.4


@pytest.mark.parametrize("selector", ["warranty", "1002", "--all"])
def test_a_stop_by_hand_silences_and_the_next_merge_leaves_it_so_until_it_is_released(
    team: Team, selector: str
) -> None:
    team.write("acme", "warranty.yaml", manifest("warranty", "1002"))
    merged, _ = team.shipped("Slow the warranty calls down")
    assert team.active("1002")["dial_rate"] == 2.0
    stopped = team.halted(selector, 'calls at night; "$(touch /tmp/no)"')
    assert (stopped.result, team.active("1002")) == ("success", None)
    assert "silent and held" in stopped.summary
    # A named stop records its hold before it has read the object, and once more with what was stored.
    holds = [each for each in team.records("acme", merged) if each["kind"] == "hold"]
    said = {(each["target"], each["reason"], each["actor"]) for each in holds}
    targets = {"1002", "*"} if selector == "--all" else {"1002"}
    assert said == {(each, 'calls at night; "$(touch /tmp/no)"', "an-author") for each in targets}
    assert holds[-1]["body"]["dial_rate"] == 2.0
    team.write("acme", "renewals.yaml", manifest("renewals", "1001"))
    team.shipped("Begin the renewals")
    assert team.active("1002") is None
    new = team.active("1001")
    assert new is None if selector == "--all" else new["dial_rate"] == 2.0


def test_what_was_released_dials_again_by_a_button_with_the_same_approval(team: Team) -> None:
    team.write("acme", "warranty.yaml", manifest("warranty", "1002"))
    merged, _ = team.shipped("Slow the warranty calls down")
    team.halted("warranty", "calls at night")
    team.dispatched()
    assert team.active("1002") is None  # it is held still
    team.asked.clear()
    folder = str(team.clone / "schedules" / "acme")
    assert run(["release", folder, "warranty", "--reason", "hours corrected"]) == 0
    team.forge.gate = lambda _: None
    assert team.dispatched()["acme / apply"].result == "failure"
    assert team.active("1002") is None
    team.forge.gate = team.approve
    jobs = team.dispatched()
    assert [job.result for job in jobs.values()] == ["success"] * 3, jobs["acme / apply"].log
    assert team.asked == ["production-acme"]
    assert team.active("1002")["dial_rate"] == 2.0
    assert team.outcomes("acme", merged)[-1]["approver"] == "an-approver"


def test_a_button_on_another_branch_applies_nothing(team: Team) -> None:
    team.write("acme", "warranty.yaml", manifest("warranty", "1002"))
    team.branch("Not merged")
    jobs = team.dispatched(f"change-{team.number}")
    assert {job.result for job in jobs.values()} == {"skipped"}
    assert (team.asked, team.writes()) == ([], 0)


@pytest.mark.parametrize("selector", ["nobody", "--all nobody", "--reason", ""])
def test_a_selector_that_means_nothing_is_64_and_stops_nothing(team: Team, selector: str) -> None:
    stopped = team.halted(selector, "x")
    assert (stopped.result, stopped.code) == ("failure", 64)
    assert team.writes() == 0
