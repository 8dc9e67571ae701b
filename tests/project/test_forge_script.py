"""The script of the workflows that asks GitHub and comments: pure, against an API that is a function."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.forge import BOT, MAIN, REPOSITORY, SCRIPTS

HEAD, BASE = "a" * 40, "b" * 40
ENV = {
    "ENVIRONMENT": "production-acme",
    "GITHUB_REF": MAIN,
    "GITHUB_REPOSITORY": REPOSITORY,
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_ID": "7",
    "GITHUB_SERVER_URL": "https://forge.example",
    "GITHUB_SHA": BASE,
    "HEAD_SHA": HEAD,
    "PLANNED_ATTEMPT": "2",
}


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("forge_script", SCRIPTS / "forge.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = loaded()


def pull(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": "open",
        "head": {"sha": HEAD, "repo": {"full_name": REPOSITORY}},
        "base": {"ref": "main", "repo": {"full_name": REPOSITORY}},
        "merged_at": None,
        "merge_commit_sha": "c" * 40,
    } | more


def approval(login: str, state: str = "approved", environment: str = "production-acme") -> Any:
    return {"state": state, "user": {"login": login}, "environments": [{"name": environment}]}


@dataclass
class Api:
    """The forge's API."""

    pulls: list[Any] = field(default_factory=lambda: [pull()])
    approvals: list[Any] = field(default_factory=list)
    comments: dict[int, Any] = field(default_factory=dict)

    def __call__(self, path: str, method: str = "GET", send: Any = None) -> Any:
        if method == "POST":
            assert path == "issues/1/comments"
            self.add(BOT, send["body"])
            return None
        if method == "PATCH":
            self.comments[int(path.removeprefix("issues/comments/"))]["body"] = send["body"]
            return None
        if path.startswith("issues/1/comments?per_page=100&page="):
            first = (int(path.rpartition("=")[2]) - 1) * 100
            return list(self.comments.values())[first : first + 100]
        return {
            f"commits/{HEAD}/pulls?per_page=100": self.pulls,
            f"commits/{BASE}/pulls?per_page=100": self.pulls,
            "actions/runs/7/approvals": self.approvals,
        }[path]

    def add(self, login: str | None, body: str) -> None:
        number = len(self.comments)
        user = None if login is None else {"login": login}
        self.comments[number] = {"id": number, "user": user, "body": body}

    def bodies(self) -> list[str]:
        return [each["body"] for each in self.comments.values()]


# --- the issue on drift ---------------------------------------------------------------------------------------------


@dataclass
class Issues:
    """The forge's API, as far as it is about issues."""

    issues: list[Any] = field(default_factory=list)

    def __call__(self, path: str, method: str = "GET", send: Any = None) -> Any:
        if method == "POST":
            assert path == "issues"
            assert set(send) == {"title", "body"}
            self.add(BOT, send["body"])
            return None
        if method == "PATCH":
            self.issues[int(path.removeprefix("issues/")) - 1].update(send)
            return None
        assert path.startswith("issues?state=open&per_page=100&page=")
        first = (int(path.rpartition("=")[2]) - 1) * 100
        found = [each for each in reversed(self.issues) if each["state"] == "open"]
        return found[first : first + 100]

    def add(self, login: str | None, body: str | None, **more: Any) -> None:
        user = None if login is None else {"login": login}
        number = len(self.issues) + 1
        self.issues.append({"number": number, "user": user, "body": body, "state": "open"} | more)

    def open(self) -> list[Any]:
        return [each for each in self.issues if each["state"] == "open"]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """What `drift` printed."""
    path = tmp_path / "drift.md"
    path.write_text("## Drift: 1 campaign was changed\n\n- more\n")
    return path


@given(
    steps=st.lists(
        st.sampled_from(["0", "2", "closed by hand", "opened twice", "foreign"]), max_size=12
    )
)
def test_a_tenant_has_one_open_issue_while_it_has_drifted_and_none_otherwise(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
):
    api = Issues()
    file = tmp_path_factory.mktemp("drift") / "drift.md"
    file.write_text("## Drift\n")
    SCRIPT.drift(api, ENV, "globex", str(file), "2")
    mark = "<!-- reconcile: drift of acme -->\n"
    foreign = 0
    for step in steps:
        ours = [each for each in api.open() if each["body"].startswith(mark)]
        if step == "closed by hand":
            for each in ours:
                if each["user"]["login"] == BOT:
                    each["state"] = "closed"
        elif step == "opened twice":
            api.add(BOT, f"{mark}twice")
        elif step == "foreign":
            foreign += 1
            api.add("an-author", f"{mark}No drift.")
        else:
            SCRIPT.drift(api, ENV, "acme", str(file), step)
            found = [each for each in api.open() if each["body"].startswith(mark)]
            assert [each["user"]["login"] for each in found].count(BOT) == int(step == "2")
            assert len(found) == foreign + int(step == "2"), "nobody else's issue is touched"
    assert [each for each in api.open() if "drift of globex" in each["body"]]


def test_an_issue_is_edited_and_then_closed(report: Path):
    api = Issues()
    SCRIPT.drift(api, ENV, "acme", str(report), "2")
    report.write_text("## Drift: 2 campaigns were changed\n")
    SCRIPT.drift(api, ENV, "acme", str(report), "2")
    (issue,) = api.issues
    assert "2 campaigns" in issue["body"]
    assert "https://forge.example/a-team/schedules/actions/runs/7" in issue["body"]
    SCRIPT.drift(api, ENV, "acme", str(report), "0")
    assert issue["state"] == "closed"
    assert "No drift any more" in issue["body"]


def test_a_check_that_failed_leaves_the_issue_as_it_is(report: Path):
    api = Issues()
    SCRIPT.drift(api, ENV, "acme", str(report), "2")
    before = dict(api.issues[0])
    for code in ("1", "6", "69", "75", "77", "130", ""):
        with pytest.raises(SystemExit):
            SCRIPT.drift(api, ENV, "acme", str(report), code)
    assert api.issues == [before]


def test_an_issue_is_found_behind_hundreds_of_others(report: Path):
    api = Issues()
    SCRIPT.drift(api, ENV, "acme", str(report), "2")
    for _ in range(250):
        api.add("somebody", None)
    SCRIPT.drift(api, ENV, "acme", str(report), "0")
    assert api.issues[0]["state"] == "closed"
    assert len(api.issues) == 251


def test_a_pull_request_of_the_workflow_is_not_its_issue(report: Path):
    """GitHub lists pull requests among the issues."""
    api = Issues()
    api.add(BOT, "<!-- reconcile: drift of acme -->\n", pull_request={})
    SCRIPT.drift(api, ENV, "acme", str(report), "0")
    assert api.issues[0]["state"] == "open"


def test_a_report_that_is_too_long_for_an_issue_is_cut_after_a_line_and_says_so(report: Path):
    api = Issues()
    lines = ["## Drift: 900 may dial more", *(f"| changed | ä{n} |" for n in range(9000))]
    report.write_text("\n".join(lines))
    SCRIPT.drift(api, ENV, "acme", str(report), "2")
    (issue,) = api.issues
    assert 64_000 < len(issue["body"].encode()) <= 65_536
    assert issue["body"].startswith("<!-- reconcile: drift of acme -->\n")
    said, _, rest = issue["body"].partition("## Drift")
    assert "too long for an issue and is cut" in said
    kept = f"## Drift{rest}".splitlines()
    assert kept == lines[: len(kept)]
    report.write_text("x" * 65_000)
    SCRIPT.drift(api, ENV, "acme", str(report), "2")
    assert len(issue["body"].encode()) <= 65_536
    assert issue["body"].endswith("x" * 65_000)


# --- which pull request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"state": "closed"},
        {"head": {"sha": "d" * 40, "repo": {"full_name": REPOSITORY}}},
        {"head": {"sha": HEAD, "repo": {"full_name": "somebody-else/schedules"}}},
        {"head": {"sha": HEAD, "repo": None}},
        {"base": {"ref": "next", "repo": {"full_name": REPOSITORY}}},
        {"base": {"ref": "main", "repo": {"full_name": "somebody-else/schedules"}}},
    ],
    ids=["closed", "head moved on", "fork", "fork is gone", "other branch", "other repository"],
)
def test_only_an_open_pull_request_into_main_with_this_very_head_is_planned_and_commented(
    tmp_path: Path, other: dict[str, Any]
):
    api = Api([pull(**other)])
    plan = tmp_path / "plan.md"
    plan.write_text("## 1 to create\n")
    assert SCRIPT.open_pulls(api, ENV) == []
    assert SCRIPT.select(api, ENV, "none", "none", "none") == {}
    SCRIPT.comment(api, ENV, "acme", str(plan))
    assert api.comments == {}
    assert SCRIPT.open_pulls(Api([pull(**other), pull(3)]), ENV) == [3]


# --- which tenants --------------------------------------------------------------------------------------------------

NAMES = st.lists(st.sampled_from(["acme", "globex", "initech", "hooli"]), unique=True)


@given(NAMES, NAMES, NAMES)
def test_a_tenant_is_planned_only_when_main_has_it_the_merge_has_it_and_it_changes(
    main: list[str], merge: list[str], changed: list[str]
):
    planned, sentences = SCRIPT.split(main, merge, [f"schedules/{name}/x.yaml" for name in changed])
    assert set(planned) == set(main) & set(merge) & set(changed)
    unplanned = (set(main) ^ set(merge)) & set(changed)
    assert {each.split("`")[1] for each in sentences} == unplanned


def selected(tmp_path: Path, api: Api, main: list[str], merge: list[str], changed: str) -> Any:
    for name, value in (("main", main), ("pull", merge)):
        (tmp_path / name).write_text(json.dumps([{"tenant": each} for each in value]))
    (tmp_path / "changed").write_text(changed)
    files = [str(tmp_path / name) for name in ("main", "pull", "changed")]
    return SCRIPT.select(api, ENV, *files)


def test_a_new_tenant_is_said_to_be_unplanned_and_reaches_no_environment(tmp_path: Path):
    api = Api()
    changed = "schedules/acme/a.yaml\0schedules/new/tenant.yaml\0"
    found = selected(tmp_path, api, ["acme"], ["acme", "new"], changed)
    assert json.loads(found["tenants"]) == [{"tenant": "acme"}]
    (body,) = api.bodies()
    assert "`new` is new" in body
    assert "acme" not in body.split("\n\n", 1)[1]


def test_nothing_to_plan_starts_no_job(tmp_path: Path):
    assert selected(tmp_path, Api(), ["acme"], ["acme"], "schedules/README.md\0") == {}


def test_a_plan_of_an_earlier_head_does_not_stand_as_todays(tmp_path: Path):
    api = Api()
    for tenant in ("acme", "globex"):
        plan = tmp_path / "plan.md"
        plan.write_text(f"the plan of {tenant}")
        SCRIPT.comment(api, ENV, tenant, str(plan))
    api.add("somebody", "<!-- reconcile: globex -->\nmine")
    selected(tmp_path, api, ["acme", "globex"], ["acme", "globex"], "schedules/acme/a.yaml\0")
    acme, globex, other = api.bodies()
    assert "the plan of acme" in acme
    assert "the plan of globex" not in globex
    assert "Nothing to show any more" in globex
    assert other.endswith("mine")


def test_a_head_of_which_no_tenant_can_be_selected_leaves_no_earlier_plan_standing(tmp_path: Path):
    api = Api()
    plan = tmp_path / "plan.md"
    plan.write_text("nothing may widen")
    SCRIPT.comment(api, ENV, "acme", str(plan))
    SCRIPT.COMMANDS["unplanned"](api, ENV)
    earlier, said = api.bodies()
    assert "nothing may widen" not in earlier
    assert "**No plan** of `aaaaaaaaaaaa`" in said
    selected(tmp_path, api, ["acme"], ["acme"], "schedules/acme/a.yaml\0")
    assert "No plan" not in api.bodies()[1]


# --- comments -------------------------------------------------------------------------------------------------------


def test_a_tenant_has_one_comment_which_each_plan_replaces(tmp_path: Path):
    api = Api()
    for number in range(250):  # more than a page
        api.add("somebody" if number else None, "hello")
    plan = tmp_path / "plan.md"
    for text in ("first", "second"):
        plan.write_text(text)
        SCRIPT.comment(api, ENV, "acme", str(plan))
        SCRIPT.comment(api, ENV, "globex", str(plan))
    acme, globex = api.bodies()[250:]
    assert acme.startswith("<!-- reconcile: acme -->\n")
    assert acme.endswith("second")
    assert HEAD[:12] in acme
    assert globex.startswith("<!-- reconcile: globex -->\n")


def test_a_comment_that_somebody_wrote_in_our_name_is_left_alone(tmp_path: Path):
    api = Api()
    api.add("an-author", "<!-- reconcile: acme -->\nNothing would change.")
    plan = tmp_path / "plan.md"
    plan.write_text("3 may widen dialing")
    SCRIPT.comment(api, ENV, "acme", str(plan))
    theirs, ours = api.bodies()
    assert theirs.endswith("Nothing would change.")
    assert ours.endswith("3 may widen dialing")


def test_a_plan_that_is_too_long_for_a_comment_is_not_cut(tmp_path: Path):
    api, plan = Api(), tmp_path / "plan.md"
    plan.write_text("ä" * 40_000)
    SCRIPT.comment(api, ENV, "acme", str(plan))
    (body,) = api.bodies()
    assert "too long" in body
    assert "https://forge.example/a-team/schedules/actions/runs/7" in body
    assert "ä" not in body
    plan.write_text("x" * 65_000)
    SCRIPT.comment(api, ENV, "acme", str(plan))
    assert api.bodies()[0].endswith("x" * 65_000)
    assert len(api.bodies()[0]) <= 65_536


@pytest.mark.parametrize("made", [True, False])
def test_a_plan_that_failed_replaces_the_one_before(tmp_path: Path, *, made: bool):
    api, plan = Api(), tmp_path / "plan.md"
    plan.write_text("the plan before")
    SCRIPT.comment(api, ENV, "acme", str(plan))
    plan.write_text("") if made else plan.unlink()
    SCRIPT.comment(api, ENV, "acme", str(plan))
    (body,) = api.bodies()
    assert "No plan." in body
    assert "before" not in body


# --- who approved ---------------------------------------------------------------------------------------------------

LOGINS = st.lists(st.sampled_from(["ann", "ben", "cem"]), max_size=4)


@given(LOGINS, LOGINS)
def test_the_approver_is_who_approved_after_this_attempts_plan(earlier: list[str], now: list[str]):
    api = Api(approvals=[approval(each) for each in earlier])
    env = ENV | {"EARLIER": SCRIPT.approvals(api, ENV)["approvals"]}
    api.approvals = [approval(each) for each in (*now, *earlier)]  # GitHub promises no order
    assert SCRIPT.approver(api, env) == ", ".join(sorted(set(now)))


def test_reviews_of_other_environments_and_refusals_are_no_approval():
    api = Api(
        approvals=[
            approval("ann", environment="production-globex"),
            approval("ben", state="rejected"),
            approval("cem", state="pending"),
        ]
    )
    assert SCRIPT.approver(api, ENV | {"EARLIER": "{}"}) == ""


@pytest.mark.parametrize("odd", [{"PLANNED_ATTEMPT": "1"}, {"EARLIER": ""}])
def test_nobody_is_recorded_where_it_is_not_certain_who_approved(
    odd: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    """A rerun of failed jobs keeps the plan of the first attempt, and GitHub's list has the approvals of both."""
    api = Api(approvals=[approval("ann"), approval("ben")])
    assert SCRIPT.approver(api, ENV | {"EARLIER": "{}"} | odd) == ""
    assert "the approver is not recorded" in capsys.readouterr().err


def test_the_pull_request_recorded_is_the_one_whose_merge_this_is():
    merged = {"merged_at": "2027-03-01T12:00:00Z", "merge_commit_sha": BASE}
    env = ENV | {"EARLIER": "{}"}
    found = SCRIPT.review(Api([pull(4), pull(5, **merged), pull(6, merged_at="2027-03-01")]), env)
    assert (found["pull_request"], found["reviewed_head"]) == ("5", HEAD)
    not_merged = pull(4, merge_commit_sha=BASE)
    for pulls in ([], [not_merged], [pull(5, **merged), pull(6, **merged)]):
        assert SCRIPT.review(Api(pulls), env) == {"approver": ""}


# --- the command ----------------------------------------------------------------------------------------------------


def test_an_output_is_one_line_whatever_it_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(SCRIPT, "connect", lambda _: None)
    monkeypatch.setitem(SCRIPT.COMMANDS, "review", lambda *_: {"approver": "a\nb=c\r\nd"})
    SCRIPT.main(["review"], ENV)
    assert capsys.readouterr().out == "approver=a b=c d\n"


def test_the_token_follows_no_redirect():
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        env = ENV | {
            "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
            "GITHUB_TOKEN": "t",
        }
        with pytest.raises(HTTPError, match="302"):
            SCRIPT.connect(env)("x")
        thread.join()
    assert seen == ["/repos/a-team/schedules/x"]
