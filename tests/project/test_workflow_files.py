"""The workflow files hold what the threat model asks for. `zizmor` says more, in the gate; `test_life` runs them."""

import copy
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.expressions import ExpressionError, evaluate, fill
from tests.support.forge import INSTALL, INSTALL_WITH_OPTIMIZE, ROOT, WORKFLOWS, load
from tests.support.gitfakes import git
from tests.support.workflow_rules import OF_THIS_REPOSITORY, TAKE, commands, problems

FILES = sorted(path.name for path in WORKFLOWS.glob("*.yml"))
PIN = re.compile(r"uses: (?P<action>actions/[a-z-]+)@(?P<pin>[0-9a-f]{40} # v\d+\.\d+\.\d+)")


def jobs(file: str) -> dict[str, Any]:
    return dict(load(file)["jobs"])


def steps(file: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(job, step) for job in jobs(file).values() for step in job.get("steps", ())]


def installs(file: str) -> set[str]:
    """Return the steps of a workflow in which anything is installed."""
    return {step["run"] for _, step in steps(file) if "install" in step.get("run", "")}


def test_there_are_the_workflows_that_the_readme_names():
    names = ("apply-tenant", "apply", "ci", "drift", "halt", "optimize", "plan", "validate")
    assert [f"{name}.yml" for name in names] == FILES


def test_every_action_is_pinned_to_one_commit_with_its_version_beside_it():
    pins: dict[str, set[str]] = {}
    for file in FILES:
        text = (WORKFLOWS / file).read_text()
        found = list(PIN.finditer(text))
        assert len(found) == text.count("uses: ") - text.count("uses: $/")
        for each in found:
            pins.setdefault(each["action"], set()).add(each["pin"])
    assert {action: len(versions) for action, versions in pins.items()} == {
        "actions/checkout": 1,
        "actions/download-artifact": 1,
        "actions/setup-python": 1,
        "actions/upload-artifact": 1,
    }


HELPERS = [
    (file, step["run"])
    for file in FILES
    for _, step in steps(file)
    if "credential" in step.get("run", "")
]


def password(tmp_path: Path, run: str, host: str) -> str:
    """Return what git gets for a host in another repository of a machine whose workflow has run `run`."""
    env = {
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_TOKEN": "the-token",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    for name in ("checkout", "other"):
        subprocess.run(["git", "init", "-q", name], cwd=tmp_path, env=env, check=True)
    script = ["bash", "-eo", "pipefail", "-c", run]
    subprocess.run(script, cwd=tmp_path / "checkout", env=env, check=True)
    filled = subprocess.run(
        ["git", "credential", "fill"],
        cwd=tmp_path / "other",
        env=env,
        input=f"{host}\n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the-token" not in (tmp_path / ".gitconfig").read_text()
    assert "credential" not in (tmp_path / "checkout" / ".git" / "config").read_text()
    return filled.stdout


def test_the_workflows_that_need_a_credential_helper_have_one():
    assert [file for file, _ in HELPERS] == [
        *["apply-tenant.yml", "apply-tenant.yml"],
        *["drift.yml", "halt.yml", "optimize.yml", "plan.yml", "plan.yml"],
    ]


@pytest.mark.parametrize(("file", "run"), HELPERS)
def test_a_credential_helper_gives_the_token_to_the_forge_and_to_no_other_host(
    tmp_path: Path, file: str, run: str
):
    assert "password=the-token" in password(tmp_path, run, "protocol=https\nhost=forge.example")
    for other in (
        "protocol=https\nhost=evil.example",
        "protocol=https\nhost=forge.example.evil.example",
        "protocol=https\nhost=forge.example:8443",
        "protocol=http\nhost=forge.example",
    ):
        assert "the-token" not in password(tmp_path, run, other)


@pytest.mark.parametrize("file", FILES)
def test_every_job_ends(file: str):
    assert all("uses" in job or job["timeout-minutes"] <= 90 for job in jobs(file).values())


def test_each_workflow_starts_by_what_it_is_for():
    assert {file: set(load(file)["on"]) for file in FILES} == {
        "apply-tenant.yml": {"workflow_call"},
        "apply.yml": {"push", "workflow_dispatch"},
        "ci.yml": {"push", "pull_request"},
        "drift.yml": {"schedule", "workflow_dispatch"},
        "halt.yml": {"workflow_dispatch"},
        "optimize.yml": {"schedule", "workflow_dispatch"},
        "plan.yml": {"workflow_run"},
        "validate.yml": {"pull_request"},
    }
    assert load("plan.yml")["on"]["workflow_run"]["workflows"] == [load("validate.yml")["name"]]


@pytest.mark.parametrize("file", [each for each in FILES if each != "ci.yml"])
def test_the_tool_comes_from_the_commit_that_the_workflow_runs_on(file: str):
    more = {INSTALL_WITH_OPTIMIZE} if file == "optimize.yml" else set()
    assert installs(file) == {INSTALL} | more


def test_the_workflow_files_hold_every_rule():
    assert problems({file: load(file) for file in FILES}) == []


def test_zizmor_is_told_to_overlook_one_thing_which_the_rules_look_at():
    lines = [line for file in FILES for line in (WORKFLOWS / file).read_text().splitlines()]
    (line,) = [each for each in lines if "zizmor:" in each]
    assert line.startswith("on: # zizmor: ignore[dangerous-triggers] ")
    assert not (WORKFLOWS.parent / "zizmor.yml").exists()
    assert not (ROOT / "zizmor.yml").exists()


LOADED = {file: load(file) for file in FILES}


class Copy:
    """A copy of the workflow files, to break."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = copy.deepcopy(LOADED)

    def job(self, path: str) -> Any:
        """Return a job by `file job`."""
        file, name = path.split()
        return self.files[f"{file}.yml"]["jobs"][name]

    def step(self, path: str, title: str) -> Any:
        (found,) = [each for each in self.job(path)["steps"] if each["name"] == title]
        return found

    def action(self, path: str, action: str) -> Any:
        """Return the inputs of the first step of an action."""
        steps = self.job(path)["steps"]
        return next(each for each in steps if each.get("uses", "").startswith(action))["with"]

    def add(self, path: str, run: str, **more: Any) -> None:
        """Add a step after all others."""
        self.job(path)["steps"].append({"name": "New", "run": run} | more)


HEAD = "${{ github.event.workflow_run.head_sha }}"
HIDDEN = "${{ secrets.CXONE_CLIENT_SECRET }}"
TOKEN = {"GITHUB_TOKEN": "${{ github.token }}"}
TITLE = "Take the pull request's manifests"
BROKEN: list[tuple[str, Callable[[Copy], object]]] = [
    (
        "plan.yml: permissions or variables for every job",
        lambda c: c.files["plan.yml"].pop("permissions"),
    ),
    (
        "plan.yml: plan: its permissions are not named",
        lambda c: c.job("plan plan").pop("permissions"),
    ),
    *[
        (
            f"{path.replace(' ', '.yml: ')}: permissions",
            lambda c, p=path, m=more: c.job(p)["permissions"].update(m),
        )
        for path, more in [
            ("plan plan", {"contents": "write"}),
            ("plan plan", {"id-token": "write"}),
            ("apply-tenant plan", {"actions": "write"}),
            ("halt halt", {"packages": "read"}),
            ("drift drift", {"contents": "write"}),
            ("drift tenants", {"issues": "write"}),
            ("plan plan", {"issues": "write"}),
            ("optimize tenants", {"contents": "write"}),
            ("optimize optimize", {"actions": "write"}),
            ("validate validate", {"pull-requests": "write"}),
        ]
    ],
    (
        "validate.yml: validate: a pull request's job may do more",
        lambda c: c.job("validate validate")["permissions"].update({"actions": "read"}),
    ),
    (
        "validate.yml: validate: a pull request's job has an environment",
        lambda c: c.job("validate validate").update(environment="plan-${{ matrix.tenant }}"),
    ),
    (
        "validate.yml: validate: a pull request's job has an environment",
        lambda c: c.job("validate validate").update(uses="$/.github/workflows/apply-tenant.yml"),
    ),
    (
        "ci.yml: gate: a pull request's job has an environment or a secret",
        lambda c: c.step("ci gate", "Run the gate").update(env={"S": HIDDEN}),
    ),
    (
        "plan.yml: plan: a pull request's job",
        lambda c: c.files["plan.yml"]["on"].update(pull_request=None),
    ),
    (
        "validate.yml: validate: pull_request_target",
        lambda c: c.files["validate.yml"].update(on={"pull_request_target": None}),
    ),
    (
        "apply.yml: tenants: a pull request's job",
        lambda c: (
            c.files["apply.yml"]["on"]["push"].update(branches=["main", "next"])
            or c.job("apply tenants").update(environment="plan-${{ matrix.tenant }}")
        ),
    ),
    (
        "plan.yml: plan: environment production",
        lambda c: c.job("plan plan").update(environment="production"),
    ),
    (
        "plan.yml: plan: environment ${{ github.event",
        lambda c: c.job("plan plan").update(
            environment="${{ github.event.workflow_run.head_branch }}"
        ),
    ),
    ("plan.yml: select: runs for every pull request", lambda c: c.job("plan select").pop("if")),
    (
        "plan.yml: select: runs for every pull request",
        lambda c: c.job("plan select").update({"if": OF_THIS_REPOSITORY.replace("&&", "||")}),
    ),
    ("plan.yml: plan: runs for every pull request", lambda c: c.job("plan plan").pop("needs")),
    *[
        (
            "plan.yml: plan: actions/checkout with",
            lambda c, m=more: c.action("plan plan", "actions/checkout").update(m),
        )
        for more in [{"ref": HEAD}, {"path": ".tool"}, {"repository": "other/one"}]
    ],
    (
        "plan.yml: plan: actions/checkout is told what to do by the event",
        lambda c: c.action("plan plan", "actions/checkout").update({"fetch-depth": HEAD}),
    ),
    (
        "apply-tenant.yml: apply: actions/download-artifact with",
        lambda c: c.action("apply-tenant apply", "actions/download-artifact").update(
            {"run-id": "1"}
        ),
    ),
    (
        "halt.yml: halt: a checkout leaves its token behind",
        lambda c: c.action("halt halt", "actions/checkout").update({"persist-credentials": True}),
    ),
    (
        "plan.yml: plan: actions/cache with",
        lambda c: c.job("plan plan")["steps"].append(
            {"name": "x", "uses": "actions/cache@1", "with": {"key": "k"}}
        ),
    ),
    *[
        (f"plan.yml: plan: runs {command}", lambda c, r=run: c.add("plan plan", r))
        for command, run in [
            ("./schedules/acme/run", "./schedules/acme/run"),
            ("bash schedules/x.sh", "echo a && bash schedules/x.sh"),
            ("source schedules/x", "source schedules/x"),
            ("schedules/x", 'echo "$(schedules/x)"'),
            ("schedules/x", 'if [[ "$(schedules/x)" ]]; then echo; fi'),
            ("make", "x=1 make"),
            ("pip install .", "pip install ."),
            ("python -m pip", "python -m pip list"),
            ("python -P schedules/x.py", "python -P schedules/x.py"),
            ("python3 -P -c", "python3 -P -c 1"),
            ("git checkout", "git checkout FETCH_HEAD"),
            ("git -c", "git -c core.pager=x diff"),
            ("python -P -m pip install -r", "python -P -m pip install -r schedules/r.txt"),
        ]
    ],
    ("ci.yml: gate: runs .ci/other", lambda c: c.add("ci gate", ".ci/other")),
    ("plan.yml: plan: runs .ci/run", lambda c: c.add("plan plan", ".ci/run")),
    (
        "plan.yml: plan: runs git fetch",
        lambda c: c.step("plan plan", TITLE).update(run=TAKE.replace("-- schedules", "-- .")),
    ),
    (
        "plan.yml: plan: a value is pasted into a script",
        lambda c: c.add("plan plan", "echo ${{ matrix.tenant }}"),
    ),
    (
        "apply.yml: tenant: a secret outside of a step",
        lambda c: c.job("apply tenant").update(secrets="inherit"),
    ),
    (
        "plan.yml: plan: a secret outside of a step",
        lambda c: c.job("plan plan").update(env={"S": HIDDEN}),
    ),
    (
        "plan.yml: plan: a secret in the step Comment the plan",
        lambda c: c.step("plan plan", "Comment the plan")["env"].update(S=HIDDEN),
    ),
    (
        "plan.yml: plan: a secret in the step Plan",
        lambda c: c.step("plan plan", "Plan")["env"].update(S="${{ toJSON(secrets) }} secrets."),
    ),
    (
        "plan.yml: select: a secret in the step",
        lambda c: c.step("plan select", "Select the tenants to plan")["env"].update(S=HIDDEN),
    ),
    (
        "drift.yml: drift: a secret in the step Look for drift",
        lambda c: c.job("drift drift").pop("environment"),
    ),
    (
        "drift.yml: drift: a secret in the step Keep the issue",
        lambda c: c.step("drift drift", "Keep the issue")["env"].update(S=HIDDEN),
    ),
    (
        "drift.yml: drift: a pull request's job",
        lambda c: c.files["drift.yml"]["on"].update(pull_request=None),
    ),
    (
        "drift.yml: drift: git has no credential helper in the step Look for drift",
        lambda c: c.job("drift drift")["steps"].remove(
            c.step("drift drift", "Let git ask the forge")
        ),
    ),
    (
        "drift.yml: drift: environment drift-",
        lambda c: c.job("drift drift").update(environment="drift-${{ matrix.tenant }}"),
    ),
    (
        "optimize.yml: optimize: a secret in the step Keep the pull request",
        lambda c: c.step("optimize optimize", "Keep the pull request")["env"].update(S=HIDDEN),
    ),
    (
        "optimize.yml: optimize: runs git push",
        lambda c: c.add("optimize optimize", "git push origin HEAD:main"),
    ),
    (
        "optimize.yml: optimize: runs gh",
        lambda c: c.add("optimize optimize", "gh pr merge --admin 1"),
    ),
    ("halt.yml: halt: a secret in the step Stop", lambda c: c.job("halt halt").pop("environment")),
    (
        "plan.yml: plan: the token in the step Install the tool",
        lambda c: c.step("plan plan", "Install the tool").update(env=TOKEN),
    ),
    (
        "plan.yml: plan: git has no credential helper in the step",
        lambda c: c.job("plan plan")["steps"].remove(c.step("plan plan", "Let git ask the forge")),
    ),
    (
        "halt.yml: halt: a credential helper of another kind",
        lambda c: c.step("halt halt", "Let git ask the forge").update(
            run="git config --global credential.helper '!f() { echo password=$GITHUB_TOKEN; }; f'\n"
        ),
    ),
    (
        "plan.yml: plan: installs after the pull request's manifests were taken",
        lambda c: c.job("plan plan")["steps"].append(c.step("plan plan", "Install the tool")),
    ),
    (
        "plan.yml: plan: the pull request's head in the step Plan",
        lambda c: c.step("plan plan", "Plan")["env"].update(
            BRANCH="${{ github.event.workflow_run.head_branch }}"
        ),
    ),
]


@pytest.mark.parametrize(("complaint", "spoil"), BROKEN)
def test_a_workflow_that_breaks_a_rule_is_found(complaint: str, spoil: Callable[[Copy], object]):
    broken = Copy()
    spoil(broken)
    assert any(each.startswith(complaint) for each in problems(broken.files)), problems(
        broken.files
    )


def test_a_script_is_read_to_its_last_command():
    run = "x=\"$(a 1 | b)\" c && if [[ $y == ';' ]]; then d; fi\n{ e; } || ! f `g`"
    assert commands(run) == ["a 1", "b", "c", "d", "e", "f", "g"]


def test_a_pull_request_that_brings_a_pip_of_its_own_does_not_run_it(tmp_path: Path):
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text("print('mine')")
    (installing,) = installs("plan.yml")
    _, *flags, _ = installing.partition(" install ")[0].split()
    ran = subprocess.run(
        [sys.executable, *flags, "pip", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "mine" not in ran.stdout


@pytest.fixture
def proposal(tmp_path: Path) -> tuple[Path, str]:
    """A clone of main on a machine with a filter of git's, and the head of a pull request that edits everything."""
    clone = tmp_path / "clone"
    script = f'"tee {tmp_path / "ran"}"'
    (tmp_path / ".gitconfig").write_text(f'[filter "x"]\n\tsmudge = {script}\n\tclean = {script}\n')
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "clone")
    git(clone, "remote", "add", "origin", str(clone))
    for branch, files in {
        "main": {"tool.py": "main", "schedules/a/a.yaml": "1", "schedules/a/b.yaml": "1"},
        "change": {"tool.py": "mine", "pip/__main__.py": "mine", "schedules/a/a.yaml": "2"}
        | {".gitattributes": "* filter=x", "schedules/.gitattributes": "* filter=x"},
    }.items():
        if branch != "main":
            git(clone, "switch", "--quiet", "--create", branch)
            git(clone, "rm", "--quiet", "schedules/a/b.yaml")
        for name, text in files.items():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_text(f"{text}\n")
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "--message", branch)
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "switch", "--quiet", "main")
    return clone, head


def take(clone: Path, head: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", TAKE],
        cwd=clone,
        env={
            "GIT_CONFIG_NOSYSTEM": "1",
            "HEAD_SHA": head,
            "HOME": str(clone.parent),
            "PATH": os.environ["PATH"],
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_the_manifests_of_a_pull_request_reach_the_work_tree_and_no_filter_runs(
    proposal: tuple[Path, str],
):
    clone, head = proposal
    taken = take(clone, head)
    assert taken.returncode == 0, taken.stderr
    held = {
        str(path.relative_to(clone)): path.read_text().strip()
        for path in clone.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(clone).parts
    }
    assert held == {
        "tool.py": "main",
        "schedules/.gitattributes": "* filter=x",
        "schedules/a/a.yaml": "2",
    }
    assert not (clone.parent / "ran").exists()
    assert git(clone, "status", "--porcelain", "--", "schedules") == ""
    assert git(clone, "rev-parse", "HEAD^2") == head


def test_a_manifest_that_moves_to_another_tenant_changes_both(proposal: tuple[Path, str]):
    clone, _ = proposal
    (clone / "schedules" / "b").mkdir()
    git(clone, "mv", "schedules/a/b.yaml", "schedules/b/b.yaml")
    git(clone, "commit", "--quiet", "--message", "Move")
    (run,) = [step["run"] for _, step in steps("plan.yml") if "HEAD^1" in step.get("run", "")]
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", f"python() {{ :; }}\n{run}"],
        cwd=clone,
        env={"GITHUB_OUTPUT": "/dev/null", "PATH": os.environ["PATH"], "RUNNER_TEMP": str(clone)},
        check=True,
    )
    changed = (clone / "changed").read_text().rstrip("\0").split("\0")
    assert changed == ["schedules/a/b.yaml", "schedules/b/b.yaml"]


def test_a_pull_request_that_conflicts_with_main_is_not_planned(proposal: tuple[Path, str]):
    clone, head = proposal
    (clone / "schedules" / "a" / "a.yaml").write_text("3\n")
    git(clone, "commit", "--quiet", "--all", "--message", "meanwhile")
    taken = take(clone, head)
    assert taken.returncode == 1
    assert "::error::the pull request conflicts with main" in taken.stdout
    assert (clone / "schedules" / "a" / "a.yaml").read_text() == "3\n"


LOCKED = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[0-9.]+)(?: ; [^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-optimize.txt"])
def test_what_is_installed_beside_the_tool_is_pinned_by_hash_and_names_no_index(name: str):
    text = (ROOT / ".github" / name).read_text()
    body = text[re.search(r"^[^#]", text, re.MULTILINE).start() :]
    assert LOCKED.sub("", body) == ""
    assert "://" not in text


def test_what_is_locked_is_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = {
        "requirements.txt": [
            *project["build-system"]["requires"],
            *project["project"]["dependencies"],
            *extras["sandbox"],
        ],
        "requirements-optimize.txt": extras["optimize"],
    }
    for file, requirements in wanted.items():
        text = (ROOT / ".github" / file).read_text()
        locked = [(found["name"], found["version"]) for found in LOCKED.finditer(text)]
        for each in map(Requirement, requirements):
            name = canonicalize_name(each.name)
            versions = [version for found, version in locked if found == name]
            assert versions, f"{each}: make .github/{file} again"
            assert all(version in each.specifier for version in versions), (
                f"{each}: make .github/{file} again"
            )


def test_no_number_of_other_files_keeps_a_pull_request_from_being_validated_and_planned():
    assert load("validate.yml")["on"]["pull_request"] is None


def test_a_selection_that_fails_for_any_reason_is_commented():
    last = load("plan.yml")["jobs"]["select"]["steps"][-1]
    assert last["if"] == "${{ failure() }}"
    assert last["run"] == "python -P .github/scripts/forge.py unplanned"


def test_no_number_of_other_files_keeps_a_merge_from_being_applied():
    assert load("apply.yml")["on"]["push"] == {"branches": ["main"]}


def test_an_apply_is_never_cancelled_for_a_newer_one():
    assert jobs("apply-tenant.yml")["apply"]["concurrency"]["cancel-in-progress"] is False
    assert load("apply.yml")["concurrency"]["cancel-in-progress"] is False


def test_an_apply_by_hand_asks_for_nothing_and_waits_for_no_run_of_the_same_commit():
    asked = load("apply.yml")["on"]["workflow_dispatch"]["inputs"]
    assert {name: each["required"] for name, each in asked.items()} == {"accept_history": False}
    assert load("apply.yml")["concurrency"]["group"] == "apply-${{ github.run_id }}"


@pytest.mark.parametrize("reason", ["", 'rewritten; $(id) "it" *'])
def test_the_reason_for_another_history_reaches_plan_and_apply_as_one_word(
    tmp_path: Path, reason: str
):
    names = {"Plan", "Apply what was approved"}
    runs = [step["run"] for _, step in steps("apply-tenant.yml") if step["name"] in names]
    for run in runs:
        said = subprocess.run(
            [
                *("bash", "-eo", "pipefail", "-c"),
                "reconcile() { printf '<%s>' \"$@\" >&2; return 0; }\n" + run,
            ],
            cwd=tmp_path,
            env={
                "TENANT": "acme",
                "ACCEPT_HISTORY": reason,
                "DIGEST": "d",
                "RUNNER_TEMP": str(tmp_path),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            },
            check=False,
            capture_output=True,
            text=True,
        ).stderr
        assert "<schedules/acme>" in said
        assert (f"<--accept-history><{reason}>" in said) == bool(reason)
        assert ("--accept-history" in said) == bool(reason)
    assert len(runs) == len(names)


def test_a_stop_queues_behind_nothing():
    assert load("halt.yml")["concurrency"]["group"] == "halt-${{ github.run_id }}"
    assert "concurrency" not in jobs("halt.yml")["halt"]


@pytest.mark.parametrize(
    ("selector", "asked"),
    [
        ("--all", ["--all", "--"]),
        (" --all ", ["--all", "--"]),
        ("a  b", ["--", "a", "b"]),
        ("* $(id)", ["--", "*", "$(id)"]),
    ],
)
def test_the_form_of_a_stop_forgives_a_space_and_runs_nothing(
    tmp_path: Path, selector: str, asked: list[str]
):
    (run,) = [step["run"] for _, step in steps("halt.yml") if step["name"] == "Stop"]
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "reconcile() { printf '%s\\n' \"$@\"; }\n" + run],
        cwd=tmp_path,
        env={
            "TENANT": "acme",
            "SELECTOR": selector,
            "REASON": "r",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "out"),
        },
        check=True,
    )
    said = (tmp_path / "out").read_text().split("\n")
    assert [word for word in said if word in asked] == asked


def test_the_gate_runs_on_the_oldest_python_and_on_the_newest():
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    matrix = jobs("ci.yml")["gate"]["strategy"]["matrix"]
    assert matrix == {"python": [oldest.removeprefix(">="), "3.x"]}
    assert [step["run"] for _, step in steps("ci.yml") if "run" in step] == [".ci/run"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b", "x"),
        ("a.b == 'x' && !no()", True),
        ("a.b != 'x' || a.outputs.c == ''", True),
        ("!(a.b == 'x')", False),
        ("fromJSON(a.list)", [1]),
        ("'it''s'", "it's"),
    ],
)
def test_expressions_mean_what_they_mean_on_the_forge(text: str, value: object):
    contexts = {"a": {"b": "x", "list": "[1]", "outputs": {}}}
    assert evaluate(text, contexts, no=lambda: False) == value


@pytest.mark.parametrize(
    "text", ["a.c", "b", "a.b.c", "hashFiles('x')", "a.b ==", "a.b 'x'", "a['b']", "", "(a.b"]
)
def test_an_expression_that_is_not_known_is_an_error(text: str):
    with pytest.raises(ExpressionError):
        evaluate(text, {"a": {"b": "x"}})


def test_a_value_that_is_all_expression_keeps_its_type():
    contexts = {"a": {"n": 3}}
    assert fill({"x": ["${{ a.n }}", "n=${{ a.n }}", 7]}, contexts) == {"x": [3, "n=3", 7]}
