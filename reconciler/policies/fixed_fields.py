"""A field that no write can change equals what the platform has.

PASS:

    platform: {skills: [{skill_id: "4001", timezone: America/Chicago}]}
    spec: {skill_id: "4001", timezone: America/Chicago}

FAIL:

    platform: {skills: [{skill_id: "4001", timezone: America/New_York}]}
    spec: {skill_id: "4001", timezone: America/Chicago}

The failing manifest names another time zone than its business unit has. Every hour of its week would be another hour there.

Source: the Personal Connection API reads a skill's week in the business unit's zone, which reconcile cannot change.
Needs the platform; not checked offline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler import diff
from reconciler.models import Desired
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "fixed-fields"
LEVEL: Final = Level.ERROR
WHEN: Final = "A field that no write can change, such as a skill's zone, differs from the manifest. Always blocks: no level and no waiver changes that."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each such field that differs. It stops its object: the rest of the body may mean something else, too."""
    for desired in facts.desired:
        yield from _of(desired, facts)


def _of(desired: Desired, facts: Facts) -> Iterator[Finding]:
    kind = facts.kinds[desired.kind]
    live = facts.live.readable(desired.key) if facts.live and kind.fixed else None
    if live is None or live.stored is None or desired.body is None:
        return
    stored = kind.canonical(live.stored)
    for field in sorted(kind.fixed.intersection(diff.moved(stored, desired.body))):
        message = f"{field} is {stored.get(field)} on the platform and cannot be changed by reconcile, and the manifest says {desired.body.get(field)}: correct the manifest"
        yield about(desired, ID, LEVEL, message, field=field, stops=True)
