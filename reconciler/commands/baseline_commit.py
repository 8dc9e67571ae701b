"""Decide whether a commit becomes the policy baseline of the next change once it is applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.audit import Event, Run
from reconciler.plan import Action, Plan

NO_JUDGE: Final = "the settings that this commit weakens will not count for the next change either: first apply, without names, a commit that contains only the weakening"
"""Note on a commit that may not be the baseline."""


def may_judge(plan: Plan, names: Sequence[str]) -> bool:
    """Return whether a commit, once applied, may be the policy baseline of the next change.

    A commit that weakens a rule may not be the baseline in two cases. First, if it also contains a change that the rule refuses now:
    otherwise an empty commit after it would let the change pass. Second, if only a part of the commit is planned.
    """
    strictness = plan.strictness
    if not strictness.weakenings:
        return True
    refused = (each for each in plan.operations if each.blocked and each.action is not Action.HELD)
    own = any(
        each.direction.widens and (strictness.shared or each.place.file in strictness.changed)
        for each in refused
    )
    return not names and not own


def judged(plan: Plan, run: Run) -> tuple[Event, ...]:
    """Return the record that makes a commit without operations the next policy baseline; empty if the record would change nothing."""
    refused = plan.refused and not plan.strictness.recorded
    if run.judges and (plan.strictness.pending or refused):
        return (run.nothing_to_do([each.setting for each in plan.strictness.weakenings]),)
    return ()
