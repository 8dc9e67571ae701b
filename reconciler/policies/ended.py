"""A schedule that has ended is retired, or given a new end.

PASS:

    platform: {clock: "2027-01-12T14:00:00Z"}
    spec: {end_time: "2027-01-15 18:00"}

FAIL:

    platform: {clock: "2027-01-15T23:00:00Z"}
    spec: {end_time: "2027-01-15 18:00"}

Source: an ended schedule does not dial, so a manifest that still describes it misleads. The clock is the platform's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.models import wall_time
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "ended"
LEVEL: Final = Level.WARNING
WHEN: Final = "The end has passed, by the platform's clock."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each object whose span is over."""
    for desired in facts.desired:
        if desired.body is not None:
            end = facts.kinds[desired.kind].end(desired.body)
            if end is not None and end <= facts.now:
                there = desired.body["timezone"]
                when = wall_time(f"{end:%Y-%m-%dT%H:%M:%SZ}", there)
                message = (
                    f"it ended on {when} {there}: set metadata.retired: true, or a later end_time"
                )
                yield about(desired, ID, LEVEL, message, field="end_time")
