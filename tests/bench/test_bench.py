"""The benchmark still runs. What it says is read by people, on a machine that does nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "bench.py"

EMPTY, REMOTE = "empty", "remote"

ALWAYS = {
    "plans": (EMPTY, ["cold", "cost", "peak"]),
    "applies": (EMPTY, ["`apply`", "the"]),
    "starts": ("none", ["`--help`", "`validate`", "its"]),
    "calendar": ("hours", ["open", "open", "intervals,"] * 2),
    "large": (REMOTE, ["cold"]),
}
"""Ground and first words of the rows of each part that runs always: one of them makes a remote with a history."""

GROWTH = {
    "grown": (REMOTE, ["`plan`", "`apply`", "`halt`"]),
    "audits": (REMOTE, ["`audit"] * 5),
    "fetched": (REMOTE, ["bytes", "the"]),
    "stops": (REMOTE, ["`halt`", "`halt"]),
    "repeated": (REMOTE, ["`plan`"]),
}
"""The other parts, which make more ledgers with a history."""


@pytest.mark.parametrize(
    "part", [*ALWAYS, *(pytest.param(each, marks=pytest.mark.long) for each in GROWTH)]
)
def test_a_small_cut_of_the_benchmark_prints_its_table(part: str) -> None:
    ground, words = (ALWAYS | GROWTH)[part]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--only", part],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = done.stdout.partition("\n")[0]
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    assert first.startswith("Machine-independent: only ratios count.")
    assert rows[0] == ["what", "ground", "measured", "goal"]
    assert [row[0].split(" ")[0] for row in rows[2:]] == words
    assert {row[1].split(" ")[0].rstrip(",") for row in rows[2:]} == {ground}
    assert all(any(char.isdigit() for char in row[2]) for row in rows[2:])


def test_every_part_of_the_usual_run_has_a_cut() -> None:
    shown = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True
    ).stdout
    listed = shown.split("--only {")[1].split("}")[0].replace("\n", "").replace(" ", "")
    assert set(listed.split(",")) == {*ALWAYS, *GROWTH, "million"}
