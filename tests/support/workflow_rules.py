"""What the threat model asks of the workflow files, as rules over the parsed YAML. They see what `zizmor` cannot: which commit a
job's files come from, which commands may run beside them, and which steps see a secret or a token.

A rule names what is allowed and complains about everything else, so that a new kind of step must be judged before it passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.support.forge import INSTALL, INSTALL_WITH_OPTIMIZE

Workflow = Mapping[str, Any]

FROM_MAIN = {"push", "schedule", "workflow_call", "workflow_dispatch", "workflow_run"}
"""Triggers that run a workflow file of main, or that an environment limited to main refuses."""

READS = {"actions", "contents", "issues", "pull-requests"}
WRITES = {
    ("apply-tenant.yml", "apply"): {"contents"},
    ("apply.yml", "tenant"): {"contents"},
    ("drift.yml", "drift"): {"issues"},
    ("halt.yml", "halt"): {"contents"},
    ("optimize.yml", "optimize"): {"contents", "pull-requests"},
    ("plan.yml", "plan"): {"pull-requests"},
    ("plan.yml", "select"): {"pull-requests"},
}
ENVIRONMENT = re.compile(r"(plan|production|halt)-\$\{\{ (inputs|matrix)\.tenant \}\}")
SECRET = "${{ secrets.CXONE_CLIENT_SECRET }}"
OF_THIS_REPOSITORY = "${{ github.event.workflow_run.event == 'pull_request' && github.event.workflow_run.head_repository.full_name == github.repository }}"
HELPER = """git config --global "credential.$GITHUB_SERVER_URL.helper" '!f() { test "$1" = get && echo username=x-access-token && echo "password=$GITHUB_TOKEN"; }; f'\n"""
TAKE = """\
echo '* -filter' > .git/info/attributes
git fetch --quiet --no-tags origin "$HEAD_SHA"
tree="$(git merge-tree --write-tree HEAD "$HEAD_SHA")" || { echo "::error::the pull request conflicts with main: merge main into its branch"; exit 1; }
merge="$(git -c user.name=plan -c user.email=plan@localhost commit-tree "$tree" -p HEAD -p "$HEAD_SHA" -m "What main would be")"
git restore --source="$merge" --staged --worktree -- schedules
git update-ref --no-deref HEAD "$merge"
"""
"""The one way in which files of a pull request reach the work tree of a job that has an environment."""

WITH = {
    "actions/checkout": {"fetch-depth", "persist-credentials"},
    "actions/setup-python": {"python-version"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found", "overwrite"},
    "actions/download-artifact": {"name", "path"},
}
"""Inputs of actions. None chooses another commit, repository, folder or run: nothing foreign is checked out or downloaded."""

COMMANDS = {"echo", "exit", "git", "python", "read", "reconcile", "tee"}
PYTHON = {"-P -c", "-P .github/scripts/forge.py"}
RECONCILES = re.compile(r"^ *reconcile (plan|apply|halt|drift|optimize) ", re.MULTILINE)
ASKS = ".github/scripts/forge.py"

_KEYWORDS = {"if", "then", "else", "fi", "{", "}", "!"}
_QUOTED = re.compile(r"'[^']*'")
_TEST = re.compile(r"\[\[[^`()]*?\]\]")
_ENDS = re.compile(r"[$<>]\(|\)|[|;&`\n]")
_ASSIGNMENT = re.compile(r"\w+=")


class _Job(NamedTuple):
    """A job, and the workflow that it stands in."""

    file: str
    name: str
    workflow: Workflow
    body: Mapping[str, Any]

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        return list(self.body.get("steps", ()))

    @property
    def runs(self) -> list[str]:
        return [step["run"] for step in self.steps if "run" in step]

    @property
    def is_from_main(self) -> bool:
        """Whether the file and the checkout are those of main."""
        on = self.workflow["on"]
        pushed = on.get("push") or {"branches": ["main"]}
        return set(on) <= FROM_MAIN and pushed.get("branches") == ["main"]


def problems(files: Mapping[str, Workflow]) -> list[str]:
    """Return what is wrong with a set of workflows, each with its file and its job."""
    found: list[str] = []
    for file, workflow in files.items():
        if workflow.get("permissions") != {} or "env" in workflow:
            found.append(f"{file}: permissions or variables for every job")
        for name, body in workflow["jobs"].items():
            job = _Job(file, name, workflow, body)
            found += (f"{file}: {name}: {text}" for rule in _RULES for text in rule(job))
    return found


def _permissions(job: _Job) -> Iterator[str]:
    allowed = job.body.get("permissions")
    if not isinstance(allowed, Mapping):
        yield "its permissions are not named"
        return
    writes = {key for key, level in allowed.items() if level != "read"}
    if not set(allowed) <= READS or writes != WRITES.get((job.file, job.name), set()):
        yield f"permissions {dict(allowed)}"


def _untrusted(job: _Job) -> Iterator[str]:
    """Check that a job which a pull request controls can only read the repository."""
    if job.is_from_main:
        return
    if "pull_request_target" in job.workflow["on"]:
        yield "pull_request_target"
    if job.body.get("permissions") != {"contents": "read"}:
        yield "a pull request's job may do more than read"
    if {"environment", "secrets", "uses"} & set(job.body) or "secrets." in str(job.body):
        yield "a pull request's job has an environment or a secret"


def _environments(job: _Job) -> Iterator[str]:
    environment = job.body.get("environment")
    if environment is not None and not ENVIRONMENT.fullmatch(str(environment)):
        yield f"environment {environment}"


def _starts(job: _Job) -> Iterator[str]:
    """Check that a workflow which follows another run first checks that run's event and repository.

    Anybody can start such a workflow with a workflow of the expected name."""
    first = "workflow_run" in job.workflow["on"] and "needs" not in job.body
    if first and job.body.get("if") != OF_THIS_REPOSITORY:
        yield "runs for every pull request, also those of forks"


def _actions(job: _Job) -> Iterator[str]:
    for step in job.steps:
        action = step.get("uses", "").partition("@")[0]
        asked = step.get("with", {})
        if action and not set(asked) <= WITH.get(action, set()):
            yield f"{action} with {', '.join(asked)}"
        if action and "github.event" in str(asked):
            yield f"{action} is told what to do by the event"
        if action == "actions/checkout" and asked.get("persist-credentials") is not False:
            yield "a checkout leaves its token behind"


def _scripts(job: _Job) -> Iterator[str]:
    """Check that no expression is inserted into a script, and that no command comes from the checkout."""
    for run in job.runs:
        if "${{" in run:
            yield "a value is pasted into a script"
        if run in {HELPER, TAKE, INSTALL, INSTALL_WITH_OPTIMIZE}:
            continue
        if run == ".ci/run" and not job.is_from_main:
            continue
        yield from (f"runs {each}" for each in commands(run) if not _is_known(each))


def _is_known(command: str) -> bool:
    name, _, rest = command.partition(" ")
    if name == "git":
        return rest.startswith("diff ")
    if name == "python":
        return any(f"{rest} ".startswith(f"{each} ") for each in PYTHON)
    return name in COMMANDS


def commands(run: str) -> list[str]:
    """Return the simple commands of a script, including those in `$( )`. Text that cannot be split counts as an unknown command."""
    plain = _TEST.sub("", _QUOTED.sub("''", run))
    found = []
    for part in _ENDS.split(plain):
        words = part.strip(' "').split()
        while words and (words[0] in _KEYWORDS or _ASSIGNMENT.match(words[0])):
            words.pop(0)
        found += [" ".join(words)] if words else []
    return found


def _secrets(job: _Job) -> Iterator[str]:
    """Check that a secret is visible only to the step that runs `reconcile`, in a job protected by an environment."""
    outside = {key: value for key, value in job.body.items() if key != "steps"}
    lifted = outside.pop("secrets", {})
    if "secrets." in str(outside) or not set(lifted) <= {"CXONE_CLIENT_SECRET"}:
        yield "a secret outside of a step"
    for step in job.steps:
        values = step.get("env", {}).values()
        used = "secrets." in str(step) or "secrets[" in str(step)
        named = SECRET in values and str(step).count("secrets") == 1
        if used and not (named and "environment" in job.body and _reconciles(step)):
            yield f"a secret in the step {step['name']}"


def _tokens(job: _Job) -> Iterator[str]:
    """Check that only steps that need the token can see it, and that git sends it to the forge alone."""
    helped = False
    for step in job.steps:
        run = step.get("run", "")
        helped = helped or run == HELPER
        if "credential" in run and run != HELPER:
            yield "a credential helper of another kind"
        if "github.token" not in str(step) and "GITHUB_TOKEN" not in str(step.get("env")):
            continue
        if not (_reconciles(step) or run == TAKE or ASKS in run):
            yield f"the token in the step {step['name']}"
        if (_reconciles(step) or run == TAKE) and not helped:
            yield f"git has no credential helper in the step {step['name']}"


def _order(job: _Job) -> Iterator[str]:
    """Check that the tool is installed before files of a pull request are fetched, and that only needed files are fetched."""
    runs = job.runs
    if TAKE in runs and INSTALL in runs[runs.index(TAKE) :]:
        yield "installs after the pull request's manifests were taken"
    for step in job.steps:
        if "workflow_run.head" in str(step):
            env = {k: v for k, v in step.get("env", {}).items() if "workflow_run.head" in v}
            rest = {key: value for key, value in step.items() if key != "env"}
            good = env == {"HEAD_SHA": "${{ github.event.workflow_run.head_sha }}"}
            if not good or "workflow_run" in str(rest):
                yield f"the pull request's head in the step {step['name']}"


def _reconciles(step: Mapping[str, Any]) -> bool:
    return RECONCILES.search(step.get("run", "")) is not None


_RULES = (
    _permissions,
    _untrusted,
    _environments,
    _starts,
    _actions,
    _scripts,
    _secrets,
    _tokens,
    _order,
)
