"""The walls between the rooms stand, and each of them bites."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in CONFIG["contracts"]}

LAYERS = "imports go down"
PURE = "pure rooms do no IO"
DOORS = "each library has one door"
DIALECTS = "dialects do not know each other"
POLICIES = "policies do not know each other"
RENDERERS = "renderers do not know each other"
SANDBOX = "the sandbox shares no code with what it checks"
WIRING = "only wiring starts the sandbox"
DIALER = "the simulated dialer shares no code with what it checks"

BREAKS = [
    ("plan/stray.py", "import deepdiff", DOORS),
    ("commands/stray.py", "import click", DOORS),
    ("git/stray.py", "import httpx", DOORS),
    ("manifests/stray.py", "import subprocess", DOORS),
    ("execute.py", "import ruamel.yaml", DOORS),
    ("settings.py", "import fastapi", DOORS),
    ("dialects/campaigns/stray.py", "import httpx", PURE),
    ("policies/ended.py", "import time", PURE),
    ("renderers/text.py", "import os", PURE),
    ("calendar.py", "import random", PURE),
    ("effect/values.py", "import pathlib", PURE),
    ("report/checks.py", "import reconciler.cli", LAYERS),
    ("models/stray.py", "import reconciler.plan", LAYERS),
    ("diff.py", "import reconciler.calendar", LAYERS),
    ("dialects/stray.py", "import reconciler.policies", LAYERS),
    ("dialects/fax.py", "import reconciler.dialects.campaigns", DIALECTS),
    ("policies/ended.py", "import reconciler.policies.identity", POLICIES),
    ("renderers/text.py", "import reconciler.renderers.html", RENDERERS),
    ("sandbox/stray.py", "import reconciler.models", SANDBOX),
    ("sandbox/stray.py", "import reconciler.errors", SANDBOX),
    ("client/stray.py", "import reconciler.sandbox.campaign_state", WIRING),
    ("execute.py", "import reconciler.sandbox", WIRING),
    ("simulate/calls.py", "import reconciler.pacing.queueing", DIALER),
]
"""Where a line is planted, the line, and the contract that must name it."""


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [command, "--config", folder / "pyproject.toml", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copied(folder: Path) -> Path:
    """Copy the package into a folder, for planting."""
    for path in (ROOT / "pyproject.toml", *(ROOT / "reconciler").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            to = folder / path.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(
                path.read_bytes()
            )  # without its mode: of a checkout that is read-only, too
    return folder / "reconciler"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what import-linter says by contract when every line is planted: one run, for it takes a second."""
    folder = tmp_path_factory.mktemp("walls")
    package = copied(folder)
    for file, line, _ in BREAKS:
        with (package / file).open("a", encoding="utf-8") as target:
            target.write(f"\n{line}\n")
    _, *sections = re.split(r"^(.+)\n-+\n", lint(folder).stdout, flags=re.MULTILINE)
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_all_walls_of_the_package_stand():
    done = lint(ROOT, "--no-cache")
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


def test_every_wall_has_something_that_breaks_it():
    assert {contract for _, _, contract in BREAKS} == set(CONTRACTS)


@pytest.mark.parametrize(
    ("file", "line", "contract"), BREAKS, ids=[f"{file}: {line}" for file, line, _ in BREAKS]
)
def test_a_line_through_a_wall_is_reported_by_its_contract(reported, file, line, contract):
    importer = f"reconciler.{file.removesuffix('.py').replace('/', '.')}"
    imported = line.removeprefix("import ").removesuffix(".yaml")
    assert re.search(rf"{re.escape(importer)} -> {re.escape(imported)}\b", reported[contract])


def test_a_room_without_a_place_is_reported(tmp_path):
    (copied(tmp_path) / "stray.py").touch()
    done = lint(tmp_path)
    assert done.returncode != 0
    assert "stray" in done.stdout


def test_every_room_has_its_place_in_the_layers():
    layers = {room for layer in CONTRACTS[LAYERS]["layers"] for room in layer.split(" | ")}
    rooms = {
        path.stem
        for path in (ROOT / "reconciler").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - layers == {"__init__", "__main__", "_version"}


def test_every_room_but_the_wiring_is_kept_from_the_sandbox():
    layers = {room for layer in CONTRACTS[LAYERS]["layers"] for room in layer.split(" | ")}
    kept = {name.removeprefix("reconciler.") for name in CONTRACTS[WIRING]["source_modules"]}
    assert layers - kept == {"cli", "sandbox", "commands"}
    strangers = {
        name.removeprefix("reconciler.") for name in CONTRACTS[SANDBOX]["forbidden_modules"]
    }
    assert layers - strangers == {"sandbox"}


def test_every_room_that_does_no_io_is_held_to_it():
    layers = {room for layer in CONTRACTS[LAYERS]["layers"] for room in layer.split(" | ")}
    pure = {name.removeprefix("reconciler.") for name in CONTRACTS[PURE]["source_modules"]}
    assert layers - pure == {
        "api",
        "cli",
        "client",
        "execute",
        "git",
        "ledger",
        "manifests",
        "sandbox",
        "settings",
        "telemetry",
        "world",
        "commands",
    }


# --- what an import does not show ---------------------------------------------------------------------------------------

REACHES = {"open", "print", "input", "exec", "eval", "__import__"}
CLOCKS = {"now", "today", "utcnow"}


def pure_files() -> list[Path]:
    rooms = [name.removeprefix("reconciler.") for name in CONTRACTS[PURE]["source_modules"]]
    return sorted(
        path
        for room in rooms
        for path in [
            *(ROOT / "reconciler" / room).rglob("*.py"),
            ROOT / "reconciler" / f"{room}.py",
        ]
        if path.exists()
    )


def reached(source: str) -> list[str]:
    """Return the calls by which a pure room would reach for the clock, a file or the terminal, with their lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in REACHES:
                found.append(f"line {node.lineno}: {name}()")
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                found.append(f"line {node.lineno}: .{name}()")
    return found


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pure_room_reaches_for_no_clock_no_file_and_no_terminal(path):
    assert reached(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line", ["datetime.now(UTC)", "date.today()", "open('x')", "print(1)", "eval('1')"]
)
def test_reaching_out_is_noticed(line):
    assert len(reached(f"def f():\n    return {line}\n")) == 1


def test_every_room_of_the_core_is_held_to_be_pure():
    names = {path.name for path in pure_files()}
    assert {"errors.py", "calendar.py", "checks.py", "campaign.py", "ended.py"} <= names
