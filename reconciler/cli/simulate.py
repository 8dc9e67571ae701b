"""`reconcile simulate`: try pacing policies on published scenarios."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from reconciler.cli import options
from reconciler.commands.simulate import SEEDS
from reconciler.simulate.scenarios import SCENARIOS


@click.command()
@click.option(
    "--scenario",
    "scenarios",
    type=click.Choice(list(SCENARIOS)),
    multiple=True,
    metavar="NAME",
    help="Only this scenario. May be repeated. `reconcile explain scenarios` lists them.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=SEEDS,
    show_default=True,
    metavar="N",
    help="Number of runs of each scenario, each with other random numbers.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Number of processes. Default: one for each processor. It does not affect the result.",
)
@options.output
def simulate(scenarios: tuple[str, ...], *, seeds: int, processes: int | None, style: str) -> int:
    """Run the pacing strategies on published scenarios, and check what they promise. Read-only; needs no network.

    Each scenario is a team, its answer rates and its limits. Strategies are compared with progressive dialing and with an oracle that
    knows the answer rates. The exit code is 1 if a bar is missed. Needs the extra `optimize`.

    Example: reconcile simulate --scenario agents-60
    """
    from reconciler.commands import simulate as command

    request = command.SimulateRequest(scenarios, seeds, processes)
    with _bar() as progress:
        report = command.simulate(request, progress)
    return options.show(report, style)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Provide a progress bar on stderr, or none if stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    with click.progressbar(length=1, label="Simulating", file=sys.stderr) as bar:

        def progress(done: int, every: int) -> None:
            bar.length = every
            bar.update(done - bar.pos)

        yield progress
