"""Commands about changes: plan, apply, optimize."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import defaults
from reconciler.cli import options, running
from reconciler.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from reconciler.report import Report


@click.command()
@options.targets
@options.revert
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also write the plan to this file, for `apply --approved`.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when changes are present.")
@options.remote
@options.tenant
@options.network
@options.output
def plan(
    targets: tuple[str, ...],
    *,
    out: Path | None,
    detailed_exitcode: bool,
    tenant: str | None,
    style: str,
    **network: Any,
) -> int:
    """Show the changes needed to make the platform match the manifests below PATH. Read-only.

    Example: reconcile plan schedules/acme
    """
    from reconciler.commands import plan as plan_command

    path, names = options.split(targets, tenant)
    asked = plan_command.Request(
        path, names, tenant=tenant, out=out, detailed=detailed_exitcode, **network
    )
    report = asyncio.run(plan_command.show(options.world(), asked))
    code = options.show(report, style)
    return code if options.is_whole(report, style) else ExitCode.ERROR


@click.command()
@options.targets
@options.revert
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option(
    "--approved",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run only the operations of this saved plan (`plan --out`).",
)
@click.option("--expect", metavar="DIGEST", help="Run only if the plan has this digest.")
@click.option("--tighten-only", is_flag=True, help="Run only what narrows dialing.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=defaults.CONCURRENCY,
    show_default=True,
    help="Most operations to write at the same time.",
)
@click.option(
    "--wait",
    "wait_s",
    type=options.Number(min=0),
    default=defaults.WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="Retry a locked dialer, and wait for activation, for up to this long.",
)
@options.events
@options.remote
@options.tenant
@options.network
@options.output
def apply(targets: tuple[str, ...], *, yes: bool, style: str, **asked: Any) -> int:
    """Make the platform match the manifests below PATH. Asks first, unless a plan was approved.

    What narrows dialing runs first. Every write is verified, and recorded in git notes.

    Example: reconcile apply schedules/acme
    """
    from reconciler.commands import apply as apply_command

    ask = not (yes or asked["approved"] or asked["expect"])
    if ask and not sys.stdin.isatty():
        raise UsageError(
            "not a terminal, so nobody can be asked: add --yes, or --approved PLAN / --expect DIGEST"
        )
    path, names = options.split(targets, asked["tenant"])

    def confirm(report: Report) -> bool:
        options.show(report, "text", err=style != "text")
        return not ask or click.confirm("Apply this plan?", err=True)

    request = apply_command.Request(path, names, ask=ask, **asked)
    return running.carry_out(
        lambda stop: apply_command.apply(options.world(), request, confirm, stop), style
    )


@click.command()
@options.targets
@click.option(
    "--strategy",
    type=click.Choice(["step"]),
    default="step",
    show_default=True,
    help="How to propose a rate.",
)
@click.option(
    "--target-answer-rate",
    type=options.Number(0, 1, min_open=True),
    required=True,
    metavar="R",
    help="Target for answers ÷ attempts, above 0 and at most 1.",
)
@click.option(
    "--metrics",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read observations from this CSV instead of the platform.",
)
@click.option(
    "--from",
    "start",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]),
    help="Start of the observations, UTC. Default: 7 days before the end.",
)
@click.option(
    "--to",
    "end",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]),
    help="End of the observations, UTC. Default: now, by the platform's clock.",
)
@click.option(
    "--write",
    is_flag=True,
    help="Write the proposals into the manifests. Comments and order are kept.",
)
@options.events
@options.tenant
@options.network
@options.output
def optimize(
    targets: tuple[str, ...],
    *,
    start: datetime | None,
    end: datetime | None,
    style: str,
    **asked: Any,
) -> int:
    """Propose dial rates from observed answers. Never applies them.

    The strategy `step` is the product brief's rule: it lowers the rate when fewer people answer. For abandonment that is the wrong direction,
    because then fewer agents are busy. Read its proposals with that in mind.

    Example: reconcile optimize schedules/acme --target-answer-rate 0.3
    """
    from reconciler.commands import optimize as optimize_command

    path, names = options.split(targets, asked["tenant"])
    request = optimize_command.Request(path, names, start=start, end=end, **asked)
    return options.show(asyncio.run(optimize_command.optimize(options.world(), request)), style)
