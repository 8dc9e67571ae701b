"""`optimize` chooses its strategy by the API and says in one line what it cannot do; nothing else needs its libraries."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import sandbox
from reconciler.commands import extras, observations, optimize
from reconciler.errors import ExitCode, UsageError
from reconciler.optimize import STRATEGIES
from reconciler.optimize.observations import WEEKS
from tests.commands.test_import import Desk

FIRST = datetime.min.replace(tzinfo=UTC)


@pytest.fixture(params=["campaigns", "personal-connection"])
def desk(tmp_path, request):
    made = Desk(tmp_path, request.param)
    seed = sandbox.seed_many if request.param == "campaigns" else sandbox.seed_many_skills
    seed(made.platform, 2)
    made.run()
    made.api = request.param
    yield made
    made.platform.close()


def optimized(desk, **asked):
    return asyncio.run(
        optimize.optimize(desk.world, optimize.OptimizeRequest(desk.folder, **asked))
    )


def test_the_default_strategy_is_that_of_the_api(desk) -> None:
    name = {"campaigns": "erlang", "personal-connection": "ratio"}[desk.api]
    report = optimized(desk)
    assert report.title == f"Optimize tenant acme: strategy {name}"
    assert "0 changes proposed; 2 schedules left as they are" in report.verdict
    reasons = [each["reason"] for each in report.data["declined"]]
    words = "too little data: 0 attempts" if desk.api == "campaigns" else "write pacing.agents"
    assert all(words in reason for reason in reasons)


@pytest.mark.parametrize("name", ["erlang", "ratio", "allocate"])
def test_the_platform_is_asked_for_all_weeks_that_count(name: str) -> None:
    assert timedelta(weeks=WEEKS) == STRATEGIES[name].LOOK_BACK


def test_a_target_answer_rate_asks_for_the_step_rule(desk) -> None:
    assert optimized(desk, target_answer_rate=0.3).title.endswith("strategy step, target answer rate 0.3")  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"strategy": "step"}, "the strategy step needs a --target-answer-rate above 0"),
        ({"target_answer_rate": 1.5}, "the strategy step needs a --target-answer-rate above 0"),
        ({"strategy": "magic"}, "no strategy 'magic'; there are erlang, ratio, budget"),
        ({"start": datetime(2027, 3, 2, tzinfo=UTC), "end": datetime(2027, 3, 2, tzinfo=UTC)}, "--from 2027-03-02 00:00 is not before --to 2027-03-02 00:00"),
        ({"end": FIRST}, "only hours of the 13 weeks before"),
        ({"start": datetime.max.replace(tzinfo=UTC)}, "only hours of the 13 weeks before"),
        ({"strategy": "budget", "target_answer_rate": 0.3}, "is for the strategy step alone, and the strategy is budget: leave it out"),
    ],
)  # fmt: skip
def test_arguments_that_contradict_each_other_are_refused(desk, asked, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        optimized(desk, **asked)


def test_only_hours_that_count_are_asked_for(desk) -> None:
    """Two thousand years of 92 days each would be 8,000 calls for each campaign."""
    desk.platform.configure(requests_per_second=0)
    for start in (FIRST, desk.platform.now - timedelta(hours=3, minutes=1)):
        assert "2 schedules left as they are" in optimized(desk, start=start).verdict


def test_metrics_without_an_end_are_refused(desk, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(observations, "MOST_BYTES", 30)
    (tmp_path / "m.csv").write_text("campaign_id,start,attempts,answers\n")
    with pytest.raises(UsageError, match=r"m\.csv is larger than"):
        optimized(desk, metrics=tmp_path / "m.csv")


def test_a_missing_extra_is_said_with_the_command_that_installs_it(desk, monkeypatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: name != "scipy")
    with pytest.raises(UsageError, match=r"pip install 'cxone-reconcile\[optimize\]'") as raised:
        optimized(desk)
    assert raised.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("module", ["reconciler.cli.changes", "reconciler.cli.optimize", "reconciler.cli.halt", "reconciler.api", "reconciler.commands.explain"])  # fmt: skip
def test_nothing_else_imports_the_libraries_of_the_extra(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'numpy', 'scipy'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
