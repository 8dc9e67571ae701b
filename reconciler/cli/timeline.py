"""`reconcile timeline`: when the manifests let each object dial."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from reconciler.cli import options


class _Day(click.DateTime):
    """A date. The message names an example instead of a format string."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a date like 2027-03-08", param, ctx)


_DAY = _Day(["%Y-%m-%d"])


@click.command()
@options.targets
@click.option(
    "--from",
    "first",
    type=_DAY,
    metavar="DATE",
    help="First day. Default: the Monday of the first week from today on in which anything dials.",
)
@click.option(
    "--to",
    "end",
    type=_DAY,
    metavar="DATE",
    help="Day after the last, at most 400 days later. Default: 7 days after the first.",
)
@click.option(
    "--zone",
    metavar="ZONE",
    help="Show days and hours in this IANA zone. Default: each contact's own; for the load, the zone that most manifests name.",
)
@click.option(
    "--compare",
    metavar="REF",
    help="Compare with the manifests of this commit, branch or tag.",
)
@options.tenant
@options.output
def timeline(
    targets: tuple[str, ...],
    *,
    first: datetime | None,
    end: datetime | None,
    zone: str | None,
    compare: str | None,
    tenant: str | None,
    style: str,
) -> int:
    """Show when the manifests below PATH let each object dial, and how much at once. Read-only; needs no network.

    Each zone's contacts are shown on their own clock, and days with a clock change are marked. The load is the sum over all
    objects that may dial at the same time. It is shown with the `capacity` that tenant.yaml declares.

    Example: reconcile timeline schedules/acme --compare main
    """
    from reconciler.commands import timeline as command

    path, names = options.split(targets, tenant)
    request = command.TimelineRequest(
        path,
        names,
        tenant,
        first.date() if first else None,
        end.date() if end else None,
        zone,
        compare,
    )
    return options.show(command.timeline(options.world(), request), style)
