"""The campaigns dialect, driven over stored samples: no socket, no client."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.dialects.base import Credentials, Listed, Waiting
from reconciler.dialects.calls import Call, Reply
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.pages import MAX_PAGES
from reconciler.errors import ApiError, IncompleteList, UncertainWrite
from reconciler.kinds.campaign import KINDS
from reconciler.kinds.live import Live, ScrubList
from tests.support.bodies import make_body
from tests.support.factories import NOW, converse, make_live, make_reply, make_silent

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str):
    return json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))


def reply(name: str, status: int = 200, headers=None) -> Reply:
    return make_reply(sample(name), status, headers)


def listing(name: str, rows, total=None, **extra):
    """Return one page of a list, with a `total` when there is one."""
    return make_reply({name: rows, **({} if total is None else {"total": total}), **extra})


NO_LISTS = listing("lists", [], 0)
NO_CAMPAIGNS = listing("campaigns", [], 0)


def rows(first: int, last: int):
    return [
        {"id": f"{n:05}", "name": f"C{n}", "status": "STOPPED", "dialer": None, "schedule": None}
        for n in range(first, last + 1)
    ]


def read(*rounds):
    return converse(campaigns.read(), *rounds)


# --- signing in ---------------------------------------------------------------------------------------------------------


def test_a_token_is_asked_for_with_a_form_and_without_a_token():
    credentials = Credentials("app", "s3cret", "campaigns:read dnc:read")
    token, [[call]] = converse(campaigns.authenticate(credentials), (reply("token"),))
    assert (call.method, call.path, call.anonymous, call.json) == (
        "POST",
        "/api/oauth2/token",
        True,
        None,
    )
    assert call.form == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "s3cret",
        "scope": "campaigns:read dnc:read",
    }
    assert token.value == sample("token")["access_token"]
    assert token.expires_in_s == 1800
    assert token.scopes == {"dialer:read", "dnc:read", "campaigns:read"}


def test_no_scope_is_asked_for_when_none_is_configured():
    _, [[call]] = converse(campaigns.authenticate(Credentials("app", "s")), (reply("token"),))
    assert "scope" not in call.form


def test_neither_the_secret_nor_the_token_shows_in_a_repr():
    credentials = Credentials("app", "s3cret")
    token, [[call]] = converse(campaigns.authenticate(credentials), (reply("token"),))
    assert "s3cret" not in repr(credentials) + repr(call)
    assert token.value not in repr(token)


@pytest.mark.parametrize("value", [None, "", 7, "two words\n", "t\u00f6ken", ["x"]])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(value):
    answer = make_reply({"access_token": value})
    with pytest.raises(ApiError) as caught:
        converse(campaigns.authenticate(Credentials("app", "s")), (answer,))
    assert "access_token" in str(caught.value)
    assert "words" not in str(caught.value)


@pytest.mark.parametrize("lifetime", [{}, {"expires_in": None}, {"expires_in": 0}])
def test_a_token_without_a_lifetime_lives_as_long_as_the_contract_says(lifetime):
    answer = make_reply({"access_token": "t", **lifetime})
    token, _ = converse(campaigns.authenticate(Credentials("app", "s")), (answer,))
    assert token.expires_in_s == 1800.0
    assert token.scopes == frozenset()


# --- reading the tenant -------------------------------------------------------------------------------------------------


def test_a_tenant_is_read_in_one_round_when_its_lists_fit_on_a_page():
    snapshot, [calls] = read((reply("settings"), reply("lists"), reply("campaigns")))
    assert [(call.method, call.path, dict(call.params)) for call in calls] == [
        ("GET", "/api/dialer/settings", {}),
        ("GET", "/api/dnc/lists", {"page": "1", "page_size": "100"}),
        ("GET", "/api/campaigns", {"page": "1", "page_size": "1000", "expand": "schedule"}),
    ]
    assert snapshot.ceilings == {"dial_rate": 40.0, "max_concurrent_calls": 1500.0}
    assert snapshot.at == NOW
    assert sorted(snapshot.objects) == ["1001", "1002", "1003"]


def test_stored_and_active_are_told_apart():
    snapshot, _ = read((reply("settings"), reply("lists"), reply("campaigns")))
    assert snapshot.objects["1001"] == Live(
        key="1001",
        name="Spring Renewals",
        running=True,
        stored=make_body(
            start_time="2027-01-11T09:00:00-05:00",
            end_time="2027-01-15T18:00:00-05:00",
            dial_rate=25,
        ),
        version='"sch-7"',
        stored_id="sch-7",
        active_id="sch-6",
        stored_at="2027-01-12T13:00:00Z",
        activated_at="2027-01-10T10:00:05Z",
        stored_by="supervisor",
    )
    assert not snapshot.objects["1001"].settled


def test_a_campaign_without_schedule_or_dialer_is_silent_and_settled():
    snapshot, _ = read((reply("settings"), reply("lists"), reply("campaigns")))
    assert snapshot.objects["1002"] == Live("1002", "Market Survey")
    assert snapshot.objects["1003"] == Live("1003", "Debt Reminders", running=True)
    assert snapshot.objects["1003"].settled


def test_what_was_received_is_canonically_what_a_manifest_compiles_to():
    snapshot, _ = read((reply("settings"), reply("lists"), reply("campaigns")))
    assert KINDS["CampaignSchedule"].canonical(snapshot.objects["1001"].stored) == make_body()


def test_lists_are_found_by_the_campaigns_that_they_are_linked_to():
    snapshot, _ = read((reply("settings"), reply("lists"), reply("campaigns")))
    federal = ScrubList("dnc-1", "Federal DNC", "ACTIVE", "2027-01-10T00:00:00Z")
    own = ScrubList("dnc-2", "Own opt-outs", "SYNCING", "2027-01-12T13:59:00Z")
    assert snapshot.scrubs == {"1001": (federal, own), "1003": (federal,)}


@pytest.mark.parametrize(
    "given_settings", [{}, {"max_dial_rate": None, "max_concurrent_calls": None}]
)
def test_settings_that_say_nothing_mean_the_defaults_of_the_contract(given_settings):
    snapshot, _ = read((make_reply(given_settings), NO_LISTS, NO_CAMPAIGNS))
    assert snapshot.ceilings == {"dial_rate": 50.0, "max_concurrent_calls": 2000.0}


def test_the_clock_is_the_latest_that_the_platform_sent():
    late = NOW + timedelta(seconds=3)
    answers = (
        Reply(200, {}, {}, None),
        Reply(200, {}, NO_LISTS.json, NOW),
        Reply(200, {}, NO_CAMPAIGNS.json, late),
    )
    snapshot, _ = read(answers)
    assert snapshot.at == late


def test_a_platform_without_a_clock_cannot_be_planned_on():
    answers = tuple(Reply(200, {}, part, None) for part in ({}, NO_LISTS.json, NO_CAMPAIGNS.json))
    with pytest.raises(ApiError, match="no Date"):
        read(answers)


# --- pages --------------------------------------------------------------------------------------------------------------


def test_with_a_total_all_further_pages_are_asked_for_at_once():
    snapshot, [_, more] = read(
        (make_reply({}), NO_LISTS, listing("campaigns", rows(1, 1000), 2500)),
        (
            listing("campaigns", rows(1001, 2000), 2500),
            listing("campaigns", rows(2001, 2500), 2500),
        ),
    )
    assert [call.params["page"] for call in more] == ["2", "3"]
    assert {call.params["expand"] for call in more} == {"schedule"}
    assert {call.expects for call in more} == {frozenset({200, 204})}
    assert len(snapshot.objects) == 2500


def test_without_a_total_pages_are_asked_for_until_one_is_empty():
    snapshot, made = read(
        (make_reply({}), NO_LISTS, listing("campaigns", rows(1, 1000))),
        (listing("campaigns", rows(1001, 2000)),),
        (listing("campaigns", []),),
    )
    assert [calls[-1].params["page"] for calls in made] == ["1", "2", "3"]
    assert len(snapshot.objects) == 2000


def test_more_than_a_hundred_lists_are_all_read():
    def lists(first, last):
        return [
            {
                "id": f"dnc-{n:03}",
                "name": "L",
                "status": "ACTIVE",
                "campaign_ids": ["00001"],
                "updated_at": None,
            }
            for n in range(first, last + 1)
        ]

    snapshot, made = read(
        (make_reply({}), listing("lists", lists(1, 100), 250), listing("campaigns", rows(1, 1), 1)),
        (listing("lists", lists(101, 200), 250), listing("lists", lists(201, 250), 250)),
    )
    assert len(made) == 2
    assert len(snapshot.scrubs["00001"]) == 250


def test_a_server_that_gives_smaller_pages_than_asked_is_read_to_its_end():
    snapshot, [_, more] = read(
        (make_reply({}), NO_LISTS, listing("campaigns", rows(1, 10), 25, page_size=10)),
        (
            listing("campaigns", rows(11, 20), 25, page_size=10),
            listing("campaigns", rows(21, 25), 25, page_size=10),
        ),
    )
    assert [call.params["page"] for call in more] == ["2", "3"]
    assert len(snapshot.objects) == 25


def test_a_server_that_gives_smaller_pages_and_no_total_is_read_to_its_end():
    snapshot, _ = read(
        (make_reply({}), NO_LISTS, listing("campaigns", rows(1, 10), page_size=10)),
        (listing("campaigns", rows(11, 15), page_size=10),),
        (listing("campaigns", []),),
    )
    assert len(snapshot.objects) == 15


def test_a_server_that_gives_everything_at_once_is_asked_once():
    snapshot, made = read((make_reply({}), NO_LISTS, listing("campaigns", rows(1, 1200), 1200)))
    assert len(made) == 1
    assert len(snapshot.objects) == 1200


@pytest.mark.parametrize(
    ("first", "others"),
    [
        (listing("campaigns", rows(1, 5), 4), ()),
        (
            listing("campaigns", rows(1, 1000), 1500),
            (listing("campaigns", rows(1001, 1501), 1500),),
        ),
        (
            listing("campaigns", rows(1, 1000), 1500),
            (listing("campaigns", rows(1001, 1500), 1501),),
        ),
        (
            listing("campaigns", rows(1, 1000), 1500),
            (listing("campaigns", rows(1000, 1499), 1500),),
        ),
        (listing("campaigns", [*rows(1, 2), *rows(2, 2)], 3), ()),
        (listing("campaigns", rows(1, 1000)), (listing("campaigns", rows(1000, 1200)),)),
    ],
    ids=[
        "one-page-long",
        "last-page-long",
        "total-moved",
        "shifted",
        "row-twice",
        "row-twice-without-total",
    ],
)
def test_a_list_that_shifts_is_an_error_and_never_a_diff(first, others):
    rounds = [(make_reply({}), NO_LISTS, first), *([others] if others else [])]
    with pytest.raises(ApiError, match="changed while it was read"):
        read(*rounds)


def test_a_total_beyond_all_reason_is_refused_before_a_page_of_it_is_asked_for():
    huge = listing("campaigns", rows(1, 1000), 1000 * MAX_PAGES + 1)
    with pytest.raises(ApiError, match="said to have"):
        read((make_reply({}), NO_LISTS, huge))


def test_a_list_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr("reconciler.dialects.pages.MAX_PAGES", 2)
    full = [listing("campaigns", rows(1000 * n + 1, 1000 * n + 1000)) for n in range(2)]
    with pytest.raises(ApiError, match="no end"):
        read(
            (make_reply({}), NO_LISTS, full[0]),
            (full[1],),
            (listing("campaigns", rows(3000, 3000)),),
        )


def test_of_the_list_only_what_was_asked_for_is_taken_up():
    every: dict[str, Listed] = {}
    converse(campaigns.read_pages(every.update), (reply("campaigns"),))
    some, _ = converse(campaigns.read_some(["1002", "elsewhere"]), (reply("campaigns"),))
    assert len(every) > 1
    assert some == {"1002": every["1002"].live}


@pytest.mark.parametrize("odd", [None, 5, "1003", []])
def test_a_row_that_is_no_object_hides_no_other_row_from_a_stop(odd):
    every: dict[str, Listed] = {}
    page = listing("campaigns", [*rows(1001, 1002), odd, *rows(1004, 1004)])
    later = listing("campaigns", rows(1005, 1005))
    with pytest.raises(IncompleteList, match="no list named campaigns"):
        converse(campaigns.read_pages(every.update), (page,), (later,), (listing("campaigns", []),))
    assert set(every) == {"01001", "01002", "01004", "01005"}


# --- servers that do not know `expand` ----------------------------------------------------------------------------------

PLAIN = [{"id": "1001", "name": "Spring Renewals", "status": "RUNNING", "schedule_id": "sch-7"}]


def alone(key: str = "1001"):
    """Return the two answers about one campaign: itself and its schedule."""
    row = next(row for row in sample("campaigns")["campaigns"] if row["id"] == key)
    schedule = row.pop("schedule")
    return (
        make_reply(row),
        make_reply({"error": "none"}, 404)
        if schedule is None
        else make_reply(schedule, headers={"etag": row["etag"]}),
    )


def test_a_400_that_names_expand_leads_to_one_read_a_campaign():
    snapshot, made = read(
        (make_reply({}), NO_LISTS, reply("refused_400_expand", 400)),
        (listing("campaigns", PLAIN, 1),),
        alone(),
    )
    assert dict(made[1][0].params) == {"page": "1", "page_size": "1000"}
    assert made[1][0].expects == {200, 204}
    assert [call.path for call in made[2]] == [
        "/api/campaigns/1001",
        "/api/campaigns/1001/schedule",
    ]
    expanded, _ = read(
        (make_reply({}), NO_LISTS, listing("campaigns", sample("campaigns")["campaigns"][:1], 1))
    )
    assert snapshot.objects == expanded.objects


def test_an_answer_without_the_keys_of_expand_leads_to_one_read_a_campaign():
    snapshot, made = read((make_reply({}), NO_LISTS, listing("campaigns", PLAIN, 1)), alone())
    assert len(made) == 2
    assert snapshot.objects["1001"].stored_id == "sch-7"


def test_every_page_without_expand_is_asked_for_without_it():
    plain = [{"id": row["id"], "name": "C"} for row in rows(1, 1001)]
    conversation = campaigns.read()
    next(conversation)
    conversation.send((make_reply({}), NO_LISTS, reply("refused_400_expand", 400)))
    (more,) = conversation.send((listing("campaigns", plain[:1000], 1001),))
    assert dict(more.params) == {"page": "2", "page_size": "1000"}


def test_a_400_about_something_else_is_an_error():
    with pytest.raises(ApiError, match="dial_rate: must be at most 40") as caught:
        read((make_reply({}), NO_LISTS, reply("refused_400", 400)))
    assert caught.value.status == 400


def test_no_campaigns_without_expand_ask_for_nothing_more():
    snapshot, made = read(
        (make_reply({}), NO_LISTS, reply("refused_400_expand", 400)), (NO_CAMPAIGNS,)
    )
    assert snapshot.objects == {}
    assert len(made) == 2


# --- reading one --------------------------------------------------------------------------------------------------------


def test_one_campaign_is_read_with_its_schedule_side_by_side():
    live, [calls] = converse(campaigns.read_one("1001"), alone())
    assert [call.expects for call in calls] == [{200, 404}, {200, 404}]
    assert (live.stored_id, live.active_id, live.version) == ("sch-7", "sch-6", '"sch-7"')
    assert "id" not in live.stored


def test_a_404_on_the_schedule_alone_means_that_nothing_is_stored():
    live, _ = converse(campaigns.read_one("1002"), alone("1002"))
    assert live == Live("1002", "Market Survey")


def test_the_schedule_of_a_silent_campaign_need_not_be_read_to_see_that():
    campaign, _ = alone("1002")
    live, made = converse(campaigns.look("1002"), (campaign,))
    assert live == Live("1002", "Market Survey")
    assert [len(calls) for calls in made] == [1]


@pytest.mark.parametrize(
    "change",
    [
        {"schedule_id": "sch-9"},
        {"dialer": {"active_schedule_id": "sch-9", "activated_at": None}},
        {"schedule_id": None, "dialer": None},
        {"schedule_id": None, "dialer": {}},
        {"id": "1001"},
        {"schedule_id": ...},
    ],
    ids=["stored", "active", "no dialer", "no active id", "another campaign", "no stored id"],
)
def test_the_schedule_is_read_unless_both_ids_say_that_the_campaign_is_silent(change):
    campaign, _ = alone("1002")
    row = {name: each for name, each in {**campaign.json, **change}.items() if each is not ...}
    exchange = campaigns.look("1002")
    next(exchange)
    assert "/schedule" in exchange.send((make_reply(row),))[0].path


def test_a_server_without_etags_leaves_the_version_open():
    campaign, schedule = alone()
    live, _ = converse(campaigns.read_one("1001"), (campaign, make_reply(schedule.json)))
    assert live.version is None


def test_a_weak_etag_is_no_version_because_if_match_never_matches_it():
    campaign, schedule = alone()
    weak = make_reply(schedule.json, headers={"etag": 'W/"s-1001"'})
    live, _ = converse(campaigns.read_one("1001"), (campaign, weak))
    assert live.version is None
    answer = make_reply({"id": "sch-8", **make_body()}, 201, {"etag": 'W/"sch-8"'})
    exchange = campaigns.write("1001", make_body(), token="k", live=live)
    stored, [[call]] = converse(exchange, (answer,))
    assert (stored.version, "If-Match" in call.headers) == (None, False)


def test_an_answer_about_another_campaign_is_refused():
    with pytest.raises(ApiError, match="not about campaign 1002"):
        converse(campaigns.read_one("1002"), alone("1001"))


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("a/b", "a%2Fb"),
        ("ü?#", "%C3%BC%3F%23"),
        ("a b%", "a%20b%25"),
        (".", "%2E"),
        ("..", "%2E%2E"),
    ],
)
def test_ids_are_percent_encoded_wherever_they_stand_in_a_path(key, encoded):
    conversations = [
        campaigns.read_one(key),
        campaigns.write(key, make_body(), token="k", live=make_live()),
        campaigns.write(key, None, token="k", live=make_live()),
        campaigns.activate(key),
        campaigns.metrics(key, NOW, NOW + timedelta(hours=1)),
    ]
    for conversation in conversations:
        for call in next(conversation):
            assert call.path.startswith(f"/api/campaigns/{encoded}"), call
            assert call.path.removeprefix(f"/api/campaigns/{encoded}").count("/") <= 2


# --- writing ------------------------------------------------------------------------------------------------------------


def test_a_schedule_is_stored_whole_under_a_key_and_only_in_place_of_the_one_that_was_read():
    answer = make_reply(
        {"id": "sch-8", "updated_at": "2027-01-12T14:00:00Z"}, 201, {"etag": '"sch-8"'}
    )
    stored, [[call]] = converse(
        campaigns.write("1001", make_body(), token="k-1", live=make_live(version='"sch-7"')),
        (answer,),
    )
    assert (call.method, call.path) == ("POST", "/api/campaigns/1001/schedule")
    assert call.headers == {"Idempotency-Key": "k-1", "If-Match": '"sch-7"'}
    assert call.json == make_body()
    assert call.expects == {201}
    assert not call.repeatable
    assert (stored.id, stored.version, stored.at) == ("sch-8", '"sch-8"', "2027-01-12T14:00:00Z")


def test_a_first_schedule_is_stored_only_where_there_is_none():
    conversation = campaigns.write("1001", make_body(), token="k", live=make_silent())
    assert next(conversation)[0].headers == {"Idempotency-Key": "k", "If-None-Match": "*"}


def test_without_an_etag_no_condition_is_made_up():
    conversation = campaigns.write("1001", make_body(), token="k", live=make_live(version=None))
    assert next(conversation)[0].headers == {"Idempotency-Key": "k"}


@pytest.mark.parametrize("status", [204, 404])
def test_a_schedule_is_removed_and_one_that_is_gone_already_is_removed(status):
    stored, [[call]] = converse(
        campaigns.write("1001", None, token="k", live=make_live()), (make_reply(None, status),)
    )
    assert (call.method, call.path) == ("DELETE", "/api/campaigns/1001/schedule")
    assert call.headers == {"Idempotency-Key": "k", "If-Match": '"s-1001"'}
    assert call.expects == {204, 404}
    assert call.json is None
    assert not call.repeatable
    assert stored.id is None


@pytest.mark.parametrize(
    "answer", [None, [], "done", {}, {"id": 7.5}, {"id": ""}, {"id": "s", "updated_at": 7}]
)
def test_a_write_whose_answer_cannot_be_read_may_have_been_done(answer):
    with pytest.raises(UncertainWrite, match="POST /api/campaigns/1001/schedule"):
        converse(
            campaigns.write("1001", make_body(), token="k", live=make_live()),
            (make_reply(answer, 201),),
        )


def test_a_refresh_that_the_dialer_takes_is_done():
    waiting, [[call]] = converse(campaigns.activate("1001"), (make_reply(None, 202),))
    assert waiting is None
    assert (call.method, call.path) == ("PUT", "/api/campaigns/1001/actions/refresh")
    assert call.json is None
    assert call.expects == {200, 202, 204, 500}


def test_a_dialer_that_waits_for_a_list_says_which():
    waiting, made = converse(
        campaigns.activate("1001"), (make_reply(None, 500),), (reply("lists"),)
    )
    assert waiting == Waiting("DNC list Own opt-outs is SYNCING")
    assert made[1][0].path == "/api/dnc/lists"


def test_a_dialer_that_waits_for_no_list_of_this_campaign_is_locked():
    waiting, _ = converse(campaigns.activate("1003"), (make_reply(None, 500),), (reply("lists"),))
    assert waiting == Waiting("the dialer is locked")


def test_the_list_that_is_waited_for_may_stand_on_a_later_page():
    first = [{"id": f"{n:03}", "campaign_ids": []} for n in range(100)]
    last = [{"id": "zzz", "status": "SYNCING", "campaign_ids": ["1001"]}]
    waiting, _ = converse(
        campaigns.activate("1001"),
        (make_reply(None, 500),),
        (listing("lists", first, 101),),
        (listing("lists", last, 101),),
    )
    assert waiting == Waiting("DNC list zzz is SYNCING")


# --- signals ------------------------------------------------------------------------------------------------------------


def test_metrics_are_hours_in_utc_with_what_is_unknown_left_open():
    buckets, [[call]] = converse(
        campaigns.metrics(
            "1001", datetime(2027, 1, 11, 14, tzinfo=UTC), datetime(2027, 1, 11, 16, tzinfo=UTC)
        ),
        (reply("metrics"),),
    )
    assert dict(call.params) == {"from": "2027-01-11T14:00:00Z", "to": "2027-01-11T16:00:00Z"}
    first, second = buckets.hours
    assert (first.attempts, first.answers, first.abandons) == (1200, 240, 6)
    assert (first.agents, first.handle_time_s) == (58.5, 181.2)
    assert second.start == datetime(2027, 1, 11, 15, tzinfo=UTC)
    assert (second.answers, second.abandons, second.agents, second.handle_time_s) == (
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("days", [0, 1, 92, 93, 184, 200])
def test_metrics_are_asked_for_in_spans_of_at_most_92_days_without_gap_or_overlap(days):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    conversation = campaigns.metrics("1001", start, start + timedelta(days=days))
    calls = next(conversation, ())
    bounds = [
        tuple(datetime.fromisoformat(call.params[name]) for name in ("from", "to"))
        for call in calls
    ]
    assert len(calls) == -(-days // 92)
    assert all(timedelta() < high - low <= timedelta(days=92) for low, high in bounds)
    assert [low for low, _ in bounds[1:]] == [high for _, high in bounds[:-1]]
    assert not bounds or (bounds[0][0], bounds[-1][1]) == (start, start + timedelta(days=days))


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"start": "2027-01-11T14:00:00Z", "attempts": 5},
        {"start": "2027-01-11T14:00:00Z", "attempts": 5, "answers": None},
        {"start": "2027-01-11T14:00:00Z", "attempts": -1, "answers": 0},
        {"start": "2027-01-11T14:00:00Z", "attempts": 1.5, "answers": 0},
        {"start": "2027-01-11T14:00:00Z", "attempts": True, "answers": 0},
        {"start": "2027-01-11T14:00:00", "attempts": 1, "answers": 0},
        {"start": "0001-01-01T00:00:00+05:00", "attempts": 1, "answers": 0},
        {"start": 7, "attempts": 1, "answers": 0},
    ],
)
def test_an_hour_that_does_not_say_what_it_must_is_no_hour_without_answers(row):
    with pytest.raises(ApiError, match=r"attempts|answers|start"):
        converse(
            campaigns.metrics("1001", NOW, NOW + timedelta(hours=1)),
            (make_reply({"buckets": [row]}),),
        )


@pytest.mark.parametrize("number", [0, 1, 500, 501, 1001])
def test_events_are_handed_over_in_chunks_of_500(number):
    events = [{"id": str(n)} for n in range(number)]
    sizes = [len(events[low : low + 500]) for low in range(0, number, 500)]
    accepted, made = converse(
        campaigns.publish(events), *((make_reply({"accepted": size}, 202),) for size in sizes)
    )
    assert accepted == number
    assert [event for [call] in made for event in call.json["events"]] == events
    assert [len(call.json["events"]) for [call] in made] == sizes
    assert all(call.repeatable for [call] in made)


# --- refusals and malformed answers -------------------------------------------------------------------------------------


def test_each_field_of_a_400_is_explained():
    assert campaigns.explain(reply("refused_400", 400)) == (
        "dial_rate: must be at most 40",
        "compliance_windows[0].start_hour: must be before end_hour",
    )


def test_a_403_names_the_scope_that_is_missing():
    assert campaigns.explain(reply("refused_403", 403)) == (
        "insufficient_scope (scope campaigns:write)",
    )
    assert campaigns.missing_scope(reply("refused_403", 403)) == "campaigns:write"
    assert campaigns.missing_scope(reply("refused_401", 401)) is None


def test_a_401_is_explained_by_its_word_and_a_plain_body_by_nothing():
    assert campaigns.explain(reply("refused_401", 401)) == ("invalid_client",)
    assert campaigns.explain(make_reply(None, 503)) == ()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    """Yield the path of every value inside a JSON value, itself included."""
    yield path
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, child in children:
        yield from places(child, (*path, name))


def planted(value, path, other):
    """Return a JSON value with another one planted at a path."""
    if not path:
        return other
    changed = deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = other
    return changed


def without(value, path):
    """Return a JSON value with one part left out."""
    changed = deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed


NORMAL = {
    "/api/oauth2/token": sample("token"),
    "/api/dialer/settings": sample("settings"),
    "/api/dnc/lists": sample("lists"),
    "/api/campaigns": sample("campaigns"),
    "/api/campaigns/1001": alone()[0].json,
    "/api/campaigns/1001/schedule": {
        "id": "sch-8",
        "updated_at": "2027-01-12T14:00:00Z",
        **make_body(),
    },
    "/api/campaigns/1001/metrics": sample("metrics"),
    "/api/campaigns/1001/actions/refresh": None,
    "/api/telemetry/events": {"accepted": 1},
}
CONVERSATIONS = {
    "authenticate": lambda: campaigns.authenticate(Credentials("app", "s")),
    "read": campaigns.read,
    "read_one": lambda: campaigns.read_one("1001"),
    "write": lambda: campaigns.write("1001", make_body(), token="k", live=make_live()),
    "remove": lambda: campaigns.write("1001", None, token="k", live=make_live()),
    "activate": lambda: campaigns.activate("1001"),
    "metrics": lambda: campaigns.metrics("1001", NOW, NOW + timedelta(hours=2)),
    "publish": lambda: campaigns.publish([{"id": "e"}]),
}


def drive(conversation, answer, steps: int = 8) -> None:
    """Answer a conversation, whatever it asks, until it ends or has gone on for long enough."""
    try:
        calls = next(conversation)
        for _ in range(steps):
            calls = conversation.send(tuple(answer(call) for call in calls))
            assert all(isinstance(call, Call) for call in calls)
    except (StopIteration, ApiError):
        pass


@pytest.mark.parametrize("name", CONVERSATIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_arbitrary_json_in_any_answer_is_an_api_error_and_never_a_crash(name, data):
    def answer(call):
        status = data.draw(st.sampled_from(sorted(call.expects)))
        return Reply(status, {}, data.draw(json_values), NOW)

    drive(CONVERSATIONS[name](), answer)


@pytest.mark.parametrize("name", CONVERSATIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_an_answer_with_one_part_replaced_or_missing_is_an_api_error_and_never_a_crash(name, data):
    def answer(call):
        status = data.draw(st.sampled_from(sorted(call.expects)))
        body = NORMAL.get(call.path, NORMAL["/api/campaigns/1001"])
        if data.draw(st.booleans()):
            return Reply(status, {}, deepcopy(body), NOW)
        path = data.draw(st.sampled_from(list(places(body))))
        if path and data.draw(st.booleans()):
            return Reply(status, {}, without(body, path), NOW)
        return Reply(status, {}, planted(body, path, data.draw(json_values)), NOW)

    drive(CONVERSATIONS[name](), answer)


@given(st.integers(100, 599), json_values)
def test_any_refusal_can_be_explained(status, body):
    answer = make_reply(body, status)
    assert all(isinstance(reason, str) for reason in campaigns.explain(answer))
    assert campaigns.missing_scope(answer) is None or isinstance(
        campaigns.missing_scope(answer), str
    )


@pytest.mark.parametrize(
    ("settings_answer", "lists", "found", "said"),
    [
        ([], None, None, "not a JSON object"),
        ({"max_dial_rate": "50 cps"}, None, None, "`max_dial_rate` is not a number"),
        ({"max_dial_rate": -1}, None, None, "`max_dial_rate` is not a number"),
        ({"max_dial_rate": True}, None, None, "`max_dial_rate` is not a number"),
        (None, {"lists": {}}, None, "the answer is not a list"),
        (None, {"lists": [{"id": 7.5}]}, None, "`id` is not an id"),
        (
            None,
            {"lists": [{"id": "d", "campaign_ids": "1001"}], "total": 1},
            None,
            "`campaign_ids` is not a list",
        ),
        (
            None,
            {"lists": [{"id": "d", "campaign_ids": [None]}], "total": 1},
            None,
            "`campaign_ids` is not a list",
        ),
        (None, {"lists": [], "total": "none"}, None, "`total` is not a number"),
        (None, {"lists": [], "total": 0.5}, None, "`total` is not a whole number"),
        (None, None, {"campaigns": [{"name": "x"}]}, "`id` is not an id"),
        (None, None, {"campaigns": [{"id": "a\ud800"}]}, "`id` is not an id"),
    ],
)
def test_a_malformed_answer_is_refused_with_what_is_wrong(settings_answer, lists, found, said):
    answers = (
        make_reply({} if settings_answer is None else settings_answer),
        NO_LISTS if lists is None else make_reply(lists),
        NO_CAMPAIGNS if found is None else make_reply(found),
    )
    with pytest.raises(ApiError) as caught:
        read(answers)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"dialer": [1]}, "`dialer` of 1 is not an object: [1]"),
        ({"schedule": "x"}, '`schedule` of 1 is not an object: "x"'),
        ({"schedule": {}}, "`id` is not an id"),
        ({"etag": 7}, "`etag` is not text: 7"),
    ],
)
def test_a_malformed_campaign_is_named_and_ends_the_reading_of_no_other(odd, said):
    plain = {"dialer": None, "schedule": None}
    rows = [{"id": "1", **plain, **odd}, {"id": "2", **plain}]
    found, _ = read((make_reply({}), NO_LISTS, make_reply({"campaigns": rows, "total": 2})))
    assert found.objects["2"] == Live("2", "")
    assert [*found.unreadable] == ["1"]
    assert said in found.unreadable["1"]
    assert found.objects["1"].stored == {}
