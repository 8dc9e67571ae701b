"""What an apply observed of one write, for the record of its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from reconciler.audit.values import shortened
from reconciler.kinds.live import ScrubList


class Observed(TypedDict, total=False):
    """What apply observed of one write. A missing key was not observed."""

    at: str | None
    """When the write took effect, as the platform wrote it; `None`: the time of the record counts."""
    dnc_verified: bool | None
    """Whether scrubbing was on and an ACTIVE list linked at apply; `None`: not checked."""
    dnc_lists: Sequence[ScrubList]
    """The do-not-call lists linked at apply."""
    schedule_id: str | None
    """The platform's id of what it now stores."""
    etag: str | None
    """The platform's ETag of what it now stores: the condition of a later stop."""
    latency_s: float | None
    """Seconds from stored to active, by the platform's clock."""
    live: str | None
    """Hash of what was read back."""
    message: str | None
    """For people: why the write did not end well, or what to know although it did."""


def observed_fields(observed: Observed) -> dict[str, Any]:
    """Return what was observed as fields of an outcome."""
    lists = sorted(observed.get("dnc_lists", ()), key=lambda each: each.id)
    latency_s = observed.get("latency_s")
    return {
        "dnc_lists": [
            {"id": each.id, "status": each.status, "updated_at": each.updated_at} for each in lists
        ],
        "dnc_verified": observed.get("dnc_verified"),
        "latency_s": None if latency_s is None else round(float(latency_s), 3),
        "live": observed.get("live"),
        "message": shortened(observed.get("message")),
        "schedule_id": observed.get("schedule_id"),
        **({} if observed.get("etag") is None else {"etag": observed.get("etag")}),
    }
