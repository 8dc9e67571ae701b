"""Laws of the pace, and what a server's wish to wait means."""

from collections import deque
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.client.pace import (
    BACK_OFF_CAP_S,
    EASE_S,
    PACE,
    SLOWEST,
    Pacer,
    StopPacer,
    equal_jitter,
    full_jitter,
    http_date,
    retry_after,
)
from reconciler.dialects.calls import Reply

rates = st.floats(0.1, 1000)
gaps = st.lists(st.floats(0, 30), min_size=1, max_size=60)
draws = st.floats(0, 1, exclude_max=True)
AT = datetime(2027, 3, 1, 12, tzinfo=UTC)


def instants(pacer, gaps, *, refused=frozenset()):
    """When requests leave that are asked for after these gaps; those of `refused` are answered 429."""
    now, sent = 0.0, []
    for index, gap in enumerate(gaps):
        now += gap
        now = pacer.reserve(now)
        sent.append(now)
        if index in refused:
            pacer.slow(now, now)
    return sent


@given(rates, gaps, st.sets(st.integers(0, 59)))
def test_no_window_holds_more_than_the_burst_and_the_rates_share(rate, gaps, refused):
    pacer = Pacer(rate)
    sent = instants(pacer, gaps, refused=refused)
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            window = sent[last] - sent[first]
            assert last - first + 1 <= pacer.burst + rate * window + 1e-6


@given(rates, st.integers(1, 2000))
def test_requests_that_wait_take_no_more_than_half_a_per_cent_longer_than_the_rate_allows(
    rate, count
):
    sent = instants(Pacer(rate), [0.0] * count)
    assert sent[-1] <= 1.005 * count / rate


@given(rates, gaps)
def test_a_slot_is_never_in_the_past_and_never_given_twice(rate, gaps):
    sent = instants(Pacer(rate), gaps)
    assert sent == sorted(sent)
    assert sent[-1] >= sum(gaps[:1])


@given(rates, st.sets(st.integers(0, 59)), gaps)
def test_the_pace_stays_between_its_floor_and_the_rate(rate, refused, gaps):
    pacer = Pacer(rate)
    instants(pacer, gaps, refused=refused)
    assert rate * PACE * SLOWEST * 0.999 <= pacer.rate <= rate * PACE


def test_a_refusal_halves_the_pace_for_a_while():
    pacer = Pacer(10)
    assert pacer.reserve(0) == 0
    pacer.slow(0.0, 0.1)
    assert pacer.rate == pytest.approx(5 * PACE)
    pacer.reserve(0.1 + EASE_S - 0.01)
    assert pacer.rate == pytest.approx(5 * PACE)
    pacer.reserve(0.1 + EASE_S)
    assert pacer.rate == pytest.approx(10 * PACE)


def test_refusals_of_requests_that_left_at_the_old_pace_say_nothing_new():
    pacer = Pacer(10)
    pacer.slow(1.0, 1.2)
    pacer.slow(1.1, 1.3)
    assert pacer.rate == pytest.approx(5 * PACE)
    pacer.slow(1.2, 1.4)
    assert pacer.rate == pytest.approx(2.5 * PACE)


@pytest.mark.parametrize(("rate", "burst"), [(0.5, 1), (5, 1), (19.9, 1), (50, 2), (1000, 40)])
def test_the_burst_is_a_twenty_fifth_of_a_second_and_at_least_one_request(rate, burst):
    pacer = Pacer(rate)
    assert pacer.burst == burst
    assert instants(pacer, [100.0] + [0.0] * burst)[:-1] == pytest.approx([100.0] * burst)
    assert pacer.reserve(0) > 100.0


@given(st.integers(0, 10_000), draws)
def test_jitter_stays_within_its_step(tries, draw):
    step = min(BACK_OFF_CAP_S, 0.5 * 2 ** min(tries, 16))
    assert 0 <= full_jitter(tries, draw) <= step
    assert step / 2 <= equal_jitter(tries, draw) <= step


def reply(text, at=AT):
    return Reply(429, {} if text is None else {"retry-after": text}, at=at)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("0.5", 0.5),
        ("999999", 999_999),
        ("Mon, 01 Mar 2027 12:00:30 GMT", 30),
        ("Mon, 01 Mar 2027 13:00:30 +0100", 30),
        ("Mon, 01 Mar 2027 11:00:00 GMT", 0),
        (None, None),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1e9", None),
        ("nan", None),
        ("inf", None),
        ("\u0667", None),
        ("9" * 400, None),
        ("Mon, 99 Mar 2027 12:00:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
    ],
)
def test_a_wish_to_wait_is_understood_or_is_none(text, seconds):
    assert retry_after(reply(text)) == seconds


def test_a_date_without_the_platforms_clock_means_nothing():
    assert retry_after(reply("Mon, 01 Mar 2027 12:00:30 GMT", at=None)) is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text):
    wait = retry_after(reply(text))
    assert wait is None or wait >= 0
    assert http_date(text) is None or http_date(text).tzinfo is UTC


@pytest.mark.parametrize("year", ["1000", "1969", "2100", "9999"])
def test_a_date_of_a_year_that_no_clock_shows_means_nothing(year):
    assert http_date(f"31 Dec {year} 23:59:59 GMT") is None


def test_a_date_without_a_zone_is_utc():
    assert http_date("Mon, 01 Mar 2027 12:00:00 -0000") == AT


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(0, 60)), max_size=20))
def test_a_stop_has_no_pace_before_a_429_and_waits_as_long_as_each_one_told_it(refusals) -> None:
    pace, now, until = StopPacer(), 100.0, float("-inf")
    assert [pace.reserve(now) for _ in range(50)] == [now] * 50
    for passed_s, ago_s, wait_s in refusals:
        now += passed_s
        assert pace.waits(now) == (now < until)
        assert pace.reserve(now) >= max(now, until)
        if now - ago_s >= until:  # an earlier request is covered by the wait that it caused
            until = now + wait_s
        pace.slow(now - ago_s, now, wait_s)
    assert pace.reserve(now) >= max(now, until)


def stop_of(jobs, steps, rate, burst, *, lanes=32, delay_s=0.02):
    """Return (seconds, refusals) of jobs that send each step in turn to a token bucket, whose 429 tells whole seconds."""
    left, filled_at, refused, now = float(burst), 0.0, 0, 0.0
    paces = {step: StopPacer() for step in steps}
    queues = {step: deque(range(jobs)) if step == steps[0] else deque() for step in steps}
    turns, free, done = {}, lanes, 0
    events = []  # (instant, number, what, step, job, when it was sent)
    number = count()
    while done < jobs:
        for step, queue in queues.items():
            if step not in turns and queue:  # one call of each method waits at the door
                turns[step] = queue.popleft()
                heappush(events, (paces[step].reserve(now), next(number), "turn", step, 0, 0.0))
        now, _, what, step, job, sent_at = heappop(events)
        pace = paces[step]
        if what == "turn":
            if pace.waits(now) or not free:
                at = max(pace.reserve(now), now + (0 if free else delay_s))
                heappush(events, (at, next(number), "turn", step, 0, 0.0))
                continue
            free -= 1
            arrives = (now + delay_s / 2, next(number), "arrive", step, turns.pop(step), now)
            heappush(events, arrives)
        elif what == "arrive":
            left, filled_at = min(burst, left + (now - filled_at) * rate), now
            wait_s = 0 if left >= 1 else max(1, ceil((1 - left) / rate))
            left -= 0 if wait_s else 1
            free += 1
            if wait_s:
                refused += 1
                pace.slow(sent_at, now, wait_s)
                queues[step].append(job)
            elif step == steps[-1]:
                done += 1
            else:
                queues[steps[steps.index(step) + 1]].append(job)
    return now, refused


@pytest.mark.parametrize(
    ("rate", "burst", "most"),
    [(20, 100, 1.15), (20, 20, 1.15), (20, 10, 1.4), (20, 5, 1.8), (20, 1, 3.0), (5, 10, 1.15)],
)
def test_a_stop_of_many_finds_the_rate_of_a_platform_that_admits_few_at_once(rate, burst, most):
    jobs, steps = 300, ("DELETE", "POST")
    took_s, refused = stop_of(jobs, steps, rate, burst)
    assert took_s <= most * (jobs * len(steps) - burst) / rate
    assert refused <= jobs  # unpaced, thousands were refused, and each one cost a wait
