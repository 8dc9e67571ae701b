"""Fields that the platform adds to what it stores: kept, told once, and no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import client, diff
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.campaigns.reading import PLATFORM_FIELDS, unknown_fields
from reconciler.dialects.personal_connection import api as pc
from reconciler.dialects.personal_connection.blocks import BLOCKS, PACE, ZONES
from reconciler.effect import Direction
from reconciler.plan import Action, Result, build, hold_against, live_hash
from reconciler.report import changes
from tests.support.bodies import make_body, make_window
from tests.support.changed_answers import changing
from tests.support.engine import engine
from tests.support.factories import (
    KIND,
    KINDS,
    make_desired,
    make_live,
    make_operation,
    make_origin,
    make_plan,
    make_snapshot,
)
from tests.support.skills import platform

ADDED = {"created_at": "2027-01-01T00:00:00Z", "revision": 3, "links": {"self": "/x"}}
JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([{}])
NAMES = st.text(max_size=8).filter(lambda name: name not in KIND.fields.keys() | PLATFORM_FIELDS)


def added(_path: str, _query: dict[str, str], body: Any) -> Any:
    """Add fields to every schedule of an answer, wherever it stands in it."""
    if isinstance(body, list):
        return [added(_path, _query, each) for each in body]
    if not isinstance(body, dict):
        return body
    more = ADDED if "dial_rate" in body else {}
    return {name: added(_path, _query, each) for name, each in body.items()} | more


@pytest.fixture
def adding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine's platform add fields to lists, to one schedule, and to the answer of a POST."""
    monkeypatch.setattr(
        "tests.support.engine.embedded",
        lambda app: client.embedded(changing(app, added, writes=True)),
    )


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_no_added_field_is_a_difference(more):
    live = make_live(stored=make_body(**more))
    assert diff.same(live.stored, make_body(), KIND.canonical)
    assert live_hash(live, KIND) == live_hash(make_live(), KIND)
    assert unknown_fields(live.stored) == more


def test_a_field_that_is_added_to_a_window_is_no_difference_and_is_named_with_its_list():
    stored = make_body(compliance_windows=[make_window() | {"label": "weekdays"}])
    assert KIND.canonical(stored) == make_body()
    assert unknown_fields(stored) == {"compliance_windows[].label": ["weekdays"]}


@pytest.mark.parametrize("name", sorted(make_body()))
def test_a_managed_field_that_is_missing_or_cannot_be_read_is_a_difference(name):
    """An older platform may not return it, and then nobody knows that it holds what was sent."""
    rest = {each: value for each, value in make_body().items() if each != name}
    assert not diff.same(rest, make_body(), KIND.canonical)
    assert not diff.same(rest | {name: {"odd": 1}}, make_body(), KIND.canonical)
    assert diff.moved(KIND.canonical(rest), make_body()) == [name]


@pytest.mark.usefixtures("adding")
def test_a_write_is_verified_although_the_platform_adds_fields():
    with engine({"1001": make_body(), "1002": make_body(campaign_id="1002")}) as bench:
        wanted = [make_desired("1001", body=make_body(dial_rate=10.0)), make_desired("1002")]
        plan, (outcome,) = bench.apply(wanted)
        assert [change.path for change in plan.operations[0].fields] == ["dial_rate"]
        assert (outcome.result, outcome.message) == (Result.UPDATED, "")
        assert bench.plan(wanted).operations == ()


@pytest.mark.usefixtures("adding")
@pytest.mark.parametrize(
    "exchange", [campaigns.read_one("1001"), None], ids=["alone", "in the list"]
)
def test_what_is_added_is_kept_as_it_came(exchange):
    with engine({"1001": make_body()}) as bench:
        live = bench.ask(exchange) if exchange else bench.read().objects["1001"]
        assert live.unknown == set(ADDED)
        assert ADDED.items() <= live.stored.items()


@pytest.mark.usefixtures("adding")
def test_added_fields_are_told_once_for_the_tenant():
    with engine({"1001": make_body(), "1002": make_body(campaign_id="1002")}) as bench:
        plan = bench.plan([make_desired("1001"), make_desired("1002")])
    assert plan.unknown == ("created_at", "links", "revision")
    (note,) = [each for each in changes.of_plan(plan, exit_code=0).notes if "know" in each]
    assert note == (
        "The platform sends fields that reconcile does not know: `created_at`, `links`, `revision`. They are not compared."
    )


@pytest.mark.usefixtures("adding")
def test_a_write_that_drops_an_unknown_field_counts_as_loosening_and_shows_its_value():
    """It may be a safeguard. The order of writes goes by the fields that are known: see the next test."""
    with engine({"1001": make_body(dial_rate=20.0)}) as bench:
        plan = bench.plan([make_desired("1001", body=make_body(dial_rate=10.0))])
        removed = bench.plan([replace(make_desired("1001"), body=None)])
    (operation,) = plan.operations
    assert (operation.direction, operation.verdict) == (Direction.TIGHTEN, Direction.MIXED)
    report = changes.of_plan(plan, exit_code=2)
    assert "1 may widen dialing" in report.verdict
    (told,) = report.data["operations"]
    assert (told["direction"], told["dropped"]) == ("mixed", ["created_at", "links", "revision"])
    assert "drops unknown fields: created_at, links, revision" in report.tables[0].rows[0].brief
    assert operation.notes == (
        'effect unknown, counts as loosening: the platform holds fields that reconcile does not know, and this write replaces the schedule without them: created_at "2027-01-01T00:00:00Z", links {"self":"/x"}, revision 3',
    )
    assert removed.operations[0].verdict is Direction.TIGHTEN


@pytest.mark.usefixtures("adding")
def test_what_narrows_comes_before_what_widens_where_the_platform_adds_fields_to_all():
    bodies = {key: make_body(campaign_id=key, dial_rate=20.0) for key in ("1001", "1002")}
    rates = {"1001": 30.0, "1002": 10.0}
    wanted = [
        make_desired(key, body={**body, "dial_rate": rates[key]}) for key, body in bodies.items()
    ]
    with engine(bodies) as bench:
        _, outcomes = bench.apply(wanted)
    assert [(each.operation.key, each.result) for each in outcomes] == [
        ("1002", Result.UPDATED),
        ("1001", Result.UPDATED),
    ]


def test_a_narrowing_that_drops_an_unknown_field_is_left_out_of_tighten_only():
    plain, drops = make_operation("1001"), make_operation("1002", dropped=("new_field",))
    plan = make_plan([plain, drops])
    assert hold_against(plan, None).run == (plain, drops)
    assert hold_against(plan, None, tighten_only=True).run == (plain,)


def test_a_refresh_drops_nothing_because_it_stores_nothing():
    live = make_live(stored=make_body(revision=3), active_id=None, unsent={"revision": 3})
    (operation,) = build(make_origin(), [make_desired()], make_snapshot([live]), KINDS).operations
    assert (operation.action, operation.dropped, operation.notes) == (Action.REFRESH, (), ())


def test_the_name_of_an_added_field_cannot_steer_a_terminal():
    (note,) = changes.of_plan(make_plan(unknown=("a\x1b[2J",)), exit_code=0).notes
    assert "\x1b" not in note


# --- Personal Connection ------------------------------------------------------------------------------------------------


def skill_fields(path: str, _query: dict[str, str], body: Any) -> Any:
    if "/parameters/" not in path:
        return body
    ((name, block),) = body.items()
    if isinstance(block, list):
        return {name: [row | {"createdAt": "x"} for row in block]}
    return {name: block | {"revision": 3}}


def test_a_skill_keeps_and_names_what_the_platform_adds_to_its_blocks(monkeypatch):
    monkeypatch.setattr(
        "tests.support.skills.embedded", lambda app: client.embedded(changing(app, skill_fields))
    )
    with platform() as box:
        alone, listed = box.ask(pc.read_one("4001")), box.ask(pc.read())
        assert alone.unknown == {"createdAt", "revision"}
        assert not alone.unsent  # a write sends the block back as it came
        assert {name for each in listed.objects.values() for name in each.unknown} == alone.unknown
        assert alone.stored == listed.objects["4001"].stored


def test_no_field_that_the_contract_gives_a_skill_is_unknown():
    with platform() as box:
        assert [each.unknown for each in box.ask(pc.read()).objects.values() if each.unknown] == []


def test_a_field_is_unknown_in_whichever_row_of_a_block_it_stands():
    raw = {"maximumRatio": 2, "revision": 3}
    assert PACE.unknown(raw) == {"revision"}
    assert ZONES.unknown([{"standardName": "x", "createdAt": 1}, "odd"]) == {"createdAt"}
    assert {block.unknown(None) for block in BLOCKS} == {frozenset()}
