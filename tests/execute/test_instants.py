"""The platform's instants are believed only between our intent and our read-back, on its own clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import audit, client
from reconciler.execute.instants import Span, since
from reconciler.plan import Action, Result
from reconciler.report.apply import of_apply
from tests.audit.test_records import COMMIT, chained
from tests.support.bodies import make_body
from tests.support.changed_answers import changing
from tests.support.engine import engine
from tests.support.factories import NOW, make_desired, make_plan
from tests.support.gitfakes import START, Clock, operation, run

SPAN = Span(NOW, NOW + timedelta(seconds=10), slack_s=2.0)
YEARS = timedelta(days=3650)


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_latency_is_within_the_span_and_never_negative(stored, activated):
    latency_s = SPAN.latency_s(at(stored), at(activated))
    if latency_s is None:
        assert SPAN.doubt(at(stored), at(activated))
    else:
        assert 0 <= latency_s <= 14
        assert SPAN.doubt(at(stored), at(activated)) == ""


@pytest.mark.parametrize(
    ("stored", "activated", "latency_s", "named"),
    [
        (at(1), at(4.5), 3.5, []),
        (at(-2), at(12), 14.0, []),
        (at(-2.1), at(4), None, ["stored"]),
        (at(1), at(12.1), None, ["activated"]),
        (at(4), at(1), None, ["stored", "activated"]),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", None, ["stored", "activated"]),
        ("2020-01-01T00:00:00Z", None, None, ["stored"]),
        (None, at(1), None, []),
        (None, None, None, []),
        ("yesterday", at(1), None, ["stored"]),
    ],
)
def test_what_is_outside_of_the_span_is_named(stored, activated, latency_s, named):
    assert SPAN.latency_s(stored, activated) == latency_s
    doubt = SPAN.doubt(stored, activated)
    assert [name for name in ("stored", "activated") if f"{name} at" in doubt] == named
    assert ("the latency is unknown" in doubt) == bool(named)


class Told:
    def __init__(self, now: datetime | None, uncertainty_s: float) -> None:
        self.now, self.uncertainty_s = now, uncertainty_s


def test_a_span_allows_for_what_is_not_known_of_the_clock():
    span = since(NOW, Told(NOW, 1.25))
    assert span is not None
    assert span.slack_s == 2.25
    assert since(NOW, Told(None, 1.0)) is None
    assert since(NOW, Told(NOW, float("inf"))) is None
    assert since(None, Told(NOW, 1.0)) is None


# --- an apply -----------------------------------------------------------------------------------------------------------


def telling(monkeypatch: pytest.MonkeyPatch, made: Any) -> None:
    """Have the platform tell `made(instant)` for every instant of a schedule or a dialer; `None` leaves it out."""

    def change(_path: str, _query: dict[str, str], body: Any) -> Any:
        if isinstance(body, list):
            return [change("", {}, each) for each in body]
        if not isinstance(body, dict):
            return body
        found = {}
        for name, value in body.items():
            is_instant = name in {"updated_at", "activated_at"} and isinstance(value, str)
            shown = made(datetime.fromisoformat(value)) if is_instant else change("", {}, value)
            if not is_instant or shown is not None:
                found[name] = shown.isoformat() if is_instant else shown
        return found

    monkeypatch.setattr(
        "tests.support.engine.embedded",
        lambda app: client.embedded(changing(app, change, writes=True)),
    )


UNTRUE = {
    "constant": lambda _: START,
    "past": lambda when: when - YEARS,
    "future": lambda when: when + YEARS,
    "an hour ago": lambda when: when - timedelta(hours=1),
}


@pytest.mark.parametrize("made", UNTRUE.values(), ids=UNTRUE)
def test_an_instant_that_cannot_be_true_leaves_the_latency_unknown_and_is_named(made, monkeypatch):
    telling(monkeypatch, made)
    with engine({"1001": make_body()}) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
    assert (outcome.result, outcome.latency_s) == (Result.UPDATED, None)
    assert (outcome.stored_at, outcome.activated_at) == (None, None)
    assert "which its own clock contradicts" in outcome.doubt
    (note,) = of_apply(make_plan(), [outcome], exit_code=0).notes
    assert "1 campaign (campaign-1001)" in note


@pytest.mark.parametrize("made", [lambda when: when, lambda _: None], ids=["true", "missing"])
def test_instants_that_are_true_or_missing_are_not_contradicted(made, monkeypatch):
    telling(monkeypatch, made)
    with engine({"1001": make_body()}) as bench:
        _, (outcome,) = bench.apply([make_desired("1001", body=make_body(dial_rate=10.0))])
    assert outcome.doubt == ""
    assert (outcome.latency_s is None) == (made(START) is None)
    assert outcome.latency_s is None or 0 < outcome.latency_s < 5
    assert of_apply(make_plan(), [outcome], exit_code=0).notes == ()


def test_a_refresh_of_what_an_earlier_run_stored_has_no_latency_and_no_doubt(monkeypatch):
    telling(monkeypatch, lambda when: when - timedelta(hours=1))
    with engine({"1001": make_body()}) as bench:
        bench.world.put_campaign(
            "1001", "Campaign 1001", schedule=make_body(dial_rate=3.0), active=False
        )
        plan, outcomes = bench.apply([make_desired("1001", body=make_body(dial_rate=3.0))])
    assert [each.action for each in plan.operations] == [Action.REFRESH]
    assert [(each.latency_s, each.doubt) for each in outcomes] == [(None, "")]


# --- audit --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency_s", [None, 0.0, -3600.0, 3600.0, 3e8])
def test_a_latency_that_cannot_be_true_leaves_the_answer_to_the_records(latency_s):
    """Older records may hold one."""
    clock = Clock()
    maker = run(COMMIT, "run-2", clock=clock)
    intent = maker.intent(operation(), digest="d" * 64, generation=0)
    clock.pass_by(20)
    done = audit.stamp(clock.now)
    records = chained(
        [intent, maker.outcome(intent, Result.UPDATED, audit={}, at=done, latency_s=latency_s)]
    )
    second = timedelta(seconds=1)
    assert audit.at(records, clock.now - second, "1001").stored is None
    state = audit.at(records, clock.now, "1001")
    assert state.stored == state.active
    assert state.stored is not None


def test_a_latency_that_may_be_true_tells_when_it_was_stored():
    clock = Clock()
    maker = run(COMMIT, "run-2", clock=clock)
    intent = maker.intent(operation(), digest="d" * 64, generation=0)
    clock.pass_by(20)
    done = audit.stamp(clock.now)
    records = chained(
        [intent, maker.outcome(intent, Result.UPDATED, audit={}, at=done, latency_s=15.0)]
    )
    state = audit.at(records, clock.now - timedelta(seconds=10), "1001")
    assert state.stored is not None
    assert state.active is None
