"""A manifest names an object that the platform has, by the name that it has there.

PASS:

    platform: {campaigns: [{id: "1001", name: Spring Renewals}]}
    metadata: {campaign_name: Spring Renewals}
    spec: {campaign_id: "1001"}

FAIL:

    platform: {campaigns: [{id: "1001", name: Debt Reminders}]}
    metadata: {campaign_name: Spring Renewals}
    spec: {campaign_id: "1001"}

FAIL:

    platform: {campaigns: [{id: "1001", name: Spring Renewals}]}
    spec: {campaign_id: "10001"}

The object is left alone whatever the change would do: a typo in an id must not narrow or stop somebody else's campaign.

Source: the manifest format. Needs the platform; says nothing offline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.models import Desired
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "identity"
LEVEL: Final = Level.ERROR


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each object that the platform does not know, or knows by another name."""
    if facts.live is None:
        return
    for desired in facts.desired:
        live = facts.live.objects.get(desired.key)
        if live is None:
            yield from _unknown(desired)
        elif desired.platform_name is not None and desired.platform_name != live.name:
            message = f'the platform calls {desired.key} "{live.name}", not "{desired.platform_name}": one of the two is a slip'
            yield about(desired, ID, LEVEL, message, stops=True)


def _unknown(desired: Desired) -> Iterator[Finding]:
    if not desired.retired:
        yield about(
            desired,
            ID,
            LEVEL,
            f"the platform has no campaign {desired.key}: create it there, or correct the id",
            stops=True,
        )
