"""The emergency stop, and its end: halt, release."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli import options
from reconciler.cli.running import carry_out
from reconciler.errors import UsageError


def _named(targets: tuple[str, ...], *, everything: bool, tenant: str | None, verb: str) -> Any:
    path, names = options.split(targets, tenant)
    if bool(names) == everything:
        raise UsageError(f"say what to {verb}: names, or --all{', not both' if names else ''}")
    return path, names


@click.command()
@options.targets
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Everything of the tenant, also what no manifest names.",
)
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why: recorded, and shown by every plan."
)
@click.option(
    "--until",
    metavar="INSTANT",
    help="End the hold by itself then, e.g. 2027-03-01T18:00:00Z. Default: `reconcile release` ends it.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for a locked dialer; the others are stopped meanwhile.",
)
@options.tenant
@options.remote
@options.network
@options.output
def halt(targets: tuple[str, ...], *, until: str | None, style: str, **asked: Any) -> int:
    """Stop dialing at once: remove what dials, verify silence, and hold it. Asks nothing, needs no clean tree.

    NAME is a manifest's name or the platform's id of a campaign. A running apply ends at its next write.
    """
    from reconciler.workflows import halting  # noqa: PLC0415 - see `reconciler.cli`

    path, names = _named(
        targets, everything=asked["everything"], tenant=asked["tenant"], verb="halt"
    )
    request = halting.Request(
        path, names, until=options.instant("--until", until, dates=False), **asked
    )
    return carry_out(lambda stop: halting.halt(options.world(), request, stop), style)


@click.command()
@options.targets
@click.option("--all", "everything", is_flag=True, help="Every hold of the tenant.")
@click.option("--reason", required=True, metavar="TEXT", help="Why: recorded.")
@options.tenant
@options.remote
@options.output
def release(targets: tuple[str, ...], *, style: str, **asked: Any) -> int:
    """End the hold of an emergency stop. Nothing dials by that: the next apply plans it again."""
    from reconciler.workflows import releasing  # noqa: PLC0415 - see `reconciler.cli`

    path, names = _named(
        targets, everything=asked["everything"], tenant=asked["tenant"], verb="release"
    )
    report = releasing.release(options.world(), releasing.Request(path, names, **asked))
    return options.show(report, style)
