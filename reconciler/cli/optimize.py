"""The command optimize."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options, signals
from reconciler.errors import UsageError
from reconciler.optimize import STRATEGIES

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import Network

_UTC = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"])


def _help() -> str:
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


@click.command(help=_help())
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
    """Propose better values. `--help` shows `_help` instead of this docstring."""
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
    world = options.world()
    work = command.optimize(world, request, lambda report: _keep(report, file))
    report = signals.run(world, work)
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
