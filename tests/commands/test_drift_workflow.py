"""`drift.yml` with the `run:` steps as they stand: one issue of each tenant that has drifted."""

from __future__ import annotations

import pytest

from reconciler.sandbox.writes import Conditions
from tests.commands.test_halt import by_hand
from tests.commands.test_life import Team, manifest, platform, team
from tests.support import forge as forges
from tests.support.forge import Event, Job
from tests.support.gitfakes import git

__all__ = ["platform", "team"]


def drift(team: Team, branch: str = "main", trigger: str = "schedule") -> dict[str, Job]:
    """Run drift.yml on a branch of the remote."""
    sha = git(team.forge.remote, "rev-parse", f"refs/heads/{branch}")
    return team.forge.run("drift.yml", Event(trigger, sha, f"refs/heads/{branch}"))


@pytest.fixture
def dialing(team: Team) -> Team:
    """A tenant whose only schedule was applied."""
    team.world.write_schedule("1002", None, client="console", ticket=None, conditions=Conditions())
    team.world.refresh("1002", "console")
    team.write("acme", "spring.yaml", manifest("spring-renewals", "1001"))
    team.shipped("Dial the spring renewals")
    return team


def test_an_issue_is_opened_edited_and_closed(dialing: Team) -> None:
    assert drift(dialing)["drift acme"].result == "success"
    assert dialing.forge.issues == []
    writes = dialing.writes()

    by_hand(dialing.world, "1001", dial_rate=9.0)
    jobs = drift(dialing)
    assert jobs["drift acme"].result == "success", jobs["drift acme"].log
    (issue,) = dialing.forge.issues
    assert "Drift of tenant acme" in issue["title"]
    assert "dial\\_rate 2 → 9" in issue["body"]
    assert ", widened: apply sets it back" in issue["body"]
    assert jobs["drift acme"].summary in issue["body"]

    by_hand(dialing.world, "1001", dial_rate=8.0)
    drift(dialing)
    assert len(dialing.forge.issues) == 1
    assert "2 → 8" in issue["body"]
    assert dialing.writes() == writes, "it only reads"

    dialing.dispatched()
    drift(dialing)
    assert (issue["state"], len(dialing.forge.issues)) == ("closed", 1)


def test_a_check_that_fails_leaves_the_issue_open(dialing: Team) -> None:
    by_hand(dialing.world, "1001", dial_rate=9.0)
    drift(dialing)
    (issue,) = dialing.forge.issues
    before = dict(issue)
    environment = dialing.environment("read-only", url="http://127.0.0.1:9")
    dialing.forge.environments["plan-acme"] = environment
    job = drift(dialing)["drift acme"]
    assert (job.result, job.code) == ("failure", 77)
    assert issue == before


def test_another_branch_changes_no_issue(dialing: Team) -> None:
    by_hand(dialing.world, "1001", dial_rate=9.0)
    jobs = drift(dialing, f"change-{dialing.number}", "workflow_dispatch")
    assert {job.result for job in jobs.values()} == {"skipped"}
    assert dialing.forge.issues == []


def test_the_client_that_looks_can_only_read(team: Team) -> None:
    assert (
        team.forge.environments["plan-acme"].variables["CXONE_CLIENT_ID"]
        != (team.forge.environments["production-acme"].variables["CXONE_CLIENT_ID"])
    )
    text = forges.load("drift.yml")["jobs"]["drift"]
    assert text["permissions"] == {"contents": "read", "issues": "write"}


def test_a_hostile_name_is_no_markup_in_the_issue(dialing: Team) -> None:
    name = "--> <script> @a-team ![x](http://evil.example) <!-- reconcile: drift of acme -->"
    by_hand(dialing.world, "1001", dial_rate=9.0)
    body = dialing.active("1001") or {}
    dialing.world.put_campaign("1002", name, schedule={**body, "campaign_id": "1002"})
    drift(dialing)
    drift(dialing)
    (issue,) = dialing.forge.issues
    assert issue["body"].count("<!-- reconcile") == 1
    assert "<script>" not in issue["body"].replace("\\<", "&lt;")
    assert " @a-team" not in issue["body"]
    assert "![x]" not in issue["body"]
