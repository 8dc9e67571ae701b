"""Seeds of a Personal Connection platform: the state that matches the sample manifests of `sandbox-pc`, and a state of any size."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler.sandbox.campaign_seed import SAMPLE_CLOCK
from reconciler.sandbox.clock import parse_instant
from reconciler.sandbox.skill_state import SkillState, a_pace, a_week

_EASTERN, _CENTRAL = "Eastern Standard Time", "Central Standard Time"
_MOUNTAIN, _PACIFIC = "Mountain Standard Time", "Pacific Standard Time"


def open_skill_samples(path: str | Path | None = None, **options: Any) -> SkillState:
    """Open a platform of skills; one that is empty gets the samples, and their clock.

    Args:
        path: state file; `None` keeps it in memory.
        **options: as `SkillState.open` takes them.

    Raises:
        SandboxError: the file cannot be used.
    """
    state = SkillState.open(path, **options)
    with state.transaction():
        if state.empty:
            seed_skill_samples(state)
    return state


def seed_skill_samples(state: SkillState) -> None:
    """Fill a platform so that the sample manifests find a loosening, two tightenings (one of a running skill) and a no-op.

    Beside them stand a skill that no manifest names, one that takes calls and one that dials by hand.
    """
    with state.transaction():
        state.pin("2027-02-15T09:30:00Z")
        state.put_unit()
        for skill_id, (name, running, more) in _SAMPLES.items():
            state.put_skill(skill_id, name, running=running, **more)
        state.put_skill(4008, "Service Desk", outbound=False, strategy="")
        state.put_skill(4009, "Key Accounts", strategy="Manual")
        for group_id, (name, removed, skills) in _GROUPS.items():
            state.put_group(group_id, name, removed=removed, skills=skills)
        for skill_id, (dials, answered) in _OBSERVED.items():
            _put_hours(state, skill_id, dials, answered)
        state.pin(SAMPLE_CLOCK)


def seed_many_skills(state: SkillState, count: int) -> None:
    """Add `count` skills that differ in hours, pace and zones, all scrubbed by one group."""
    zones = (_EASTERN, _CENTRAL, _MOUNTAIN, _PACIFIC)
    with state.transaction():
        state.put_unit()
        for i in range(count):
            state.put_skill(
                100_000 + i,
                f"Skill {100_000 + i}",
                schedule=a_week("08:00", f"{18 + i % 4}:30"),
                zones=dict.fromkeys(zones[: 1 + i % 4], ("09:00", "20:00")),
                general=a_pace(1 + (i % 9) / 4),
            )
        state.put_group(90, "Everybody", skills=range(100_000, 100_000 + count))


_SAMPLES: Final[Mapping[int, tuple[str, bool, dict[str, Any]]]] = {
    4001: (
        "Renewals",
        False,
        {"zones": {_EASTERN: ("09:00", "18:00")}, "general": {"maximumRatio": 1.2}},
    ),
    4002: (
        "Fiber Upgrade",
        False,
        {
            "schedule": {**a_week("08:00", "22:00"), "sundayStartTime": "10:00"},
            "zones": {_EASTERN: ("08:00", "21:00"), _CENTRAL: ("08:00", "21:00")},
        },
    ),
    4003: ("Payment Reminders", True, {"zones": {_MOUNTAIN: ("09:00", "20:00")}}),
    4004: ("Appointment Confirmations", True, {"zones": {_PACIFIC: ("09:00", "19:00")}}),
    4005: ("Partner Overflow", False, {}),
}
_GROUPS: Final[Mapping[int, tuple[str, bool, tuple[int, ...]]]] = {
    70: ("National Do Not Call Registry", False, (4001, 4002, 4003, 4004)),
    71: ("Internal Suppression", False, (4002, 4003)),
    72: ("Suppression 2019", True, ()),
}
_OBSERVED: Final[Mapping[int, tuple[int, float]]] = {4002: (6_000, 0.3), 4003: (4_000, 0.4)}
"""Dials of a full hour, and the share that was connected, of the two weeks before the samples."""


def _put_hours(state: SkillState, skill_id: int, dials: int, answered: float) -> None:
    end = parse_instant(SAMPLE_CLOCK).replace(hour=0)
    for day in range(14, 0, -1):
        for hour in range(15, 24):
            start = (end - timedelta(days=day)).astimezone(UTC).replace(hour=hour)
            quiet = abs(hour - 19) + day % 3
            tried = dials - 200 * quiet
            connects = round(tried * (answered - 0.005 * quiet))
            figures = {
                "dials": tried,
                "connects": connects,
                "rightPartyConnects": round(connects * 0.6),
                "abandons": round(connects * 0.02),
                "connectsAHT": 150 + 2 * quiet,
            }
            state.put_contacts(skill_id, start, figures)
