"""No schedule exceeds the tenant's limits for rate, ratio and concurrent calls, or uses a time zone or list that the tenant does not have.

PASS:

    platform: {settings: {max_dial_rate: 50}}
    spec: {dial_rate: 50}

FAIL:

    platform: {settings: {max_dial_rate: 50}}
    spec: {dial_rate: 50.5}

Source: the campaigns API answers a body above the dialer's settings with 400. The rule reports that before anything is sent.
Needs the platform; not checked offline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.kinds import Kind
from reconciler.models import Desired
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "tenant-limits"
LEVEL: Final = Level.ERROR
WHEN: Final = (
    "The manifest asks for more than the tenant has: rate, ratio, concurrent calls, a zone, a list."
)


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each quantity above its limit."""
    if facts.live is None:
        return
    limits = facts.live.ceilings
    for desired in facts.desired:
        if desired.body is not None:
            asked = facts.kinds[desired.kind].ceilings(desired.body)
            for quantity, value in asked.items():
                if value > limits.get(quantity, value):
                    yield _finding(desired, quantity, value, limits[quantity])
            yield from _not_offered(desired, facts.kinds[desired.kind], facts.live.offers)


def _not_offered(
    desired: Desired, kind: Kind, offers: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Yield one finding for each field with a value that the platform does not offer, such as an unknown list."""
    for field, named in kind.choices(desired.body or {}).items():
        missing = sorted(named - offers.get(field, named))
        if missing:
            there = ", ".join(sorted(offers[field])) or "none"
            message = f"{field} names {', '.join(missing)}, which the platform does not have here; it has {there}"
            yield about(desired, ID, LEVEL, message, field=field)


def _finding(desired: Desired, quantity: str, value: float, limit: float) -> Finding:
    message = f"{quantity} {value:g} is above the tenant's limit of {limit:g}: lower it, or have the dialer's settings raised"
    return about(desired, ID, LEVEL, message, field=quantity)
