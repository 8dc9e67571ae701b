"""Agents and handle time in each open hour: from the observations where there are any, else from the manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from reconciler.models import zone
from reconciler.optimize.base import OpenHour, Subject
from reconciler.optimize.hours import cell
from reconciler.pacing import Bucket

RECENT: Final = 4
"""Observations of an hour of the week whose mean counts as its agents: the last four weeks."""

CALLS_TO_TRUST: Final = 500
"""Answered calls whose mean handle time counts as much as that of all hours together."""

_Cell: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Staffing:
    """Agents and handle time by hour of the week.

    Attributes:
        agents: mean agents by weekday and hour.
        handle_time_s: mean handle time by weekday and hour, in seconds.
        usual_agents: agents in all other hours; `None`: unknown.
        usual_handle_time_s: handle time in all other hours; `None`: unknown.
    """

    agents: Mapping[_Cell, float]
    handle_time_s: Mapping[_Cell, float]
    usual_agents: float | None
    usual_handle_time_s: float | None

    def at(self, hour: OpenHour) -> tuple[float, float]:
        """Return agents and handle time of an open hour. Only if nothing is `missing`."""
        where = (hour.weekday, hour.hour)
        agents = self.agents.get(where, self.usual_agents)
        handle_time_s = self.handle_time_s.get(where, self.usual_handle_time_s)
        if agents is None or handle_time_s is None:
            raise ValueError(f"agents or handle time are unknown at {where}")
        return agents, handle_time_s

    @property
    def missing(self) -> tuple[str, ...]:
        """The keys of `pacing` that must be written because nothing was observed."""
        known = {"agents": self.usual_agents, "handle_time_s": self.usual_handle_time_s}
        return tuple(f"pacing.{name}" for name, value in known.items() if value is None)


def of(subject: Subject) -> Staffing:
    """Return the staffing of an object.

    Hours without attempts say nothing about agents: nobody dialed. An open hour that was not observed has the manifest's agents,
    or else the fewest that were observed in another hour of the week.

    Raises:
        ValueError: the zone is unknown.
    """
    where = zone(subject.zone)
    cells = defaultdict[_Cell, list[Bucket]](list)
    for bucket in sorted(subject.observed, key=lambda each: each.start):
        cells[cell(bucket.start, where)].append(bucket)
    agents = {at: mean for at, each in cells.items() if (mean := _mean_agents(each)) is not None}
    usual = _mean_handle_time(subject.observed, subject.pacing.handle_time_s)
    handled = {
        at: mean
        for at, each in cells.items()
        if usual is not None and (mean := _mean_handle_time(each, usual)) is not None
    }
    fewest = min(agents.values(), default=None)
    return Staffing(agents, handled, subject.pacing.agents or fewest, usual)


def _mean_agents(buckets: Iterable[Bucket]) -> float | None:
    seen = [each.agents for each in buckets if each.attempts and each.agents is not None][-RECENT:]
    return sum(seen) / len(seen) if seen else None


def _mean_handle_time(buckets: Iterable[Bucket], usual: float | None) -> float | None:
    """Return the mean over the answered calls. Few of them are drawn towards the usual time."""
    timed = [(each.answers, each.handle_time_s) for each in buckets if each.handle_time_s]
    weight = 0 if usual is None else CALLS_TO_TRUST
    calls = weight + sum(answers for answers, _ in timed)
    if not calls:
        return usual
    return (weight * (usual or 0.0) + sum(answers * time for answers, time in timed)) / calls
