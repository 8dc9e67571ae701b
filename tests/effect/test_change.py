"""The measured effect of a change, against the oracle of `support/minutes.py` and by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from reconciler.effect import Limit, of_change
from tests.effect.test_never_wider import FORTNIGHT, random_pair
from tests.support import minutes
from tests.support.bodies import DAYS, make_body, make_skill_body, make_window
from tests.support.factories import KIND, SKILL
from tests.support.minutes import ELSEWHERE

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
NEW_YORK = "America/New_York"


def campaign(live, desired, now=NOW):
    return of_change(live, desired, KIND, now)


def one_zone(effect, zone=NEW_YORK):
    [found] = [each for each in effect.zones if each.zone == zone]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_minutes_are_those_that_the_oracle_counts(seed):
    """Bodies end within a fortnight, so that the oracle sees all of their minutes."""
    random, span = Random(seed), FORTNIGHT
    last = f"{span.start + timedelta(minutes=span.length):%Y-%m-%dT%H:%M:%SZ}"
    judged = 0
    while judged < 40:
        kind, live, desired = random_pair(random, span)
        if kind is SKILL:
            continue
        live, desired = (
            {**each, "end_time": min(each["end_time"], last)} for each in (live, desired)
        )
        judged += 1
        found = {each.zone or ELSEWHERE: each for each in campaign(live, desired, span.start).zones}
        for zone in minutes.zones_of(live, desired):
            old, new = (minutes.open_minutes(each, zone, span) for each in (live, desired))
            if not (old or new):
                assert zone not in found
                continue
            opened = minutes.intervals(new & ~old, span)
            first = datetime.fromtimestamp(opened[0][0], UTC) if opened else None
            mine = found[zone]
            assert (mine.total_before, mine.total_after) == (old.bit_count(), new.bit_count())
            assert (mine.opened, mine.closed) == (
                (new & ~old).bit_count(),
                (old & ~new).bit_count(),
            )
            assert mine.first_opened == first
            assert mine.week_before == fullest(old, zone)
            assert mine.week_after == fullest(new, zone)


def fullest(minutes_open, zone):
    """Count the open minutes of each week on the wall."""
    span, counts = FORTNIGHT, {}
    where = UTC if zone == ELSEWHERE else minutes.clock(zone)
    for low, high in minutes.intervals(minutes_open, span):
        for moment in range(int(low), int(high), 60):
            week = datetime.fromtimestamp(moment, where).isocalendar()[:2]
            counts[week] = counts.get(week, 0) + 1
    return max(counts.values(), default=0)


def test_a_window_from_nine_to_twenty_has_660_minutes_a_day():
    effect = campaign(make_body(), make_body(compliance_windows=[make_window(start=21, end=23)]))
    zone = one_zone(effect)
    assert (zone.week_before, zone.week_after) == (4 * 660 + 540, 4 * 120)
    assert (zone.total_before, zone.total_after) == (3180, 480)
    assert (zone.opened, zone.closed) == (480, 3180)
    assert zone.first_opened == datetime(2027, 1, 12, 2, tzinfo=UTC)  # Monday 21:00 in New York
    assert effect.calls_per_hour == Limit("calls_per_hour", "calls/h", 90_000, 90_000)
    assert (effect.limits, effect.gained, effect.lost, effect.unknown) == ((), (), (), ())


def test_a_year_more_is_a_longer_horizon_and_opens_later_than_that():
    effect = campaign(make_body(), make_body(end_time="2028-03-15T22:00:00Z"))
    zone = one_zone(effect)
    assert (zone.week_before, zone.week_after) == (3180, 7 * 660)
    assert zone.beyond
    assert effect.factor == zone.total_after / zone.total_before > 50


def test_dropping_the_last_window_opens_every_other_zone_and_drops_a_safeguard():
    effect = campaign(make_body(), make_body(compliance_windows=[]))
    assert [each.zone for each in effect.zones] == [NEW_YORK, None]
    assert effect.lost == ("compliance_windows",)
    assert one_zone(effect, None).first_opened == datetime(2027, 1, 11, 14, tzinfo=UTC)
    assert effect.factor == float("inf")


def test_rates_limits_and_safeguards_stand_before_and_after():
    live = make_body(dial_rate=10.0, max_concurrent_calls=5, dnc_verification=True)
    effect = campaign(
        live, make_body(dial_rate=40.0, max_concurrent_calls=500, dnc_verification=False)
    )
    assert effect.calls_per_hour == Limit(
        "calls_per_hour", "calls/h", 36_000, 144_000, loosens=True
    )
    assert effect.limits == (Limit("max_concurrent_calls", "calls", 5, 500, loosens=True),)
    assert (effect.gained, effect.lost) == ((), ("dnc_verification",))
    assert effect.factor == 4


def test_a_schedule_that_is_made_comes_from_nothing_and_one_that_is_removed_ends_in_it():
    made, removed = campaign(None, make_body()), campaign(make_body(), None)
    assert (one_zone(made).total_before, one_zone(made).total_after) == (0, 3180)
    assert made.calls_per_hour == Limit("calls_per_hour", "calls/h", 0, 90_000, loosens=True)
    assert made.limits == (Limit("max_concurrent_calls", "calls", 0, 500, loosens=True),)
    assert (made.gained, made.lost, made.unknown) == ((), (), ())
    assert (removed.factor, made.factor) == (0, float("inf"))
    assert removed.calls_per_hour == Limit("calls_per_hour", "calls/h", 90_000, 0)


def test_what_nobody_can_read_is_unknown():
    odd = make_body(dial_rate="fast", start_time="soon", note=1)
    effect = campaign(odd, make_body())
    assert effect.zones is None
    assert effect.unknown == ("dial_rate", "note", "start_time")
    assert effect.calls_per_hour == Limit("calls_per_hour", "calls/h", None, 90_000, loosens=True)
    assert campaign({}, make_body()).zones is None


def test_the_settings_of_a_skill_are_measured():
    live = make_skill_body()
    week = [{"day": day, "start": "08:00", "end": "12:00"} for day in DAYS]
    desired = make_skill_body(
        run_window=week, maximum_ratio=3.0, aggressiveness="4", dnc_groups=["71"],
        percentage_of_agents_before_overdial=10.0, maximum_ringing_duration_s=30,
    )  # fmt: skip
    effect = of_change(live, desired, SKILL, NOW)
    assert effect.calls_per_hour is None
    assert [(each.name, each.before, each.after, each.loosens) for each in effect.limits] == [
        ("aggressiveness", 5, 4, False),
        ("maximum_ratio", 1.5, 3.0, True),
        ("percentage_of_agents_before_overdial", 20.0, 10.0, True),
    ]
    assert (effect.gained, effect.lost) == (("dnc_groups[71]",), ("dnc_groups[70]",))
    assert effect.unknown == ("maximum_ringing_duration_s",)
    zone = one_zone(effect)
    assert (zone.week_before, zone.week_after, zone.opened, zone.beyond) == (4620, 1260, 0, False)
