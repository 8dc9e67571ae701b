"""The personal-connection dialect: reading in both shapes, writing block by block, on the strict platform and over stored answers."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import sandbox
from reconciler.dialects.base import Credentials, Site
from reconciler.dialects.calls import Call, NotJSON, Reply
from reconciler.dialects.personal_connection import api as pc
from reconciler.dialects.personal_connection import assumed, blocks, reading
from reconciler.dialects.personal_connection.answers import SkillAnswer, failed_items
from reconciler.errors import (
    AccessError,
    ApiError,
    PartlyWritten,
    Unavailable,
    UncertainWrite,
    UsageError,
)
from reconciler.kinds.live import Live
from reconciler.models.skill import DAYS
from reconciler.sandbox import skill_state as skills
from tests.support.bodies import make_skill_body
from tests.support.factories import NOW, converse, make_reply
from tests.support.skills import (
    APP,
    KIND,
    body_of,
    held,
    narrow_by_hand,
    platform,
    set_pace,
    start,
    wider,
)

PACKAGE = Path(pc.__file__).parent
COLUMNS = dict(zip(("schedule", "zones", "general"), blocks.BLOCKS, strict=True))
PACE_PATH = "/skills/4001/parameters/general-settings"
KEY = Credentials("key", "s3cret-of-key")
SITE = Site("https://na1.nice-incontact.com", 33)


@pytest.fixture
def box():
    with platform() as opened:
        yield opened


def token_of(**claims) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


TOKEN = {"access_token": token_of(tenantId="t-1"), "expires_in": 1234}
CONFIGURATION = {"api_endpoint": "https://api-na1.niceincontact.com/"}


# --- signing in ---------------------------------------------------------------------------------------------------------


def test_an_access_key_is_shown_to_the_tenants_own_host_and_the_api_is_looked_up():
    rounds = [(make_reply(TOKEN),), (make_reply(CONFIGURATION),)]
    token, [[ask], [find]] = converse(pc.authenticate(KEY, SITE), *rounds)
    assert (ask.method, ask.path, ask.origin, ask.anonymous) == (
        "POST",
        "/authentication/v1/token/access-key",
        None,
        True,
    )
    assert ask.json == {"accessKeyId": "key", "accessKeySecret": "s3cret-of-key"}
    assert (find.origin, dict(find.params)) == (
        "https://cxone.niceincontact.com",
        {"tenantId": "t-1"},
    )
    assert token.base == "https://api-na1.niceincontact.com/inContactAPI/services/v33.0"
    assert token.expires_in_s == 1234


def test_an_application_goes_through_discovery_with_its_own_secret():
    both = Credentials("key", "s3cret-of-key", app_id="app", app_secret="s3cret-of-app")
    openid = {"token_endpoint": "https://cxone.niceincontact.com/auth/token"}
    rounds = [(make_reply(openid),), (make_reply(TOKEN),), (make_reply(CONFIGURATION),)]
    _, [[first], [ask], _] = converse(pc.authenticate(both, SITE), *rounds)
    assert first.path == "/.well-known/openid-configuration"
    assert (ask.origin, ask.path) == ("https://cxone.niceincontact.com", "/auth/token")
    assert ask.form == {"grant_type": "password", "username": "key", "password": "s3cret-of-key"}
    assert base64.b64decode(ask.headers["Authorization"].split()[1]) == b"app:s3cret-of-app"
    assert "s3cret" not in repr(both) + repr(ask)
    assert ask.headers["Authorization"].split()[1] not in repr(ask)


@pytest.mark.parametrize("more", [{}, APP], ids=["access key", "application"])
def test_both_ways_lead_into_the_platform(box, more):
    assert "4001" in box.ask(pc.read(), **more).objects


def test_a_rotated_key_is_said_to_be_one(box):
    with pytest.raises(AccessError, match="CXONE_CLIENT_SECRET"):
        box.ask(pc.read(), client_secret="rotated-away")


def test_an_application_that_is_refused_is_named_beside_the_key(box):
    with pytest.raises(AccessError, match="CXONE_APP_ID with CXONE_APP_SECRET"):
        box.ask(pc.read(), **{**APP, "app_secret": "wrong-secret"})


# --- reading ------------------------------------------------------------------------------------------------------------


def test_the_tenant_is_read_whole(box):
    found = box.ask(pc.read())
    assert sorted(found.objects) == ["4001", "4002", "4003", "4004", "4005"]
    assert found.objects["4003"].running
    assert found.objects["4003"].settled
    assert found.ceilings == {"maximum_ratio": 3.0}
    assert {key: lists.status for key, lists in found.lists.items()} == {
        "70": "ACTIVE",
        "71": "ACTIVE",
        "72": "INACTIVE",
    }
    assert [each.id for each in found.scrubs["4002"]] == ["70", "71"]
    assert "America/Chicago" in found.offers["calling_windows"]
    assert set(found.unfit) == {"4008", "4009"}
    assert "inbound only" in found.unfit["4008"]
    assert "Manual" in found.unfit["4009"]


def test_bulk_blocks_and_a_single_look_say_the_same(box):
    bulk = box.ask(pc.read()).objects
    box.world.faults.add("no-bulk")
    blockwise = box.ask(pc.read()).objects
    assert bulk == blockwise == dict(box.ask(pc.read_some([])))
    for key, live in bulk.items():
        assert box.ask(pc.read_one(key)) == live
        assert live.stored == held(box.world, key)


def test_a_bulk_answer_that_says_something_else_than_the_blocks_is_not_believed(box):
    truth = box.ask(pc.read()).objects
    box.world.faults.add("odd-bulk")
    assert box.ask(pc.read()).objects == truth


def test_a_bulk_answer_costs_three_calls_more_for_its_proof(box):
    box.ask(pc.read())
    blockwise = [each for each in box.asked if each.endswith("-settings") or "time-zones" in each]
    assert len(blockwise) == 3


def test_skills_come_in_pages(box):
    sandbox.seed_many_skills(box.world, 205)
    found = box.ask(pc.read())
    assert len(found.objects) == 5 + 205
    assert sum(each == "GET /skills" for each in box.asked) == 3
    assert len(found.scrubs) == 4 + 205


def test_a_platform_with_nothing_answers_204_and_is_read_as_empty(box):
    box.world.reset()
    found = box.ask(pc.read())
    assert (found.objects, found.lists, found.unfit) == ({}, {}, {})


def test_where_dialing_ahead_is_not_allowed_the_ratio_is_one(box):
    box.world.put_unit(allowPredictiveDialing=False)
    assert box.ask(pc.read()).ceilings == {"maximum_ratio": assumed.RATIO_WITHOUT_PREDICTIVE}


def test_a_version_that_is_not_spoken_is_named(box):
    with pytest.raises(ApiError, match="check `version` and `url`"):
        converse(pc.read(), (make_reply(None, 404),))


def test_an_unknown_skill_is_a_404_with_the_platforms_reason(box):
    with pytest.raises(ApiError, match="SkillId 999 does not exist") as caught:
        box.ask(pc.read_one("999"))
    assert caught.value.status == 404


def test_a_closed_day_and_a_skill_that_is_not_scheduled_are_read_as_they_are(box):
    box.world.put_skill(4001, schedule={"sundayIsActive": False})
    days = [row["day"] for row in body_of(box.ask(pc.read_one("4001")))["run_window"]]
    assert days == list(DAYS[:6])
    box.world.put_skill(4001, schedule={"isScheduled": False})
    always = [{"day": day, "start": "00:00", "end": "24:00"} for day in DAYS]
    assert body_of(box.ask(pc.read_one("4001")))["run_window"] == always


@pytest.mark.parametrize("block", blocks.BLOCKS, ids=lambda block: block.path)
@pytest.mark.parametrize("answer", [None, [], {}, {"x": 1}, "text", [{"x": 1}]])
def test_a_block_of_another_form_is_an_error_with_its_name(block, answer):
    parts = {each.path: make_reply(_block(each)) for each in blocks.BLOCKS}
    parts[block.path] = make_reply({block.name: answer})
    unit = make_reply({"businessUnits": [{"defaultTimeZone": "Eastern Standard Time"}]})
    skill = make_reply({"skillId": 4001, "skillName": "x"})
    first = (unit, skill, make_reply(None, 204), *parts.values())
    if answer == [] and block is blocks.ZONES:
        live, _ = converse(pc.read_one("4001"), first)
        assert live.stored["calling_windows"] == []
        return
    with pytest.raises(ApiError, match=block.name):
        converse(pc.read_one("4001"), first)


@pytest.mark.parametrize("block", blocks.BLOCKS, ids=lambda block: block.path)
def test_a_block_that_is_not_json_is_an_error_with_its_name(block):
    """As Python writes a rate that it could not compute: NaN."""
    calls = reading.block_calls("4001")
    replies = [make_reply(NotJSON() if each is block else _block(each)) for each in blocks.BLOCKS]
    answers = [SkillAnswer(call, reply) for call, reply in zip(calls, replies, strict=True)]
    with pytest.raises(ApiError, match=NotJSON.MESSAGE) as caught:
        reading.part_of(answers)
    assert block.path in str(caught.value)


def _block(block):
    made = {
        "schedule-settings": skills.a_week(),
        "time-zones": [skills.a_zone("Eastern Standard Time", "09:00", "20:00")],
        "general-settings": skills.a_pace(),
    }
    return made[block.path]  # without the wrapper: both are read


# --- writing ------------------------------------------------------------------------------------------------------------

times = st.integers(0, 1438).flatmap(
    lambda start: st.integers(start + 1, 1439).map(lambda end: (_clock(start), _clock(end)))
)
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


bodies = st.builds(
    lambda week, zones, ratio, level, block, before, rate, own, ring, groups: make_skill_body(
        run_window=[
            {"day": day, "start": start, "end": end}
            for day, (start, end) in zip(DAYS, week, strict=True)
        ],
        calling_windows=[
            {"timezone": zone, "start": start, "end": end}
            for zone, (start, end) in sorted(zones.items())
        ],
        maximum_ratio=ratio / 10,
        aggressiveness=level,
        block_multiple_calls=block,
        percentage_of_agents_before_overdial=float(before),
        abandon_rate_threshold=rate / 10,
        override_business_unit_abandon_rate=own,
        maximum_ringing_duration_s=ring,
        dnc_groups=sorted(groups),
    ),
    st.lists(times, min_size=7, max_size=7),
    st.dictionaries(st.sampled_from(ZONES), times, min_size=1),
    st.integers(10, 30),
    st.sampled_from(["1", "5", "10", "Cautious"]),
    st.booleans(),
    st.integers(0, 100),
    st.integers(0, 999),
    st.booleans(),
    st.integers(1, 60),
    st.sets(st.sampled_from(["70", "71"])),
)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_what_is_written_is_read_and_at_no_instant_is_it_wider_than_before_or_after(data):
    with platform() as box:
        for _ in range(2):
            body = data.draw(bodies)
            before = held(box.world, "4001")
            box.watched, box.seen = "4001", []
            box.write("4001", body)
            assert box.ask(pc.read_one("4001")).stored == body == held(box.world, "4001")
            assert all(wider(each, before, body) == [] for each in box.seen)


@settings(max_examples=25, deadline=None)
@given(
    bodies,
    st.integers(0, 14),
    st.sampled_from(["400", "409", "500", "reset-after", "partial", "403"]),
)
def test_wherever_it_fails_nothing_is_wider_than_before_and_what_was_narrowed_stays(
    body, skip, fault
):
    with platform() as box:
        before = held(box.world, "4001")
        box.watched = "4001"
        box.world.faults.add(f"{fault}:PUT *:skip={skip},times=1")
        try:
            box.write("4001", body)
        except (ApiError, AccessError):
            after = held(box.world, "4001")
            assert wider(after, before) == []
        else:
            assert held(box.world, "4001") == body
        assert all(wider(each, before, body) == [] for each in box.seen)


@settings(max_examples=40, deadline=None)
@given(
    bodies,
    st.integers(1, 6),
    st.sampled_from(list(COLUMNS)),
    st.sampled_from(
        [
            "429:PUT *:after=40",
            "400:PUT *:",
            "401:PUT *:",
            "503:PUT *:",
            "500-after:PUT *:",
            "reset-before:PUT *:",
            "reset-after:PUT *:",
            "partial:PUT *:",
        ]
    ),
    st.integers(1, 3),
)
def test_what_a_hand_sets_while_a_write_waits_or_fails_stays(body, nth, column, fault, times):
    with platform() as box:
        set_by_hand, writes = {}, 0

        def hand(request):
            nonlocal writes
            writes += request.startswith("PUT")
            if writes == nth and not set_by_hand:
                narrow_by_hand(box.world, "4001", column)
                now = held(box.world, "4001")
                set_by_hand.update({name: now[name] for name in COLUMNS[column].fields})

        spec, _, option = fault.rpartition(":")
        options = [option] * bool(option) + [f"skip={nth - 1}", f"times={times}"]
        box.world.faults.add(f"{spec}:{','.join(options)}")
        box.after = hand
        with contextlib.suppress(ApiError, AccessError):
            box.write("4001", body)
        after = held(box.world, "4001")
        assert {name: after[name] for name in set_by_hand} == set_by_hand


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("429:PUT *:after=40,times=3", ApiError, "changed since it was planned"),
        ("401:PUT *:times=3", ApiError, "changed since it was planned"),
        ("503:PUT *:times=3", UncertainWrite, "no usable answer, and somebody else changed"),
        ("reset-after:PUT *", UncertainWrite, "no usable answer, and somebody else changed"),
    ],
)
@pytest.mark.parametrize("pace", [1.9, 1.1], ids=["wider", "narrower"])
@pytest.mark.parametrize("by_hand", [1.0, 1.5])
def test_a_block_that_a_hand_changed_before_the_write_was_repeated_is_left(
    box, fault, error, said, pace, by_hand
):
    """Without an answer the write may have been executed before the hand came: then it is not known what the hand narrowed."""
    box.world.faults.add(fault)
    box.after = lambda request: (
        set_pace(box.world, "4001", maximumRatio=by_hand) if request.startswith("PUT") else None
    )
    with pytest.raises(ApiError, match=said) as caught:
        box.write("4001", body_of(box.ask(pc.read_one("4001"))) | {"maximum_ratio": pace})
    assert type(caught.value) is error
    assert caught.value.status == (412 if error is ApiError else 0)
    assert [each for each in box.asked if each.startswith("PUT")] == [f"PUT {PACE_PATH}"]
    assert held(box.world, "4001")["maximum_ratio"] == by_hand


def test_a_write_whose_answer_was_lost_is_read_and_not_sent_again(box):
    box.world.faults.add("reset-after:PUT *")
    box.write("4001", body_of(box.ask(pc.read_one("4001"))) | {"maximum_ratio": 1.9})
    assert box.asked[4:] == [f"PUT {PACE_PATH}", *[f"GET {PACE_PATH}"] * 2]
    assert held(box.world, "4001")["maximum_ratio"] == 1.9


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize(
    ("lost", "refused", "change"),
    [
        ("reset-after:PUT *", "GET *general-settings", {"maximum_ratio": 1.9}),
        ("reset-after:PUT *", "GET *general-settings", {"maximum_ratio": 1.1}),
        ("500-after:DELETE *scrubbed*", "GET *scrubbed-skills", {"dnc_groups": []}),
        ("reset-after:POST *scrubbed*", "GET *scrubbed-skills", {"dnc_groups": ["70", "71"]}),
    ],
    ids=["wider", "narrower", "out of a group", "into a group"],
)
def test_a_refused_read_after_a_lost_answer_is_no_refusal_of_the_write(
    box, lost, refused, change, status
):
    """The write was executed. If it counted as refused, the ledger would not know whose values the platform holds.

    A removed membership alone is restored, because a membership is added without a read.
    """
    before = held(box.world, "4001")
    wanted = body_of(box.ask(pc.read_one("4001"))) | change

    def refuse(request):
        if request.startswith(("PUT", "POST", "DELETE")):
            box.world.faults.add(f"{status}:{refused}")

    box.world.faults.add(lost)
    box.after = refuse
    with pytest.raises(UncertainWrite):
        box.write("4001", wanted)
    assert held(box.world, "4001") == (wanted if wanted["dnc_groups"] else before)


@pytest.mark.parametrize(("status", "error"), [(403, AccessError), (404, ApiError)])
def test_a_refused_read_after_a_write_that_was_not_executed_is_a_refusal(box, status, error):
    wanted = body_of(box.ask(pc.read_one("4001"))) | {"maximum_ratio": 1.9}
    box.world.faults.add("429:PUT *:after=1")
    box.after = lambda request: (
        box.world.faults.add(f"{status}:GET *general-settings")
        if request.startswith("PUT")
        else None
    )
    with pytest.raises(error) as caught:
        box.write("4001", wanted)
    assert not isinstance(caught.value, UncertainWrite)


@pytest.mark.parametrize(
    ("pace", "stale"), [({"maximum_ratio": 1.9}, True), ({"maximum_ratio": 1.0}, False)]
)
def test_a_skill_that_was_started_since_it_was_planned_is_slowed_down_and_not_sped_up(
    box, pace, stale
):
    live = box.ask(pc.read_one("4001"))
    before = body_of(live)
    start(box.world, "4001")
    exchange = pc.write("4001", before | pace, token="t", live=live)
    if not stale:
        box.ask(exchange)
        assert held(box.world, "4001") == before | pace
        return
    with pytest.raises(ApiError, match="was started since it was planned") as caught:
        box.ask(exchange)
    assert (type(caught.value), caught.value.status) == (ApiError, 412)
    assert held(box.world, "4001") == before


@settings(max_examples=40, deadline=None)
@given(
    bodies,
    st.integers(1, 8),
    st.sampled_from(["429:%s:after=40", "401:%s:", "503:%s:", "reset-before:%s:", "400:%s:"]),
    st.integers(1, 3),
)
def test_a_skill_that_starts_while_a_write_waits_or_fails_is_not_sped_up(body, nth, fault, times):
    with platform() as box:
        before, writes = {}, 0

        def start_after(request):
            nonlocal writes
            writes += not request.startswith("GET")
            if writes == nth and not before:
                before.update(held(box.world, "4001"))
                start(box.world, "4001")

        spec, _, option = fault.rpartition(":")
        for what in ("PUT *", "POST *scrubbed*", "DELETE *"):
            box.world.faults.add(f"{spec % what}:{option}{',' * bool(option)}times={times}")
        box.after = start_after
        with contextlib.suppress(ApiError, AccessError):
            box.write("4001", body)
        after = held(box.world, "4001")
        paced = {name: before.get(name, after[name]) for name in KIND.immediate}
        assert wider({**after}, {**after, **paced}) == []


@pytest.mark.parametrize(
    "fault", ["429:PUT *:after=40,times=1", "503:PUT *:times=1", "reset-before:PUT *:times=1"]
)
@pytest.mark.parametrize("pace", [1.9, 1.0])
def test_a_skill_that_starts_before_a_write_is_repeated_is_slowed_down_and_not_sped_up(
    box, fault, pace
):
    box.world.faults.add(fault)
    box.after = lambda request: start(box.world, "4001") if request.startswith("PUT") else None
    before = body_of(box.ask(pc.read_one("4001")))
    stale = pytest.raises(ApiError, match="was started since it was planned")
    with stale if pace > before["maximum_ratio"] else contextlib.nullcontext():
        box.write("4001", before | {"maximum_ratio": pace})
    assert held(box.world, "4001")["maximum_ratio"] == min(pace, before["maximum_ratio"])


def test_a_skill_that_starts_while_its_hours_are_widened_is_not_sped_up(box):
    before = body_of(box.ask(pc.read_one("4001")))
    wide = before | {"maximum_ratio": 2.0}
    wide["calling_windows"] = [{**each, "end": "21:00"} for each in before["calling_windows"]]
    box.after = lambda request: start(box.world, "4001") if request.startswith("PUT") else None
    said = r"was started since it was planned.*restored \(calling_windows\)"
    with pytest.raises(PartlyWritten, match=said):
        box.write("4001", wide)
    assert held(box.world, "4001") == before


@pytest.mark.parametrize(
    ("fault", "groups", "method", "path"),
    [
        ("reset-after:POST *scrubbed*", ["70", "71"], "POST", "71"),
        ("500-after:DELETE *scrubbed*", [], "DELETE", "70"),
    ],
)
def test_a_membership_whose_answer_was_lost_is_read_and_not_changed_again(
    box, fault, groups, method, path
):
    box.world.faults.add(fault)
    box.write("4001", body_of(box.ask(pc.read_one("4001"))) | {"dnc_groups": groups})
    list_of = f"/dnc-groups/{path}/scrubbed-skills"
    assert box.asked[-3:] == [f"{method} {list_of}/4001", *[f"GET {list_of}"] * 2]
    assert held(box.world, "4001")["dnc_groups"] == groups


def test_what_nobody_manages_and_a_hand_changed_stays_when_the_rest_is_put_back(box):
    """A hand sets an unmanaged field, and takes the skill out of a group that the write does not touch."""
    box.world.put_group(72, skills=[4001])
    wide = body_of(box.ask(pc.read_one("4001"))) | {"maximum_ratio": 2.0, "dnc_groups": ["72"]}
    before = held(box.world, "4001")

    def hand(request):
        if request == f"PUT {PACE_PATH}":
            box.after = lambda _: None
            set_pace(box.world, "4001", callerIdOverride="+13035550111")
            box.world.put_group(72)

    box.world.faults.add("400:DELETE *")
    box.after = hand
    with pytest.raises(PartlyWritten, match=r"restored \(maximum_ratio, dnc_groups\)"):
        box.write("4001", wide)
    assert held(box.world, "4001") == before | {"dnc_groups": ["70"]}
    now = json.loads(box.world.skill("4001")["general"])
    assert now["callerIdOverride"] == "+13035550111"


def test_a_pace_is_put_back_although_the_skill_was_started_meanwhile(box):
    def hand(request):
        if request == f"PUT {PACE_PATH}":
            start(box.world, "4001")
            box.world.faults.add("429:PUT *:after=40,times=1")
            box.after = lambda _: None

    before = body_of(box.ask(pc.read_one("4001")))
    box.world.faults.add("400:DELETE *")
    box.after = hand
    with pytest.raises(PartlyWritten, match="were restored"):
        box.write("4001", before | {"maximum_ratio": 2.0, "dnc_groups": []})
    assert held(box.world, "4001") == before


@pytest.mark.parametrize("is_on", [True, False])
def test_zones_are_put_back_with_their_other_settings_as_they_are_now_if_they_are_on(is_on):
    def zone(end, *, override, is_on=True):
        return {
            "standardName": "Eastern Standard Time",
            "startTime": "09:00",
            "endTime": end,
            "timeZoneActiveToCall": is_on,
            "overrideTime": override,
        }

    before, now = zone("18:00", override=True), zone("21:00", override=False, is_on=is_on)
    other = {**now, "standardName": "Mountain Standard Time"}
    due = zone("18:00", override=not is_on)
    assert blocks.ZONES.restored([before], [other, now]) == [due]


def test_what_a_hand_changed_before_it_would_be_put_back_is_left_and_said(box):
    def hand(request):
        if request == f"PUT {PACE_PATH}":
            narrow_by_hand(box.world, "4001", "zones")

    box.world.faults.add("400:PUT *general-settings")
    box.after = hand
    wide = body_of(box.ask(pc.read_one("4001"))) | {"maximum_ratio": 2.0}
    wide["calling_windows"] = [{**each, "end": "21:00"} for each in wide["calling_windows"]]
    with pytest.raises(UncertainWrite, match="changed calling_windows meanwhile, which was left"):
        box.write("4001", wide)
    assert {each["end"] for each in held(box.world, "4001")["calling_windows"]} == {"03:01"}


def test_fields_that_nobody_manages_are_kept(box):
    def unknown():
        return json.loads(box.world.skill("4001")["general"])["callerIdOverride"]

    box.world.put_skill(4001, general={"callerIdOverride": "+13035550111"})
    box.write("4001", make_skill_body(maximum_ratio=2.0))
    assert unknown() == "+13035550111"


def test_only_blocks_that_change_are_written_and_each_is_read_before_and_after(box):
    body = body_of(box.ask(pc.read_one("4001"))) | {"maximum_ratio": 1.1}
    box.write("4001", body)
    path = "/skills/4001/parameters"
    pace = f"{path}/general-settings"
    assert box.asked[3:] == [f"PUT {pace}", f"GET {pace}"]
    assert sorted(box.asked[:3]) == [
        f"GET {pace}",
        f"GET {path}/schedule-settings",
        f"GET {path}/time-zones",
    ]


def test_what_narrows_goes_before_what_widens(box):
    body = body_of(box.ask(pc.read_one("4001")))
    body |= {
        "maximum_ratio": 2.0,
        "percentage_of_agents_before_overdial": 90.0,
        "dnc_groups": ["71"],
    }
    box.watched = "4001"
    box.write("4001", body)
    ratios = [
        (each["maximum_ratio"], each["percentage_of_agents_before_overdial"]) for each in box.seen
    ]
    assert ratios == [(1.2, 90.0), (2.0, 90.0), (2.0, 90.0), (2.0, 90.0)]
    assert [each["dnc_groups"] for each in box.seen] == [["70"], ["70"], ["70", "71"], ["71"]]


def test_what_the_first_call_refuses_leaves_nothing_written(box):
    before = held(box.world, "4001")
    box.world.faults.add("400:PUT *")
    with pytest.raises(ApiError) as caught:
        box.write("4001", make_skill_body())
    assert type(caught.value) is ApiError
    assert held(box.world, "4001") == before
    assert box.world.journal() == []


def test_what_was_widened_is_put_back_when_a_later_block_fails(box):
    before = body_of(box.ask(pc.read_one("4001")))
    wide = make_skill_body(maximum_ratio=2.0, percentage_of_agents_before_overdial=90.0)
    box.world.faults.add("400:PUT *general-settings:skip=1")
    with pytest.raises(PartlyWritten, match=r"restored \(calling_windows\)"):
        box.write("4001", wide)
    assert held(box.world, "4001") == before | {
        "abandon_rate_threshold": 3.0,
        "percentage_of_agents_before_overdial": 90.0,
    }


def test_what_cannot_be_put_back_is_for_whoever_reads_first(box):
    box.world.faults.add("400:PUT *general-settings")
    box.world.faults.add("400:PUT *time-zones:skip=1")
    with pytest.raises(UncertainWrite, match="could not be restored"):
        box.write("4001", make_skill_body(maximum_ratio=2.0))


def test_a_platform_that_goes_away_leaves_the_fate_open(box):
    box.world.faults.add("reset-before:PUT *")
    live = box.ask(pc.read_one("4001"))
    with pytest.raises(UncertainWrite):
        box.ask(pc.write("4001", make_skill_body(maximum_ratio=1.0), token="t", live=live))


def test_a_platform_that_cannot_be_read_first_has_nothing_open(box):
    live = box.ask(pc.read_one("4001"))
    box.world.faults.add("reset-before")
    with pytest.raises(Unavailable):
        box.ask(pc.write("4001", make_skill_body(), token="t", live=live))


def test_a_skill_that_moved_meanwhile_is_stale_and_left_alone(box):
    live = box.ask(pc.read_one("4001"))
    box.world.put_skill(4001, general={"maximumRatio": 1.3})
    moved = held(box.world, "4001")
    with pytest.raises(ApiError) as caught:
        box.ask(pc.write("4001", moved | {"maximum_ratio": 1.1}, token="t", live=live))
    assert caught.value.status == 412
    assert held(box.world, "4001") == moved


def test_a_membership_that_moved_meanwhile_is_stale_and_left_alone(box):
    live = box.ask(pc.read_one("4001"))
    box.world.put_group(71, skills=[4001])
    wanted = body_of(live) | {"dnc_groups": ["70", "71"]}
    with pytest.raises(ApiError) as caught:
        box.ask(pc.write("4001", wanted, token="t", live=live))
    assert caught.value.status == 412
    assert box.world.journal() == []


def test_a_part_that_was_not_taken_is_found_in_an_answer_that_looks_well(box):
    box.world.faults.add("partial:PUT *")
    with pytest.raises((PartlyWritten, UncertainWrite), match="a fault that was asked for"):
        box.write("4001", make_skill_body())


@pytest.mark.parametrize("answer", [1.5, 1.2])
def test_what_is_read_back_as_something_else_is_no_success(answer):
    live = Live("4001", "x", stored=make_skill_body())
    raw = _block(blocks.PACE)
    rounds = [
        tuple(make_reply(_block(block)) for block in blocks.BLOCKS),
        (make_reply(None, 204),),
        (make_reply({"generalSettings": raw | {"maximumRatio": answer}}),),
    ]
    slower = make_skill_body(maximum_ratio=1.0)
    with pytest.raises(PartlyWritten, match=r"maximum_ratio was sent as 1\.0 and is stored as"):
        converse(pc.write("4001", slower, token="t", live=live), *rounds)


def test_a_write_leads_to_the_run_by_its_correlation_id():
    live = Live("4001", "x", stored=make_skill_body())
    call, *_ = next(pc.write("4001", make_skill_body(maximum_ratio=1.0), token="run-7", live=live))
    assert call.headers == {"CorrelationId": "run-7"}


@pytest.mark.parametrize(
    ("live", "body"),
    [(Live("4001", "x", stored=make_skill_body()), None), (Live("4001", "x"), make_skill_body())],
)
def test_nothing_is_removed_and_nothing_is_created(live, body):
    with pytest.raises(ApiError, match="always holds a schedule"):
        converse(pc.write("4001", body, token="t", live=live))


# --- what is never called -----------------------------------------------------------------------------------------------


def test_every_path_of_the_package_is_one_that_it_may_call():
    """The words of paths, with the methods that stand beside them, are all there are in the source."""
    texts = {
        node.value
        for file in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    paths = {text for text in texts if text.startswith("/") and " " not in text and len(text) > 1}
    assert paths == {
        "/.well-known/cxone-configuration",
        "/.well-known/openid-configuration",
        "/authentication/v1/token/access-key",
        "/business-unit",
        "/dnc-groups",
        "/inContactAPI/services",
        "/skills",
        "/skills/parameters",
        "/stop",  # by the emergency stop alone
        "/timezones",
        "/v",
        "/wfm-data/skills/dialer-contacts",
    }
    assert not {"lists", "call-lists", "force"} & texts


@settings(max_examples=10, deadline=None)
@given(bodies, st.integers(0, 8))
def test_whatever_is_written_only_blocks_and_memberships_are_touched(body, skip):
    with platform(f"400:PUT *:skip={skip},times=1") as box:
        with contextlib.suppress(ApiError):
            box.write("4001", body)
        for each in box.asked:
            method, path = each.split(" ")
            assert method == "GET" or (
                (method == "PUT" and path.startswith("/skills/4001/parameters/"))
                or (
                    method in {"POST", "DELETE"}
                    and path.startswith("/dnc-groups/")
                    and path.endswith("/scrubbed-skills/4001")
                )
            ), each


def test_the_only_delete_is_of_a_membership():
    calls = [
        (node, file)
        for file in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value == "DELETE"
    ]
    assert {file.name for _, file in calls} == {"writing.py"}
    assert len(calls) == 1


# --- answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"error": "invalid_grant", "error_description": "no"}, {}, ("invalid_grant: no",)),
        ({"errorDescription": "wrong"}, {}, ("wrong",)),
        ({"message": "wrong"}, {}, ("wrong",)),
        (None, {"icstatusdescription": "InvalidParameter"}, ("InvalidParameter",)),
        ({}, {}, ()),
    ],
)
def test_a_reason_is_found_in_the_body_or_in_the_header(body, headers, expected):
    assert pc.explain(Reply(400, headers, body, NOW)) == expected


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (None, 0),
        ({"generalSettings": {"maximumRatio": 2}}, 0),
        ({"results": [{"success": True}, {"success": False}]}, 1),
        ({"results": [{"error": "no"}, {"errors": []}]}, 1),
        ([{"success": False, "error": "a"}, {"nested": [{"errorDescription": "b"}]}], 2),
    ],
)
def test_failed_items_are_found_wherever_they_stand(answer, count):
    assert len(list(failed_items(answer))) == count


def test_roles_are_not_named_and_there_is_no_refresh_and_no_intake():
    assert pc.missing_scope(make_reply({}, 403)) is None
    assert converse(pc.activate("4001")) == (None, [])
    with pytest.raises(UsageError, match="--events"):
        converse(pc.publish([{"id": "1"}]))


@pytest.mark.parametrize("fault", [None, "old-stats"])
def test_what_was_dialed_is_read_under_either_name(box, fault):
    if fault:
        box.world.faults.add(fault)
    start = datetime(2027, 2, 20, 15, tzinfo=UTC)
    found = box.ask(pc.metrics("4002", start, start + timedelta(days=8))).hours
    assert len(found) == 9 * 8
    assert found[0].start == start
    assert (found[0].attempts, found[0].answers, found[0].handle_time_s) == (5200, 1456, 158)
    assert sum("dialer-contacts" in each for each in box.asked) == 2


def test_a_call_says_where_it_goes_and_never_its_host():
    call = Call("GET", "/x", origin="https://cxone.niceincontact.com")
    assert call.where == "GET /x"
    assert KIND.name == "SkillSchedule"
