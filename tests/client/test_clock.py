"""The platform's clock is compared with ours around one request, however long everything else takes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import httpx
from hypothesis import given
from hypothesis import strategies as st

from reconciler.client.clock import DATE_RESOLUTION_S, PlatformClock, Skew
from reconciler.client.pace import http_date
from reconciler.commands.session import Session
from reconciler.dialects.calls import Call, Reply
from tests.support.fake_platform import client_of, now, play, send

START = datetime(2027, 3, 1, 12, tzinfo=UTC)
READ = Call("GET", "/api/dialer/settings")
seconds = st.floats(0, 300)


def reply_at(instant: datetime, **headers: str) -> Reply:
    return Reply(200, headers, None, instant.replace(microsecond=0))


@given(st.floats(-500, 500), st.lists(st.tuples(seconds, seconds, seconds), min_size=1, max_size=9))
def test_the_true_skew_is_within_what_was_measured(true_s, requests):
    """Each request waits, travels there and travels back; the server reads its clock in between."""
    clock, monotonic = PlatformClock(), 0.0
    for wait_s, there_s, back_s in requests:
        sent_at = monotonic + wait_s
        read_at = sent_at + there_s
        monotonic = read_at + back_s
        clock.learn(reply_at(START + timedelta(seconds=read_at + true_s)), sent_at, monotonic)
    skew = clock.skew(START + timedelta(seconds=monotonic), monotonic)
    assert abs(skew.seconds - true_s) <= skew.uncertainty_s + 1e-3
    assert abs(skew.certain_s) <= abs(true_s) + 1e-3
    fastest = min(there + back for _, there, back in requests)
    assert skew.uncertainty_s <= fastest / 2 + DATE_RESOLUTION_S + 1e-3


def test_a_long_read_at_a_slow_pace_shows_no_skew():
    """400 requests at 5 a second take 80 s; measured across them the platform was "behind"."""

    async def platform(_: httpx.Request) -> httpx.Response:
        shown = START + timedelta(seconds=now())
        answer = {"access_token": "t" * 9, "expires_in": 1800}
        return httpx.Response(
            200, json=answer, headers={"Date": shown.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        )

    async def main() -> float:
        async with client_of(platform, requests_per_second=5.0) as client:
            await client.run(send(*[READ] * 400))
            await asyncio.sleep(1000)
            assert now() > 1000
            return client.skew(START + timedelta(seconds=now())).certain_s

    assert play(main()) == 0.0


def test_a_plan_is_told_what_was_measured_around_one_request_and_not_across_the_read():
    """The read ends 161 s after the platform's last `Date`, and the clocks agree."""

    class Measured:
        async def run(self, _: object) -> object:
            return SimpleNamespace(at=START - timedelta(seconds=161))

        def skew(self, our_now: datetime) -> Skew:
            assert our_now == START
            return Skew(0.4, 1.2)

    parts = dict.fromkeys(("settings", "git"))
    session = Session(
        world=SimpleNamespace(now=lambda: START),
        dialect=SimpleNamespace(read=lambda _: None),
        folder=SimpleNamespace(desired=()),
        client=Measured(),
        **parts,
    )
    snapshot, skew_s = play(session.read())
    assert snapshot.at == START - timedelta(seconds=161)
    assert skew_s == 0.0


def test_an_answer_of_a_cache_says_nothing_of_the_clock():
    clock = PlatformClock()
    clock.learn(reply_at(START - timedelta(hours=1), age="3600"), 0.0, 0.1)
    assert clock.skew(START, 0.1).certain_s == 0.0
    clock.learn(reply_at(START), 1.0, 3.0)
    assert clock.skew(START + timedelta(seconds=2), 3.0).uncertainty_s == 1.0 + DATE_RESOLUTION_S


def test_nothing_is_certain_before_the_first_date():
    clock = PlatformClock()
    clock.learn(Reply(200, {}), 0.0, 0.1)
    assert clock.skew(START, 5.0).certain_s == 0.0
    assert clock.at(5.0) is None


def test_a_clock_that_is_wrong_by_more_than_the_uncertainty_is_seen():
    clock = PlatformClock()
    clock.learn(reply_at(START), 10.0, 10.4)
    skew = clock.skew(START + timedelta(seconds=120.2), 10.4)
    assert -120 <= skew.certain_s <= -118


FOUR_DIGITS = datetime(1000, 1, 1)  # noqa: DTZ001 - Hypothesis takes naive bounds


@given(st.datetimes(FOUR_DIGITS, timezones=st.just(UTC)))
def test_any_span_can_be_added_to_a_date_that_counts(instant):
    """Locks and holds end some time after the platform's clock, which a broken gateway may set to the last second of 9999."""
    date = http_date(format_datetime(instant, usegmt=True))
    assert date is None or date == instant.replace(microsecond=0)
    if date is not None:
        longest = timedelta(days=9999)  # of `halt --until`
        assert date - longest < date < date + longest
    assert (date is None) is not (2000 <= instant.year < 2100)
