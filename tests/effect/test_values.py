"""The effect of a change as data: factors, and the JSON form."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from reconciler.effect import Effect, Limit, ZoneEffect

NEW_YORK = "America/New_York"
RATE = Limit("calls_per_hour", "calls/h", 36_000.0, 144_000.0, loosens=True)


def test_the_factor_of_a_zone_is_that_of_its_fullest_week_or_of_the_horizon():
    assert ZoneEffect(NEW_YORK, 600, 600, 6000, 12_000).factor == 2
    assert ZoneEffect(NEW_YORK, 600, 1800, 6000, 6000).factor == 3
    assert ZoneEffect(NEW_YORK, 600, 600, 6000, 6000).factor == 1


@pytest.mark.parametrize(
    ("before", "after", "factor"),
    [(10.0, 40.0, 4), (10.0, 5.0, 0.5), (0, 5.0, math.inf), (5.0, 0, 0), (0, 0, 1), (None, 5.0, None)],
)  # fmt: skip
def test_the_factor_of_a_limit_is_infinite_from_zero_and_unknown_from_what_is_unknown(
    before, after, factor
):
    assert Limit("dial_rate", "calls/s", before, after).factor == factor


def test_the_factor_of_a_change_is_that_of_minutes_and_rate_together():
    zones = (ZoneEffect("America/Chicago", 600, 600, 600, 600), ZoneEffect(NEW_YORK, 600, 1200))
    assert Effect(zones, RATE).factor == 8
    assert Effect(zones, None, (Limit("maximum_ratio", None, 1.0, 1.5),)).factor == 3
    assert Effect(zones).factor == 2
    assert Effect((), RATE).factor == 4


def test_what_is_unknown_is_beyond_every_factor_and_what_ends_is_below():
    unread = Limit("calls_per_hour", "calls/h", None, 36_000.0, loosens=True)
    assert Effect(None, RATE).factor == math.inf
    assert Effect((), unread).factor == math.inf
    ended = Limit("calls_per_hour", "calls/h", 36_000.0, 0)
    assert Effect((ZoneEffect(NEW_YORK, 600, 0, 600, 0),), ended).factor == 0


def test_the_json_form_holds_instants_in_utc_and_null_for_what_is_infinite_or_unknown():
    first = datetime(2027, 1, 10, 14, tzinfo=UTC)
    zones = (ZoneEffect(NEW_YORK, 0, 60, 0, 60, 60, 0, first), ZoneEffect(None, beyond=True))
    found = Effect(zones, RATE, (), ("dnc_groups[70]",), ("dnc_verification",)).serialised()
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "zones": [
            {
                "zone": NEW_YORK,
                "week_minutes": [0, 60],
                "horizon_minutes": [0, 60],
                "opened_minutes": 60,
                "closed_minutes": 0,
                "first_opened": "2027-01-10T14:00:00Z",
                "opens_beyond_horizon": False,
                "factor": None,
            },
            {
                "zone": None,
                "week_minutes": [0, 0],
                "horizon_minutes": [0, 0],
                "opened_minutes": 0,
                "closed_minutes": 0,
                "first_opened": None,
                "opens_beyond_horizon": True,
                "factor": 1.0,
            },
        ],
        "calls_per_hour": {
            "name": "calls_per_hour",
            "unit": "calls/h",
            "before": 36_000.0,
            "after": 144_000.0,
            "loosens": True,
            "factor": 4.0,
        },
        "limits": [],
        "safeguards": {"gained": ["dnc_groups[70]"], "lost": ["dnc_verification"]},
        "unknown": [],
        "factor": None,
    }
    assert Effect(None).serialised()["zones"] is None
