"""The emergency stop, and its end: halt, release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.running import carry_out
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.world import Network


def _named(
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
    help="Stop everything of the tenant, also what no manifest names.",
)
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why. It is recorded, and shown by every plan."
)
@click.option(
    "--until",
    metavar="INSTANT",
    help="End the hold at this time, e.g. 2027-03-01T18:00:00Z. Without it `reconcile release` ends the hold.",
)
@options.wait("Retry a locked dialer for up to this long. The others are stopped meanwhile.")
@options.tenant
@options.remote
@options.network
@options.output
def halt(
    targets: tuple[str, ...],
    *,
    everything: bool,
    reason: str,
    until: str | None,
    wait_s: float,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Stop dialing at once: remove the schedules, verify silence, and hold it. Asks no question and needs no clean tree.

    NAME is a manifest's name or the platform's id of a campaign. A running apply ends at its next write. What was stopped stays stopped until
    `reconcile release`.

    Example: reconcile halt schedules/acme spring-renewals --reason "calls at night"
    """
    from reconciler.commands import halt as halt_command
    from reconciler.execute import WriteOptions

    path, names = _named(targets, everything=everything, tenant=tenant, verb="halt")
    end = options.instant("--until", until, dates=False)
    writing = WriteOptions(wait_s=wait_s)
    asked = halt_command.HaltRequest(path, names, everything, reason, tenant, end, writing, network)
    return carry_out(lambda stop: halt_command.halt(options.world(), asked, stop), style)


@click.command()
@options.targets
@click.option("--all", "everything", is_flag=True, help="End every hold of the tenant.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is recorded.")
@options.tenant
@options.remote
@options.output
def release(
    targets: tuple[str, ...],
    *,
    everything: bool,
    reason: str,
    tenant: str | None,
    style: str,
) -> int:
    """End the hold of a halt. Nothing dials yet: the next apply plans it again.

    Example: reconcile release schedules/acme spring-renewals --reason "zone corrected"
    """
    from reconciler.commands import release as release_command

    path, names = _named(targets, everything=everything, tenant=tenant, verb="release")
    asked = release_command.HoldRequest(path, names, everything, reason, tenant)
    report = release_command.release(options.world(), asked)
    return options.show(report, style)
