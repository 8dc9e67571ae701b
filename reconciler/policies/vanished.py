"""The manifest of an applied schedule stays in git. Absence never deletes, so the schedule would keep dialing unmanaged.

PASS:

    applied: {"1001": spring-renewals}
    metadata: {retired: true}
    spec: {campaign_id: "1001"}

FAIL:

    applied: {"1001": spring-renewals}

In the failing example the manifest was deleted from git while the platform still holds the applied schedule. A tombstone
(`metadata.retired: true`) stays until the removal is verified.

Source: the ledger's last outcome for the object. Not checked without a ledger, or when the platform holds nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.policies.base import Facts, Finding, Level

ID: Final = "vanished"
LEVEL: Final = Level.WARNING
WHEN: Final = "A schedule that was applied is still on the platform, and its manifest is gone."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each object that the ledger knows, the platform holds and no manifest names."""
    if facts.live is None:
        return
    named = {desired.key for desired in facts.desired}
    now = {desired.name: desired.key for desired in facts.desired}
    for key, name in sorted(facts.applied.items()):
        live = facts.live.objects.get(key)
        if (
            key not in named
            and live is not None
            and (live.stored is not None or live.active_id is not None)
        ):
            removal = next(iter(facts.kinds.values())).words.removal
            message = (
                f"manifest {name} was {key} and is now {now[name]}, but what it applied still stands on {key}: correct the id, or retire {key} with a manifest"
                " of another name (metadata.retired: true)"
                if name in now
                else f"manifest {name} is gone, but what it applied still stands on {key}: {removal}"
            )
            yield Finding(ID, LEVEL, message, key=key, name=name)
