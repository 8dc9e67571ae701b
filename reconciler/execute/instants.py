"""Check the platform's timestamps. A plausible timestamp lies between intent and read-back, measured by the platform's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isinf
from typing import Final

from reconciler import scalars
from reconciler.errors import SHORTENED_TO, safe
from reconciler.execute.platform import Platform

RESOLUTION_S: Final = 1.0
"""Timestamps may be cut to whole seconds, so one may be up to a second too early."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time between intent and read-back of a write, on the platform's clock.

    Attributes:
        begun, seen: start and end.
        slack_s: seconds by which a plausible timestamp may lie outside: the uncertainty of the clock, and its resolution.
    """

    begun: datetime
    seen: datetime
    slack_s: float

    def holds(self, text: str | None) -> bool:
        """Return whether a timestamp is plausible. A missing or unreadable timestamp is not."""
        moment = _instant(text)
        slack = timedelta(seconds=self.slack_s)
        return moment is not None and self.begun - slack <= moment <= self.seen + slack

    def latency_s(self, stored: str | None, activated: str | None) -> float | None:
        """Return the seconds from stored to active; `None` when a timestamp is not plausible, or they are in the wrong order."""
        first, last = _instant(stored), _instant(activated)
        if first is None or last is None or not (self.holds(stored) and self.holds(activated)):
            return None
        return (last - first).total_seconds() if last >= first else None

    def doubt(self, stored: str | None, activated: str | None) -> str:
        """Return a sentence about implausible timestamps; empty when all are plausible."""
        told = {"stored": stored, "activated": activated}
        wrong = {
            name: text for name, text in told.items() if text is not None and not self.holds(text)
        }
        if not wrong and stored and activated and self.latency_s(stored, activated) is None:
            wrong = {"stored": stored, "activated": activated}
        if not wrong:
            return ""
        said = " and ".join(
            f"{name} at {safe(text, limit=SHORTENED_TO)}" for name, text in wrong.items()
        )
        return f"the platform reports {said}, which its own clock contradicts: it was written between {_text(self.begun)} and {_text(self.seen)}, and the latency is unknown"


def since(begun: datetime | None, platform: Platform) -> Span | None:
    """Return the span from an intent to now; `None` when the platform's clock is not known."""
    seen, uncertainty_s = platform.now, platform.uncertainty_s
    if begun is None or seen is None or isinf(uncertainty_s):
        return None
    return Span(begun, seen, uncertainty_s + RESOLUTION_S)


def believed(span: Span | None, text: str | None) -> str | None:
    """Return a timestamp if it is plausible, else `None`."""
    return text if span is not None and span.holds(text) else None


def _instant(text: str | None) -> datetime | None:
    try:
        return scalars.instant(text)
    except ValueError:
        return None


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
