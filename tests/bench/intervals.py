"""When may each of N schedules dial within 400 days? A process of its own: `python intervals.py WHO HOURS COUNT` prints its CPU time.

WHO is `ours` (`calendar.open_intervals`) or `floor`. HOURS is `shared` (the manifests of `ground.py`) or `own` (each manifest has
hours of its own, to the minute, in some of twenty zones, so that nothing can be shared but the zones).

The floor makes each interval of each different pair of zone and hours once, by arithmetic, from a table of the zone's days
that is made by one look at its clock a day, and cuts a copy to each span by bisection. No answer to the question can do less:
each interval must be made once, and each manifest needs its own list. It ignores windows that a clock change touches.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import ground

from reconciler.calendar import HORIZON, DailyHours, Hours, open_intervals

NOW = datetime.fromisoformat(ground.CLOCK)
END = NOW + HORIZON
ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York",
    "America/Phoenix", "America/Santiago", "America/St_Johns", "Antarctica/Troll", "Asia/Jerusalem", "Asia/Tokyo",
    "Australia/Adelaide", "Australia/Lord_Howe", "Australia/Sydney", "Europe/London", "Europe/Paris", "Pacific/Apia",
    "Pacific/Auckland", "Pacific/Honolulu",
)  # fmt: skip


def schedules(hours: str, count: int) -> Iterator[Hours]:
    """Yield the hours of each schedule."""
    random = Random(1)
    shared = {zone: DailyHours(zone, 9 * 60, 20 * 60) for zone in ground.ZONES}
    phoenix = DailyHours("America/Phoenix", 10 * 60, 19 * 60)
    for i in range(count):
        known = ground.campaign(i)
        windows = (shared[known["zone"]], phoenix)
        if hours == "own":
            windows = tuple(_own(random, zone) for zone in random.sample(ZONES, 2))
        span = (known[name].astimezone(UTC) for name in ("start", "end"))
        yield Hours(*span, tuple(sorted(windows)))


def _own(random: Random, zone: str) -> DailyHours:
    """Return hours from a morning to an evening, which no clock change touches."""
    return DailyHours(zone, random.randrange(420, 720), random.randrange(960, 1260))


def ours(hours: Hours) -> int:
    """Return how many intervals a schedule has."""
    return sum(len(open_intervals(hours, zone, NOW, END)) for zone in hours.zones)


def floor(hours: Hours) -> int:
    """Return how many intervals a schedule has, without care for clock changes."""
    assert hours.start
    assert hours.end
    low, high = int(hours.start.timestamp()), int(hours.end.timestamp())
    found = 0
    for window in hours.windows or ():
        every = _all(window)
        part = list(every[bisect_right(every, (low,)) : bisect_left(every, (high,))])
        found += len(part)
    return found


@cache
def _all(window: DailyHours) -> tuple[tuple[int, int], ...]:
    start, end = window.start_minute * 60, window.end_minute * 60
    return tuple([(day + start, day + end) for day in _days(window.zone)])


@cache
def _days(zone: str) -> tuple[int, ...]:
    """Return the midnights of a zone within the horizon, by the offset at noon."""
    where = ZoneInfo(zone)
    first = NOW.astimezone(where).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)
    noons = (first + timedelta(days=day) for day in range(HORIZON.days + 1))
    return tuple(int(noon.replace(tzinfo=where).timestamp()) - 43_200 for noon in noons)


def main() -> None:
    """Measure once."""
    who, hours, count = sys.argv[1:]
    every = list(schedules(hours, int(count)))
    measure = {"ours": ours, "floor": floor}[who]
    gc.disable()  # as in a plan
    began = time.process_time()
    intervals = sum(map(measure, every))
    print(json.dumps({"cpu_s": time.process_time() - began, "intervals": intervals}))


if __name__ == "__main__":
    main()
