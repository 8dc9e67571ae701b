"""The emergency stop and its end: halt, release."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.signals import run_until_signal
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.world import Network


def _choose(
    targets: tuple[str, ...], *, everything: bool, tenant: str | None, verb: str
) -> tuple[Path, tuple[str, ...]]:
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
    help="Stop every object of the tenant, also those without a manifest, and hold everything, also what is added later.",
)
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why. It is recorded, and shown by every plan."
)
@click.option(
    "--until",
    type=options.instant_or_span,
    metavar="INSTANT|SPAN",
    help="End the hold at this time, e.g. 2027-03-01T18:00:00Z, or after a span: +30m, +6h, +2d. The platform's clock counts."
    " Without it `reconcile release` ends the hold.",
)
@options.wait(
    "Retry a locked dialer for up to this long. The others are stopped meanwhile. It also limits the watch, and what --all reads one by one."
)
@options.tenant
@options.remote
@options.network
@options.output
def halt(
    targets: tuple[str, ...],
    *,
    everything: bool,
    reason: str,
    until: datetime | timedelta | None,
    wait_s: float,
    tenant: str | None,
    remote: str | None,
    style: str,
    network: Network,
) -> int:
    """Stop dialing at once: remove the schedules, verify silence, and hold it. Asks no question and needs no clean tree.

    NAME is a manifest's name or the platform's id of a campaign. A running apply ends at its next write. Stopped objects
    stay stopped until `reconcile release`.

    If the tenant's lock cannot be taken, a running apply may store schedules again. Then the command watches for up to 7.5
    minutes and stops what comes back. Ctrl-C ends the watch, not the stop; it is safe if no apply is running.

    Example: reconcile halt schedules/acme spring-renewals --reason "calls at night"
    """
    from reconciler.commands import halt as command
    from reconciler.execute import WriteOptions

    path, names = _choose(targets, everything=everything, tenant=tenant, verb="halt")
    request = command.HaltRequest(
        path,
        names,
        reason=reason,
        everything=everything,
        tenant=tenant,
        until=until,
        writing=WriteOptions(wait_s=wait_s),
        network=network,
    )
    return run_until_signal(
        lambda stop: command.halt(options.world(remote), request, stop),
        style,
        outlives_terminal=True,
    )


@click.command()
@options.targets
@click.option("--all", "everything", is_flag=True, help="End every hold of the tenant.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is recorded.")
@options.tenant
@options.remote
@options.network
@options.output
def release(
    targets: tuple[str, ...],
    *,
    everything: bool,
    reason: str,
    tenant: str | None,
    remote: str | None,
    style: str,
    network: Network,
) -> int:
    """End the hold of a halt. Starts no dialing: the next apply plans the schedule again.

    After a halt of everything, the release of one object leaves the others held.

    If an object has no hold, the command reads it. If its schedule is missing on the platform, the next apply creates it again.

    Example: reconcile release schedules/acme spring-renewals --reason "zone corrected"
    """
    from reconciler.commands import release as command

    path, names = _choose(targets, everything=everything, tenant=tenant, verb="release")
    request = command.HoldRequest(
        path, names, reason=reason, everything=everything, tenant=tenant, network=network
    )
    return options.show(command.release(options.world(remote), request), style)
