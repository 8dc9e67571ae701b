"""How fast is `reconcile`? One run measures product and yardstick side by side, and prints one Markdown table.

    python tests/bench/bench.py                   # long, for it makes ledgers; makes itself a clean environment with pip
    python tests/bench/bench.py --quick           # the cut that CI runs: seconds, in this environment, without a claim
    python tests/bench/bench.py --only grown      # some rows; with --home FOLDER its ledgers are kept, in this environment
    python tests/bench/bench.py --only million    # a ledger of a million records, which the usual run leaves out

Yardstick and product run in turn, as whole processes against the same platform; a figure is the median of the rounds'
ratios, with the least and the greatest of them. There are no thresholds here: goals stand beside the figures.
"""

from __future__ import annotations

import argparse
import json
import platform as machine
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import growth
from figures import EMPTY, FULL, QUICK, Row, Size, ratio
from processes import (
    HERE,
    ROOT,
    Ground,
    Product,
    Run,
    clean_environment,
    make,
    run,
    script,
    serving,
    this_environment,
)

NEEDED = ("click", "deepdiff", "fastapi", "httpx", "pydantic", "ruamel", "tzdata", "uvicorn")
"""What must be installed where this is started: the platform that is served runs there."""

RATE = 50
"""Requests per second of the tenant that changes are applied to."""

LIBRARIES = """\
import gc
gc.disable()
import click, ruamel.yaml
from pydantic import BaseModel
class One(BaseModel):
    field: int
gc.freeze()
"""
"""The floor of any command that reads YAML into models: its libraries and one model of one field, at the product's own settings."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small cut, in this environment")
    parser.add_argument("--rounds", type=int, help="rounds of every comparison")
    parser.add_argument("--only", nargs="+", choices=[*PARTS, *EXTRA], help="only these rows")
    parser.add_argument(
        "--home", type=Path, help="keep tenants with a history here, and use them again"
    )
    asked = parser.parse_args()
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise SystemExit(
            f"{sys.executable} lacks {', '.join(missing)}: run {ROOT / '.venv' / 'bin' / 'python'} {Path(__file__)}"
            " (made by: python3 -m venv .venv && .venv/bin/pip install -e '.[dev]')"
        )
    size = QUICK if asked.quick else FULL
    rounds = asked.rounds or size.rounds
    parts = [(PARTS | EXTRA)[name] for name in asked.only or PARTS]
    with tempfile.TemporaryDirectory() as name:
        home = asked.home or Path(name)
        product = this_environment() if asked.quick else clean_environment(Path(name))
        rows = [row for part in parts for row in part(product, home, size, rounds)]
    print(
        f"Machine-independent: only ratios count. Python {machine.python_version()}, {product.note}."
    )
    print("\n| what | ground | measured | goal |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def plans(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield what a cold plan costs against its floor, and how it grows."""
    small, large = (make(home, count, changed=0.01) for count in (size.small, size.large))
    floors: dict[int, list[Run]] = {small.count: [], large.count: []}
    ours: dict[int, list[Run]] = {small.count: [], large.count: []}
    with serving(small, "--replay") as one, serving(large, "--replay") as other:
        for number in range(rounds + 1):
            for ground, platform in ((small, one), (large, other)):
                folder = str(ground.folder)
                floor = run([product.python, str(HERE / "floor.py"), folder, *platform.login])
                plan = product.run(
                    "plan", "--detailed-exitcode", folder, expect=2, **platform.variables
                )
                if number:  # the first round fills the caches of files, pages and bytecode
                    floors[ground.count].append(floor)
                    ours[ground.count].append(plan)
    few, many = ours[small.count], ours[large.count]
    each = size.large / size.small
    added = median(a.peak_kib - b.peak_kib for a, b in zip(many, few, strict=True))
    name, scale = f"{large.count:,} manifests", f"at {large.count:,} ÷ at {small.count:,}"
    yield (
        f"cold `plan` of {name}, 1 % changed ÷ floor",
        EMPTY,
        ratio(many, floors[large.count]),
        "≤ 2.0",
    )
    yield f"cost per manifest {scale}", EMPTY, ratio(many, few, by=each), "≤ 1"
    kib = f"{added / (large.count - small.count):.1f} KiB"
    yield "peak memory per added manifest", EMPTY, kib, "≤ 6 KiB"


def applies(product: Product, home: Path, size: Size, _: int) -> Iterator[Row]:
    """Yield what applying takes against the tenant's rate: by us, and by the client to beat."""
    ground = make(home, size.changes, changed=1, rate=RATE)
    with serving(ground) as platform:
        took = product.run("apply", "--yes", str(ground.folder), **platform.variables)
    requests, refused = sum(platform.answers.values()), platform.answers.get("429", 0)
    told = f"{took.wall_s * RATE / requests:.3f}; {requests:,} requests, {refused} refused"
    name = f"`apply` of {size.changes:,} changes at {RATE} requests/s ÷ (requests ÷ rate)"
    yield name, EMPTY, told, "≤ 1.05, none refused"
    ground = make(home, size.cut, changed=1, rate=RATE)
    with serving(ground) as platform:
        wall_s, accepted = sequential(ground, platform.login)
    refused = platform.answers.get("429", 0)
    told = f"{wall_s * RATE / accepted:.1f}; {accepted:,} requests, {refused} refused"
    yield (
        f"the same, {size.cut} changes, one by one with 2ⁿ + 0.5 s back-off",
        EMPTY,
        told,
        "(to compare)",
    )


def sequential(ground: Ground, login: Iterable[str]) -> tuple[float, int]:
    """Let the client to beat store what the manifests say; return its seconds and its accepted requests."""
    bodies = script("ground.py", "-", "-", "--count", str(ground.count))
    began = time.perf_counter()
    said = script("backoff.py", *login, said=bodies)
    return time.perf_counter() - began, json.loads(said)["accepted"]


def starts(product: Product, _: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield what a start costs, against a Python that does nothing."""
    rounds = max(rounds, size.starts)
    one = str(ROOT / "schedules" / "sandbox" / "loyalty-survey.yaml")
    bare, helps, checks, floors = [], [], [], []
    for _ in range(rounds):
        bare.append(run([product.python, "-c", "pass"]))
        helps.append(product.run("--help"))
        checks.append(product.run("validate", one))
        floors.append(run([product.python, "-c", LIBRARIES], PYDANTIC_DISABLE_PLUGINS="__all__"))
    yield "`--help` ÷ bare Python", "none", ratio(helps, bare), "≤ 5"
    yield "`validate` of one file ÷ bare Python", "none", ratio(checks, bare), "≤ 18"
    yield (
        "its libraries alone: click, ruamel.yaml, one pydantic model",
        "none",
        ratio(floors, bare),
        "(floor)",
    )


def calendar(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield what the open intervals of 400 days cost: against their floor, against a plan, and as the manifests grow in number."""
    ground = make(home, size.large, changed=0.01)
    with serving(ground, "--replay") as platform:
        plans = [
            product.run("plan", str(ground.folder), **platform.variables).cpu_s
            for _ in range(rounds)
        ]
    for hours, where in (("shared", "hours that many share"), ("own", "hours of its own each")):
        took = {
            (who, count): [_intervals(who, hours, count) for _ in range(rounds)]
            for who in ("ours", "floor")
            for count in (size.small, size.large)
        }
        many = took["ours", size.large]
        name = f"open intervals of {size.large:,} manifests"
        told = f"{_ratio(many, took['floor', size.large])}; CPU {median(many):.2f} s"
        yield f"{name} ÷ floor", where, told, "(to compare)"
        yield f"{name} ÷ `plan` of as many, CPU", where, _ratio(many, plans), "≤ 1.5"
        grows = _ratio(many, [each * size.large / size.small for each in took["ours", size.small]])
        what = f"intervals, cost per manifest at {size.large:,} ÷ at {size.small:,}"
        yield what, where, grows, "≤ 1.0"


def _intervals(who: str, hours: str, count: int) -> float:
    """Return the seconds of CPU time that the intervals of so many manifests take."""
    took: float = json.loads(script("intervals.py", who, hours, str(count)))["cpu_s"]
    return took


def _ratio(ours: Iterable[float], theirs: Iterable[float]) -> str:
    return f"{median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"


PARTS: Mapping[str, Callable[[Product, Path, Size, int], Iterable[Row]]] = {
    "plans": plans,
    "applies": applies,
    "starts": starts,
    "calendar": calendar,
    "grown": growth.grown,
    "large": growth.large,
    "audits": growth.audits,
    "fetched": growth.fetched,
    "stops": growth.stops,
    "repeated": growth.repeated,
}
"""The rows, by the word that `--only` takes."""

EXTRA = {"million": growth.million}
"""Rows that only `--only` measures, because they take long."""


if __name__ == "__main__":
    main()
