"""Every campaign that dials has an ACTIVE do-not-call list linked to it, whatever its own flag says.

PASS:

    platform: {lists: [{id: dnc-1, status: ACTIVE, campaign_ids: ["1001"]}]}
    spec: {campaign_id: "1001", dnc_verification: false}

FAIL:

    platform: {lists: [{id: dnc-1, status: INACTIVE, campaign_ids: ["1001"]}, {id: dnc-2, status: ACTIVE, campaign_ids: ["1002"]}]}
    spec: {campaign_id: "1001"}

FAIL:

    platform: {lists: [{id: dnc-1, status: SYNCING, campaign_ids: ["1001"]}]}
    spec: {campaign_id: "1001"}

A list that is SYNCING beside an ACTIVE one is a warning: the dialer takes no refresh until the sync is done, and `apply` waits for it.
A list that is SYNCING alone checks nothing: an error.

Source: the product's brief. Needs the platform; not checked offline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from reconciler.models import Desired
from reconciler.policies.base import Facts, Finding, Level, about

if TYPE_CHECKING:
    from reconciler.kinds import Kind
    from reconciler.kinds.live import ScrubList

ID: Final = "dnc-list"
LEVEL: Final = Level.ERROR
WHEN: Final = "No ACTIVE do-not-call list is linked, whatever the flag says. Warning for each list that is SYNCING beside an ACTIVE one."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield an error for an object without an ACTIVE list; else a warning for each list that is SYNCING."""
    if facts.live is None:
        return
    for desired in facts.desired:
        if desired.body is not None and desired.key in facts.live.objects:
            kind = facts.kinds[desired.kind]
            linked = facts.live.linked(desired.key, kind.lists(desired.body))
            yield from _of(desired, linked, kind)


def _of(desired: Desired, linked: Sequence[ScrubList], kind: Kind) -> Iterator[Finding]:
    if any(entry.status == "ACTIVE" for entry in linked):
        for entry in linked:
            if entry.status == "SYNCING":
                message = f"DNC list {entry.name} ({entry.id}) is SYNCING: the dialer takes no refresh until it is ACTIVE"
                yield about(desired, ID, Level.WARNING, message)
        return
    only = ", ".join(f"{entry.name} ({entry.status})" for entry in linked)
    has = f"only {only}" if linked else "none"
    wait = any(entry.status == "SYNCING" for entry in linked)
    advice = f"{kind.words.link}{', or wait until the sync is done' if wait else ''}"
    message = f"no ACTIVE DNC list is linked to this {kind.words.object} ({has}): {advice}"
    yield about(desired, ID, LEVEL, message)
