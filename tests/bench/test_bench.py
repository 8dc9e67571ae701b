"""The benchmark still runs. What it says is read by people, on a machine that does nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "bench.py"


def test_a_small_cut_of_the_benchmark_prints_its_table():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = done.stdout.partition("\n")[0]
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    assert first.startswith("Machine-independent: only ratios count.")
    assert rows[0] == ["what", "measured", "goal"]
    assert [row[0].split(" ")[0] for row in rows[2:]] == [
        "cold",
        "cost",
        "peak",
        "`apply`",
        "the",
        "`--help`",
        "`validate`",
        "its",
    ]
    assert all(any(char.isdigit() for char in row[1]) for row in rows[2:])
