"""`reconcile sandbox`: the embedded platform."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import click

from reconciler.errors import UsageError

STATE = Path(".reconcile/sandbox.db")
"""State file of the tenant `sandbox`, relative to the top of the repository."""


AFTER_RESET = (
    "The audit records stay in this clone, so what was applied before counts as\n"
    "removed by hand, and is held. Delete the records:\n"
    "git update-ref -d refs/notes/reconcile/sandbox/sandbox"
)


@contextmanager
def _platform() -> Iterator[ModuleType]:
    """Import the embedded platform, and turn its errors into usage errors."""
    from reconciler import sandbox as platform

    try:
        _ = platform.create_app  # fails if the extra `sandbox` is not installed
        yield platform
    except platform.SandboxError as error:
        raise UsageError(str(error)) from None


@click.group()
def sandbox() -> None:
    """Serve, reset or fill the embedded platform. Any client of the API works with it."""


_state = click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="State file. Without it the state is in memory only.",
)
_kept = click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    default=STATE,
    show_default=True,
    help="State file.",
)


_api = click.option(
    "--api",
    type=click.Choice(["campaigns", "personal-connection"]),
    default="campaigns",
    show_default=True,
    help="API of the platform.",
)


@sandbox.command()
@_api
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port on 127.0.0.1. Default: any free port.",
)
@_state
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="Inject a fault, e.g. `429:POST /api/campaigns/1001/schedule:times=2`. May be repeated.",
)
@click.option(
    "--fault-seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the random faults.",
)
def serve(api: str, port: int, state: Path | None, faults: tuple[str, ...], fault_seed: int) -> int:
    """Serve the platform on 127.0.0.1 until interrupted. Prints the environment of a client as `export` lines.

    Example: eval "$(reconcile sandbox serve &)"
    """
    with _platform() as platform:
        platform.serve(port=port, state=state, faults=faults, fault_seed=fault_seed, api=api)
    return 0


@sandbox.command()
@_api
@_kept
def reset(api: str, state: Path) -> int:
    """Delete the state file. The next command starts with the samples again. The records in git stay.

    Example: reconcile sandbox reset
    """
    with _platform() as platform:
        platform.reset(state, api)
    click.echo(f"reset {state}", err=True)
    click.echo(AFTER_RESET, err=True)
    return 0


@sandbox.command()
@_api
@_kept
@click.option(
    "--campaigns",
    "--skills",
    "count",
    type=click.IntRange(1, 1_000_000),
    help="Create this many objects instead of the samples.",
)
def seed(api: str, state: Path, count: int | None) -> int:
    """Fill an empty platform with the samples, or with many objects for speed tests. Writes to the state file only.

    Example: reconcile sandbox seed --state big.db --campaigns 10000
    """
    with _platform() as platform:
        kind = platform.platform(api)
        world = (kind.opened if count is None else kind.bare)(state)
        if count is not None:
            kind.fill(world, count)
        world.close()
    click.echo(f"seeded {state}", err=True)
    return 0
