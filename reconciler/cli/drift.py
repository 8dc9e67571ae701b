"""Commands `drift` and `show`: compare the platform with the ledger, and a saved plan with a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options, signals
from reconciler.errors import ExitCode

if TYPE_CHECKING:
    from reconciler.world import Network


@click.command()
@options.targets
@click.option(
    "--fail-on",
    type=click.Choice(["any", "loosening", "none"]),
    default="any",
    show_default=True,
    help="Exit 2 on any drift, only on drift that may widen dialing, or never.",
)
@options.remote
@options.tenant
@options.network
@options.output
def drift(
    targets: tuple[str, ...],
    *,
    fail_on: str,
    remote: str | None,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Show what was changed outside git since it was last applied. Read-only.

    Drift that may widen dialing comes first. The exit code is 2 if there is drift.

    Example: reconcile drift schedules/acme
    """
    from reconciler.commands import drift as command

    path, names = options.split(targets, tenant)
    request = command.DriftRequest(path, names, tenant, command.FailOn(fail_on), network)
    world = options.world(remote)
    report = signals.run(world, command.drift(world, request))
    code = options.show(report, style)
    return code if options.is_whole(report, style) else ExitCode.ERROR


@click.command()
@click.argument(
    "plan", metavar="PLAN", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@options.path
@click.option(
    "--check", is_flag=True, help="Plan again, and exit 4 if the saved plan is out of date."
)
@options.remote
@options.network
@options.output
def show(
    plan: Path,
    *,
    path: Path,
    check: bool,
    remote: str | None,
    style: str,
    network: Network,
) -> int:
    """Show a plan that `plan --out` saved, after verifying its digest. Read-only.

    With --check, the manifests below PATH are planned again. Without it neither PATH nor the platform is read.

    Example: reconcile show plan.json --check schedules/acme
    """
    from reconciler.commands import show as command

    request = command.ShowRequest(plan, check, path, network, drawn=style == "html")
    world = options.world(remote)
    report = signals.run(world, command.show(world, request))
    code = options.show(report, style)
    return code if options.is_whole(report, style) else ExitCode.ERROR
