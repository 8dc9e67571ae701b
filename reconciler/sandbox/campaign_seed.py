"""Seeds of a campaigns platform: the state that matches the sample manifests, and a state of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.sandbox.campaign_state import CampaignState
from reconciler.sandbox.clock import parse_instant

SAMPLE_CLOCK = "2027-03-01T12:00:00Z"
"""When the samples take place: two weeks before the clocks change in the US, four before they do in Europe."""

_EARLIER = "2027-02-15T09:30:00Z"
"""When the schedules that the samples find were stored by hand."""

_NEW_YORK, _CHICAGO, _SYDNEY = "America/New_York", "America/Chicago", "Australia/Sydney"


def open_samples(path: str | Path | None = None, **options: Any) -> CampaignState:
    """Open a platform; one that is empty gets the samples, and their clock. Two processes may call this at the same time.

    Args:
        path: state file; `None` keeps it in memory.
        **options: as `CampaignState.open` takes them.

    Raises:
        SandboxError: the file cannot be used.
    """
    state = CampaignState.open(path, **options)
    with state.transaction():
        if state.empty:
            seed_samples(state)
    return state


def seed_samples(state: CampaignState) -> None:
    """Fill a platform so that the sample manifests find three creates, an update, a retirement and a no-op.

    Beside them stand three campaigns that no manifest names, and DNC lists of every status. The clock is pinned to
    `SAMPLE_CLOCK`, so the samples never rot.
    """
    with state.transaction():
        state.pin(_EARLIER)
        for campaign_id, (name, schedule) in _SAMPLES.items():
            body = None if schedule is None else {"campaign_id": campaign_id, **schedule}
            state.put_campaign(campaign_id, name, schedule=body)
        for list_id, (name, status, campaigns) in _LISTS.items():
            state.put_list(list_id, name, status=status, campaign_ids=campaigns)
        for campaign_id, (attempts, answered) in _OBSERVED.items():
            _put_hours(state, campaign_id, attempts, answered)
        state.pin(SAMPLE_CLOCK)


def seed_many(
    state: CampaignState, count: int, *, body: Callable[[int], Mapping[str, Any]] | None = None
) -> None:
    """Add `count` campaigns, each with a schedule stored and active, all linked to one ACTIVE list.

    Args:
        state: the platform to fill.
        count: number of campaigns.
        body: schedule of the `i`th campaign, with its `campaign_id`; default `bulk_body`.
    """
    made = [(body or bulk_body)(i) for i in range(count)]
    with state.transaction():
        state.put_campaigns((b["campaign_id"], f"Campaign {b['campaign_id']}", b) for b in made)
        ids = [b["campaign_id"] for b in made]
        state.put_list("dnc-bulk", "Everybody", campaign_ids=ids)


def bulk_body(i: int) -> dict[str, Any]:
    """Return the schedule of the `i`th campaign of `seed_many`: canonical, within the default limits."""
    zone = (_NEW_YORK, _CHICAGO, "America/Denver", "America/Los_Angeles")[i % 4]
    return _schedule(
        zone, "2027-03-08T14:00:00Z", "2027-06-30T23:00:00Z", 1.0 + i % 40, 100 + i % 900
    ) | {"campaign_id": str(1_000_000 + i)}


def _schedule(
    zone: str,
    start: str,
    end: str,
    rate: float,
    calls: int,
    hours: tuple[int, int] = (9, 20),
    others: tuple[str, ...] = (),
) -> dict[str, Any]:
    windows = [
        {"timezone": name, "start_hour": hours[0], "end_hour": hours[1]}
        for name in sorted((zone, *others))
    ]
    return {
        "timezone": zone,
        "start_time": start,
        "end_time": end,
        "dial_rate": rate,
        "max_concurrent_calls": calls,
        "compliance_windows": windows,
        "dnc_verification": True,
    }


_SAMPLES: Mapping[str, tuple[str, dict[str, Any] | None]] = {
    "1001": ("Spring Renewals", None),
    "1002": ("Home Broadband Upgrade", None),
    "1003": (
        "Warranty Reminders",
        _schedule(_CHICAGO, "2027-02-15T15:00:00Z", "2027-04-10T01:00:00Z", 3.0, 300),
    ),
    "1004": (
        "Loyalty Survey",
        _schedule(_SYDNEY, "2027-02-21T22:00:00Z", "2027-04-09T07:00:00Z", 0.8, 120, (9, 17)),
    ),
    "1005": (
        "Winter Clearance",
        _schedule(_NEW_YORK, "2027-01-11T14:00:00Z", "2027-03-13T01:00:00Z", 2.5, 260),
    ),
    "1006": ("Appointment Reminders", None),
    "2001": (
        "Collections Pilot",
        _schedule(_NEW_YORK, "2027-02-01T14:00:00Z", "2027-05-01T00:00:00Z", 1.0, 80),
    ),
    "2002": (
        "Partner Overflow",
        _schedule(_CHICAGO, "2027-02-08T15:00:00Z", "2027-04-01T01:00:00Z", 1.5, 150),
    ),
    "2003": ("Unassigned", None),
}
_LISTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "dnc-au": ("Do Not Call Register", "ACTIVE", ("1004",)),
    "dnc-gb": ("Telephone Preference Service", "ACTIVE", ("1002",)),
    "dnc-internal": ("Internal suppression", "ACTIVE", ("1001", "1002", "1003", "1006", "2002")),
    "dnc-old": ("Suppression 2019", "INACTIVE", ()),
    "dnc-partner": ("Partner suppression", "SYNCING", ("2002",)),
    "dnc-us": ("National Do Not Call Registry", "ACTIVE", ("1001", "1003", "1005", "1006", "2001")),
}
_OBSERVED: Mapping[str, tuple[int, float]] = {"1003": (9_000, 0.35), "1005": (7_500, 0.22)}
"""By campaign: attempts in a full hour, and the share of them that was answered, for the two weeks before the samples."""


def _put_hours(state: CampaignState, campaign_id: str, attempts: int, answered: float) -> None:
    """Record hourly metrics for the two weeks before `SAMPLE_CLOCK`: the same curve each day, lower at its ends."""
    end = parse_instant(SAMPLE_CLOCK).replace(hour=0)
    for day in range(14, 0, -1):
        for hour in range(15, 24):
            start = (end - timedelta(days=day)).astimezone(UTC).replace(hour=hour)
            state.put_metrics(campaign_id, start, _bucket(start, attempts, answered))


def _bucket(start: datetime, attempts: int, answered: float) -> dict[str, float]:
    quiet = abs(start.hour - 19) + start.day % 3
    tried = attempts - 300 * quiet
    answers = round(tried * (answered - 0.005 * quiet))
    return {
        "attempts": tried,
        "answers": answers,
        "abandons": round(answers * 0.02),
        "agents": 140 - 4 * quiet,
        "handle_time_s": 150 + 2 * quiet,
    }
