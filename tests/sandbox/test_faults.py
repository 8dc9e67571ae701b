"""Every answer that can be provoked, through both doors, and the language that provokes it."""

import asyncio
from email.utils import parsedate_to_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import sandbox
from reconciler.sandbox import faults
from reconciler.sandbox.faults import KINDS, parse

SCHEDULE = "/api/campaigns/1001/schedule"
CANNED = ["400", "401", "403", "404", "409", "412", "422", "429", "500", "503"]


@pytest.mark.parametrize("kind", CANNED)
def test_each_answer_of_the_error_list_can_be_provoked_and_nothing_is_executed(door, body, kind):
    fault = door.world.faults.add(f"{kind}:POST {SCHEDULE}:times=1")
    answer = door.post(body)
    assert answer.status_code == int(kind)
    if kind in {"500", "503"}:
        assert answer.headers["Content-Type"].startswith("text/plain")
    else:
        assert answer.json().keys() <= {"error", "errors", "required_scope"}
    assert (fault.fired, door.world.executed()) == (1, 0)
    door.token = door.login()
    assert door.post(body).status_code == 201


def test_a_provoked_401_ends_the_token_that_came(door):
    door.world.faults.add("401:GET /api/campaigns:times=1")
    assert [door.call("GET", "/api/campaigns").status_code for _ in range(2)] == [401, 401]
    door.token = door.login()
    assert door.call("GET", "/api/campaigns").status_code == 200


def test_a_provoked_401_of_the_token_request_is_a_refused_client(door):
    door.world.faults.add("401:/api/oauth2/token")
    answer = door.raw("POST", "/api/oauth2/token", data={"grant_type": "client_credentials"})
    assert answer.json() == {"error": "invalid_client"}


def test_a_missing_scope_is_provoked_behind_the_login(door):
    door.world.faults.add("403")
    door.token = door.login()
    assert door.call("GET", "/api/dnc/lists").json()["required_scope"] == "dnc:read"


def test_a_provoked_429_says_what_it_is_told_to(door):
    for after in ("7", "1.5", "99999999", "soon"):
        door.world.faults.add(f"429:after={after},times=1")
        assert door.call("GET", "/api/campaigns").headers["Retry-After"] == after
    door.world.faults.add("429:after=none,times=1")
    assert "Retry-After" not in door.call("GET", "/api/campaigns").headers
    door.world.faults.add("429:after=date,times=1")
    answer = door.call("GET", "/api/campaigns")
    ahead = parsedate_to_datetime(answer.headers["Retry-After"]) - parsedate_to_datetime(
        answer.headers["Date"]
    )
    assert ahead.total_seconds() == 2


def test_a_500_after_the_commit_hides_what_the_key_knows(door, body):
    door.world.faults.add("500-after:POST *:times=1")
    assert door.post(body).status_code == 500
    assert door.world.executed() == 1
    assert door.post(body).json()["id"] == "sch-000001"
    assert door.world.executed() == 1


@pytest.mark.parametrize(("option", "executed"), [("", 0), (",commit=1", 1)])
def test_a_500_may_stay_under_its_key_for_a_day(door, body, ticker, option, executed):
    door.world.faults.add(f"500-stored:times=1{option}")
    for _ in range(3):
        answer = door.post(body)
        assert (answer.status_code, answer.text) == (500, "internal error")
    assert door.world.executed() == executed
    assert door.post(body, "another").status_code == 201
    ticker.advance(24 * 3600)
    door.token = door.login()
    assert door.post(body).status_code == 201
    assert door.world.executed() == executed + 2


def test_a_late_commit_is_in_flight_until_it_is_there(door, body, ticker):
    door.world.faults.add("late:ms=400,times=1")
    assert door.post(body).status_code == 500
    assert door.post(body).status_code == 409
    assert door.call("GET", SCHEDULE).status_code == 404
    ticker.advance(0.4)
    assert door.call("GET", SCHEDULE).json()["updated_at"] == "2027-03-01T12:00:00.400Z"
    assert door.post(body).json()["id"] == "sch-000001"
    assert door.world.executed() == 1


def test_a_late_removal_comes_as_well(door, body, ticker):
    door.post(body)
    door.world.faults.add("late:DELETE *")
    assert door.delete().status_code == 500
    ticker.advance(0.3)
    assert door.call("GET", SCHEDULE).status_code == 404
    assert door.world.executed(action="REMOVED") == 1


@pytest.mark.parametrize(("kind", "executed"), [("reset-before", 0), ("reset-after", 1)])
def test_a_connection_may_drop_before_or_after_the_commit(door, body, kind, executed):
    door.world.faults.add(f"{kind}:POST {SCHEDULE}:times=1")
    with pytest.raises(httpx.TransportError):
        door.post(body)
    assert door.world.executed() == executed
    assert door.world.traffic["POST", "/api/campaigns/{campaign_id}/schedule", 0] == 1
    assert door.post(body).status_code == 201
    assert door.world.executed() == 1


def test_an_answer_may_end_in_its_middle(door, body):
    door.world.faults.add("truncated:times=1")
    with pytest.raises(httpx.TransportError):
        door.post(body)
    assert door.world.executed() == 1


def test_an_answer_may_be_no_json(door):
    door.world.faults.add("garbage:GET")
    with pytest.raises(ValueError, match="Expecting value"):
        door.call("GET", "/api/campaigns").json()


def test_a_slow_request_lets_the_time_pass_first(door, body, ticker):
    door.world.faults.add("slow:ms=1500")
    door.post(body)
    assert ticker() == 1.5
    assert door.call("GET", "/api/campaigns").status_code == 200
    assert ticker() == 3


def test_a_request_that_hangs_is_executed_at_once_and_answered_later(door, body, ticker):
    door.world.faults.add("hang:POST *:times=1")
    door.post(body)
    assert ticker() == 60
    (stored,) = door.world.journal("1001", "STORED")
    assert (door.world.now - stored.at).total_seconds() == 60


def test_a_key_is_in_flight_while_its_request_is_slow(world, body, runner):
    async def story() -> list[int]:
        gate, entered = asyncio.Event(), asyncio.Event()

        async def held(_: float) -> None:
            entered.set()
            await gate.wait()

        app = sandbox.create_app(world, sleep=held)
        world.faults.add("slow:POST *:times=1")
        token = world.issue("sandbox", "sandbox-secret").value
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Idempotency-Key": "k",
        }
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://sandbox", headers=headers
        ) as client:
            slow = asyncio.create_task(client.post(SCHEDULE, json=body))
            await entered.wait()
            during = await client.post(SCHEDULE, json=body)
            gate.set()
            return [
                during.status_code,
                (await slow).status_code,
                (await client.post(SCHEDULE, json=body)).status_code,
            ]

    assert runner.run(story()) == [409, 201, 201]
    assert world.executed() == 1


def test_the_dialer_may_be_locked_for_one_campaign_or_for_all(door, body):
    door.post(body)
    door.world.faults.add("locked:1001:times=2")
    answers = [door.refresh() for _ in range(3)]
    assert [a.status_code for a in answers] == [500, 500, 202]
    assert answers[0].text == "the dialer is locked"
    door.world.faults.add("locked")
    assert door.refresh("1001").status_code == door.refresh("1002").status_code == 500


def test_a_lock_may_last_for_a_time_from_the_first_try(door, ticker):
    door.world.faults.add("locked:1002:for=90")
    ticker.advance(500)
    assert door.refresh("1002").status_code == 500
    assert door.refresh("1001").status_code == 202
    ticker.advance(89.999)
    assert door.refresh("1002").status_code == 500
    ticker.advance(0.001)
    assert door.refresh("1002").status_code == 202


def test_a_list_may_look_syncing_for_a_time(door, ticker):
    door.world.faults.add("syncing:dnc-1:for=60")
    assert door.call("GET", "/api/dnc/lists").json()["lists"][0]["status"] == "SYNCING"
    assert door.refresh().status_code == 500
    assert door.refresh("1002").status_code == 202
    ticker.advance(60)
    assert door.call("GET", "/api/dnc/lists").json()["lists"][0]["status"] == "ACTIVE"
    assert door.refresh().status_code == 202


@pytest.mark.parametrize(
    ("kind", "ids", "total"),
    [
        ("short-page", ["1001"], 2),
        ("shifted-page", ["1001", "1001"], 2),
        ("wrong-total", ["1001", "1002"], 3),
    ],
)
def test_a_page_may_not_add_up(door, kind, ids, total):
    door.world.put_list("dnc-2")
    door.world.faults.add(kind)
    page = door.call("GET", "/api/campaigns?expand=schedule").json()
    assert ([c["id"] for c in page["campaigns"]], page["total"]) == (ids, total)
    lists = door.call("GET", "/api/dnc/lists").json()
    assert (len(lists["lists"]), lists["total"]) == (len(ids), total)


def test_a_server_may_ignore_keys(door, body):
    door.world.faults.add("no-keys")
    assert [door.post(body).json()["id"] for _ in range(2)] == ["sch-000001", "sch-000002"]
    assert door.call("POST", SCHEDULE, json=body).status_code == 201
    assert door.world.executed() == 3


def test_a_server_may_have_no_etags(door, body):
    door.world.faults.add("no-etags")
    assert "ETag" not in door.post(body, "a").headers
    assert door.post(body, "b", If_Match='"nothing"').status_code == 201
    read = door.call("GET", SCHEDULE, headers={"If-None-Match": "*"})
    assert read.status_code == 200
    assert "ETag" not in read.headers
    first = door.call("GET", "/api/campaigns?expand=schedule").json()["campaigns"][0]
    assert first["etag"] is None
    assert first["schedule"]["id"] == "sch-000002"


def test_a_server_may_not_know_expand(door):
    door.world.faults.add("no-expand:times=1")
    brief = door.call("GET", "/api/campaigns?expand=schedule").json()["campaigns"][0]
    assert brief.keys() == {"id", "name", "status", "schedule_id"}
    door.world.faults.add("reject-expand")
    refused = door.call("GET", "/api/campaigns?expand=schedule")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "expand")
    assert door.call("GET", "/api/campaigns").status_code == 200


def test_a_fault_counts_and_skips_and_then_is_over(door):
    fault = door.world.faults.add("503:GET /api/campaigns:skip=1,times=2")
    assert [door.call("GET", "/api/campaigns").status_code for _ in range(5)] == [
        200,
        503,
        503,
        200,
        200,
    ]
    assert door.call("GET", "/api/campaigns/1001").status_code == 200
    assert fault.fired == 2
    door.world.faults.add("503")
    door.world.faults.clear()
    assert door.call("GET", "/api/campaigns").status_code == 200


@given(st.integers(0, 2**32), st.floats(0.05, 0.95))
def test_a_probability_repeats_from_its_seed(seed, p):
    def strikes() -> list[bool]:
        box = sandbox.Faults([f"503:GET:p={p}"], seed=seed)
        return [bool(box.draw("GET", "/api/campaigns", 0)) for _ in range(60)]

    assert strikes() == strikes()


def test_a_probability_of_half_strikes_about_half_of_the_time():
    box = sandbox.Faults(["503:p=0.5"], seed=7)
    assert 420 < sum(bool(box.draw("GET", "/x", 0)) for _ in range(1000)) < 580


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "there is no kind ''"),
        ("reset", "did you mean reset-"),
        ("teapot", "known: 400, 401"),
        ("503:GET /a:b:c", "must be KIND[:TARGET][:OPTION=VALUE,...]"),
        ("503:FETCH /a", "a target is METHOD /path"),
        ("503:GET a", "a target is METHOD /path"),
        ("503:time=1", "503 has no option 'time'; it has for, p, skip, times"),
        ("503:after=1", "503 has no option 'after'"),
        ("syncing:dnc-1:times=1", "syncing has no option 'times'; it has for"),
        ("503:times=many", "times=many is not a number it can use"),
        ("503:times=-1", "times=-1 is not"),
        ("503:p=2", "p=2 is not"),
        ("503:p=nan", "p=nan is not"),
        ("503:times", "a target is METHOD /path"),
    ],
)
def test_a_specification_that_says_nothing_is_refused(spec, says):
    with pytest.raises(sandbox.FaultError) as caught:
        parse(spec)
    assert says in str(caught.value)
    assert spec in str(caught.value)


def test_every_kind_stands_in_the_description():
    described = faults.__doc__ or ""
    assert all(kind in described for kind in KINDS)
