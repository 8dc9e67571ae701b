"""The contract, row by row and sentence by sentence, through both doors."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from reconciler import sandbox

SCHEDULE = "/api/campaigns/1001/schedule"
ROWS = [
    ("GET", "/api/dialer/settings", "dialer:read"),
    ("GET", "/api/dnc/lists", "dnc:read"),
    ("GET", "/api/campaigns", "campaigns:read"),
    ("GET", "/api/campaigns/1001", "campaigns:read"),
    ("GET", SCHEDULE, "campaigns:read"),
    ("POST", SCHEDULE, "campaigns:write"),
    ("DELETE", SCHEDULE, "campaigns:write"),
    ("PUT", "/api/campaigns/1001/actions/refresh", "campaigns:write"),
    ("GET", "/api/campaigns/1001/metrics", "campaigns:read"),
    ("POST", "/api/telemetry/events", "telemetry:write"),
]


def fields(answer):
    """The fields that a 400 names."""
    assert answer.status_code == 400, answer.text
    assert all(e["message"] for e in answer.json()["errors"])
    return [e["field"] for e in answer.json()["errors"]]


# -- tokens and scopes


def ask_token(door, **form):
    usual = {
        "grant_type": "client_credentials",
        "client_id": "sandbox",
        "client_secret": "sandbox-secret",
    }
    return door.raw(
        "POST", "/api/oauth2/token", data={k: v for k, v in (usual | form).items() if v is not None}
    )


def test_a_token_is_a_jwt_for_half_an_hour(door):
    answer = ask_token(door).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 1800)
    head, claims, _ = (
        json.loads(base64.urlsafe_b64decode(p + "==")) if i < 2 else p
        for i, p in enumerate(answer["access_token"].split("."))
    )
    assert head == {"alg": "HS256", "typ": "JWT"}
    assert claims["exp"] - claims["iat"] == 1800
    assert set(claims["scope"].split()) == set(answer["scope"].split())


def test_a_token_has_the_scopes_that_were_asked_for_and_no_more(door):
    answer = ask_token(door, scope="dnc:read campaigns:read").json()
    assert answer["scope"] == "campaigns:read dnc:read"
    door.token = answer["access_token"]
    assert door.call("GET", "/api/dnc/lists").status_code == 200
    assert door.call("GET", "/api/dialer/settings").status_code == 403


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "rotated"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "unsupported_grant_type"),
        ({"unknown": "field"}, 400, "unsupported_grant_type"),
        ({"scope": "campaigns:admin"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
    ],
)
def test_a_token_request_that_is_wrong_says_so(door, form, status, error):
    answer = ask_token(door, **form)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_a_token_request_is_a_form(door):
    as_json = {
        "grant_type": "client_credentials",
        "client_id": "sandbox",
        "client_secret": "sandbox-secret",
    }
    answer = door.raw("POST", "/api/oauth2/token", json=as_json)
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


@pytest.mark.parametrize(("method", "path", "scope"), ROWS)
def test_each_row_names_the_scope_that_is_missing(door, method, path, scope):
    door.token = door.login(sandbox.credentials(door.world, without=scope).client_id)
    answer = door.call(method, path)
    assert answer.status_code == 403
    assert answer.json() == {"error": "insufficient_scope", "required_scope": scope}


@pytest.mark.parametrize(("method", "path", "scope"), ROWS)
def test_each_row_needs_a_token_that_is_known(door, method, path, scope):
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Basic {door.token}"},
    ):
        answer = door.raw(method, path, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_token"})


def test_a_token_of_another_world_is_unknown(door):
    other = sandbox.CampaignState.open()
    door.token = other.issue("sandbox", "sandbox-secret").value
    other.close()
    assert door.call("GET", "/api/campaigns").status_code == 401


def test_a_token_ends_after_half_an_hour_and_a_new_one_goes_on(door, ticker):
    ticker.advance(1799.999)
    assert door.call("GET", "/api/campaigns").status_code == 200
    ticker.advance(0.001)
    assert door.call("GET", "/api/campaigns").status_code == 401
    door.token = door.login()
    assert door.call("GET", "/api/campaigns").status_code == 200


def test_the_read_only_client_can_read_and_not_write(door, body):
    door.token = door.login(sandbox.credentials(door.world, "read-only").client_id)
    for path in ("/api/campaigns", "/api/dnc/lists", "/api/dialer/settings"):
        assert door.call("GET", path).status_code == 200
    assert door.post(body).json()["required_scope"] == "campaigns:write"


# -- strictness


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/campaign", "/api/campaigns/", "/api/campaigns/1/2/3", "/docs"]
)
def test_an_unknown_route_is_a_404_in_json(door, path):
    answer = door.call("GET", path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "no such route"}


def test_another_method_of_a_known_route_is_refused_in_json(door):
    answer = door.call("PUT", "/api/campaigns")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert "error" in answer.json()


@pytest.mark.parametrize(("method", "path", "scope"), [row for row in ROWS if row[0] != "POST"])
def test_an_unknown_query_parameter_is_an_error(door, method, path, scope):
    headers = {"Idempotency-Key": "k"} if method == "DELETE" else {}
    assert fields(door.call(method, f"{path}?limit=5", headers=headers)) == ["limit"]


def test_a_query_parameter_that_is_given_twice_is_an_error(door):
    assert fields(door.call("GET", "/api/campaigns?page=1&page=2")) == ["page"]


def test_a_request_must_accept_json(door):
    assert fields(door.call("GET", "/api/campaigns", headers={"Accept": "text/html"})) == ["Accept"]


def test_every_answer_carries_the_clock_of_the_world(door, ticker):
    ticker.advance(3600)
    answer = door.call("GET", "/api/campaigns")
    assert parsedate_to_datetime(answer.headers["Date"]) == datetime(2027, 3, 1, 13, tzinfo=UTC)


def test_the_description_needs_no_token(door):
    assert door.raw("GET", "/openapi.json").json()["openapi"].startswith("3.")


# -- settings and lists


def test_settings_say_the_limits_and_leave_absent_ones_out(door):
    path = "/api/dialer/settings"
    assert door.call("GET", path).json() == {"max_dial_rate": 50, "max_concurrent_calls": 2000}
    door.world.configure(max_dial_rate=None)
    assert door.call("GET", path).json() == {"max_concurrent_calls": 2000}


def test_a_body_above_the_tenants_settings_is_refused_field_by_field(door, body):
    door.world.configure(max_dial_rate=10, max_concurrent_calls=100)
    assert fields(door.post(body | {"dial_rate": 10.5})) == ["dial_rate", "max_concurrent_calls"]
    door.world.configure(max_dial_rate=None, max_concurrent_calls=None)
    assert fields(door.post(body | {"dial_rate": 51, "max_concurrent_calls": 2001})) == [
        "dial_rate",
        "max_concurrent_calls",
    ]
    assert door.post(body | {"dial_rate": 50, "max_concurrent_calls": 2000}).status_code == 201


def test_lists_come_by_id_a_page_at_a_time_with_their_campaigns(door):
    for i in range(2, 6):
        door.world.put_list(f"dnc-{i}", status="INACTIVE", campaign_ids=["1002", "1001"])
    answer = door.call("GET", "/api/dnc/lists?page=2&page_size=2").json()
    assert answer.keys() == {"lists", "page", "page_size", "total"}
    assert [e["id"] for e in answer["lists"]] == ["dnc-3", "dnc-4"]
    assert (answer["page"], answer["page_size"], answer["total"]) == (2, 2, 5)
    one = answer["lists"][0]
    assert one["campaign_ids"] == ["1001", "1002"]
    assert one | {"campaign_ids": 0} == {
        "id": "dnc-3", "name": "List dnc-3", "status": "INACTIVE", "campaign_ids": 0, "updated_at": "2027-03-01T12:00:00.000Z",
    }  # fmt: skip
    assert door.call("GET", "/api/dnc/lists?page=9&page_size=2").json()["lists"] == []


@pytest.mark.parametrize(("path", "most"), [("/api/dnc/lists", 100), ("/api/campaigns", 1000)])
def test_page_bounds_are_checked(door, path, most):
    assert door.call("GET", f"{path}?page=1&page_size={most}").status_code == 200
    assert fields(door.call("GET", f"{path}?page=0&page_size={most + 1}")) == ["page", "page_size"]
    for wrong in ("0", "-1", "1.0", "x", "", "01", "1e2"):
        assert fields(door.call("GET", f"{path}?page_size={wrong}")) == ["page_size"]


# -- campaigns


def test_campaigns_come_by_id_and_brief(door, body):
    door.world.put_campaign("1000", "First")
    door.post(body)
    answer = door.call("GET", "/api/campaigns").json()
    assert (answer["page"], answer["page_size"], answer["total"]) == (1, 100, 3)
    assert answer["campaigns"] == [
        {"id": "1000", "name": "First", "status": "RUNNING", "schedule_id": None},
        {"id": "1001", "name": "Spring Renewals", "status": "RUNNING", "schedule_id": "sch-000001"},
        {"id": "1002", "name": "Second", "status": "STOPPED", "schedule_id": None},
    ]


def test_expanded_campaigns_always_have_all_keys_and_say_what_the_single_reads_say(
    door, body, ticker
):
    stored = door.post(body).json()
    door.refresh()
    ticker.advance(1)
    first, second = door.call("GET", "/api/campaigns?expand=schedule").json()["campaigns"]
    assert first["schedule"] == stored == door.call("GET", SCHEDULE).json()
    assert first["etag"] == '"sch-000001"' == door.call("GET", SCHEDULE).headers["ETag"]
    assert first["dialer"] == door.dialer()
    assert second["schedule"] is second["etag"] is None
    assert second["dialer"] == {"active_schedule_id": None, "activated_at": None}


def test_expand_knows_one_word(door):
    assert fields(door.call("GET", "/api/campaigns?expand=all")) == ["expand"]


def test_a_campaign_that_does_not_exist_is_a_404_everywhere(door, body):
    for method, path in (("GET", ""), ("GET", "/schedule"), ("PUT", "/actions/refresh")):
        assert door.call(method, f"/api/campaigns/999{path}").status_code == 404
    assert (
        door.call(
            "GET", "/api/campaigns/999/metrics?from=2027-03-01T00:00:00Z&to=2027-03-02T00:00:00Z"
        ).status_code
        == 404
    )
    assert door.post(body, campaign="999").status_code == 404
    assert door.delete(campaign="999").status_code == 404


def test_a_schedule_is_read_back_as_stored_with_its_id_and_stamps(door, body):
    assert door.call("GET", SCHEDULE).status_code == 404
    stored = door.post(body)
    assert stored.status_code == 201
    assert stored.json() == body | {
        "id": "sch-000001",
        "updated_at": "2027-03-01T12:00:00.000Z",
        "updated_by": "sandbox",
    }
    read = door.call("GET", SCHEDULE)
    assert read.json() == stored.json()
    assert read.headers["ETag"] == stored.headers["ETag"] == '"sch-000001"'


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"sch-000001"', 304),
        ('W/"sch-000001"', 304),
        ("*", 304),
        ('"x", "sch-000001"', 304),
        ('"x"', 200),
    ],
)
def test_what_the_reader_has_is_not_sent_again(door, body, header, status):
    door.post(body)
    answer = door.call("GET", SCHEDULE, headers={"If-None-Match": header})
    assert (answer.status_code, answer.headers["ETag"]) == (status, '"sch-000001"')
    assert bool(answer.content) == (status == 200)


# -- writing


def test_each_executed_post_makes_a_new_id_and_replaces_the_whole(door, body):
    first = door.post(body, "a").json()
    second = door.post(body | {"compliance_windows": []}, "b").json()
    assert first["id"] != second["id"]
    assert door.call("GET", SCHEDULE).json()["compliance_windows"] == []
    assert door.world.executed("1001") == 2


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("If-Match", '"sch-000001"', 201),
        ("If-Match", "*", 201),
        ("If-Match", '"a", "sch-000001"', 201),
        ("If-Match", '"another"', 412),
        ("If-Match", 'W/"sch-000001"', 412),
        ("If-Match", "sch-000001", 400),
        ("If-None-Match", "*", 412),
        ("If-None-Match", '"x"', 400),
    ],
)
def test_a_write_may_say_what_it_replaces(door, body, header, value, status):
    door.post(body, "first")
    assert door.post(body, "second", **{header: value}).status_code == status
    assert door.world.executed("1001") == (2 if status == 201 else 1)


def test_a_write_may_say_that_there_is_nothing_yet(door, body):
    assert door.post(body, "a", If_Match="*").status_code == 412
    assert door.post(body, "b", If_None_Match="*").status_code == 201


def test_a_schedule_is_removed_once_and_by_who_knows_it(door, body):
    assert door.delete("a").status_code == 404
    door.post(body)
    assert door.delete("b", If_Match='"another"').status_code == 412
    gone = door.delete("c", If_Match='"sch-000001"')
    assert (gone.status_code, gone.content) == (204, b"")
    assert door.call("GET", SCHEDULE).status_code == 404
    assert door.call("GET", "/api/campaigns/1001").json()["schedule_id"] is None


def test_refresh_and_delete_take_no_body(door, body):
    door.post(body)
    assert fields(door.call("PUT", "/api/campaigns/1001/actions/refresh", json={})) == ["body"]
    assert fields(door.call("DELETE", SCHEDULE, json={}, headers={"Idempotency-Key": "d"})) == [
        "body"
    ]


# -- keys


@pytest.mark.parametrize("key", [None, "", "two words", "x" * 65, '"quoted"', "ä"])
def test_a_key_is_required_and_a_bare_token_of_at_most_64(door, body, key):
    headers = {} if key is None else {"Idempotency-Key": key.encode()}
    assert fields(door.call("POST", SCHEDULE, json=body, headers=headers)) == ["Idempotency-Key"]
    assert fields(door.call("DELETE", SCHEDULE, headers=headers)) == ["Idempotency-Key"]
    assert door.post(body, "x" * 64).status_code == 201


def test_the_same_key_and_body_is_answered_again_and_not_done_again(door, body, ticker):
    first = door.post(body)
    ticker.advance(24 * 3600 - 0.001)
    door.token = door.login()
    shuffled = dict(reversed(body.items()))
    again = door.post(shuffled)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["ETag"] == first.headers["ETag"]
    assert door.world.executed("1001") == 1
    ticker.advance(0.001)
    assert door.post(body).json()["id"] != first.json()["id"]


def test_the_same_key_with_another_body_is_a_422(door, body):
    door.post(body)
    assert door.post(body | {"dial_rate": 3}).status_code == 422
    assert door.post({"not": "a schedule"}).status_code == 422
    assert door.world.executed("1001") == 1


def test_a_key_is_scoped_to_client_method_and_path(door, body):
    door.post(body, "k")
    assert door.post(body | {"campaign_id": "1002"}, "k", campaign="1002").status_code == 201
    assert door.delete("k").status_code == 204
    door.token = door.login("sandbox-without-dnc-read")
    assert door.post(body, "k").status_code == 201
    assert door.world.executed("1001") == 2


def test_a_replay_comes_before_the_precondition_and_after_the_scope(door, body):
    first = door.post(body, "k", If_None_Match="*")
    assert door.post(body, "k", If_None_Match="*").json() == first.json()
    full, door.token = door.token, door.login("sandbox-read-only")
    assert door.post(body, "k").status_code == 403
    door.token = full
    assert door.delete("d").status_code == 204
    assert door.delete("d").status_code == 204


def test_the_body_is_checked_before_the_precondition(door, body):
    assert fields(door.post(body | {"dial_rate": 0}, If_Match='"x"')) == ["dial_rate"]


def test_refusals_are_not_kept_under_the_key(door, body):
    assert door.post(body | {"dial_rate": -1}, "k").status_code == 400
    assert door.post(body, "k", If_Match="*").status_code == 412
    assert door.post(body | {"campaign_id": "9"}, "n", campaign="9").status_code == 404
    assert door.post(body, "k").status_code == 201


# -- what dials


def test_what_dials_is_what_is_active_not_what_is_stored(door, body, ticker):
    door.post(body, "a")
    ticker.advance(10)
    assert door.dialer() == {"active_schedule_id": None, "activated_at": None}
    answer = door.refresh()
    assert (answer.status_code, answer.content) == (202, b"")
    assert door.dialer()["active_schedule_id"] is None
    ticker.advance(1)
    assert door.dialer() == {
        "active_schedule_id": "sch-000001",
        "activated_at": "2027-03-01T12:00:10.250Z",
    }
    door.post(body | {"dial_rate": 1}, "b")
    door.delete("c")
    ticker.advance(10)
    assert door.dialer()["active_schedule_id"] == "sch-000001"


def test_the_dialer_takes_what_is_stored_at_the_moment_of_activation(door, body, ticker):
    door.post(body, "a")
    door.refresh()
    ticker.advance(0.249)
    door.post(body | {"dial_rate": 1}, "b")
    ticker.advance(0.001)
    assert door.dialer()["active_schedule_id"] == "sch-000002"
    assert [b["dial_rate"] for _, b in door.world.active_history("1001")] == [1]


def test_what_is_stored_after_the_activation_waits_for_the_next_refresh(door, body, ticker):
    door.post(body, "a")
    door.refresh()
    ticker.advance(0.25)
    door.post(body, "b")
    ticker.advance(60)
    assert door.dialer()["active_schedule_id"] == "sch-000001"


def test_refresh_with_nothing_stored_silences_the_campaign(door, body, ticker):
    door.world.put_campaign("1001", schedule=body)
    assert door.dialer()["active_schedule_id"] == "sch-000001"
    door.delete()
    door.refresh()
    ticker.advance(1)
    assert door.dialer()["active_schedule_id"] is None
    assert [b for _, b in door.world.active_history("1001")] == [body, None]


def test_refresh_of_what_is_active_is_accepted_and_changes_nothing(door, body, ticker):
    door.world.put_campaign("1001", schedule=body)
    before = door.dialer()
    ticker.advance(5)
    assert door.refresh().status_code == 202
    ticker.advance(5)
    assert door.dialer() == before
    assert len(door.world.active_history("1001")) == 1


def test_refresh_fails_plainly_while_a_linked_list_is_syncing(door, body):
    door.post(body)
    door.world.put_list("dnc-2", status="SYNCING", campaign_ids=["1002"])
    assert door.refresh().status_code == 202
    door.world.put_list("dnc-1", status="SYNCING", campaign_ids=["1001"])
    answer = door.refresh()
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "dnc-1 is SYNCING" in answer.text
    door.world.put_list("dnc-1", campaign_ids=["1001"])
    assert door.refresh().status_code == 202


# -- metrics


def test_metrics_are_the_hours_that_have_data_from_the_first_up_to_the_last(door):
    row = {
        "attempts": 9000,
        "answers": 3000,
        "abandons": 40,
        "agents": 100.5,
        "handle_time_s": 181.0,
    }
    for hour in (9, 10, 12, 13):
        door.world.put_metrics("1001", datetime(2027, 2, 1, hour, tzinfo=UTC), row)
    path = "/api/campaigns/1001/metrics?from=2027-02-01T10:00:00Z&to=2027-02-01T15:00:00%2B02:00"
    starts = ["2027-02-01T10:00:00Z", "2027-02-01T12:00:00Z"]
    assert door.call("GET", path).json() == {"buckets": [{"start": s} | row for s in starts]}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "from"),
        ("from=2027-02-01T10:00:00Z", "to"),
        ("from=2027-02-01T10:30:00Z&to=2027-02-01T12:00:00Z", "from"),
        ("from=2027-02-01T10:00:00Z&to=2027-02-01T12:00:01Z", "to"),
        ("from=2027-02-01T10:00:00Z&to=2027-02-01T10:00:00Z", "to"),
        ("from=2027-02-01T00:00:00Z&to=2027-05-04T01:00:00Z", "to"),
        ("from=2027-02-01&to=2027-02-02", "from"),
        ("from=0001-01-01T00:00:00%2B05:00&to=2027-02-02T00:00:00Z", "from"),
    ],
)
def test_metrics_are_asked_for_by_whole_hours_up_to_92_days(door, query, field):
    assert fields(door.call("GET", f"/api/campaigns/1001/metrics?{query}")) == [field]


def test_metrics_of_92_days_are_allowed(door):
    path = "/api/campaigns/1001/metrics?from=2027-02-01T00:00:00Z&to=2027-05-04T00:00:00Z"
    assert door.call("GET", path).json() == {"buckets": []}


# -- telemetry


def event(number, **more):
    return {
        "id": f"e-{number}",
        "type": "deployed",
        "at": "2027-03-01T12:00:00Z",
        "campaign_id": "1001",
    } | more


def test_telemetry_counts_an_id_once(door):
    def send(*events):
        return door.call("POST", "/api/telemetry/events", json={"events": list(events)})

    answer = send(event(1), event(2, latency_ms=250), event(1))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    assert send(event(2), event(3)).json() == {"accepted": 1}
    assert send().json() == {"accepted": 0}
    assert [e["id"] for e in door.world.events()] == ["e-1", "e-2", "e-3"]
    assert door.world.events()[1]["latency_ms"] == 250


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({}, ["events"]),
        ([], ["body"]),
        ({"events": {}}, ["events"]),
        ({"events": [], "more": 1}, ["more"]),
        ({"events": [1]}, ["events[0]"]),
        ({"events": [event(1), event(2, id="")]}, ["events[1].id"]),
        ({"events": [event(1, at="now", type=3)]}, ["events[0].type", "events[0].at"]),
        ({"events": [event(i) for i in range(501)]}, ["events"]),
    ],
)
def test_telemetry_that_is_wrong_is_refused_whole(door, sent, wrong):
    assert fields(door.call("POST", "/api/telemetry/events", json=sent)) == wrong
    assert door.world.events() == []


def test_five_hundred_events_are_taken(door):
    sent = {"events": [event(i) for i in range(500)]}
    assert door.call("POST", "/api/telemetry/events", json=sent).json() == {"accepted": 500}


# -- rate


def test_over_the_rate_limit_the_answer_says_how_long_to_wait(door, ticker):
    door.world.configure(requests_per_second=0.5, burst=2)
    statuses = [door.call("GET", "/api/campaigns").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = door.call("GET", "/api/campaigns")
    assert refused.headers["Retry-After"] == "2"
    ticker.advance(2)
    assert door.call("GET", "/api/campaigns").status_code == 200
    assert door.call("GET", "/api/campaigns").status_code == 429
    ticker.advance(timedelta(days=1).total_seconds() / 48)
    assert [door.call("GET", "/api/dialer/settings").status_code for _ in range(3)] != [200] * 3


def test_a_refusal_for_the_rate_is_not_kept_under_the_key(door, body, ticker):
    door.world.configure(requests_per_second=1, burst=1)
    assert door.post(body, "a").status_code == 201
    assert door.post(body, "b").status_code == 429
    ticker.advance(1)
    assert door.post(body, "b").status_code == 201
