"""The words of a report, for `reconcile explain words` and `.github/docs/words.md`.

A word has one meaning everywhere: in code, output and documentation. A test compares the words with the enumerations
whose values a report prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATES: Final[Mapping[str, str]] = {
    "desired": "The schedule that a manifest describes, in the form that the platform holds.",
    "live": "The schedule that the platform holds now, and whether its dialer uses it.",
    "base": "The schedule that reconcile applied last, from the ledger. It tells who changed what since: git, somebody outside git, or both.",
    "drift": "A difference between live and base: something was changed outside git since it was applied (`reconcile drift`).",
    "unmanaged": "A campaign or skill that has a schedule but no manifest. It is never changed.",
    "active": "The dialer uses the stored schedule. A schedule can be stored and not active yet.",
    "silent": "The object does not dial: no schedule is stored, and the dialer uses none.",
    "unverified": "The object was stopped, but its state could not be read since. Treat it as dialing.",
}
"""States of an object."""

ACTIONS: Final[Mapping[str, str]] = {
    "create": "Store a schedule for an object that has none.",
    "update": "Replace the stored schedule.",
    "retire": "Remove the schedule, because its manifest says `metadata.retired: true`. Or make the dialer drop a schedule that is not stored any more.",
    "refresh": "Make the dialer load a schedule that is stored as desired but not active yet.",
    "halt": "Remove the schedule at once (`reconcile halt`), whatever its manifest says.",
    "held": "Do nothing. Either a stop holds the object until `reconcile release`, or it was narrowed outside git. The row says how to keep and how to undo that.",
    "blocked": "A rule of level error stops the operation. Correct the manifest, or have the rule waived.",
}
"""Actions of a plan."""

DIRECTIONS: Final[Mapping[str, str]] = {
    "tighten": "The dialer may do less after the change. Tightenings are written first.",
    "loosen": "The dialer may do more after the change. Loosenings are written after every tightening is active.",
    "mixed": "The dialer may do more in one way and less in another. It counts as loosening.",
    "neutral": "The change does not change what the dialer may do.",
}
"""Directions of a change."""

DRIFTS: Final[Mapping[str, str]] = {
    "dialing": "An emergency stop holds the object, and it still dials or cannot be read: the stop was refused, its outcome is unknown, or somebody stored a schedule again.",
    "changed": "The stored schedule differs from the one applied last.",
    "recreated": "A schedule is stored, although reconcile removed it.",
    "unmanaged": "The object may dial, and no manifest describes it.",
    "unrecorded": "A schedule is stored that differs from its manifest, and reconcile never wrote to the object. Who differs is unknown.",
    "unreadable": "The platform's answer about the object cannot be read. So what it may do is unknown.",
    "inactive": "The dialer does not use the stored schedule. So what it may do is unknown.",
    "missing": "The schedule that was applied last is gone.",
    "held": "An emergency stop holds the object until `reconcile release`, or until the hold's last moment.",
}
"""Causes of drift (`reconcile drift`)."""

WAYS: Final[Mapping[str, str]] = {
    "widened": "The dialer may do more than was applied, or than a stop allows.",
    "mixed": "The dialer may do more in one way and less in another. It counts as widened.",
    "unknown": "A value cannot be read or judged, so its effect on dialing is unknown. It counts as widened.",
    "narrowed": "The dialer may do less than was applied.",
    "neutral": "The change does not change what the dialer may do.",
}
"""Directions of drift."""

RESULTS: Final[Mapping[str, str]] = {
    "created": "The schedule was created and is active.",
    "updated": "The schedule was replaced and is active.",
    "deleted": "The schedule was removed, and the dialer uses none.",
    "refreshed": "The dialer loaded a schedule that was stored earlier.",
    "confirmed": "The answer to a write was lost. Reading back showed that the write was done.",
    "stored not active": "The schedule is stored, but not active yet. The next apply finishes it.",
    "overtaken": "The schedule was stored, and changed by somebody else before it was verified.",
    "not as sent": "The platform stored other values than were sent, and they may dial more.",
    "stale": "The object changed since the operation was planned or approved. Nothing was written: plan again, and have the new plan approved.",
    "refused": "The platform refused the write, or a rule failed when it was checked again just before. Nothing was written.",
    "failed": "The operation failed.",
    "unknown": "A write was sent and its outcome could not be read. The next apply reads it back.",
    "not started": "The operation was not begun: a tightening before it is not active, or the run was interrupted or out of time.",
}
"""How an operation ended."""

APPROVALS: Final[Mapping[str, str]] = {
    "digest": "SHA-256 that names what a plan would do. An approval of a digest is an approval of exactly these operations.",
    "approved": "Somebody reviewed the plan, and apply may run its operations (`--approved`, `--expect`).",
    "not run": "Planned, but not executed: stale, not started, not approved, or left out by `--tighten-only`.",
    "weakened": "A setting of `tenant.yaml` that this commit makes less strict. The stricter value counts for this change, and the new one from the next change on.",
    "waived": "A rule does not count for an object, or for the tenant, until a day and with a reason.",
    "finding": "The result of a rule for an object or the tenant: `error`, `warning` or `info`.",
    "ledger": "The audit records of a tenant, in git notes.",
    "hold": "A record by which a stop keeps an object silent until `reconcile release`, or until its last day.",
}
"""Approval, rules and records."""
