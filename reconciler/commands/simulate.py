"""`simulate`: try the pacing policies on the published scenarios, and judge the bars. Reads no file and no platform."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from reconciler.commands import extras
from reconciler.errors import UsageError
from reconciler.report import Report

if TYPE_CHECKING:
    from reconciler.simulate.runs import Run

SEEDS: Final = 20
"""Seeds of the published table."""

Task = tuple[str, int]
"""A scenario and a seed."""


@dataclass(frozen=True, slots=True)
class SimulateRequest:
    """Arguments of `simulate`.

    Attributes:
        scenarios: names; none means all.
        seeds: how many; the seeds are 1, 2, 3 and so on.
        processes: how many at the same time; `None`: as many as this process may use processors.
    """

    scenarios: tuple[str, ...] = ()
    seeds: int = SEEDS
    processes: int | None = None


def simulate(
    asked: SimulateRequest, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Report:
    """Run every policy in each scenario under each seed; report the measures and the bars.

    Args:
        asked: the arguments.
        progress: called with the number of finished tasks, and of all.

    Raises:
        UsageError: the packages of the extra `optimize` are missing, or no scenario has that name.
    """
    extras.need_optimize("simulate")
    # Threads of the linear algebra would take the processors from the other processes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from reconciler.report.simulate import of_simulation  # noqa: PLC0415 - needs NumPy
    from reconciler.simulate.bars import bars, grouped  # noqa: PLC0415 - same
    from reconciler.simulate.scenarios import SCENARIOS  # noqa: PLC0415 - beside its siblings

    if unknown := [name for name in asked.scenarios if name not in SCENARIOS]:
        raise UsageError(f"no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    names = [name for name in SCENARIOS if not asked.scenarios or name in asked.scenarios]
    tasks = [(name, seed) for name in names for seed in range(1, asked.seeds + 1)]
    found: dict[Task, list[Run]] = {}
    for task, runs in _results(tasks, asked.processes):
        found[task] = runs
        progress(len(found), len(tasks))
    ordered = grouped(run for task in tasks for run in found[task])
    return of_simulation(ordered, bars(ordered), asked.seeds)


def _results(tasks: list[Task], processes: int | None) -> Iterator[tuple[Task, list[Run]]]:
    """Yield the runs of each task, in the order in which they are done."""
    processes = min(processes or _processors(), len(tasks))
    if processes == 1:
        yield from ((task, _play(*task)) for task in tasks)
        return
    # A fresh interpreter for each process: a fork of a process with threads may hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        pending = {pool.submit(_play, *task): task for task in tasks}
        try:
            for done in as_completed(pending):
                yield pending[done], done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _play(scenario: str, seed: int) -> list[Run]:
    from reconciler.simulate.runs import play  # noqa: PLC0415 - needs NumPy

    return play(scenario, seed)
