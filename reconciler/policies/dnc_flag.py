"""Numbers are checked against do-not-call lists when they are dialed.

PASS:

    spec: {dnc_verification: true}

FAIL:

    spec: {dnc_verification: false}

Source: the product's brief. A linked list protects nobody while the flag is off, so the flag has a rule of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "dnc-flag"
LEVEL: Final = Level.WARNING
WHEN: Final = "Numbers are dialed without a check against do-not-call lists."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each object that dials unchecked numbers."""
    for desired in facts.desired:
        kind = facts.kinds[desired.kind]
        if desired.body is not None and not kind.scrubs(desired.body):
            message = f"numbers are dialed without a check against DNC lists: {kind.words.scrub}"
            yield about(desired, ID, LEVEL, message, field=kind.words.scrubs)
