"""Every campaign that dials has an ACTIVE do-not-call list linked to it, whatever its own flag says.

PASS:

    platform: {lists: [{id: dnc-1, status: ACTIVE, campaign_ids: ["1001"]}]}
    spec: {campaign_id: "1001", dnc_verification: false}

FAIL:

    platform: {lists: [{id: dnc-1, status: INACTIVE, campaign_ids: ["1001"]}, {id: dnc-2, status: ACTIVE, campaign_ids: ["1002"]}]}
    spec: {campaign_id: "1001"}

A list that is SYNCING is a warning: the dialer will not take a refresh until it is done, and `apply` waits for it.

Source: the product's brief. Needs the platform; says nothing offline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.models import Desired
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "dnc-list"
LEVEL: Final = Level.ERROR


def check(facts: Facts) -> Iterator[Finding]:
    """Yield an error for an object without an ACTIVE list, a warning for each list that is SYNCING."""
    if facts.live is None:
        return
    for desired in facts.desired:
        if desired.body is not None and desired.key in facts.live.objects:
            yield from _of(desired, facts)


def _of(desired: Desired, facts: Facts) -> Iterator[Finding]:
    if facts.live is None or desired.body is None:
        return
    kind = facts.kinds[desired.kind]
    linked = facts.live.linked(desired.key, kind.lists(desired.body))
    syncing = [entry for entry in linked if entry.status == "SYNCING"]
    for entry in syncing:
        message = f"DNC list {entry.name} ({entry.id}) is SYNCING: the dialer takes no refresh until it is ACTIVE"
        yield about(desired, ID, Level.WARNING, message)
    if not syncing and not any(entry.status == "ACTIVE" for entry in linked):
        has = (
            f"only {', '.join(f'{entry.name} ({entry.status})' for entry in linked)}"
            if linked
            else "none"
        )
        yield about(
            desired,
            ID,
            LEVEL,
            f"no ACTIVE DNC list is linked to this {kind.words.object} ({has}): {kind.words.link}",
        )
