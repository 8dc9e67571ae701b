"""The workflow files hold what the threat model asks for. `zizmor` says more, in the gate; `test_life` runs them."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.expressions import ExpressionError, evaluate, fill
from tests.forge import INSTALLS, ROOT, WORKFLOWS, load

FILES = sorted(path.name for path in WORKFLOWS.glob("*.yml"))
PIN = re.compile(r"uses: (?P<action>actions/[a-z-]+)@(?P<pin>[0-9a-f]{40} # v\d+\.\d+\.\d+)")
SECRETS = ("CXONE_CLIENT_SECRET",)


def jobs(file: str) -> dict[str, Any]:
    return dict(load(file)["jobs"])


def steps(file: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(job, step) for job in jobs(file).values() for step in job.get("steps", ())]


def installs(file: str) -> set[str]:
    """Return the steps of a workflow in which anything is installed."""
    return {step["run"] for _, step in steps(file) if "install" in step.get("run", "")}


def test_there_are_the_workflows_that_the_readme_names():
    assert FILES == ["apply-tenant.yml", "apply.yml", "ci.yml", "halt.yml", "plan.yml"]


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


@pytest.mark.parametrize("file", FILES)
def test_no_value_is_pasted_into_a_script(file: str):
    assert [step["run"] for _, step in steps(file) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_permitted_but_what_a_job_names(file: str):
    assert load(file)["permissions"] == {}
    for name, job in jobs(file).items():
        writes = {key for key, level in job["permissions"].items() if level != "read"}
        assert writes <= ({"contents"} if name in {"apply", "halt", "tenant"} else set())


@pytest.mark.parametrize("file", FILES)
def test_a_checkout_leaves_no_credentials_behind(file: str):
    checkouts = [s for _, s in steps(file) if s.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


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
        *["halt.yml", "plan.yml"],
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
def test_a_secret_is_seen_by_one_step_of_a_job_in_an_environment(file: str):
    for job, step in steps(file):
        used = [name for name in SECRETS if f"secrets.{name}" in str(step)]
        if used:
            assert re.fullmatch(
                r"(plan|production|halt)-\$\{\{ \w+\.tenant \}\}", job["environment"]
            )
            assert re.search(r"^reconcile (plan|apply|halt) ", step["run"], re.MULTILINE)
    assert "inherit" not in (WORKFLOWS / file).read_text()


@pytest.mark.parametrize("file", FILES)
def test_every_job_ends(file: str):
    assert all("uses" in job or job["timeout-minutes"] <= 90 for job in jobs(file).values())


def test_no_workflow_runs_a_pull_requests_code_with_secrets():
    triggers = {file: set(load(file)["on"]) for file in FILES}
    assert triggers == {
        "apply-tenant.yml": {"workflow_call"},
        "apply.yml": {"push", "workflow_dispatch"},
        "ci.yml": {"push", "pull_request"},
        "halt.yml": {"workflow_dispatch"},
        "plan.yml": {"pull_request"},
    }
    assert installs("plan.yml") == {INSTALLS["./.tool"]}
    sources = {
        step["with"].get("ref") for _, step in steps("plan.yml") if ".tool" in str(step.get("with"))
    }
    assert sources == {"${{ github.event.pull_request.base.sha }}"}


def test_what_applies_comes_from_the_commit_that_is_applied():
    for file in ("apply.yml", "apply-tenant.yml"):
        assert installs(file) == {INSTALLS["."]}


@pytest.mark.parametrize("file", FILES)
def test_no_python_looks_for_its_modules_in_what_is_checked_out(file: str):
    """`python -m` begins with the working directory, which in `plan.yml` is what the pull request says it is."""
    runs = [step["run"] for _, step in steps(file) if "run" in step]
    assert [text for text in runs if re.search(r"\bpython3? (?!-P )", text)] == []


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


LOCKED = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[0-9.]+)(?: ; [^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
)


def test_what_is_installed_beside_the_tool_is_pinned_by_hash_and_names_no_index():
    text = (ROOT / ".github" / "requirements.txt").read_text()
    body = text[re.search(r"^[^#]", text, re.MULTILINE).start() :]
    assert LOCKED.sub("", body) == ""
    assert "://" not in text


def test_what_is_locked_is_what_the_project_asks_for():
    text = (ROOT / ".github" / "requirements.txt").read_text()
    locked = {found["name"]: found["version"] for found in LOCKED.finditer(text)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["sandbox"],
    ]
    for each in map(Requirement, wanted):
        name = canonicalize_name(each.name)
        assert locked[name] in each.specifier, f"{each}: make .github/requirements.txt again"


def test_plans_and_applies_begin_when_schedules_change():
    assert load("plan.yml")["on"]["pull_request"] == {"paths": ["schedules/**"]}
    assert load("apply.yml")["on"]["push"] == {"branches": ["main"], "paths": ["schedules/**"]}


def test_an_apply_is_never_cancelled_for_a_newer_one():
    assert jobs("apply-tenant.yml")["apply"]["concurrency"]["cancel-in-progress"] is False
    assert load("apply.yml")["concurrency"]["cancel-in-progress"] is False


def test_an_apply_by_hand_asks_for_nothing_and_waits_for_no_run_of_the_same_commit():
    assert load("apply.yml")["on"]["workflow_dispatch"] is None
    assert load("apply.yml")["concurrency"]["group"] == "apply-${{ github.run_id }}"


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
