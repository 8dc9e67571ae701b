"""A manifest names an object that exists on the platform, by its name there.

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

FAIL:

    platform: {campaigns: [{id: "1061", name: Debt Reminders}]}
    spec: {campaign_id: "1061"}
    repointed: {"1061": "1037"}

The last manifest named 1037 at the commit that was applied before. A manifest may point at another object only with that object's name beside
the id. A name that a change removes is compared once more.

An object that the platform has but this API cannot manage is reported with the reason.

The finding blocks every operation on the object: a typo in an id must not narrow or stop somebody else's campaign.

Source: the manifest format. Needs the platform; not checked offline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.models import MANIFESTS, Desired
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "identity"
LEVEL: Final = Level.ERROR
WHEN: Final = "The platform does not know the id, or has another name for it; its answer about the object cannot be read; the object cannot be managed; or a change points a manifest at another object without naming that object. Always blocks: no level and no waiver changes that."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each object that the platform does not know, or knows by another name, and for each that cannot be read."""
    if facts.live is None:
        return
    for desired in facts.desired:
        live = facts.live.objects.get(desired.key)
        if (odd := facts.live.unreadable.get(desired.key)) is not None:
            noun = facts.kinds[desired.kind].words.object
            message = f"the platform's answer about {noun} {desired.key} cannot be read: {odd}: correct it on the platform"
            yield about(desired, ID, LEVEL, message, stops=True)
        elif live is None:
            yield from _unknown(desired, facts)
        elif (expected := desired.platform_name or facts.names.get(desired.key)) not in {
            None,
            live.name,
        }:
            message = f'the platform calls {desired.key} "{live.name}", not "{expected}": correct the name or the id'
            yield about(desired, ID, LEVEL, message, stops=True)
        elif desired.key in facts.repointed and desired.platform_name is None:
            was = facts.repointed[desired.key]
            field = MANIFESTS[desired.kind].named_by
            message = f"this manifest was {was} and is now {desired.key}: correct the id, or confirm the new one with metadata.{field}, the name that the platform has for it"
            yield about(desired, ID, LEVEL, message, stops=True)


def _unknown(desired: Desired, facts: Facts) -> Iterator[Finding]:
    """Yield a finding for an object that the platform does not have, or that cannot be managed. A tombstone's object may be gone."""
    why = facts.live.unfit.get(desired.key) if facts.live else None
    if desired.retired and why is None:
        return
    noun = facts.kinds[desired.kind].words.object
    text = why or f"the platform has no {noun} {desired.key}: create it there, or correct the id"
    yield about(desired, ID, LEVEL, text, stops=True)
