"""The strategy `allocate`: the tenant's capacity holds in every hour, nobody is above the lawful rate, and the reason is the dual."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.calendar import DailyHours, Hours, open_intervals
from reconciler.models import Capacity, Pacing
from reconciler.optimize import advise, allocate, division, erlang, sharing
from reconciler.optimize.answer_rates import AnswerRate, AnswerRates
from reconciler.optimize.base import CALLS, RATE, Context, Declined, Proposal, Subject
from reconciler.optimize.hours import open_hours
from reconciler.optimize.parties import WEEKS
from reconciler.pacing import Bucket

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)  # a Monday
NEW_YORK, CHICAGO, LONDON = "America/New_York", "America/Chicago", "Europe/London"
LIMITS = {RATE: 50.0, CALLS: 2000.0}
FEW = settings(max_examples=4)


def campaign(
    key: str,
    agents: int | None = 30,
    *,
    rate: float = 1.0,
    calls: int = 300,
    where: str = NEW_YORK,
    hours: tuple[int, int] = (9, 20),
    span: tuple[datetime | None, datetime | None] = (None, None),
    observed: tuple[Bucket, ...] = (Bucket(NOW - timedelta(days=1), 1000, 200),),
    **pacing,
) -> Subject:
    """Return a campaign. Its observations only have to be enough: the answer rates stand in the context."""
    known = {"handle_time_s": 180.0} | pacing
    wrap_up = {"wrap_up_s": 0.15 * known["handle_time_s"]} if known["handle_time_s"] else {}
    when = Hours(*span, (DailyHours(where, hours[0] * 60, hours[1] * 60),))
    return Subject(
        key,
        f"campaign-{key}",
        spec={RATE: rate, CALLS: calls},
        observed=observed,
        pacing=Pacing(agents=agents, **(wrap_up | known)),
        open_hours=open_hours(when, where, NOW),
        hours=when,
        ceilings=LIMITS,
        zone=where,
    )


def with_pacing(subject: Subject, **pacing) -> Subject:
    return replace(subject, pacing=subject.pacing.model_copy(update=pacing))


def answering(means: dict[str, float]) -> AnswerRates:
    """Return answer rates by key, higher in the evening; known to 5 % or so."""
    return AnswerRates(
        {
            key: tuple(
                AnswerRate(log(mean / (1 - mean)) + 0.02 * (hour % 24 - 14), 0.05)
                for hour in range(168)
            )
            for key, mean in means.items()
        }
    )


PAIR = [campaign("1", 60, rate=1.2), campaign("2", 20, rate=0.5, where=CHICAGO, handle_time_s=240)]
KNOWN = answering({"1": 0.25, "2": 0.15, "3": 0.2})
SCARCE = Context(NOW, capacity=Capacity(concurrent_calls=50), answer_rates=KNOWN)


def capacity(context: Context = SCARCE, **amounts) -> Context:
    return replace(context, capacity=Capacity(**amounts))


def applied(subjects, context) -> list[Subject]:
    """Return the subjects as they are after the proposals."""
    advice = allocate.propose(subjects, context)
    return [
        replace(subject, spec={**subject.spec, **{c.field: c.proposed for c in each.changes}})
        if isinstance(each, Proposal)
        else subject
        for subject, each in zip(subjects, advice, strict=True)
    ]


def values(subjects, context, field: str = CALLS) -> dict[str, float]:
    """Return a value of each subject after the proposals."""
    return {each.key: each.spec[field] for each in applied(subjects, context)}


def reasons(subjects, context) -> list[str]:
    advice = allocate.propose(subjects, context)
    assert all(isinstance(each, Declined) for each in advice), advice
    return [each.reason for each in advice]


TENANTS = st.lists(
    st.fixed_dictionaries(
        {
            "agents": st.integers(3, 120),
            "rate": st.floats(0.05, 5),
            "calls": st.integers(1, 400),
            "where": st.sampled_from([NEW_YORK, CHICAGO, LONDON]),
            "hours": st.sampled_from([(9, 20), (8, 12), (17, 21), (0, 23)]),
            "handle_time_s": st.floats(40, 400),
            "list_size": st.none() | st.integers(1, 100_000),
        }
    ),
    min_size=2,
    max_size=4,
)
RATES = answering({str(n): 0.1 + 0.05 * n for n in range(6)})


def built(drawn) -> list[Subject]:
    return [campaign(str(n), **each) for n, each in enumerate(drawn)]


@FEW
@given(TENANTS, st.integers(10, 400) | st.none(), st.floats(0.5, 10) | st.none())
def test_the_capacity_holds_at_every_instant_and_no_rate_is_above_the_lawful_one(
    drawn, calls, rate
) -> None:
    subjects = built(drawn)
    context = Context(
        NOW, capacity=Capacity(concurrent_calls=calls, calls_per_second=rate), answer_rates=RATES
    )
    after = applied(subjects, context)
    if after == subjects:
        return  # nothing to divide, or all is well
    lawful = replace(context, capacity=Capacity(concurrent_calls=1_000_000))
    for mine, best in zip(after, applied(subjects, lawful), strict=True):
        assert mine.spec[RATE] <= best.spec[RATE] * (1 + erlang.CLOSE)
        assert mine.spec[CALLS] >= 1
        assert mine.spec[RATE] > 0
    for is_open in instants(after):
        assert sum(each.spec[CALLS] for each in is_open) <= (calls or 1e9)
        assert sum(each.spec[RATE] for each in is_open) <= (rate or 1e9) * (1 + 1e-9)


def instants(subjects):
    """Yield who may dial by the calendar itself, at half past each fifth hour of four weeks: so every hour of the week comes up."""
    end = NOW + timedelta(weeks=WEEKS)
    every = [open_intervals(each.hours, each.zone, NOW, end) for each in subjects]
    for hour in range(0, WEEKS * 168, 5):
        at = (NOW + timedelta(hours=hour, minutes=30)).timestamp()
        yield [
            each
            for each, intervals in zip(subjects, every, strict=True)
            if any(low <= at < high for low, high in intervals)
        ]


@FEW
@given(TENANTS, st.integers(20, 300), st.randoms(use_true_random=False))
def test_the_order_of_campaigns_changes_nothing(drawn, calls, random) -> None:
    subjects = built(drawn)
    context = capacity(replace(SCARCE, answer_rates=RATES), concurrent_calls=calls)
    shuffled = random.sample(subjects, len(subjects))
    found = {
        subject.key: each
        for subject, each in zip(shuffled, allocate.propose(shuffled, context), strict=True)
    }
    assert allocate.propose(subjects, context) == tuple(found[each.key] for each in subjects)


def test_equal_campaigns_get_equal_calls_but_for_one_that_is_left_over() -> None:
    twins = [campaign(key, 40) for key in ("1", "2", "3")]
    context = replace(SCARCE, answer_rates=answering(dict.fromkeys("123", 0.2)))
    assert sorted(values(twins, context).values()) == [16, 17, 17]


@FEW
@given(TENANTS, st.integers(20, 300))
def test_after_the_proposals_there_is_nothing_to_propose(drawn, calls) -> None:
    context = capacity(replace(SCARCE, answer_rates=RATES), concurrent_calls=calls)
    after = applied(built(drawn), context)
    assert not [each for each in allocate.propose(after, context) if isinstance(each, Proposal)]


def test_the_reason_names_the_dual_by_local_day_and_hour() -> None:
    first, second = allocate.propose(PAIR, SCARCE)
    dual = r"one more concurrent call is worth [0-9.]+ contacts on {}, and [0-9,]+ a week"
    given = r"the capacity leaves 4[0-9] of the 6[0-9] concurrent calls that it could use; "
    assert re.fullmatch(given + dual.format("Monday 19:00 to 20:00"), first.reason)
    assert re.search(dual.format("Monday 18:00 to 19:00") + "$", second.reason)
    for each in (first, second):
        assert any(
            re.fullmatch(
                "All campaigns together then reach 5[0-9],[0-9]{3} contacts a week; equal shares of the capacity reach 4[0-9],[0-9]{3}.",
                note,
            )
            for note in each.notes
        )


def test_a_proposal_that_takes_room_from_others_says_so() -> None:
    fast = [replace(each, spec={RATE: 5.0, CALLS: 300}) for each in PAIR]
    few = replace(fast[0], spec={RATE: 5.0, CALLS: 10})
    assert not any(MERGE in each.notes for each in allocate.propose(fast, SCARCE))
    first, second = allocate.propose([few, fast[1]], SCARCE)
    assert MERGE in first.notes
    assert MERGE not in second.notes


MERGE = "Merge it together with the other proposals: those that lower a value make the room."


def test_what_one_more_call_is_worth_is_what_one_more_call_gains() -> None:
    """The notes say what all campaigns reach: two calls more gain at most twice what the reason says of one, and nearly that."""
    before, after = (
        allocate.propose(PAIR, capacity(concurrent_calls=calls))[0] for calls in (50, 52)
    )
    worth = figure(r"and ([\d,.]+) a week", before.reason)
    gained = figure(r"reach ([\d,]+)", " ".join(after.notes)) - figure(
        r"reach ([\d,]+)", " ".join(before.notes)
    )
    assert gained == pytest.approx(2 * worth, rel=0.1)


def figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1].replace(",", ""))


def test_the_campaign_whose_calls_reach_more_gets_more_of_them() -> None:
    shares = values(PAIR, SCARCE)
    assert shares["1"] + shares["2"] == 50
    assert shares["1"] > 2 * shares["2"] > 0


def test_nobody_falls_below_half_of_the_contacts_of_an_equal_share() -> None:
    poor = [PAIR[0], with_pacing(PAIR[1], value_per_contact=0.001)]
    share = values([PAIR[1], replace(PAIR[1], key="3")], SCARCE)["2"]
    assert 0.4 * share < values(poor, SCARCE)["2"] <= 0.5 * share
    assert "half of the contacts of an equal share" in allocate.propose(poor, SCARCE)[1].reason


def test_a_dear_contact_turns_the_shares() -> None:
    dear = [PAIR[0], with_pacing(PAIR[1], value_per_contact=5.0)]
    assert values(dear, SCARCE)["2"] > values(PAIR, SCARCE)["2"]
    assert "contacts times value on " in allocate.propose(dear, SCARCE)[0].reason


def test_where_nothing_is_scarce_the_values_are_those_of_erlang() -> None:
    ample = capacity(concurrent_calls=5000, calls_per_second=100.0)
    for mine, theirs in zip(
        allocate.propose(PAIR, ample), erlang.propose(PAIR, ample), strict=True
    ):
        assert mine.changes == theirs.changes
        assert mine.after == theirs.after
        assert "the capacity has room for the" in mine.reason
        assert not any("All campaigns" in note for note in mine.notes)


def test_campaigns_that_are_never_open_together_do_not_share() -> None:
    apart = [campaign("1", 60, hours=(9, 12)), campaign("2", 60, hours=(13, 16))]
    assert set(values(apart, SCARCE).values()) == {50}


def test_a_clock_change_moves_the_hours_in_which_campaigns_meet() -> None:
    """9 to 10 in New York is 14 to 15 in London, but 13 to 14 from 14 March to 28 March, within the four weeks."""
    early, late = (campaign("2", 60, hours=hours, where=LONDON) for hours in ((13, 14), (15, 16)))
    first = campaign("1", 60, hours=(9, 10))
    assert sum(values([first, early], SCARCE).values()) == 50
    assert sum(values([first, late], SCARCE).values()) == 100
    assert "on Sunday 9:00 to 10:00" in allocate.propose([first, early], SCARCE)[0].reason


def test_a_campaign_that_begins_within_four_weeks_has_its_share_already() -> None:
    later = campaign("2", 60, span=(NOW + timedelta(weeks=3), None))
    assert values([PAIR[0], later], SCARCE)["1"] < 50


def test_a_short_list_leaves_its_calls_to_others() -> None:
    short = [with_pacing(PAIR[0], list_size=4000), PAIR[1]]
    assert values(short, SCARCE)["1"] < values(PAIR, SCARCE)["1"]
    assert values(short, SCARCE)["2"] > values(PAIR, SCARCE)["2"]


@pytest.mark.parametrize("asked", [True, False])
def test_what_a_campaign_may_take_that_stays_as_it_is_is_not_divided(asked) -> None:
    third = campaign("3", None, calls=20)
    subjects = [*PAIR, third] if asked else PAIR
    context = SCARCE if asked else replace(SCARCE, others=(third,))
    shares = values(subjects, context)
    assert shares["1"] + shares["2"] == 30
    assert shares.get("3", 20) == 20


def test_campaigns_that_stay_as_they_are_may_leave_nothing() -> None:
    for reason in reasons(PAIR, replace(SCARCE, others=(campaign("3", calls=50),))):
        assert reason == (
            "on Monday 9:00 to 10:00 campaigns that stay as they are may take the whole capacity: campaign-3."
            " Lower their max_concurrent_calls, or raise spec.capacity"
        )


def test_calls_that_the_veto_would_take_go_to_others() -> None:
    """A tenth of the answers was abandoned, so the first campaign may not loosen: it keeps its 20 calls."""
    seen = (Bucket(NOW - timedelta(days=1), 1000, 200, 20),)
    pair = [campaign("1", 60, rate=0.2, calls=20, observed=seen), PAIR[1]]
    assert values(pair, SCARCE) == values(pair, capacity(concurrent_calls=5000))
    advice = advise("allocate", pair, SCARCE)
    assert not any(isinstance(each, Declined) and each.proposal for each in advice)


def test_less_than_a_call_for_each_is_not_divided() -> None:
    for reason in reasons(PAIR, capacity(concurrent_calls=1)):
        assert reason.startswith("the capacity leaves less than one concurrent call")


@pytest.mark.parametrize(
    ("subjects", "change", "said"),
    [
        (PAIR, {"capacity": Capacity()}, "tenant.yaml declares no capacity to divide"),
        (PAIR, {"partial": True}, "only a part of the tenant's manifests was read"),
        (PAIR[:1], {}, "the tenant has one campaign only"),
        ([replace(each, spec={}) for each in PAIR], {}, "use --strategy ratio"),
    ],
)
def test_what_cannot_be_divided_is_left_with_what_to_do(subjects, change, said) -> None:
    for reason in reasons(subjects, replace(SCARCE, **change)):
        assert said in reason


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (campaign("2", None, calls=10), "write pacing.agents"),
        (campaign("2", observed=(), calls=10), "too little data: 0 attempts"),
        (campaign("2", list_size=0), "load contacts and correct the number"),
        (campaign("2", span=(NOW + timedelta(weeks=6), None)), "at no hour of the next 4 weeks"),
        (
            campaign("2", None, observed=(Bucket(NOW - timedelta(hours=18), 999, 99, agents=0.5),)),
            "no dial rate keeps abandonment at 2 %: staff this hour, or close it",
        ),
    ],
)
def test_a_campaign_that_cannot_share_says_why_and_the_other_is_proposed(odd, said) -> None:
    first, second = allocate.propose([PAIR[0], odd], capacity(concurrent_calls=900))
    assert isinstance(first, Proposal)
    assert isinstance(second, Declined)
    assert said in second.reason


def test_a_solver_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        division, "solve", lambda _: sharing.Unsolved("time is up", is_infeasible=False)
    )
    for reason in reasons(PAIR, SCARCE):
        assert reason == "the solver found no answer (time is up): use --strategy erlang"
