"""The emergency stop, and its end: halt, release."""

from __future__ import annotations

from typing import Any

import click

from reconciler import defaults
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
@click.option(
    "--wait",
    "wait_s",
    type=options.Number(min=0),
    default=defaults.WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="Retry a locked dialer for up to this long. The others are stopped meanwhile.",
)
@options.tenant
@options.remote
@options.network
@options.output
def halt(targets: tuple[str, ...], *, until: str | None, style: str, **asked: Any) -> int:
    """Stop dialing at once: remove the schedules, verify silence, and hold it. Asks no question and needs no clean tree.

    NAME is a manifest's name or the platform's id of a campaign. A running apply ends at its next write. What was stopped stays stopped until
    `reconcile release`.

    Example: reconcile halt schedules/acme spring-renewals --reason "calls at night"
    """
    from reconciler.commands import halt as halt_command

    path, names = _named(
        targets, everything=asked["everything"], tenant=asked["tenant"], verb="halt"
    )
    request = halt_command.Request(
        path, names, until=options.instant("--until", until, dates=False), **asked
    )
    return carry_out(lambda stop: halt_command.halt(options.world(), request, stop), style)


@click.command()
@options.targets
@click.option("--all", "everything", is_flag=True, help="End every hold of the tenant.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is recorded.")
@options.tenant
@options.remote
@options.output
def release(targets: tuple[str, ...], *, style: str, **asked: Any) -> int:
    """End the hold of a halt. Nothing dials yet: the next apply plans it again.

    Example: reconcile release schedules/acme spring-renewals --reason "zone corrected"
    """
    from reconciler.commands import release as release_command

    path, names = _named(
        targets, everything=asked["everything"], tenant=asked["tenant"], verb="release"
    )
    report = release_command.release(options.world(), release_command.Request(path, names, **asked))
    return options.show(report, style)
