"""The emergency stop and its end: halt, release.

`asked` holds the options that are fields of the command's request, under the names of the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.cli.signals import run_until_signal
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import World


def _require_choice(verb: str, names: tuple[str, ...], *, everything: bool) -> None:
    if bool(names) == everything:
        raise UsageError(f"say what to {verb}: names, or --all{', not both' if names else ''}")


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
    type=options.instant,
    metavar="INSTANT",
    help="End the hold at this time, e.g. 2027-03-01T18:00:00Z. Without it `reconcile release` ends the hold.",
)
@options.wait("Retry a locked dialer for up to this long. The others are stopped meanwhile.")
@options.tenant
@options.remote
@options.network
@options.style
def halt(*, wait_s: float, world: World, style: str, **asked: Any) -> int:
    """Stop dialing at once: remove the schedules, verify silence, and hold it. Asks no question and needs no clean tree.

    NAME is a manifest's name or the platform's id of a campaign. A running apply ends at its next write. What was stopped
    stays stopped until `reconcile release`.

    Example: reconcile halt schedules/acme spring-renewals --reason "calls at night"
    """
    from reconciler.commands import halt as command
    from reconciler.execute import WriteOptions

    request = command.HaltRequest(writing=WriteOptions(wait_s=wait_s), **asked)
    _require_choice("halt", request.names, everything=request.everything)
    return run_until_signal(lambda stop: command.halt(world, request, stop), style)


@click.command()
@options.targets
@click.option("--all", "everything", is_flag=True, help="End every hold of the tenant.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is recorded.")
@options.tenant
@options.remote
@options.output
def release(*, world: World, **asked: Any) -> Report:
    """End the hold of a halt. Starts no dialing: the next apply plans the schedule again.

    Example: reconcile release schedules/acme spring-renewals --reason "zone corrected"
    """
    from reconciler.commands import release as command

    request = command.HoldRequest(**asked)
    _require_choice("release", request.names, everything=request.everything)
    return command.release(world, request)
