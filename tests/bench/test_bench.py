"""The benchmark still runs. What it says is read by people, on a machine that does nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "bench.py"

REMOTE = 13
"""Rows whose ground is a git remote, and not an empty ledger."""


def test_a_small_cut_of_the_benchmark_prints_its_table():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"],
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
    assert [row[0].split(" ")[0] for row in rows[2:]] == [
        "cold",
        "cost",
        "peak",
        "`apply`",
        "the",
        "`--help`",
        "`validate`",
        "its",
        "`plan`",
        "`apply`",
        "`halt`",
        "cold",
        "`audit",
        "`audit",
        "`audit",
        "`audit",
        "bytes",
        "the",
        "`halt`",
        "`halt",
        "`plan`",
    ]
    assert all(any(char.isdigit() for char in row[2]) for row in rows[2:])
    assert [row[1].split(" ")[0].rstrip(",") for row in rows[2:]].count("remote") == REMOTE
