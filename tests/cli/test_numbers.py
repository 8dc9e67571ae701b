"""Options that take a number refuse what is no finite number, before anything is read or sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest

from reconciler import cli
from reconciler.errors import UsageError
from reconciler.execute import WriteOptions


def numbers(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the way to each option of a command, and of the commands below it, that takes a fraction."""
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                yield from numbers(below, (*path, name))
        return
    for option in command.params:
        if isinstance(option.type, click.types.FloatParamType):
            yield (*path, option.opts[0])


OPTIONS = sorted(numbers(cli.reconcile, ()))


def test_the_options_that_take_a_number_are_found() -> None:
    assert {each[-1] for each in OPTIONS} == {
        "--deadline",
        "--target-answer-rate",
        "--wait",
        "--wait-for-lock",
    }
    assert {("apply", "--wait"), ("halt", "--wait"), ("plan", "--deadline")} <= {*OPTIONS}


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("path", OPTIONS, ids=" ".join)
def test_a_number_that_is_not_finite_is_a_usage_error(
    path: tuple[str, ...], value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *command, option = path
    assert cli.run([*command, f"{option}={value}"]) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: Invalid value for '{option}': {value} is not a finite number ")


@pytest.mark.parametrize("value", ["-1", "soon"])
@pytest.mark.parametrize("path", OPTIONS, ids=" ".join)
def test_a_number_out_of_range_is_a_usage_error(path: tuple[str, ...], value: str) -> None:
    *command, option = path
    assert cli.run([*command, f"{option}={value}"]) == 64


@pytest.mark.parametrize(
    "options",
    [{"wait_s": float("nan")}, {"wait_s": float("inf")}, {"wait_s": -1.0}, {"concurrency": 0}],
)
def test_a_caller_of_the_api_is_refused_as_well(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be"):
        WriteOptions(**options)


@pytest.mark.parametrize("value", ["nan", "inf", "0", "1.5", "257"])
def test_concurrency_is_a_count(value: str) -> None:
    assert cli.run(["apply", f"--concurrency={value}"]) == 64
