"""Commands about changes: plan, apply, optimize."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler import defaults
from reconciler.cli import options
from reconciler.cli.signals import run_until_signal
from reconciler.errors import ExitCode, UsageError
from reconciler.optimize import STRATEGIES

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import Network

_UTC = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"])


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
    report = asyncio.run(command.show(options.world(remote), request))
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
        return click.confirm("Apply this plan?", err=True)

    return run_until_signal(
        lambda stop: command.apply(
            options.world(remote), request, stop, show=show, confirm=confirm if ask else None
        ),
        style,
    )


def _optimize_help() -> str:
    """Return the help of `optimize`, with what each strategy needs and promises."""
    return "\n\n".join(
        (
            "Propose better dial rates from observed calls. Read-only; with --write it edits the manifests, never the platform.",
            "No proposal loosens dialing while the 90 % interval of its abandonment reaches pacing.abandonment_cap.",
            *(
                f"{name}: needs {each.NEEDS}. Proposes {each.PROMISES}."
                for name, each in STRATEGIES.items()
            ),
            "Example: reconcile optimize schedules/acme",
        )
    )


@click.command(help=_optimize_help())
@options.targets
@click.option(
    "--strategy",
    type=click.Choice(list(STRATEGIES)),
    help="Strategy that finds better values. Default: erlang for campaigns, ratio for skills, step with --target-answer-rate.",
)
@click.option(
    "--target-answer-rate",
    type=options.Number(0, 1, min_open=True),
    metavar="R",
    help="For the strategy step: target share of answered attempts, above 0 and at most 1.",
)
@click.option(
    "--metrics",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read observations from this CSV instead of the platform.",
)
@click.option(
    "--from",
    "start",
    type=_UTC,
    help="Start of the observations, UTC. Default: 13 weeks before the end; budget 30 days, step 7 days.",
)
@click.option(
    "--to",
    "end",
    type=_UTC,
    help="End of the observations, UTC. Default: now, by the platform's clock.",
)
@click.option(
    "--write",
    is_flag=True,
    help="Write the proposals into the manifests. Comments and order are kept.",
)
@click.option(
    "--report",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also write the report to this file, in Markdown: the body of a pull request.",
)
@options.events
@options.tenant
@options.network
@options.output
def optimize(
    targets: tuple[str, ...],
    *,
    strategy: str | None,
    target_answer_rate: float | None,
    metrics: Path | None,
    start: datetime | None,
    end: datetime | None,
    write: bool,
    file: Path | None,
    publish: bool,
    events: Path | None,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Propose better values. `--help` shows `_optimize_help` instead of this docstring."""
    from reconciler.commands import optimize as command
    from reconciler.telemetry import EventSinks

    path, names = options.split(targets, tenant)
    _check_report(file, metrics)
    request = command.OptimizeRequest(
        path,
        names,
        target_answer_rate=target_answer_rate,
        tenant=tenant,
        strategy=strategy,
        metrics=metrics,
        start=start,
        end=end,
        write=write,
        drawn=style == "html",
        events=EventSinks(events, publish=publish),
        network=network,
    )
    report = asyncio.run(
        command.optimize(options.world(), request, lambda report: _keep(report, file))
    )
    return options.show(report, style)


def _check_report(file: Path | None, metrics: Path | None) -> None:
    """Check that `--report` does not overwrite a file that the command reads.

    Raises:
        UsageError: it would overwrite one.
    """
    if file is None:
        return
    from reconciler.optimize.predictions import FILE

    is_read = file.suffix.lower() in {".yaml", ".yml"} or file.name == FILE
    if is_read or (metrics is not None and file.exists() and file.samefile(metrics)):
        raise UsageError(f"--report would overwrite {file}: give another name, such as proposal.md")


def _keep(report: Report, file: Path | None) -> None:
    """Write a report to a file, in Markdown.

    Raises:
        UsageError: the file cannot be written, or cannot hold every row that must not be cut.
    """
    if file is None:
        return
    from reconciler.renderers import markdown

    if markdown.left_out(report):
        raise UsageError(f"the report does not fit into {file}: name fewer manifests")
    try:
        file.write_text(markdown.render(report), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
