"""A change that acts at once on a running object is reviewed before it is written.

PASS:

    platform: {skills: [{skill_id: "4001", running: false, maximum_ratio: 1.5}]}
    spec: {skill_id: "4001", maximum_ratio: 2}

FAIL:

    platform: {skills: [{skill_id: "4001", running: true, maximum_ratio: 1.5}]}
    spec: {skill_id: "4001", maximum_ratio: 2}

A change that only narrows is a warning. A change that widens is an error, which a waiver may allow.

Source: Personal Connection applies a pacing change when it is written, also while a skill dials. Needs the platform; not checked offline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler import diff, effect
from reconciler.models import Desired
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "running"
LEVEL: Final = Level.ERROR
WHEN: Final = "A change would widen a running skill at once (Personal Connection). Warning if it only narrows."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each running object with a change that would take effect at once."""
    for desired in facts.desired:
        yield from _of(desired, facts)


def _of(desired: Desired, facts: Facts) -> Iterator[Finding]:
    kind = facts.kinds[desired.kind]
    live = facts.live.readable(desired.key) if facts.live and kind.immediate else None
    if live is None or live.stored is None or desired.body is None or not live.running:
        return
    before = kind.canonical(live.stored)
    moved = [name for name in diff.moved(before, desired.body) if name in kind.immediate]
    if not moved:
        return
    widens = any(effect.of_field(name, before, desired.body, kind.rules).widens for name in moved)
    ends = (
        "stop it first, or waive this rule for this change"
        if widens
        else "it dials less from then on"
    )
    message = f"the {kind.words.object} is running, so a change of {', '.join(moved)} takes effect as soon as it is written: {ends}"
    yield about(desired, ID, LEVEL if widens else Level.WARNING, message, field=moved[0])
