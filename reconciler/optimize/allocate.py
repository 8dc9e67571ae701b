"""The strategy `allocate`: divide what a tenant can carry so that all campaigns together reach the most contacts.

Each campaign has the best values of the strategy `erlang`: a lawful dial rate, and the concurrent calls that it needs. Where the
tenant's `capacity` is too small for all of them, a linear program (`demand`, `sharing`) divides it:

    most contacts, each times its `value_per_contact`, while in every hour of the next four weeks
    `max_concurrent_calls` of the open campaigns together stay within `capacity.concurrent_calls`, and
    their `dial_rate` together within `capacity.calls_per_second`

- A schedule has one value for all of its hours, so it takes the same in each of them. Hours are those of UTC, as instants: a clock
  change moves no limit.
- With fewer calls than it needs, a campaign dials as fast until all are in progress, and then waits: it reaches less and abandons less
  (`pacing.lines`). The last calls reach least, so the program takes those first.
- A list ends: no campaign reaches more contacts than its `list_size`.
- Each campaign keeps half of the contacts of an equal share: its agents stay busy, and all of its hours stay observed.
- Campaigns that cannot be computed, that no advice is asked for, or that no manifest names, stay as they are. What they may take is not divided.

The reason names the duals: what one more call is worth. Agents are never shared between campaigns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.models import Capacity
from reconciler.optimize.base import Advice, Context, Declined, Subject
from reconciler.optimize.observations import RECENT

NAME: Final = "allocate"
NEEDS: Final = "capacity in tenant.yaml, at least two campaigns, and what erlang needs of each"
PROMISES: Final = "the dial rates and concurrent calls with which all campaigns together reach the most contacts, weighted by pacing.value_per_contact. In every hour of the next four weeks the open campaigns stay within the capacity. No dial rate is above that of erlang, and each campaign keeps at least half of the contacts of an equal share"
LOOK_BACK: Final = RECENT


def propose(subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
    """Return the best values for all subjects together. Free of IO, apart from the first import of SciPy."""
    everybody = sorted((*subjects, *context.others), key=lambda each: each.key)
    reason = _objection(everybody, context)
    if reason is not None:
        return tuple(Declined(each.key, each.name, reason) for each in subjects)
    from reconciler.optimize import division  # noqa: PLC0415 - numpy and SciPy take half a second to import

    return division.divide(subjects, everybody, context)


def _objection(everybody: Sequence[Subject], context: Context) -> str | None:
    """Return why nothing can be divided at all; `None` if something can be."""
    if all(each.dial_rate is None for each in everybody):
        return "skills have no rate in calls/s, so there is nothing to divide: use --strategy ratio"
    if context.capacity == Capacity():
        return "tenant.yaml declares no capacity to divide: write spec.capacity, such as {concurrent_calls: 600}, or use --strategy erlang"
    if context.partial:
        return "only a part of the tenant's manifests was read, and the others dial as well: name the tenant's folder, and correct manifests that are not valid"
    if len(everybody) == 1:
        return (
            "the tenant has one campaign only, so there is nothing to divide: use --strategy erlang"
        )
    return None
