"""`reconcile simulate`: what it prints, its exit codes, and that processes change nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.commands import extras
from reconciler.commands import simulate as command
from reconciler.commands.simulate import SimulateRequest, simulate
from reconciler.renderers import RENDERERS, renderer_for
from reconciler.report import Report
from reconciler.simulate.policies import POLICIES
from reconciler.simulate.runs import Run
from reconciler.simulate.scenarios import SCENARIOS

GOOD = {
    "progressive": Run("agents-60", "progressive", 1, 900, 200, 200, 0.0, 16.0, 12.0, 0),
    "erlang": Run("agents-60", "erlang", 1, 1000, 230, 225, 0.0217, 16.0, 13.0, 0),
    "oracle": Run("agents-60", "oracle", 1, 1020, 234, 228, 0.0256, 16.0, 13.2, 0),
}


@pytest.fixture
def played(monkeypatch) -> dict[str, Run]:
    """Replace the simulation by made-up runs, which a test may change."""
    found = dict(GOOD)

    def play(scenario: str, seed: int) -> list[Run]:
        return [replace(each, scenario=scenario, seed=seed) for each in found.values()]

    monkeypatch.setattr(command, "_play", play)
    return found


def report(*names: str, seeds: int = 2) -> Report:
    return simulate(SimulateRequest(names, seeds, processes=1))


def test_bars_that_hold_end_well(played) -> None:
    found = report("agents-60")
    assert found.exit_code == 0
    assert found.verdict == "All 4 bars hold."
    assert [table.title.partition(":")[0] for table in found.tables] == ["Bars", "agents-60"]


def test_a_bar_that_is_missed_is_named_and_ends_with_1(played, capsys) -> None:
    played["erlang"] = replace(played["erlang"], abandonment=0.031)
    assert run(["simulate", "--scenario", "agents-60", "--seeds", "1", "--processes", "1"]) == 1
    said = capsys.readouterr()
    assert "1 of 4 bars missed: erlang: runs with lawful abandonment" in said.out
    assert said.err == ""


def test_all_scenarios_are_run_with_every_seed(played) -> None:
    data = report(seeds=3).data
    assert [each["name"] for each in data["scenarios"]] == list(SCENARIOS)
    seeds = [[run["seed"] for run in each["policies"][0]["runs"]] for each in data["scenarios"]]
    assert seeds == [[1, 2, 3]] * len(SCENARIOS)


def test_in_a_c_locale_the_signs_are_ascii(played, capsys, monkeypatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    several = ["--scenario", "agents-60", "--scenario", "agents-20"]
    assert run(["simulate", *several, "--seeds", "2", "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert "+/-" in said
    assert said.isascii()


def test_one_seed_has_no_interval(played) -> None:
    policy = report("agents-60", seeds=1).data["scenarios"][0]["policies"][0]
    assert policy["contacts_per_agent_hour"] == {"value": 12.5, "low": None, "high": None}


@pytest.mark.parametrize("style", RENDERERS)
def test_every_format_shows_the_bars_and_the_measures(played, style) -> None:
    played["erlang"] = replace(played["erlang"], abandonment=0.031)
    text = renderer_for(style).render(report("agents-60"))
    shown = ("erlang", "lawful", "12.5") if style != "github" else ("::error", "erlang", "lawful")
    for expected in shown:
        assert expected in text


def test_json_is_for_programs(played, capsys) -> None:
    assert run(["simulate", "--seeds", "1", "--processes", "1", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["format_version"] == 1
    assert {bar["holds"] for bar in data["bars"]} == {True, None}


def test_progress_is_counted(played) -> None:
    told = []
    simulate(SimulateRequest(("agents-60",), 2, 1), lambda *each: told.append(each))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_of_progress_is_for_a_terminal_alone(played, monkeypatch, is_terminal) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", stream)
    assert run(["simulate", "--scenario", "agents-60", "--processes", "1"]) == 0
    assert ("Simulating" in stream.getvalue()) is is_terminal


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "agents-61"], "agents-61"),
        (["--seeds", "0"], "--seeds"),
        (["--processes", "0"], "--processes"),
    ],
)
def test_wrong_usage_is_64(arguments, said, capsys) -> None:
    assert run(["simulate", *arguments]) == 64
    assert said in capsys.readouterr().err


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch, capsys) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", "/opt/a b/python")
    assert run(["simulate"]) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == "error: simulate needs numpy and scipy: run '/opt/a b/python' -m pip install 'cxone-reconcile[optimize]'"
    )


def test_help_and_other_commands_import_no_numbers() -> None:
    code = (
        "import sys; from reconciler.cli import run; run(['simulate', '--help']);"
        "run(['plan', '--help']); run(['explain', 'scenarios']);"
        "print(*sorted({'numpy', 'scipy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"


def test_another_process_prints_the_same() -> None:
    """Nothing depends on the order of a set, the clock, or what ran before."""
    here = renderer_for("json").render(simulate(SimulateRequest(("agents-5",), 1, 1)))
    arguments = ["simulate", "--scenario", "agents-5", "--seeds", "1", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == here
    assert done.stderr == ""


@pytest.mark.long
def test_the_number_of_processes_changes_nothing() -> None:
    names = ("agents-5", "shared-capacity", "answers-rise")
    one, two, three = (simulate(SimulateRequest(names, 3, each)).data for each in (1, 2, 3))
    assert one == two == three


def test_the_page_describes_every_policy() -> None:
    page = Path(__file__).parents[2] / ".github" / "docs" / "simulate.md"
    text = page.read_text("utf-8")
    for name in POLICIES:
        assert f"`{name}`" in text
