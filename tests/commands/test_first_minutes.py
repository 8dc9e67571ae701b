"""What somebody meets in the first ten minutes: a path with a slip, a prompt that is declined, a git that refuses, a short wait."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.execute import WriteOptions
from reconciler.git import Git
from reconciler.plan import Result
from tests.commands.test_halt import Stop
from tests.support.bodies import make_body
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.engine import engine
from tests.support.factories import make_desired
from tests.support.machine import GITCONFIG
from tests.support.samples import HERE, copy_files

__all__ = ["desk", "server"]  # fixtures

PATH, NAME, KEY = "schedules/sandbox", "warranty-reminders", "1003"


# --- a mistyped path ------------------------------------------------------------------------------------------------------

COMMANDS = (
    ("plan",),
    ("apply", "--yes"),
    ("render",),
    ("import",),
    ("optimize", "--target-answer-rate", "0.3"),
    ("halt", "--reason", "x"),
    ("release", "--reason", "x"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_path_with_a_slip_is_said_to_be_no_path(desk: Desk, command: tuple[str, ...]) -> None:
    assert "no file or folder warranty-reminder.yaml" in desk.says(
        64, *command, "warranty-reminder.yaml"
    )
    copy_files(desk.tenant, desk.folder / "schedules" / "second")
    said = desk.says(64, *command, "schedles")
    assert "there is no file or folder schedles" in said
    assert "schedules/sandbox" in said  # how a name would be given
    assert desk.says(64, *command, "second").endswith("did you mean schedules/second?")
    (desk.folder / "schedules").rename(desk.folder / "tenants")
    assert "there is no file or folder schedles" in desk.says(64, *command, "schedles")


@pytest.mark.parametrize("command", [("plan",), ("halt", "--reason", "x"), ("audit", "log")])
def test_the_name_of_the_only_tenant_is_answered_with_its_folder(
    desk: Desk, server: sandbox.CampaignState, command: tuple[str, ...]
) -> None:
    assert "did you mean schedules/sandbox?" in desk.says(64, *command, "sandbox")


def test_a_name_that_no_manifest_has_is_said_to_be_no_path_either(desk: Desk) -> None:
    assert "no manifest named schedles, nor is that a file or folder" in desk.says(
        64, "plan", "schedles"
    )
    assert desk.run("plan", NAME) == 0


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("1003", "1003 is the id of warranty-reminders: write the manifest's name"),
        ("warranty-reminder", "did you mean warranty-reminders?"),
        ("Warranty Reminders", "did you mean warranty-reminders?"),
        ("nobody", "it has appointment-reminders, home-broadband-upgrade, loyalty-survey, "),
    ],
)
def test_an_id_or_a_slip_in_place_of_a_manifests_name_is_answered_with_the_name(
    desk: Desk, name: str, meant: str
) -> None:
    for command in (("plan",), ("apply", "--yes"), ("drift",)):
        assert f"no manifest named {name}" in desk.says(64, *command, PATH, name)
        assert f"file or folder; {meant}" in desk.says(64, *command, PATH, name)


# --- a prompt ---------------------------------------------------------------------------------------------------------------


def test_declining_is_not_called_held(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert desk.run("apply", PATH) == 1
    assert desk.out.splitlines()[-1] == "Declined. 5 operations planned, nothing was written."
    assert "held" not in desk.out
    assert (desk.written(), desk.records()) == (0, "")


# --- a git that refuses -------------------------------------------------------------------------------------------------------


@pytest.fixture
def refusing(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that takes every repository for somebody else's, in its own words."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "git"
    script.write_text(
        f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "{shutil.which("git")}" "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("refusing")
def test_a_stop_in_a_repository_that_git_refuses_stops_and_says_gits_own_remedy(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert desk.run("halt", PATH, NAME, "--reason", "x", "--wait", "60") == 3
    assert server.campaign(KEY)["schedule_id"] is None
    assert f"git config --global --add safe.directory {desk.folder}" in desk.out
    assert "dubious ownership" in desk.out
    assert "there is no git repository here" not in desk.out


@pytest.mark.usefixtures("refusing")
def test_every_other_command_there_says_the_remedy_too(desk: Desk) -> None:
    said = desk.says(1, "plan", PATH)
    assert f"git config --global --add safe.directory {desk.folder}" in said


# --- a short wait -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait_s", [1.0, 10.0, 29.0])
def test_a_stop_that_may_wait_a_little_tries_twice(wait_s: float) -> None:
    stop = Stop(1, "locked:1000000:times=1", wait_s=wait_s).run()
    assert [outcome.done for outcome in stop.outcomes] == [True]
    assert stop.took_s <= wait_s + 1


def test_no_wait_is_one_try() -> None:
    stop = Stop(1, "locked:1000000", wait_s=0.0).run()
    assert [(outcome.done, outcome.tries) for outcome in stop.outcomes] == [(False, 1)]


@pytest.mark.parametrize("wait_s", [1.0, 29.0])
def test_an_apply_that_may_wait_a_little_asks_twice(wait_s: float) -> None:
    with engine({"1001": make_body()}, faults=["locked:1001:times=1"]) as bench:
        bench.options = WriteOptions(wait_s=wait_s, settle_s=1.0)
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
    assert outcome.result is Result.UPDATED


# --- import, then plan --------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(desk: Desk) -> Desk:
    """The samples' platform, of which no manifest is there yet."""
    for file in desk.tenant.glob("*.yaml"):
        if file.name != "tenant.yaml":
            file.unlink()
    commit(desk.folder, "begin")
    return desk


def imported(desk: Desk) -> str:
    return next(f for f in desk.tenant.glob("*.yaml") if f.name != "tenant.yaml").read_text("utf-8")


def test_import_and_the_plan_after_it_agree_on_what_is_left_to_do(empty: Desk) -> None:
    assert empty.run("import", PATH) == 0
    said = "o changes. apply will record 5 schedules that reconcile did not write. 5 schedules match their manifests."
    assert f"; n{said}" in empty.out
    assert f"commit the manifests, then `reconcile apply {PATH}`" in empty.out
    commit(empty.folder)
    assert empty.run("plan", "--detailed-exitcode", PATH) == 2
    assert f"N{said}" in empty.out
    assert empty.run("apply", "--yes", PATH) == 0
    assert empty.run("plan", "--detailed-exitcode", PATH) == 0
    assert empty.run("import", "--format", "json", PATH) == 0
    assert json.loads(empty.out)["unrecorded"] == []
    assert empty.run("import", PATH) == 0
    assert "; no changes. 5 schedules" in empty.out


@pytest.mark.parametrize("above", [0, 1, 2])
def test_the_schema_line_points_to_a_schema_that_exists(empty: Desk, above: int) -> None:
    schemas = [empty.tenant, *empty.tenant.parents][above] / "schemas"
    if above == 0:
        schemas = empty.folder / "schemas"
    assert empty.run("schema", "--out", str(schemas)) == 0
    empty.run("import", PATH)
    line = imported(empty).splitlines()[0]
    comment, _, where = line.partition("$schema=")
    assert comment == "# yaml-language-server: "
    assert (empty.tenant / where).resolve() == schemas / "campaign-schedule.json"


def test_without_a_schema_there_is_no_line_and_the_report_says_how_to_make_one(
    empty: Desk,
) -> None:
    outside = empty.folder.parent / "schemas"  # beyond the repository, so not the repository's
    outside.mkdir(exist_ok=True)
    (outside / "campaign-schedule.json").write_text("{}")
    empty.run("import", PATH)
    assert "$schema" not in imported(empty)
    assert "`reconcile schema --out schemas`" in empty.out
    assert empty.run("import", PATH) == 0
    assert "schema --out" not in empty.out


# --- documentation and benchmark -------------------------------------------------------------------------------------------------------


def test_the_first_push_says_where_it_goes() -> None:
    page = (HERE / ".github" / "docs" / "first-tenant.md").read_text("utf-8")
    assert "git push -u origin main" in page
    assert "&& git push\n" not in page


def test_the_benchmark_says_which_python_to_start_it_with() -> None:
    script = HERE / "tests" / "bench" / "bench.py"
    done = subprocess.run(
        [sys.executable, "-S", str(script), "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert ".venv/bin/python" in done.stderr
    assert "pip install -e '.[dev]'" in done.stderr


def test_tests_see_no_configuration_of_git_but_their_own(desk: Desk) -> None:
    shown = git(desk.folder, "config", "--list", "--show-scope").splitlines()
    assert {line.partition("\t")[0] for line in shown} == {"command", "global", "local"}
    ours = git(desk.folder, "config", "--list", "--file", str(GITCONFIG))
    assert git(desk.folder, "config", "--list", "--global") == ours
    assert Git(desk.folder, environ=dict(os.environ)).user_name() is None
    assert Path.home() != Path("~root").expanduser()
