"""With `--all` no skill counts as silent because the platform's list shows it so, and none that runs is left out."""

from __future__ import annotations

import asyncio
import itertools
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import sandbox
from reconciler.commands import takeover, targets
from reconciler.commands.platform_list import PlatformList
from reconciler.commands.targets import Known, Target
from reconciler.dialects.base import Listed
from reconciler.dialects.calls import Reply
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.personal_connection import api as pc
from reconciler.errors import Unavailable
from reconciler.kinds.live import Live
from tests.commands.test_halt_refused_reads import CAMPAIGNS, SKILLS, is_stop, skills, watched
from tests.support.changed_answers import changed

__all__ = ["watched"]

PC = ("Personal Connection", "personal connection", "PersonalConnection", "PERSONAL_CONNECTION")
UNCLEAR = ("", " ", None, 1, [])
OTHER = ("Agentless", "Manual", "Proactive XS")
ABSENT = object()


def rows(monkeypatch, change):
    """Change every row of the list of skills; other answers stay as they are."""

    def changing(path, _, body):
        if path.endswith("/skills"):
            for row in body["skills"]:
                change(row)
        return body

    changed(monkeypatch, SKILLS, changing)


def page(row):
    """Return what a page with one row shows of its skill."""
    found: dict[str, Listed] = {}
    exchange = pc.read_pages(found.update)
    next(exchange)
    with pytest.raises(StopIteration):
        exchange.send((Reply(200, {}, {"skills": [row], "totalRecords": 1}),))
    return found.get(str(row["skillId"]))


@given(
    st.sampled_from([*PC, *UNCLEAR, *OTHER, ABSENT]),
    st.sampled_from([True, "True", "true", None, False, "maybe", ABSENT]),
    st.sampled_from([True, "True", "maybe"]),
    st.sampled_from([True, False, None, "maybe", ABSENT]),
)
def test_every_running_skill_is_shown_and_only_one_of_another_kind_is_left_alone(
    strategy, outbound, running, active
):
    row = {"skillId": 1, "outboundStrategy": strategy, "isOutbound": outbound}
    row |= {"isRunning": running, "isActive": active, "skillName": "one"}
    shown = page({name: value for name, value in row.items() if value is not ABSENT})
    assert shown is not None
    assert not shown.quiet
    is_inbound = outbound is False and (strategy is ABSENT or strategy in UNCLEAR)
    assert bool(shown.other) == (is_inbound or strategy in OTHER)


@given(st.sampled_from([False, "false", None, ABSENT]))
def test_a_skill_that_the_list_shows_as_silent_is_not_proved_silent(running):
    row = {"skillId": 1, "skillName": "one", "isOutbound": True, "isRunning": running}
    row = {name: value for name, value in row.items() if value is not ABSENT}
    assert page(row | {"outboundStrategy": PC[0]}) == Listed("one", quiet=True)
    assert page(row | {"outboundStrategy": OTHER[0]}) is None


@given(
    st.sampled_from([*PC, *UNCLEAR, ABSENT]),
    st.sampled_from([True, "True", None, "maybe", ABSENT]),
    st.sampled_from([False, "false", None, ABSENT]),
    st.sampled_from([True, False, None, "maybe", ABSENT]),
)
def test_a_skill_that_is_shown_as_silent_is_left_alone_only_if_it_is_clearly_of_another_kind(
    strategy, outbound, running, active
):
    row = {"skillId": 1, "outboundStrategy": strategy, "isOutbound": outbound}
    row |= {"isRunning": running, "isActive": active, "skillName": "one"}
    shown = page({name: value for name, value in row.items() if value is not ABSENT})
    assert shown == Listed("one", quiet=True)


@pytest.mark.parametrize("said", [False, None, ABSENT])
def test_a_list_that_lags_keeps_no_skill_from_being_stopped(watched, monkeypatch, said):
    lived = skills(watched)
    rows(
        monkeypatch,
        lambda row: row.pop("isRunning") if said is ABSENT else row.update(isRunning=said),
    )
    report = lived.halt()
    assert report.exit_code == 0
    assert {"4001", "4003", "4005"} <= lived.stopped
    assert not any(row["running"] for row in lived.platform.skills())
    assert lived.held() == lived.stopped


def test_a_list_that_lags_proves_no_silence_after_the_stop(watched, monkeypatch):
    lived = skills(watched)
    lived.wait_s = 30.0
    lived.answer = lambda where, _: 409 if where.endswith("/4003/stop") else None
    rows(monkeypatch, lambda row: row.update(isRunning=False))
    report = lived.halt()
    assert report.exit_code == 75
    assert [each["key"] for each in report.data["objects"] if not each["silent"]] == ["4003"]


def lagging(watched, monkeypatch, count=5, *, shown=()):
    """Serve campaigns that dial. The list shows none of them with a schedule but those `shown`, and the last campaign has none."""
    lived = watched(CAMPAIGNS)
    sandbox.seed_many(lived.platform, count)
    lived.platform.put_campaign("2000000", "silent")

    def without(path, _, body):
        if path == "/api/campaigns":
            for row in body["campaigns"]:
                if row["id"] not in shown:
                    row |= {"schedule": None, "dialer": None, "etag": None, "schedule_id": None}
        return body

    changed(monkeypatch, CAMPAIGNS, without)
    return lived


KEYS = [str(1_000_000 + number) for number in range(5)]


@pytest.mark.parametrize("manifests", [KEYS, [], KEYS[:2]], ids=["all", "none", "some"])
def test_a_campaign_that_only_the_list_shows_as_silent_is_read_by_itself(
    watched, monkeypatch, manifests
):
    lived = lagging(watched, monkeypatch)
    for key in manifests:
        lived.name(key, f"c-{key}")
    report = lived.halt()
    assert report.exit_code == 0
    assert lived.stopped == lived.held() == {*KEYS}
    assert {each["key"] for each in report.data["objects"]} == {*KEYS}
    assert lived.halt().exit_code == 0


@pytest.mark.parametrize("manifests", [KEYS, []], ids=["all", "none"])
def test_no_read_of_a_campaign_that_is_shown_as_silent_precedes_a_stop(
    watched, monkeypatch, manifests
):
    lived = lagging(watched, monkeypatch, 40, shown={*map(str, range(1_000_002, 1_000_040))})
    for key in manifests:
        lived.name(key, f"c-{key}")
    lived.faults = ["slow:DELETE *:ms=10000"]  # of the fast clock
    monkeypatch.setattr("reconciler.execute.halt.FIRST_S", 400.0)  # on a busy machine
    assert lived.halt().exit_code == 0
    sent = [at for at, each in enumerate(lived.seen) if each.startswith(("DELETE", "PUT"))]
    hidden = {f"GET /api/campaigns/{key}" for key in KEYS[:2]}
    assert min(map(lived.seen.index, hidden)) > sent[2 * 38 - 1]


def test_a_locked_dialer_delays_no_read_of_what_is_shown_as_silent(watched, monkeypatch):
    lived = lagging(watched, monkeypatch, shown={KEYS[0]})
    lived.answer = lambda where, _: 500 if where.startswith("PUT") and KEYS[0] in where else None
    assert lived.halt().exit_code == 75
    assert lived.stopped == {*KEYS}


@pytest.mark.parametrize("manifests", [KEYS, []], ids=["all", "none"])
@pytest.mark.parametrize("refused", [1, 1_000_000], ids=["once", "always"])
def test_what_could_not_be_read_is_looked_at_again_while_the_lock_is_not_taken(
    watched, monkeypatch, refused, manifests
):
    """A read that succeeds later, or a list that no longer lags, shows that it dials."""
    shown, reads = set(), itertools.count()
    lived = lagging(watched, monkeypatch, shown=shown)
    for key in manifests:
        lived.name(key, f"c-{key}")
    lived.wait_s = 60.0

    def away(_):
        raise Unavailable("the git remote does not answer")

    def progress(line):
        if "watching" in line and refused > 1:
            shown.add(KEYS[0])

    monkeypatch.setattr(takeover.Takeover, "_open_ledger", away)
    lived.desk.world = lived.desk.world._replace(progress=progress)
    lived.answer = lambda where, _: (
        403
        if where == f"GET /api/campaigns/{KEYS[0]}"
        and KEYS[0] not in lived.stopped
        and next(reads) < refused
        else None
    )
    lived.halt()
    assert lived.stopped == lived.held() == {*KEYS}


@pytest.mark.parametrize("manifests", [KEYS, []], ids=["all", "none"])
@pytest.mark.parametrize("status", [403, 404, 500, "hang"])
def test_what_is_shown_as_silent_and_cannot_be_read_is_not_verified(
    watched, monkeypatch, status, manifests
):
    lived = lagging(watched, monkeypatch)
    for key in manifests:
        lived.name(key, f"c-{key}")
    lived.wait_s = 120.0
    lived.answer = lambda where, _: (
        status if where.startswith(f"GET /api/campaigns/{KEYS[3]}") else None
    )
    report = lived.halt()
    assert report.exit_code == 75
    (row,) = (each for each in report.data["objects"] if not each["silent"])
    assert (row["key"], row["result"]) == (KEYS[3], None)
    assert "could not be read by itself" in row["message"]
    assert lived.stopped == {*KEYS} - {KEYS[3]}
    assert "4 of 5 objects silent and held, 1 unverified" in report.verdict


def test_what_the_list_shows_dialing_is_stopped_first(watched):
    lived = skills(watched)
    assert lived.halt().exit_code == 0
    stops = [each for each in lived.seen if is_stop(each)]
    assert {each.split("/")[-2] for each in stops[:3]} == {"4001", "4003", "4005"}


def test_a_running_skill_without_a_clear_strategy_is_stopped_and_one_of_another_kind_is_named(
    watched, monkeypatch
):
    odd = {4003: {"outboundStrategy": None}, 4005: {"isOutbound": None}}
    odd |= {4002: {"outboundStrategy": "Agentless", "isRunning": True}}
    odd |= {4004: {"outboundStrategy": "Agentless"}}
    lived = skills(watched)
    rows(monkeypatch, lambda row: row.update(odd.get(row["skillId"], {})))
    report = lived.halt()
    assert report.exit_code == 0
    assert {"4001", "4003", "4005"} <= lived.stopped
    assert not {"4002", "4004"} & lived.stopped
    (note,) = (each for each in report.notes if "--all does not stop" in each)
    assert "(4002, Agentless)" in note
    assert "4004" not in note


def test_an_object_that_the_list_shows_dialing_during_its_read_is_stopped_once():
    """The watch reads the list while each object is still read by itself."""
    found, started = [], []

    class Reads:
        listing = SimpleNamespace(seen=set())

        async def read_each(self, keys, on_read):
            listed._stop_page({key: Listed("first", None) for key in keys})
            on_read(Live("1", "first"))

    known = Known(
        SimpleNamespace(desired=(), invalid={}, tenant=None), SimpleNamespace(KINDS={"C": None})
    )
    listed = PlatformList(None, Reads(), lambda: known, started.extend, found.append)
    listed.unread["1"] = Target("C", "1", "first")
    listed._has_ended = True
    asyncio.run(listed.check_again(found.append))
    assert [each.key for each in started] == ["1"]
    assert found == []
    assert listed.unread == {}


def test_a_fault_of_this_program_in_the_list_ends_no_stop(watched, monkeypatch):
    """An answer that nobody thought of is worth no more than an error: what manifests name is stopped all the same."""
    lived = lagging(watched, monkeypatch)
    lived.name(KEYS[0], "first")

    def broken(_):
        yield from ()
        raise KeyError("campaigns")

    monkeypatch.setattr(campaigns, "read_pages", broken)
    report = lived.halt()
    assert report.exit_code == 3
    assert "please report it: KeyError('campaigns')" in " ".join(report.notes)
    assert lived.stopped == lived.held() == {KEYS[0]}


def test_a_fault_of_this_program_beside_the_stops_ends_none_and_loses_no_hold(watched, monkeypatch):
    lived, sent = lagging(watched, monkeypatch), threading.Event()
    lived.name(KEYS[0], "first")
    lived.answer = lambda where, _: sent.set() if where.startswith("DELETE") else None
    lived.faults = ["slow:DELETE *:ms=20000"]  # of the fast clock

    def broken(*_):
        assert sent.wait(60)
        raise KeyError("records")

    monkeypatch.setattr(targets, "recorded", broken)
    with pytest.raises(KeyError):
        lived.halt("first")
    assert lived.held() == {KEYS[0]}
    assert lived.platform.active_history(KEYS[0])[-1][1] is None, "the dialer was refreshed"
