"""Sample the mutants of some rooms, run their tests, and print the share that the tests caught.

    .venv/bin/pip install -e '.[mutation]'
    .venv/bin/python tests/mutants.py --sample 200 --seed 1 reconciler.plan reconciler.audit

`mutmut run` alone runs every mutant of the rooms in `[tool.mutmut]`, which takes hours. A mutant that only changes a sentence for
people is left out: golden files pin these, and no decision hangs on them. mutmut mutates no decorated function and no constant.

mutmut forks a process for each mutant when everything is imported. A function that runs only while its module is imported is
mutated too late there, so each survivor is tested once more in a new process.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import json
import math
import os
import random
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

FOLDER = Path("mutants")
CAUGHT = {1, 3, 24, -24, 36, 152, 255, -9, -11}
"""Exit codes of a mutant whose tests failed, ran out of time, or crashed."""


def verdicts(rooms: list[str]) -> dict[str, int | None]:
    """Return each mutant of these rooms with the exit code of its tests; `None` when they have not run."""
    found: dict[str, int | None] = {}
    for file in sorted(FOLDER.rglob("*.py.meta")):
        found |= json.loads(file.read_text("utf-8"))["exit_code_by_key"]
    return {name: code for name, code in found.items() if any(map(name.startswith, rooms))}


def is_sentence(diff: str) -> bool:
    """Return whether a mutant changes nothing but text that has a blank in it."""
    old, new = (_tokens(diff, sign) for sign in "-+")
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes = [each for each in matcher.get_opcodes() if each[0] != "equal"]
    gone = [token for _, begin, end, _, _ in changes for token in old[begin:end]]
    come = [token for _, _, _, begin, end in changes for token in new[begin:end]]
    return bool(gone) and all(map(_is_text, gone)) and all(_is_text(t) or t == "None" for t in come)


def _is_text(token: str) -> bool:
    return token.endswith(('"', "'")) and " " in token.strip(" f\"'")


def _tokens(diff: str, sign: str) -> list[str]:
    lines = (line[1:] for line in diff.splitlines()[2:] if line.startswith((sign, " ")))
    found: list[str] = []
    with contextlib.suppress(tokenize.TokenError, IndentationError):  # a diff ends in mid-sentence
        tokens = tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline)
        found.extend(token.string for token in tokens if token.string.strip())
    return found


def interval(caught: int, total: int) -> tuple[float, float]:
    """Return the 90 % interval of a share (Wilson)."""
    z, share = 1.645, caught / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)


def mutmut(*names: str) -> None:
    """Run mutmut in a process of its own: it changes the working directory, the environment and `sys.path`."""
    subprocess.run([Path(sys.executable).with_name("mutmut"), "run", *names], check=True)


def fails(name: str) -> bool:
    """Return whether the tests fail with a mutant (no name: none) in a new process."""
    own = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    options = [*own["pytest_add_cli_args"], *own["pytest_add_cli_args_test_selection"]]
    command = [sys.executable, "-m", "pytest", "-x", "-q", *options]
    environment = os.environ | {"MUTANT_UNDER_TEST": name}
    ran = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, check=False)
    return ran.returncode != 0


def main() -> None:
    """Sample, run, report."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415 - not in `.[dev]`

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="+", help="beginnings of module names")
    parser.add_argument("--sample", type=int, default=200, help="mutants at most (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    options = parser.parse_args()
    mutmut("reconciler.models.zones*")  # makes all mutants, and learns which tests reach them
    names = sorted(verdicts(options.rooms))
    random.Random(options.seed).shuffle(names)
    chosen: dict[str, str] = {}
    for name in names:
        if len(chosen) < options.sample and not is_sentence(diff := get_diff_for_mutant(name)):
            chosen[name] = diff
    mutmut(*chosen)
    codes = verdicts(options.rooms)
    alive = sorted(name for name in chosen if codes[name] not in CAUGHT)
    if alive and fails(""):
        sys.exit("the tests fail without a mutant in a new process")
    survived = [name for name in alive if not fails(name)]
    for name in survived:
        print(f"\n{name} ({codes[name]})\n{chosen[name]}")
    caught, total = len(chosen) - len(survived), len(chosen)
    low, high = interval(caught, total)
    print(
        f"{caught} of {total} mutants caught ({caught / total:.1%}; 90 %: {low:.1%} to {high:.1%})"
    )


if __name__ == "__main__":
    main()
