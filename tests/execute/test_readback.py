"""What is read back after a write: as sent, stored by the platform in its own way, or changed by somebody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reconciler import client
from reconciler.execute.readback import compare, is_beyond
from reconciler.plan import Action, Base, Result
from tests.support.bodies import make_body, make_window
from tests.support.changed_answers import changing
from tests.support.engine import engine
from tests.support.factories import KIND, make_desired, make_operation

BEFORE = make_body(dial_rate=2.0)
SENT = make_body(dial_rate=2.456)


def normalising(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    """Have the platform show these values for what was sent as 2.456 calls per second."""

    def change(_path: str, _query: dict[str, str], body: Any) -> Any:
        if isinstance(body, list):
            return [change("", {}, each) for each in body]
        if not isinstance(body, dict):
            return body
        shown = values if body.get("dial_rate") == 2.456 else {}
        return {name: change("", {}, each) for name, each in body.items()} | shown

    monkeypatch.setattr(
        "tests.support.engine.embedded",
        lambda app: client.embedded(changing(app, change, writes=True)),
    )


def operation(**parts: Any):
    return make_operation(action=Action.UPDATE, desired=SENT, live=BEFORE, **parts)


@pytest.mark.parametrize(
    ("fields", "ours", "failure"),
    [
        ({}, False, None),
        ({"dial_rate": 2.45}, True, None),
        ({"timezone": "America/Chicago"}, True, None),
        ({"dial_rate": 2.46}, True, Result.NOT_AS_SENT),
        ({"dial_rate": "2.456"}, True, Result.NOT_AS_SENT),
        ({"dial_rate": 2.45, "max_concurrent_calls": 501}, True, Result.NOT_AS_SENT),
        ({"dial_rate": 2.45}, False, Result.OVERTAKEN),
        ({"dial_rate": 2.0}, False, Result.NOT_AS_SENT),
        ({"dial_rate": 2.0, "max_concurrent_calls": 1}, False, Result.OVERTAKEN),
    ],
)
def test_only_a_third_value_of_another_write_is_somebody_elses(fields, ours, failure):
    verdict = compare(operation(), SENT | fields, KIND, ours=ours)
    assert verdict.failure is failure
    assert ("somebody else" in verdict.message) == (failure is Result.OVERTAKEN)
    for name, value in fields.items():
        assert f"`{name}` was sent as {SENT[name]} and is stored as {value}" in verdict.message


def test_a_field_that_an_older_platform_does_not_return_is_no_success():
    now = {name: value for name, value in SENT.items() if name != "dnc_verification"}
    verdict = compare(operation(), now, KIND, ours=True)
    assert verdict.failure is Result.NOT_AS_SENT
    assert "`dnc_verification` was sent as True and is stored as nothing" in verdict.message


@pytest.mark.parametrize(
    ("sent", "before", "now", "failure"),
    [
        (None, BEFORE, BEFORE, Result.NOT_AS_SENT),
        (None, BEFORE, SENT, Result.OVERTAKEN),
        (SENT, BEFORE, None, Result.OVERTAKEN),
        (SENT, None, None, Result.NOT_AS_SENT),
        (SENT, None, BEFORE, Result.OVERTAKEN),
    ],
)
def test_a_schedule_that_is_there_or_not_is_judged_as_a_whole(sent, before, now, failure):
    written = make_operation(desired=sent, live=before)
    assert compare(written, now, KIND, ours=False).failure is failure


def test_windows_are_told_by_zone_and_no_more_than_three_fields_at_once():
    moved = [make_window(start=10), make_window("America/Chicago"), make_window("Europe/London")]
    now = make_body(dial_rate=1.0, max_concurrent_calls=1, compliance_windows=moved)
    said = compare(operation(), now, KIND, ours=True).message
    assert "`compliance_windows[America/New_York]` was sent as 9-20 and is stored as 10-20" in said
    assert said.count("was sent as") == 3
    assert ", and 2 more" in said


def test_a_value_of_the_platform_cannot_steer_a_terminal():
    said = compare(operation(), SENT | {"timezone": "\x1b[2J"}, KIND, ours=True).message
    assert "\x1b" not in said


# --- the life of a value that the platform stores in its own way --------------------------------------------------------


def applied(bench, wanted):
    """Carry a plan out and return its outcome, and what the ledger would say was applied."""
    _, (outcome,) = bench.apply([wanted])
    return outcome, {"1001": Base(wanted.body, stored_id=outcome.stored_id, sent=wanted.body)}


@pytest.mark.parametrize("values", [{"dial_rate": 2.45}, {"timezone": "America/Chicago"}])
def test_a_value_that_comes_back_narrower_or_the_same_is_done_and_not_written_again(
    values, monkeypatch
):
    normalising(monkeypatch, **values)
    ((name, value),) = values.items()
    wanted = make_desired("1001", body=SENT)
    with engine({"1001": BEFORE}) as bench:
        outcome, base = applied(bench, wanted)
        assert outcome.result is Result.UPDATED
        assert outcome.message == f"`{name}` was sent as {SENT[name]} and is stored as {value}"
        (row,) = bench.plan([wanted], base=base).operations
        assert row.action is Action.HELD
        assert "differently from what was sent. Keep it: `reconcile import" in row.blocked[0]
        assert "outside git" not in row.blocked[0]
        (again,) = bench.plan([wanted], base=base, revert=["1001"]).operations
        assert (again.action, again.desired) == (Action.UPDATE, SENT)


def test_a_value_that_comes_back_wider_is_not_activated_and_planned_again(monkeypatch):
    normalising(monkeypatch, dial_rate=2.46)
    wanted = make_desired("1001", body=SENT)
    with engine({"1001": BEFORE}) as bench:
        outcome, base = applied(bench, wanted)
        assert (outcome.result, outcome.code) == (Result.STORED_NOT_ACTIVE, 1)
        asyncio.run(bench.ticker.sleep(60))
        held = bench.world.campaign("1001")
        assert held["active_id"] != held["schedule_id"]
        assert "`dial_rate` was sent as 2.456 and is stored as 2.46" in outcome.message
        assert "somebody else" not in outcome.message
        (row,) = bench.plan([wanted], base=base).operations
        assert (row.action, row.desired) == (Action.UPDATE, SENT)


def test_a_narrowing_that_comes_back_wider_than_sent_is_active_and_a_failure(monkeypatch):
    normalising(monkeypatch, dial_rate=2.46)
    with engine({"1001": make_body(dial_rate=5.0)}) as bench:
        outcome, _ = applied(bench, make_desired("1001", body=SENT))
        assert (outcome.result, outcome.wrote, outcome.done) == (Result.NOT_AS_SENT, True, False)
        asyncio.run(bench.ticker.sleep(60))  # the dialer takes it after the refresh
        held = bench.world.campaign("1001")
        assert held["active_id"] == held["schedule_id"]


@pytest.mark.parametrize(
    ("rate", "dials", "beyond"),
    [
        (2.46, 2.0, True),
        (2.46, None, True),
        (2.46, 2.46, False),
        (2.46, 5.0, False),
        (2.45, 2.0, False),
        (2.45, None, False),
        ("2.46 cps", 5.0, True),
    ],
)
def test_beyond_is_what_is_wider_than_sent_and_than_what_dials(rate, dials, beyond):
    now = None if dials is None else make_body(dial_rate=dials)
    assert is_beyond(SENT | {"dial_rate": rate}, SENT, now, KIND) is beyond


def test_a_hand_that_narrows_besides_is_held_in_its_own_words(monkeypatch):
    """A narrowing by hand that our write kept has the id of our write, too: it is not the platform's way."""
    normalising(monkeypatch, timezone="America/Chicago")
    wanted = make_desired("1001", body=SENT | {"max_concurrent_calls": 600})
    with engine({"1001": SENT}) as bench:
        live = bench.read().objects["1001"]
        base = {"1001": Base(wanted.body, stored_id=live.stored_id, sent=SENT)}
        (row,) = bench.plan([wanted], base=base).operations
        assert row.action is Action.HELD
        assert (
            "the platform stores `timezone` (America/New_York → America/Chicago) differently"
            in row.blocked[0]
        )
        assert "`max_concurrent_calls` (600 → 500) was narrowed outside git" in row.blocked[0]


def test_a_commit_to_the_field_itself_is_planned(monkeypatch):
    normalising(monkeypatch, dial_rate=2.45)
    with engine({"1001": BEFORE}) as bench:
        _, base = applied(bench, make_desired("1001", body=SENT))
        (row,) = bench.plan(
            [make_desired("1001", body=make_body(dial_rate=3.0))], base=base
        ).operations
        assert row.action is Action.UPDATE
