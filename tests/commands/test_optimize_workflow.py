"""`optimize.yml` with the `run:` steps as they stand: off by default, one pull request, nothing on main and nothing applied."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.commands.test_life import Team, manifest, platform, team
from tests.support import forge as forges
from tests.support.forge import Event, Job
from tests.support.gitfakes import git

__all__ = ["platform", "team"]

BRANCH = "refs/heads/reconcile-optimize/acme"


def optimize(team: Team, branch: str = "main", trigger: str = "schedule") -> dict[str, Job]:
    """Run optimize.yml on a branch of the remote."""
    sha = git(team.forge.remote, "rev-parse", f"refs/heads/{branch}")
    return team.forge.run("optimize.yml", Event(trigger, sha, f"refs/heads/{branch}"))


@pytest.fixture
def dialing(team: Team) -> Team:
    """A tenant whose 60 agents cannot take what its rate of 2 calls/s reaches."""
    text = manifest("spring-renewals", "1001")
    assert text.count("dial_rate: 2.0") == 1
    team.write("acme", "spring.yaml", text.replace("dial_rate: 2.0", "dial_rate: 2.0  # agreed"))
    git(team.clone, "add", ".")
    git(team.clone, "commit", "--quiet", "--message", "Dial the spring renewals")
    git(team.clone, "push", "--quiet", "origin", "HEAD:main")
    now = datetime.fromisoformat("2027-03-01T12:00:00+00:00")
    for hour in range(1, 100, 3):
        seen = {
            "attempts": 7200,
            "answers": 2500,
            "abandons": 200,
            "agents": 60,
            "handle_time_s": 180,
        }
        team.world.put_metrics("1001", now - timedelta(hours=hour), seen)
    return team


def test_it_is_off_until_somebody_switches_it_on(dialing: Team) -> None:
    for trigger in ("schedule", "workflow_dispatch"):
        assert {job.result for job in optimize(dialing, trigger=trigger).values()} == {"skipped"}
    dialing.forge.variables["RECONCILE_OPTIMIZE"] = "on"
    git(dialing.forge.remote, "update-ref", "refs/heads/other", "main")
    assert {job.result for job in optimize(dialing, "other").values()} == {"skipped"}
    assert dialing.forge.proposals.opened == []


def test_a_pull_request_holds_the_edits_and_says_what_to_expect(dialing: Team) -> None:
    remote, main = dialing.forge.remote, git(dialing.forge.remote, "rev-parse", "main")
    dialing.forge.variables["RECONCILE_OPTIMIZE"] = "on"
    jobs = optimize(dialing)
    assert jobs["optimize acme"].result == "success", jobs["optimize acme"].log
    (pull,) = dialing.forge.proposals.opened
    assert pull["title"] == "Optimize tenant acme"
    for said in (
        "| spring-renewals | 1001 | tighten |",
        "### Predicted, before → after",
        "nothing is applied",
    ):
        assert said in pull["body"]
    assert jobs["optimize acme"].summary in pull["body"]

    changed = git(remote, "diff", "--name-only", "main", BRANCH).splitlines()
    assert changed == ["schedules/acme/predictions.md", "schedules/acme/spring.yaml"]
    edited = git(remote, "show", f"{BRANCH}:schedules/acme/spring.yaml")
    assert "  # agreed" in edited
    assert "dial_rate: 2.0" not in edited
    assert "| `1001` | 2027-03-01T12:00Z | dial_rate=" in git(
        remote, "show", f"{BRANCH}:schedules/acme/predictions.md"
    )

    assert git(remote, "rev-parse", "main") == main
    assert dialing.writes() == 0


def test_its_client_can_only_read_and_its_token_reaches_no_issue(dialing: Team) -> None:
    job = forges.load("optimize.yml")["jobs"]["optimize"]
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert job["environment"] == "plan-${{ matrix.tenant }}"
    assert (
        dialing.forge.environments["plan-acme"].variables["CXONE_CLIENT_ID"]
        != dialing.forge.environments["production-acme"].variables["CXONE_CLIENT_ID"]
    )
