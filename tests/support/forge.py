"""A minimal forge that runs the files of `.github/workflows` with real git and real bash.

`run:` steps run unchanged. `uses:` steps are replaced: a checkout is a fetch, an artifact is a file, and Python is already
installed. `pip install` of the tool is replaced, too: the forge records the commit that it would install.

An unknown key, action or expression is an error, so that no test passes on a step that did not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from ruamel.yaml import YAML

from tests.support import machine, warm
from tests.support.expressions import fill
from tests.support.forge_pulls import BOT, PullRequests
from tests.support.gitfakes import git
from tests.support.machine import GITCONFIG

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
SCRIPTS = ROOT / ".github" / "scripts"
PIP = "python -P -m pip install --disable-pip-version-check "
LOCK, LOCK_OF_OPTIMIZE = (f" -r ./.github/requirements{extra}.txt" for extra in ("", "-optimize"))
INSTALL, INSTALL_WITH_OPTIMIZE = (
    f"{PIP}--require-hashes{locks}\n{PIP}--no-deps --no-build-isolation .\n"
    for locks in (LOCK, LOCK + LOCK_OF_OPTIMIZE)
)
"""How a workflow installs the tool from its checkout, with the libraries that are locked there."""

TOKEN = "forge-token"
MAIN = "refs/heads/main"
REPOSITORY = "a-team/schedules"

_JOB_KEYS = {
    *("concurrency", "environment", "if", "name", "needs", "outputs", "permissions", "runs-on"),
    *("secrets", "steps", "strategy", "timeout-minutes", "uses", "with"),
}
_STEP_KEYS = {"env", "id", "if", "name", "run", "uses", "with"}


@dataclass(frozen=True)
class Environment:
    """An environment of the forge. By default it is empty and unprotected, like one that nobody created.

    Attributes:
        variables: its variables.
        secrets: its secrets.
        protected: whether a job waits for an approval.
        main_only: whether a job of a run on another ref than main is refused.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False
    main_only: bool = False


@dataclass
class Job:
    """Result of a job. `result` is success, failure or skipped; `code` is the exit code of its last `run:` step."""

    name: str
    result: str = "success"
    code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""
    installed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """An event that starts workflows. `payload` is `github.event`."""

    name: str
    sha: str
    ref: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Forge:
    """The forge of one bare repository.

    Attributes:
        home: for everything that it makes.
        remote: the bare repository.
        environments: by name.
        gate: asked before a job in a protected environment; returns who approved, or `None`.
        pulls: pull requests, as the API lists them for a commit.
        issues: all of them, in order.
        comments: of all pull requests, in order; each has the number of its own as `on`.
        artifacts: of the last run, by name.
        variables: of the repository.
        runs: number of runs so far.
        attempt: attempt number of the last run.
        forks: whether commands are forked from a process that has loaded them. They then have the same seed for hashes.
    """

    home: Path
    remote: Path
    api_url: str = ""
    environments: dict[str, Environment] = field(default_factory=dict)
    gate: Callable[[str], str | None] = lambda _: None
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Path] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    attempt: int = 1
    forks: bool = True

    def __post_init__(self) -> None:
        owner, _, _ = REPOSITORY.partition("/")
        self.proposals = PullRequests(self.remote, owner)

    def run(self, file: str, event: Event) -> dict[str, Job]:
        """Run a workflow and return its jobs by name. Jobs of a called workflow are named `caller / job`."""
        self.runs += 1
        self.attempt = 1
        self.artifacts.clear()
        self.approvals.clear()
        return self._attempt(file, event, {})

    def rerun(self, file: str, event: Event, kept: Mapping[str, Job]) -> dict[str, Job]:
        """Repeat the last run, except the kept jobs. Kept jobs have the outputs of the earlier attempt."""
        self.attempt += 1
        return self._attempt(file, event, kept)

    def _attempt(self, file: str, event: Event, kept: Mapping[str, Job]) -> dict[str, Job]:
        done: dict[str, Job] = {}
        declared = (load(file)["on"].get("workflow_dispatch") or {}).get("inputs", {})
        given = event.payload.get("inputs", {})
        assert {name for name, each in declared.items() if each["required"]} <= set(given)
        assert set(given) <= set(declared)
        inputs = {name: given.get(name, "") for name in declared}
        _Run(self, event, done, kept).workflow(file, inputs=inputs, lifted=None, prefix="")
        return done

    def answer(self, method: str, path: str, sent: Mapping[str, Any]) -> Any:
        """Return the answer of the forge's API."""
        match method, *path.removeprefix(f"/repos/{REPOSITORY}/").split("/"):
            case "GET", "actions", "runs", run, "approvals" if run == str(self.runs):
                return self.approvals
            case "GET", "commits", sha, "pulls?per_page=100":
                return self.pulls.get(sha, [])
            case "GET", "issues", number, "comments?per_page=100&page=1":
                return [each for each in self.comments if each["on"] == int(number)]
            case "POST", "issues", number, "comments":
                made = {"id": len(self.comments), "on": int(number), "user": {"login": BOT}}
                self.comments.append(made | sent)
                return self.comments[-1]
            case "PATCH", "issues", "comments", comment:
                self.comments[int(comment)] |= sent
                return self.comments[int(comment)]
        asked = path.removeprefix(f"/repos/{REPOSITORY}/")
        found = self.proposals.answer(method, asked, sent)
        return self._issue(method, asked, sent) if found is NotImplemented else found

    def _issue(self, method: str, path: str, sent: Mapping[str, Any]) -> Any:
        """Return the answer of the forge's API about issues."""
        match method, *path.split("/"):
            case "GET", "issues?state=open&per_page=100&page=1":
                return [each for each in self.issues if each["state"] == "open"]
            case "POST", "issues":
                made = {"number": len(self.issues), "user": {"login": BOT}, "state": "open"}
                self.issues.append(made | sent)
                return self.issues[-1]
            case "PATCH", "issues", number:
                self.issues[int(number)] |= sent
                return self.issues[int(number)]
        raise AssertionError(f"{method} {path} is not played here")


@dataclass
class _Run:
    forge: Forge
    event: Event
    done: dict[str, Job]
    kept: Mapping[str, Job]

    def workflow(
        self, file: str, *, inputs: Mapping[str, Any], lifted: set[str] | None, prefix: str
    ) -> None:
        """Run a workflow's jobs in the order of the file.

        Args:
            file: its name.
            inputs: of a called workflow.
            lifted: secrets that a called workflow may see; `None` for one that is not called.
            prefix: of its jobs' names.
        """
        text = load(file)
        assert text["defaults"] == {"run": {"shell": "bash"}}
        needs: dict[str, Any] = {}
        for name, job in text["jobs"].items():
            assert not set(job) - _JOB_KEYS, f"{file}: {name}: unknown keys"
            needs_here = {need: needs[need] for need in _listed(job.get("needs"))}
            contexts = self._contexts() | {"inputs": inputs, "needs": needs_here}
            jobs = list(self._job(job, contexts, lifted, prefix))
            worst = next((each for each in jobs if each.result != "success"), None)
            needs[name] = {
                "result": worst.result if worst else "success",
                "outputs": jobs[-1].outputs if jobs else {},
            }

    @property
    def folder(self) -> str:
        """Name of the folder of this attempt."""
        return f"run-{self.forge.runs}-{self.forge.attempt}"

    def _contexts(self) -> dict[str, Any]:
        github = {
            "event": self.event.payload,
            "ref": self.event.ref,
            "repository": REPOSITORY,
            "run_attempt": str(self.forge.attempt),
            "sha": self.event.sha,
            "token": TOKEN,
        }
        return {"github": github, "vars": self.forge.variables}

    def _job(
        self, job: Mapping[str, Any], contexts: dict[str, Any], lifted: set[str] | None, prefix: str
    ) -> Iterator[Job]:
        """Run a job, once for each combination of its matrix."""
        good = all(need["result"] == "success" for need in contexts["needs"].values())
        if not _go(job, contexts, good=good):
            skipped = Job(f"{prefix}{job['name']}", "skipped")
            self.done[skipped.name] = skipped
            yield skipped
            return
        for matrix in _combinations(job, contexts):
            here = contexts | {"matrix": matrix}
            name = prefix + fill(job["name"], here)
            if "uses" in job:
                yield self._call(name, job, here)
            elif name in self.kept:
                self.done[name] = self.kept[name]
                yield self.done[name]
            else:
                self.done[name] = self._steps(name, job, here, lifted)
                yield self.done[name]

    def _call(self, name: str, job: Mapping[str, Any], contexts: Mapping[str, Any]) -> Job:
        """Run a called workflow. It sees the secrets that both it and its caller name, as its own environments have them."""
        assert job["uses"].startswith("$/.github/workflows/")
        file = job["uses"].rpartition("/")[2]
        declared = load(file)["on"]["workflow_call"]
        inputs = fill(job["with"], contexts)
        assert set(inputs) == set(declared["inputs"])
        lifted = set(job["secrets"]) & set(declared["secrets"])
        self.workflow(file, inputs=inputs, lifted=lifted, prefix=f"{name} / ")
        below = [each for key, each in self.done.items() if key.startswith(f"{name} / ")]
        failed = any(each.result == "failure" for each in below)
        return Job(name, "failure" if failed else "success")

    def _steps(
        self,
        name: str,
        job: Mapping[str, Any],
        contexts: dict[str, Any],
        lifted: set[str] | None,
    ) -> Job:
        done = Job(name)
        environment = self._environment(fill(job.get("environment", ""), contexts), done)
        if done.result == "failure":
            return done
        seen = environment.secrets.items()
        secrets = {key: value for key, value in seen if lifted is None or key in lifted}
        steps: dict[str, Any] = {}
        place = _Place(self, done, self.forge.home / self.folder / _slug(name))
        place.workspace.mkdir(parents=True)
        place.temp.mkdir()
        shutil.copy(GITCONFIG, place.home)
        here = contexts | {"runner": {"temp": str(place.temp)}, "steps": steps}
        here |= {"vars": self.forge.variables | environment.variables, "secrets": secrets}
        for step in job["steps"]:
            assert not set(step) - _STEP_KEYS, f"{name}: unknown keys"
            outputs = {}
            if _go(step, here, good=done.result == "success"):
                filled = {
                    key: fill(step[key], here) for key in ("env", "run", "with") if key in step
                }
                outputs = place.step(step | filled)
            if "id" in step:
                steps[step["id"]] = {"outputs": outputs}
        done.outputs = fill(job.get("outputs", {}), here)
        for secret in environment.secrets.values():
            assert secret not in done.log + done.summary + str(done.outputs)
        return done

    def _environment(self, name: str, job: Job) -> Environment:
        environment = self.forge.environments.get(name, Environment())
        if environment.main_only and self.event.ref != MAIN:
            job.result = "failure"
        elif environment.protected:
            approver = self.forge.gate(name)
            job.result = "success" if approver else "failure"
            review = {"state": "approved" if approver else "rejected", "user": {"login": approver}}
            self.forge.approvals.append(review | {"environments": [{"name": name}]})
        return environment


@dataclass
class _Place:
    """The machine of one job."""

    run: _Run
    job: Job
    home: Path

    @property
    def workspace(self) -> Path:
        return self.home / "workspace"

    @property
    def temp(self) -> Path:
        return self.home / "temp"

    def step(self, step: Mapping[str, Any]) -> dict[str, str]:
        """Run one step of a job: a known action or a script. Return the step's outputs by name."""
        if "uses" in step:
            action, _, commit = step["uses"].partition("@")
            assert len(commit) == 40
            getattr(self, "_" + action.replace("/", "_").replace("-", "_"))(step.get("with", {}))
            return {}
        if "pip install" in step["run"]:
            self._install(step["run"])
            return {}
        return self._shell(step["run"], step.get("env", {}))

    def _shell(self, text: str, env: Mapping[str, Any]) -> dict[str, str]:
        if re.search(r"^ *reconcile (plan|apply|halt|drift|optimize) ", text, re.MULTILINE):
            assert self._password(env) == f"password={TOKEN}", "git cannot ask a private forge"
        script, output, summary = (self.home / each for each in ("step.sh", "output", "summary"))
        script.write_text(text)
        output.write_text("")
        summary.touch()
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace,
            env=self._variables()
            | {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
            | {key: str(value) for key, value in env.items()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.job.log += ran.stdout + ran.stderr
        self.job.summary = summary.read_text()
        if ran.returncode:
            self.job.result, self.job.code = "failure", ran.returncode
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _password(self, env: Mapping[str, Any]) -> str:
        """Return the password that git would send to the forge."""
        asked = subprocess.run(
            ["git", "credential", "fill"],
            cwd=self.workspace,
            env=self._variables() | env | {"GIT_TERMINAL_PROMPT": "0"},
            input="protocol=https\nhost=forge.example\n\n",
            capture_output=True,
            text=True,
            check=True,
        )
        return asked.stdout.splitlines()[-1]

    def _variables(self) -> dict[str, str]:
        forge, event = self.run.forge, self.run.event
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "an-author",
            "GITHUB_API_URL": forge.api_url,
            "GITHUB_EVENT_NAME": event.name,
            "GITHUB_REF": event.ref,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ATTEMPT": str(forge.attempt),
            "GITHUB_RUN_ID": str(forge.runs),
            "GITHUB_SERVER_URL": "https://forge.example",
            "GITHUB_SHA": event.sha,
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.home),
            "PATH": f"{self._bin()}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.temp),
        }

    def _bin(self) -> Path:
        """Return a folder with `python`, and with `reconcile` once it is installed."""
        folder = self.home / "bin"
        folder.mkdir(exist_ok=True)
        commands = {"python": f'"{sys.executable}"'}
        if self.job.installed:
            forks = self.run.forge.forks
            commands["reconcile"] = (
                warm.started(machine.templates()) if forks else f'"{sys.executable}" -m reconciler'
            )
        for name, words in commands.items():
            script = folder / name
            script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec {words} "$@"\n')
            script.chmod(0o755)
        return folder

    def _install(self, script: str) -> None:
        """Record the commit from which the tool would be installed, and put the tool on the PATH."""
        assert script in {INSTALL, INSTALL_WITH_OPTIMIZE}
        self.job.installed.append(git(self.workspace, "rev-parse", "HEAD"))

    def _actions_checkout(self, asked: Mapping[str, Any]) -> None:
        assert asked["persist-credentials"] is False
        assert not set(asked) - {"fetch-depth", "persist-credentials"}
        root, commit = self.workspace, self.run.event.sha
        git(root, "init", "--quiet")
        git(root, "remote", "add", "origin", self.run.forge.remote.as_uri())
        depth = [] if asked.get("fetch-depth") == 0 else ["--depth=1"]
        git(root, "fetch", "--quiet", *depth, "origin", commit)
        git(root, "checkout", "--quiet", "--detach", commit)

    def _actions_setup_python(self, asked: Mapping[str, Any]) -> None:
        assert set(asked) == {"python-version"}

    def _actions_upload_artifact(self, asked: Mapping[str, Any]) -> None:
        kept = self.run.forge.home / self.run.folder / asked["name"]
        shutil.copyfile(asked["path"], kept)
        self.run.forge.artifacts[asked["name"]] = kept

    def _actions_download_artifact(self, asked: Mapping[str, Any]) -> None:
        folder = Path(asked["path"])
        folder.mkdir()
        shutil.copyfile(self.run.forge.artifacts[asked["name"]], folder / "plan.json")


def load(file: str) -> Any:
    """Return a workflow file as plain values."""
    return deepcopy(_parsed(file))


@cache
def _parsed(file: str) -> Any:
    return YAML(typ="safe", pure=True).load(WORKFLOWS / file)


@contextmanager
def opened(home: Path, remote: Path) -> Iterator[Forge]:
    """Open a forge; its API listens on loopback while the context lasts."""
    forge = Forge(home, remote)

    class Api(BaseHTTPRequestHandler):
        def answer(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            self.send_response(200 if known else 401)
            self.end_headers()
            answer = forge.answer(self.command, self.path, sent) if known else None
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - names that the server looks for

        def log_message(self, *_: object) -> None:
            """Discard the log message."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    forge.api_url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _go(part: Mapping[str, Any], contexts: Mapping[str, Any], *, good: bool) -> bool:
    """Return whether a job or a step runs. If its condition calls no status function, it runs only after success."""
    asked = part.get("if", "${{ success() }}")
    assert asked.startswith("${{"), "an `if` is written as an expression"
    says = {
        "always": lambda: True,
        "cancelled": lambda: False,
        "failure": lambda: not good,
        "success": lambda: good,
    }
    value = fill(asked, contexts, **says)
    return bool(value) and (good or "()" in asked)


def _combinations(job: Mapping[str, Any], contexts: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "strategy" not in job:
        return [{}]
    assert job["strategy"]["fail-fast"] is False
    found: list[dict[str, Any]] = fill(job["strategy"]["matrix"]["include"], contexts)
    return found


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _slug(name: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in name)
