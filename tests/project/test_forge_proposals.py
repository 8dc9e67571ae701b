"""The script of the workflows keeps one pull request of a tenant's proposals: on real git, without force, never on main."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.project.test_forge_script import ENV, SCRIPT
from tests.support.forge import BOT
from tests.support.forge_pulls import PullRequests
from tests.support.gitfakes import git

BRANCH = "refs/heads/reconcile-optimize/acme"
FILE = "schedules/acme/a.yaml"


class Place:
    """A checkout of main beside its forge."""

    def __init__(self, folder: Path) -> None:
        self.remote, self.clone = folder / "remote.git", folder / "clone"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        git(folder, "init", "--quiet", "--initial-branch=main", str(self.clone))
        git(self.clone, "remote", "add", "origin", str(self.remote))
        self.api = PullRequests(self.remote, "a-team")
        self.commit("main", **{FILE: "rate: 1 # é\n", "tool.py": "1\n"})

    def commit(self, branch: str, **files: str) -> str:
        """Commit files as a person, and push them."""
        for name, text in files.items():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / name).write_text(text)
        git(self.clone, "add", ".")
        git(self.clone, "commit", "--quiet", "--message", "By hand")
        git(self.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.clone, "rev-parse", "HEAD")

    def propose(self, text: str | None, report: str = "## 1 change\n", **env: str) -> None:
        """Run the script on an edit of main's checkout; `None`: nothing is proposed."""
        git(self.clone, "fetch", "--quiet", "origin")
        git(self.clone, "checkout", "--quiet", "--detach", "origin/main")
        if text is not None:
            (self.clone / FILE).write_text(text)
        report_file, result = self.clone.parent / "p.md", self.clone.parent / "p.json"
        report_file.write_text(report)
        result.write_text(json.dumps({"written": [] if text is None else [FILE]}))
        sha = git(self.clone, "rev-parse", "HEAD")
        SCRIPT.propose(
            self.ask, ENV | {"GITHUB_SHA": sha} | env, "acme", str(report_file), str(result)
        )
        git(self.clone, "checkout", "--quiet", ".")

    def ask(self, path: str, method: str = "GET", send: Mapping[str, Any] | None = None) -> Any:
        return self.api.answer(method, path, send or {})

    def show(self, name: str, branch: str = BRANCH) -> str:
        return git(self.remote, "show", f"{branch}:{name}")

    def open(self) -> list[dict[str, Any]]:
        return [each for each in self.api.opened if each["state"] == "open"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.chdir(made.clone)
    return made


def test_one_pull_request_is_opened_updated_closed_and_opened_anew(place: Place):
    main = git(place.remote, "rev-parse", "main")
    place.propose("rate: 2 # é\n")
    (pull,) = place.api.opened
    assert (pull["head"], pull["base"]) == ("reconcile-optimize/acme", "main")
    assert pull["title"] == "Optimize tenant acme"
    assert pull["body"].endswith("## 1 change\n")
    assert place.show(FILE) == "rate: 2 # é"
    assert place.show("tool.py") == "1"

    first = git(place.remote, "rev-parse", BRANCH)
    place.propose("rate: 2 # é\n", "## again\n")
    assert git(place.remote, "rev-parse", BRANCH) == first, "the same edits make no new commit"
    assert pull["body"].endswith("## again\n")

    main = place.commit("main", **{"tool.py": "2\n"})
    place.propose("rate: 3\n")
    assert place.open() == [pull]
    assert (place.show(FILE), place.show("tool.py")) == ("rate: 3", "2")
    assert git(place.remote, "rev-list", "--parents", "-1", BRANCH).split()[1:] == [first, main]

    place.propose(None)
    assert place.open() == []
    assert "Nothing to propose any more" in pull["body"]
    place.propose("rate: 4\n")
    assert len(place.open()) == 1
    assert place.open() != [pull]
    assert git(place.remote, "rev-parse", "main") == main


def test_what_became_of_the_last_proposal_never_needs_force(place: Place):
    place.propose("rate: 2\n")
    place.api.opened[0]["state"] = (
        "closed"  # squashed: main has the edit, the branch is no part of it
    )
    place.commit("main", **{FILE: "rate: 2\n"})
    place.propose("rate: 3\n")
    assert git(place.remote, "diff", "--stat", "main", BRANCH, "--", ".").count("|") == 1
    place.api.opened[1]["state"] = "closed"
    git(place.remote, "update-ref", "-d", BRANCH)
    place.propose("rate: 4\n")
    assert git(place.remote, "rev-list", "--count", f"main..{BRANCH}") == "1"
    assert len(place.open()) == 1


def test_somebody_who_edits_the_branch_keeps_the_edit(
    place: Place, capsys: pytest.CaptureFixture[str]
):
    place.propose("rate: 2\n")
    git(place.clone, "fetch", "--quiet", "origin", BRANCH)
    git(place.clone, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    mine = place.commit("reconcile-optimize/acme", **{FILE: "rate: 1.5\n"})
    before = dict(place.api.opened[0])
    place.propose("rate: 3\n")
    assert git(place.remote, "rev-parse", BRANCH) == mine
    assert place.api.opened == [before]
    assert (
        "the newest commit of reconcile-optimize/acme is somebody else's" in capsys.readouterr().err
    )


def test_a_pull_request_that_somebody_opened_from_the_branch_is_left_alone(place: Place):
    place.propose("rate: 2\n")
    place.api.opened[0]["user"] = {"login": "an-author"}
    before = dict(place.api.opened[0])
    place.propose("rate: 3\n")
    place.propose(None)
    assert place.api.opened == [before]
    assert place.show(FILE) == "rate: 2"


def test_nothing_to_propose_makes_no_branch(place: Place):
    place.propose(None)
    assert place.api.opened == []
    assert git(place.remote, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize(
    "name", ["tool.py", "schedules/other/a.yaml", "../../etc/x", "schedules/acme/../other/a.yaml"]
)
def test_only_files_of_the_tenant_are_ever_proposed(place: Place, name: str):
    result = place.clone.parent / "p.json"
    result.write_text(json.dumps({"written": [name]}))
    with pytest.raises((SystemExit, ValueError)):
        SCRIPT.propose(place.ask, ENV, "acme", "p.md", str(result))
    assert place.api.opened == []


def test_a_report_that_is_too_long_is_linked(place: Place):
    place.propose("rate: 2\n", "x" * 70_000)
    body = place.api.opened[0]["body"]
    assert "too long" in body
    assert len(body) < 1000


def test_a_forge_that_lets_no_workflow_open_a_pull_request_says_how_to_allow_it(place: Place):
    answer = place.api.answer

    def refuse(method: str, path: str, sent: Mapping[str, Any]) -> Any:
        if (method, path) == ("POST", "pulls"):
            raise HTTPError(path, 403, "Forbidden", {}, None)  # type: ignore[arg-type]
        return answer(method, path, sent)

    place.api.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(SystemExit, match="Settings > Actions > General"):
        place.propose("rate: 2\n")


def test_the_branch_is_the_workflows_own(place: Place):
    place.propose("rate: 2\n")
    (pull,) = place.api.opened
    assert pull["user"]["login"] == BOT
    message = git(place.remote, "log", "-1", "--format=%B", BRANCH)
    assert message.startswith("Propose rates for tenant acme\n")
