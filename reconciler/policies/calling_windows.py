"""Every schedule says in which hours of the contact's own day it may dial.

PASS:

    spec:
      compliance_windows:
        - {timezone: America/New_York, start_hour: 9, end_hour: 20}

FAIL:

    spec: {compliance_windows: []}

A span that never meets a window would never dial: a warning.

Source: with no window the platform dials every contact through the whole span, nights included (campaigns API, "When it dials").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler import calendar
from reconciler.policies.base import Facts, Finding, Level, about

ID: Final = "calling-windows"
LEVEL: Final = Level.ERROR
WHEN: Final = "There is no calling window, so it would dial at any hour. Warning when the span never meets a window."


def check(facts: Facts) -> Iterator[Finding]:
    """Yield one finding for each object without a window, and one for each that can never dial inside its windows."""
    for desired in facts.desired:
        if desired.body is None:
            continue
        kind = facts.kinds[desired.kind]
        hours, words = kind.hours(desired.body), kind.words
        if not hours.windows:
            message = f"no calling window: it would dial every contact at any hour, nights included; add {words.windows}"
            yield about(desired, ID, LEVEL, message, field=words.windows)
        elif not calendar.ever_open(hours, facts.now):
            message = f"{words.span} never meets a calling window, so it would never dial"
            yield about(desired, ID, Level.WARNING, message, field=words.windows)
