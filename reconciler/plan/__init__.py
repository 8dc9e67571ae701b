"""The plan: a value, sorted and serialisable, the same for the same inputs on any machine.

`build` is the only planner: what `plan` shows is what `apply` executes. The digest names exactly what would be done; an
approval of a digest is an approval of these operations and of nothing else.
"""

from reconciler.plan.approval import (
    SHARES_FROM,
    Approval,
    Cut,
    approval_from,
    approved,
    beyond,
    hold_against,
    serialised,
)
from reconciler.plan.base import Base, MovedBy
from reconciler.plan.build import build, live_hash
from reconciler.plan.drift import drift
from reconciler.plan.drift_values import (
    Cause,
    Drift,
    Drifted,
    Fate,
    FieldDrift,
    Hold,
    Known,
    LastWrite,
    Way,
)
from reconciler.plan.holds import is_unseen
from reconciler.plan.saved import Remarks, SavedPlan, read_saved, require_whole, saved
from reconciler.plan.strictness import (
    Protections,
    Strictness,
    Weakening,
    changes_strictness,
    other_changes,
    protections,
    stricter,
    without_exceptions,
)
from reconciler.plan.values import (
    DONE,
    FAILURES,
    FORMAT_VERSION,
    STORED,
    Action,
    Operation,
    Origin,
    Outcome,
    Plan,
    Result,
    canonical_json,
    digest_of,
    only,
    sha256_of,
)

__all__ = [
    "DONE",
    "FAILURES",
    "FORMAT_VERSION",
    "SHARES_FROM",
    "STORED",
    "Action",
    "Approval",
    "Base",
    "Cause",
    "Cut",
    "Drift",
    "Drifted",
    "Fate",
    "FieldDrift",
    "Hold",
    "Known",
    "LastWrite",
    "MovedBy",
    "Operation",
    "Origin",
    "Outcome",
    "Plan",
    "Protections",
    "Remarks",
    "Result",
    "SavedPlan",
    "Strictness",
    "Way",
    "Weakening",
    "approval_from",
    "approved",
    "beyond",
    "build",
    "canonical_json",
    "changes_strictness",
    "digest_of",
    "drift",
    "hold_against",
    "is_unseen",
    "live_hash",
    "only",
    "other_changes",
    "protections",
    "read_saved",
    "require_whole",
    "saved",
    "serialised",
    "sha256_of",
    "stricter",
    "without_exceptions",
]
