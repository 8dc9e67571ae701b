"""Commands about changes: plan, apply."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler import defaults
from reconciler.cli import options, signals
from reconciler.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import Network


@click.command()
@options.targets
@options.revert
@options.accept_history
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also write the plan to this file, for `apply --approved`.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there are changes.")
@options.remote
@options.tenant
@options.network
@options.output
def plan(
    targets: tuple[str, ...],
    *,
    revert: tuple[str, ...],
    accept_history: str | None,
    out: Path | None,
    detailed_exitcode: bool,
    remote: str | None,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Show the changes needed to make the platform match the manifests below PATH. Read-only.

    Example: reconcile plan schedules/acme
    """
    from reconciler.commands import plan as command

    path, names = options.split(targets, tenant)
    request = command.PlanRequest(
        path,
        names,
        tenant,
        out,
        detailed_exitcode,
        revert,
        network,
        accept_history,
        drawn=style == "html",
    )
    world = options.world(remote)
    report = signals.run(world, command.show(world, request))
    code = options.show(report, style)
    return code if options.is_whole(report, style) else ExitCode.ERROR


@click.command()
@options.targets
@options.revert
@options.accept_history
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option(
    "--approved",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run only the operations of this saved plan (`plan --out`).",
)
@click.option("--expect", metavar="DIGEST", help="Run only if the plan has this digest.")
@click.option("--tighten-only", is_flag=True, help="Run only operations that narrow dialing.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=defaults.CONCURRENCY,
    show_default=True,
    help="Maximum number of operations to write at the same time.",
)
@click.option(
    "--wait-for-lock",
    "wait_for_lock_s",
    type=options.Number(min=0),
    metavar="SECONDS",
    help="Wait up to this long while another run holds the lock. Exits 0 if a newer commit was applied meanwhile.",
)
@options.wait("Retry a locked dialer, and wait for activation, for up to this long.")
@options.events
@options.remote
@options.tenant
@options.network
@options.output
def apply(
    targets: tuple[str, ...],
    *,
    revert: tuple[str, ...],
    accept_history: str | None,
    yes: bool,
    approved: Path | None,
    expect: str | None,
    tighten_only: bool,
    concurrency: int,
    wait_s: float,
    wait_for_lock_s: float | None,
    publish: bool,
    events: Path | None,
    remote: str | None,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Make the platform match the manifests below PATH. Asks first, unless a plan was approved.

    Operations that narrow dialing run first. Every write is verified, and recorded in git notes.

    Example: reconcile apply schedules/acme
    """
    # Over 40 lines, because each option is an argument of its own.
    from reconciler.commands import apply as command
    from reconciler.execute import WriteOptions
    from reconciler.telemetry import EventSinks

    ask = not (yes or approved or expect)
    if ask and not sys.stdin.isatty():
        raise UsageError(
            "no terminal to ask for confirmation: add --yes, --approved PLAN or --expect DIGEST"
        )
    path, names = options.split(targets, tenant)

    request = command.ApplyRequest(
        path,
        names,
        tenant=tenant,
        approved=approved,
        expect=expect,
        tighten_only=tighten_only,
        revert=revert,
        accept_history=accept_history,
        wait_for_lock_s=wait_for_lock_s,
        writing=WriteOptions(concurrency, wait_s),
        events=EventSinks(events, publish=publish),
        network=network,
    )

    def show(report: Report) -> None:
        options.show(report, "text", err=style != "text")

    def confirm() -> bool:
        try:
            with signals.asking():
                return click.confirm("Apply this plan?", err=True)
        except click.Abort:
            click.echo(err=True)  # the cursor is behind the question
            raise click.Abort("interrupted; nothing was written") from None

    world = options.world(remote)
    return signals.run_until_signal(
        lambda stop: command.apply(
            world, request, stop, show=show, confirm=confirm if ask else None
        ),
        style,
        world.remote_budget,
    )
