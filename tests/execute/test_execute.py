"""Carrying a plan out on the embedded platform: order, waits, lost answers, other people's changes."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.dialects.campaigns import api as campaigns
from reconciler.effect import Direction
from reconciler.execute import WriteOptions, carry_out
from reconciler.execute.polling import Poller
from reconciler.plan import Result
from reconciler.world import here
from tests.support.bodies import make_body, make_window
from tests.support.engine import Engine, engine
from tests.support.factories import make_desired, make_retired

KEYS = ("1001", "1002", "1003")


def bodies(key: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any schedule of a campaign, canonical."""
    windows = st.lists(
        st.sampled_from(["America/New_York", "America/Chicago", "Europe/London"]),
        unique=True,
        max_size=3,
    )
    return st.builds(
        lambda rate, calls, dnc, zones, start, days: make_body(
            campaign_id=key,
            dial_rate=rate,
            max_concurrent_calls=calls,
            dnc_verification=dnc,
            compliance_windows=sorted(
                (make_window(zone, start, 20) for zone in zones), key=lambda w: w["timezone"]
            ),
            end_time=f"2027-01-{15 + days:02}T23:00:00Z",
        ),
        st.sampled_from([0.5, 1.0, 12.5, 50.0]),
        st.integers(1, 2000),
        st.booleans(),
        windows,
        st.integers(6, 12),
        st.integers(0, 9),
    )


live_states = st.fixed_dictionaries({key: st.none() | bodies(key) for key in KEYS})
desired_states = st.tuples(*(st.none() | st.just("retired") | bodies(key) for key in KEYS)).map(
    lambda wanted: [
        make_retired(key) if body == "retired" else make_desired(key, body=body)
        for key, body in zip(KEYS, wanted, strict=True)
        if body is not None
    ]
)


@pytest.mark.parametrize("loopback", [False, True], ids=["in process", "loopback"])
@pytest.mark.parametrize("server", ["", "no-expand", "reject-expand", "no-keys", "no-etags"])
def test_a_plan_after_apply_is_empty(server: str, *, loopback: bool) -> None:
    """Whatever lives, whatever is wanted, whatever the server lacks: one apply makes it so, and the next finds nothing."""

    @settings(
        max_examples=8 if loopback else 20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(live_states, desired_states)
    def law(live: dict[str, Any], desired: list[Any]) -> None:
        with engine(live, faults=[server] if server else [], loopback=loopback) as bench:
            plan, outcomes = bench.apply(desired)
            assert [outcome.operation.key for outcome in outcomes if not outcome.done] == []
            assert len(outcomes) == len(plan.operations)
            assert bench.plan(desired).operations == ()
            for operation in plan.operations:
                assert bench.world.executed(operation.key) == (1 if operation.desired else 0)

    law()


def test_every_tightening_is_active_before_anything_is_loosened() -> None:
    live = {"1001": make_body(), "1002": make_body(campaign_id="1002"), "1003": None}
    desired = [
        make_desired("1001", body=make_body(dial_rate=40.0)),
        make_desired("1002", body=make_body(campaign_id="1002", dial_rate=10.0)),
        make_desired("1003"),
    ]
    with engine(live) as bench:
        known = len(bench.world.journal())
        _, outcomes = bench.apply(desired)
        assert [outcome.operation.direction for outcome in outcomes] == [
            Direction.TIGHTEN,
            Direction.LOOSEN,
            Direction.LOOSEN,
        ]
        journal = [(entry.action, entry.campaign_id) for entry in bench.world.journal()[known:]]
        narrowed = journal.index(("ACTIVATED", "1002"))
        assert all(at > narrowed for at, (action, key) in enumerate(journal) if key != "1002")


def test_a_tightening_that_cannot_be_activated_holds_back_every_loosening() -> None:
    live = {"1001": make_body(), "1002": make_body(campaign_id="1002")}
    desired = [
        make_desired("1001", body=make_body(dial_rate=10.0)),
        make_desired("1002", body=make_body(campaign_id="1002", dial_rate=40.0)),
    ]
    with engine(live, faults=["locked:1001"]) as bench:
        _, outcomes = bench.apply(desired)
        assert [outcome.result for outcome in outcomes] == [
            Result.STORED_NOT_ACTIVE,
            Result.NOT_STARTED,
        ]
        assert "the dialer is locked" in outcomes[0].message
        assert "campaign-1001" in outcomes[1].message
        assert bench.world.executed("1002") == 0


def test_a_locked_dialer_is_tried_every_thirty_seconds_and_the_post_is_never_repeated() -> None:
    with engine({"1001": make_body()}, faults=["locked:1001:times=3"]) as bench:
        before = bench.ticker()
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.UPDATED
        assert bench.ticker() - before >= 90
        assert bench.world.executed("1001") == 1
        told = [line for line in bench.told if "waiting" in line]
        assert len(told) == 2, "once, and once more after a minute"
        assert told[0].startswith("campaign-1001: waiting, the dialer is locked; retrying, for")


LOST = ["500-after:PUT *", "reset-after:PUT *", "hang:PUT *"]
"""A refresh is executed, and its answer never arrives."""

UNSENT = ["500:PUT *:times=3", "503:PUT *:times=3", "reset-before:PUT *:times=3"]
"""A refresh is not executed, three times."""


@pytest.mark.parametrize("fault", [*LOST, *UNSENT])
def test_a_refresh_is_sent_again_until_it_is_executed_and_not_after_that(fault: str) -> None:
    with engine({"1001": make_body()}, faults=[fault]) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.UPDATED, outcome.message
        assert bench.world.executed("1001", "REFRESHED") == 1


def test_a_refresh_that_is_never_executed_leaves_the_schedule_stored_and_not_active() -> None:
    with engine({"1001": make_body()}, faults=["reset-before:PUT *"]) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.STORED_NOT_ACTIVE
        assert "whether it was executed is unknown; the next apply finishes it" in outcome.message


def test_the_next_apply_finishes_what_was_stored_and_not_active() -> None:
    desired = [make_desired("1001", body=make_body(dial_rate=10.0))]
    with engine({"1001": make_body()}, faults=["locked:1001:times=1"]) as bench:
        bench.options = WriteOptions(wait_s=0, settle_s=1.0)
        _, (first,) = bench.apply(desired)
        plan, (second,) = bench.apply(desired)
        assert (first.result, second.result) == (Result.STORED_NOT_ACTIVE, Result.REFRESHED)
        assert plan.operations[0].action == "refresh"
        assert bench.world.executed("1001") == 1


def test_a_syncing_list_is_named_as_the_reason_for_waiting() -> None:
    with engine({"1001": make_body()}, faults=["syncing:dnc-1:for=60"]) as bench:
        bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert any("DNC list Suppression is SYNCING" in line for line in bench.told)


LOST = [
    "reset-before:POST /api/campaigns/*:times=1",
    "reset-after:POST /api/campaigns/*:times=1",
    "500:POST /api/campaigns/*:times=1",
    "500-after:POST /api/campaigns/*:times=1",
    "503:POST /api/campaigns/*:times=1",
    "409:POST /api/campaigns/*:times=1",
    "late:POST /api/campaigns/*:times=1,ms=300",
    "truncated:POST /api/campaigns/*:times=1",
    "garbage:POST /api/campaigns/*:times=1",
    "500-stored:POST /api/campaigns/*:times=1",
    "500-stored:POST /api/campaigns/*:times=1,commit=1",
]


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("server", ["", "no-keys", "no-etags"])
def test_a_lost_answer_deploys_exactly_once(fault: str, server: str) -> None:
    """Wait, read, believe only what is read: on a server that ignores keys, too."""
    with engine({"1001": make_body()}, faults=[fault, *([server] if server else [])]) as bench:
        desired = [make_desired("1001", body=make_body(dial_rate=10.0))]
        _, (outcome,) = bench.apply(desired)
        assert outcome.done, outcome
        assert bench.world.executed("1001") == 1
        assert bench.plan(desired).operations == ()


@pytest.mark.parametrize("server", ["", "no-keys"])
def test_a_lost_removal_is_done_exactly_once(server: str) -> None:
    with engine(
        {"1001": make_body()},
        faults=["reset-after:DELETE *:times=1", *([server] if server else [])],
    ) as bench:
        _, (outcome,) = bench.apply([make_retired("1001")])
        assert outcome.done
        assert bench.world.active_history("1001")[-1][1] is None


def test_an_error_that_pins_the_key_gets_a_key_of_its_own_recorded_first() -> None:
    with engine(
        {"1001": make_body()}, faults=["500-stored:POST /api/campaigns/*:times=1"]
    ) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.UPDATED
        assert bench.journal.lines == [("retry", "campaign-1001/1"), ("outcome", "campaign-1001")]
        assert bench.world.executed("1001") == 1


def test_a_write_that_never_gets_an_answer_stays_unknown() -> None:
    with engine({"1001": make_body()}, faults=["500:POST /api/campaigns/*"]) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.UNKNOWN
        assert "the next apply settles it" in outcome.message


@pytest.mark.parametrize("server", ["", "no-etags"])
def test_an_object_that_moved_after_planning_is_left_alone(server: str) -> None:
    async def moved(bench: Engine) -> Any:
        async with bench.client() as client:
            snapshot = await client.run(campaigns.read())
            plan = bench.made((make_desired("1001", body=make_body(dial_rate=40.0)),), snapshot)
            bench.world.put_campaign("1001", "Campaign 1001", schedule=make_body(dial_rate=3.0))
            return await carry_out(bench.execution(client, snapshot), plan.executable)

    with engine({"1001": make_body()}, faults=[server] if server else []) as bench:
        (outcome,) = asyncio.run(moved(bench))
        assert outcome.result is Result.STALE
        assert bench.world.executed("1001") == 0


def test_a_refusal_writes_nothing_and_shows_each_field() -> None:
    with engine({"1001": make_body()}) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=75.0))])
        assert outcome.result is Result.REFUSED
        assert "dial_rate" in outcome.message
        assert not outcome.wrote


def test_a_lost_scope_stops_what_has_not_started() -> None:
    live = {key: make_body(campaign_id=key) for key in KEYS}
    desired = [make_desired(key, body=make_body(campaign_id=key, dial_rate=10.0)) for key in KEYS]
    with engine(live, faults=["403:POST /api/campaigns/*"]) as bench:
        bench.options = WriteOptions(concurrency=1, settle_s=1.0)
        _, outcomes = bench.apply(desired)
        assert [outcome.result for outcome in outcomes] == [
            Result.FAILED,
            Result.NOT_STARTED,
            Result.NOT_STARTED,
        ]


def test_an_interrupted_run_ends_its_waits_and_starts_nothing_more() -> None:
    live = {key: make_body(campaign_id=key) for key in KEYS}
    wanted = {"1001": 10.0, "1002": 40.0, "1003": 40.0}
    desired = [
        make_desired(key, body=make_body(campaign_id=key, dial_rate=rate))
        for key, rate in wanted.items()
    ]
    with engine(live, faults=["locked:1001"]) as bench:
        bench.stop_after = lambda line: "waiting" in line
        before = bench.ticker()
        _, outcomes = bench.apply(desired)
        assert [outcome.result for outcome in outcomes] == [
            Result.STORED_NOT_ACTIVE,
            Result.NOT_STARTED,
            Result.NOT_STARTED,
        ]
        assert bench.ticker() - before < 60
        assert len(bench.journal.outcomes) == 3


def test_activation_latency_is_measured_by_the_platforms_clock() -> None:
    with engine({"1001": make_body()}) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.latency_s is not None
        assert 0 < outcome.latency_s <= 1.0


def test_retiring_a_campaign_that_dials_without_a_schedule_silences_it() -> None:
    with engine({"1001": make_body()}, faults=["locked:1001:times=1"]) as bench:
        bench.options = WriteOptions(wait_s=0, settle_s=1.0)
        _, (first,) = bench.apply([make_retired("1001")])
        assert first.result is Result.STORED_NOT_ACTIVE
        _, (second,) = bench.apply([make_retired("1001")])
        assert second.done
        assert bench.plan([make_retired("1001")]).operations == ()


def test_a_run_that_lost_its_lock_writes_nothing_more() -> None:
    with engine({"1001": make_body()}) as bench:
        bench.journal.lost = True
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.NOT_STARTED
        assert outcome.code == 6
        assert bench.world.executed("1001") == 0


def test_many_are_verified_by_few_looks() -> None:
    """Requests are what an apply is short of: two writes each, and the list now and then."""
    keys = [str(number) for number in range(2000, 2040)]
    live = {key: make_body(campaign_id=key) for key in keys}
    desired = [make_desired(key, body=make_body(campaign_id=key, dial_rate=10.0)) for key in keys]
    with engine(live) as bench:
        _, outcomes = bench.apply(desired)
        assert all(outcome.done for outcome in outcomes)
        reads = [
            line for line in bench.world.traffic if str(line).startswith("GET /api/campaigns/")
        ]
        assert len(reads) < len(keys)


def test_a_refresh_is_a_write_too_and_needs_the_lock() -> None:
    desired = [make_desired("1001", body=make_body(dial_rate=10.0))]
    with engine({"1001": make_body()}, faults=["locked:1001:times=1"]) as bench:
        bench.options = WriteOptions(wait_s=0, settle_s=1.0)
        bench.apply(desired)
        bench.journal.lost = True
        _, (outcome,) = bench.apply(desired)
        assert outcome.result is Result.NOT_STARTED
        assert [method for method, _, _ in bench.world.traffic].count("PUT") == 1


def test_a_lock_lost_between_write_and_refresh_leaves_it_stored_and_not_dialing() -> None:
    with engine({"1001": make_body()}) as bench:
        bench.journal.asked_until_lost = 1
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert (outcome.result, outcome.code) == (Result.STORED_NOT_ACTIVE, 6)
        assert not any(method == "PUT" for method, _, _ in bench.world.traffic)


def test_a_platform_that_goes_away_after_an_uncertain_write_leaves_its_fate_open() -> None:
    """Nobody read back, so nobody may say that it failed: the intent stays open for the next run."""
    faults = ["reset-after:POST /api/campaigns/*:times=1", "503:GET /api/campaigns/1001*"]
    with engine({"1001": make_body()}, faults=faults) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.UNKNOWN
        assert outcome.wrote


def test_what_is_stored_counts_before_what_went_wrong_after_it() -> None:
    with engine({"1001": make_body()}, faults=["403:PUT *"]) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert (outcome.result, outcome.code) == (Result.STORED_NOT_ACTIVE, 77)
        assert outcome.stored_id is not None


def test_what_somebody_changes_before_it_is_verified_is_overtaken() -> None:
    with engine({"1001": make_body()}, faults=["locked:1001:times=1"]) as bench:

        def overtake(line: str) -> bool:
            if "waiting" in line:
                bench.world.put_campaign("1001", "Campaign 1001", schedule=make_body(dial_rate=3.0))
            return False

        bench.stop_after = overtake
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
        assert outcome.result is Result.OVERTAKEN
        assert not outcome.done


def test_the_last_write_ends_the_wait_for_a_look() -> None:
    """While more is being written a look may wait; then there is nothing to wait for."""

    async def for_ever(_: float) -> None:
        await asyncio.Event().wait()

    async def seen() -> list[bool]:
        with engine({"1001": make_body()}) as bench:
            async with bench.client() as client:
                world = here(print)._replace(monotonic=bench.ticker, sleep=for_ever)
                lookout = Poller(world, client, 1.0, campaigns.read_one, campaigns.read_some)
                lookout.busy(2)
                await lookout.see("1001")  # the first look waits for nothing
                later = asyncio.create_task(lookout.see("1001"))
                found = []
                for _ in range(2):
                    lookout.rest()
                    for _ in range(100):
                        await asyncio.sleep(0)
                    found.append(later.done())
                return found

    assert asyncio.run(seen()) == [False, True]
