"""The Personal Connection platform keeps to its contract, in process and over a socket."""

import asyncio
import base64
import json
import re

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import CHECKS, not_a_server_error
from schemathesis.config import SchemathesisConfig

from reconciler import sandbox
from reconciler.sandbox import skill_state as skills
from reconciler.sandbox.connection import OPERATIONS
from reconciler.sandbox.connection_login import APP_ID, APP_SECRET

ROOT = "/inContactAPI/services/v33.0"
BLOCKS = {
    "schedule-settings": "scheduleSettings",
    "time-zones": "timeZoneSettings",
    "general-settings": "generalSettings",
}


class Caller:
    """A client that sends what it is told, signed in."""

    def __init__(self, app, runner):
        self.app, self.runner = app, runner
        self.token = self.login().json()["access_token"]

    def login(self, key="sandbox", *, wrong=False):
        body = {"accessKeyId": key, "accessKeySecret": "wrong" if wrong else f"{key}-secret"}
        return self.raw("POST", "/authentication/v1/token/access-key", json=body)

    def raw(self, method, path, **rest):
        async def ask():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.request(method, path, **rest)

        answer = self.runner.run(ask())
        assert "Date" in answer.headers
        return answer

    def call(self, method, path, *, root=ROOT, **rest):
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        return self.raw(method, root + path, headers=headers, **rest)

    def block(self, name, skill=4001):
        return self.call("GET", f"/skills/{skill}/parameters/{name}").json()[BLOCKS[name]]

    def put(self, name, value, skill=4001):
        path = f"/skills/{skill}/parameters/{name}"
        return self.call("PUT", path, json={BLOCKS[name]: value})


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def world(ticker):
    made = sandbox.SkillState.open(monotonic=ticker)
    sandbox.seed_skill_samples(made)
    made.configure(requests_per_second=0)
    yield made
    made.close()


@pytest.fixture
def caller(world, ticker, runner):
    return Caller(sandbox.create_connection_app(world, sleep=ticker.sleep), runner)


# --- signing in ---------------------------------------------------------------------------------------------------------


def test_an_access_key_gets_a_token_with_its_tenant_and_its_lifetime(caller, world):
    answer = caller.login().json()
    claims = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))
    assert answer["expires_in"] == 3600
    assert claims["tenantId"] == world.unit()["tenantId"]


def claims_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_a_token_answer_holds_an_id_token_and_a_refresh_token_which_open_nothing(caller, world):
    answer = caller.login().json()
    assert claims_of(answer["id_token"])["tenantId"] == world.unit()["tenantId"]
    for name in ("id_token", "refresh_token"):
        caller.token = answer[name]
        assert caller.call("GET", "/business-unit").status_code == 401


@pytest.mark.parametrize("name", ["token", "refreshToken", "refresh_token"])
def test_a_refresh_token_is_good_for_another_token(caller, name):
    first = caller.login().json()
    path = "/public/user/refresh"
    answer = caller.raw("POST", path, json={name: first["refresh_token"]})
    assert answer.status_code == 200
    assert answer.json().keys() == first.keys()
    caller.token = answer.json()["access_token"]
    assert caller.call("GET", "/business-unit").status_code == 200
    for wrong in (first["access_token"], first["id_token"], "x.y.z", ""):
        assert caller.raw("POST", path, json={name: wrong}).status_code == 401
    for body in ({}, {"other": "x"}, {"token": "x", "refreshToken": "x"}, ["x"]):
        assert caller.raw("POST", path, json=body).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/incontactapi/Services/V33.0/business-unit",
        "/inContactAPI//services/v20.0///Business-Unit/",
        "/INCONTACTAPI/SERVICES/V27.0/SKILLS/4001/PARAMETERS/General-Settings",
        "/inContactAPI/services/v33.0/Dnc-Groups/70/Scrubbed-Skills",
    ],
)
def test_a_path_may_differ_in_letter_case_and_double_its_slashes(caller, path):
    assert caller.call("GET", path, root="").status_code in {200, 204}
    assert caller.call("GET", f"{path}/nowhere", root="").status_code in {404, 405}


def test_another_secret_is_refused(caller):
    assert caller.login(wrong=True).status_code == 401


def test_the_documents_lead_to_the_second_way_and_to_the_api(caller, world):
    openid = caller.raw("GET", "/.well-known/openid-configuration").json()
    assert openid["token_endpoint"] == "http://127.0.0.1/auth/token"
    asked = {"tenantId": world.unit()["tenantId"]}
    found = caller.raw("GET", "/.well-known/cxone-configuration", params=asked).json()
    assert found["api_endpoint"] == "http://127.0.0.1"
    other = caller.raw("GET", "/.well-known/cxone-configuration", params={"tenantId": "x"})
    assert other.status_code == 404


@pytest.mark.parametrize(
    ("app", "grant", "status"),
    [
        ((APP_ID, APP_SECRET), "password", 200),
        ((APP_ID, "wrong"), "password", 401),
        ((APP_ID, APP_SECRET), "client_credentials", 400),
        (None, "password", 401),
    ],
)
def test_the_second_way_needs_the_application_and_the_password_grant(caller, app, grant, status):
    form = {"grant_type": grant, "username": "sandbox", "password": "sandbox-secret"}
    assert caller.raw("POST", "/auth/token", data=form, auth=app).status_code == status


# --- reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v19.0", "v35.0", "v33", "33.0", "v33.1"])
def test_a_version_that_is_not_spoken_does_not_exist(caller, version):
    answer = caller.call("GET", "/business-unit", root=f"/inContactAPI/services/{version}")
    assert (answer.status_code, answer.text) == (404, "")
    assert "version" in answer.headers["icStatusDescription"]


def test_skills_come_in_pages_that_end_with_nothing(caller):
    pages = [caller.call("GET", f"/skills?skip={skip}&top=4") for skip in (0, 4, 8)]
    assert [page.status_code for page in pages] == [200, 200, 204]
    assert [len(page.json()["skills"]) for page in pages[:2]] == [4, 3]


@pytest.mark.parametrize("query", ["top=0", "top=101", "skip=-1", "isActive=yes", "page=1"])
def test_a_parameter_that_is_none_is_refused(caller, query):
    answer = caller.call("GET", f"/skills?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidParameter"
    assert query.partition("=")[0] in answer.headers["icStatusDescription"]


def test_both_shapes_say_the_same(caller):
    rows = caller.call("GET", "/skills/parameters").json()["skills"]
    assert {row["skillId"] for row in rows} == {4001, 4002, 4003, 4004, 4005, 4009}
    row = next(row for row in rows if row["skillId"] == 4002)
    week, pace = caller.block("schedule-settings", 4002), caller.block("general-settings", 4002)
    sunday = row["scheduleSettings"]["schedules"][6]
    assert sunday == {
        "day": "Sunday",
        "active": week["sundayIsActive"],
        "startTime": f"{week['sundayStartTime']}:00",
        "endTime": f"{week['sundayEndTime']}:00",
    }
    assert row["generalSettings"] == pace | {"aggressiveness": 5}
    names = [zone["standardName"] for zone in caller.block("time-zones", 4002)]
    assert [zone["name"] for zone in row["timeZoneSettings"]] == names


def test_nothing_to_list_is_204(caller, world):
    world.reset()
    for path in ("/skills", "/skills/parameters", "/dnc-groups"):
        assert caller.call("GET", path).status_code == 204


@pytest.mark.parametrize(
    ("fault", "name"), [(None, "wfM_OB_StatsV9"), ("old-stats", "outboundStats")]
)
def test_contacts_stand_under_either_name(caller, world, fault, name):
    if fault:
        world.faults.add(fault)
    dates = {"startDate": "2027-02-20T15:00:00Z", "endDate": "2027-02-20T16:00:00Z"}
    found = caller.call("GET", "/wfm-data/skills/dialer-contacts", params=dates).json()
    assert list(found) == [name]
    assert {row["skillId"] for row in found[name]} == {4002, 4003}


def test_an_instant_without_its_z_is_refused(caller):
    dates = {"startDate": "2027-02-20T15:00:00+00:00", "endDate": "2027-02-20T16:00:00Z"}
    answer = caller.call("GET", "/wfm-data/skills/dialer-contacts", params=dates)
    assert answer.status_code == 400


# --- writing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_that_is_written_is_read_back(caller, name):
    value = caller.block(name)
    assert caller.put(name, value).status_code == 204
    zones = name == "time-zones"
    assert (
        len(caller.block(name)) == len(skills.UNIT_ZONES) if zones else caller.block(name) == value
    )


def test_a_week_with_a_closed_day_is_refused_whole(caller):
    week = caller.block("schedule-settings")
    answer = caller.put(
        "schedule-settings", week | {"sundayIsActive": False, "mondayEndTime": "20:00"}
    )
    assert answer.status_code == 400
    assert "sundayIsActive" in answer.json()["error_description"]
    assert caller.block("schedule-settings") == week


@pytest.mark.parametrize(
    "times", [("20:00", "09:00"), ("09:00", "09:00"), ("9:00", "20:00"), (9, "20:00")]
)
def test_a_day_runs_from_a_time_to_a_later_one(caller, times):
    start, end = times
    week = caller.block("schedule-settings") | {"mondayStartTime": start, "mondayEndTime": end}
    assert caller.put("schedule-settings", week).status_code == 400


def test_a_zone_that_is_not_sent_is_switched_off(caller):
    caller.put("time-zones", [skills.a_zone("Pacific Standard Time", "09:00", "17:00")])
    on = [z["standardName"] for z in caller.block("time-zones") if z["timeZoneActiveToCall"]]
    assert on == ["Pacific Standard Time"]


def test_a_zone_that_is_not_taken_is_named_in_a_206(caller):
    good = skills.a_zone("Pacific Standard Time", "09:00", "17:00")
    answer = caller.put("time-zones", [good, skills.a_zone("GMT Standard Time", "09:00", "17:00")])
    assert answer.status_code == 206
    (failed,) = answer.json()["timeZoneSettings"]
    assert (failed["standardName"], failed["success"]) == ("GMT Standard Time", False)


@pytest.mark.parametrize(
    "change",
    [
        {"maximumRatio": 3.5},
        {"maximumRatio": 0.9},
        {"maximumRingingDuration": 61},
        {"abandonRateThreshold": 100},
        {"aggressiveness": 5},
        {"colour": "red"},
    ],
)
def test_pacing_out_of_range_is_refused(caller, change):
    assert (
        caller.put("general-settings", caller.block("general-settings") | change).status_code == 400
    )


def test_a_block_that_lacks_a_field_is_not_a_whole_block(caller):
    pace = caller.block("general-settings")
    pace.pop("callerIdOverride")
    assert "callerIdOverride" in caller.put("general-settings", pace).json()["error_description"]


def test_dialing_ahead_needs_leave(caller, world):
    world.put_unit(allowPredictiveDialing=False)
    pace = caller.block("general-settings")
    assert caller.put("general-settings", pace | {"maximumRatio": 1.1}).status_code == 400
    assert caller.put("general-settings", pace | {"maximumRatio": 1}).status_code == 204


def test_membership_is_written_once(caller):
    path = "/dnc-groups/71/scrubbed-skills/4001"
    assert [caller.call(m, path).status_code for m in ("POST", "POST", "DELETE", "DELETE")] == [
        204,
        409,
        204,
        404,
    ]


def test_a_skill_stops_a_moment_later_and_only_when_it_runs(caller, ticker):
    assert caller.call("POST", "/skills/4001/stop").status_code == 409
    assert caller.call("POST", "/skills/4003/stop?force=true").status_code == 400
    assert caller.call("POST", "/skills/4003/stop").status_code == 202
    assert caller.call("GET", "/skills/4003").json()["isRunning"]
    ticker.advance(1)
    assert not caller.call("GET", "/skills/4003").json()["isRunning"]


def test_the_journal_says_who_wrote_what(caller, world):
    caller.put("general-settings", caller.block("general-settings"))
    caller.call("POST", "/dnc-groups/71/scrubbed-skills/4001")
    assert world.journal(4001) == [("GENERAL", 4001, "sandbox"), ("LINKED", 4001, "sandbox")]


@pytest.mark.parametrize(
    ("path", "method"),
    [("/skills/4001/parameters/general-settings", "PUT"), ("/skills/4003/stop", "POST")],
)
def test_a_role_that_only_reads_may_not_write(caller, path, method):
    caller.token = caller.login("sandbox-read-only").json()["access_token"]
    assert caller.call("GET", "/business-unit").status_code == 200
    assert caller.call(method, path).status_code == 403


@pytest.mark.parametrize(
    ("fault", "status"), [("429", 429), ("500", 500), ("503", 503), ("409", 409), ("partial", 206)]
)
def test_the_faults_of_the_box_strike_here_too(caller, world, fault, status):
    pace = caller.block("general-settings")
    world.faults.add(f"{fault}:PUT *:times=1")
    answer = caller.put("general-settings", pace | {"maximumRatio": 2})
    assert answer.status_code == status
    assert "Retry-After" not in answer.headers
    assert caller.block("general-settings") == pace


def test_nothing_dangerous_is_served(caller):
    for method, path in (
        ("PUT", "/business-unit/time-zones"),
        ("POST", "/skills/4001/start"),
        ("DELETE", "/skills/4001"),
        ("DELETE", "/dnc-groups/70"),
    ):
        assert caller.call(method, path).status_code in {404, 405}


def test_it_is_served_over_a_socket_too(world):
    with sandbox.loopback(sandbox.create_connection_app(world)) as url:
        body = {"accessKeyId": "sandbox", "accessKeySecret": "sandbox-secret"}
        answer = httpx.post(f"{url}/authentication/v1/token/access-key", json=body, trust_env=False)
        token = answer.json()["access_token"]
        tenant = {"tenantId": world.unit()["tenantId"]}
        found = httpx.get(f"{url}/.well-known/cxone-configuration", params=tenant, trust_env=False)
        assert found.json()["api_endpoint"] == url
        headers = {"Authorization": f"Bearer {token}"}
        unit = httpx.get(f"{url}{ROOT}/business-unit", headers=headers, trust_env=False)
        assert unit.json()["businessUnits"][0]["defaultTimeZone"] == "Eastern Standard Time"


# --- the description ----------------------------------------------------------------------------------------------------

TICKER = sandbox.Ticker()
WORLD = sandbox.SkillState.open(clock="2027-03-01T12:00:00Z", monotonic=TICKER)
WORLD.configure(requests_per_second=0)
WORLD.put_skill(4001)
WORLD.put_group(70)
APP = sandbox.create_connection_app(WORLD)
DESCRIPTION = APP.openapi()
schema = schemathesis.openapi.from_asgi("/openapi.json", APP, config=SchemathesisConfig())
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


def test_every_operation_is_described_and_nothing_else():
    described = {(m.upper(), path) for path, item in DESCRIPTION["paths"].items() for m in item}
    assert described == {(o.method, o.path) for o in OPERATIONS}
    names = set(re.findall(r"#/components/schemas/(\w+)", str(DESCRIPTION)))
    assert names <= set(DESCRIPTION["components"]["schemas"])


@seed(20270301)
@schema.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_a_described_one(case):
    if case.operation.path.startswith("/inContactAPI"):
        token = WORLD.issue("sandbox", "sandbox-secret").value
        case.headers["Authorization"] = f"Bearer {token}"
        case.headers["Accept"] = "application/json"
    known = {"version": "v33.0", "skill_id": "4001", "group_id": "70"}
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known[name]
    case.call_and_validate(checks=[CHECKS.get_one(name) for name in CHECKED])


@seed(20270302)
@schema.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_without_a_token_nothing_breaks_either(case):
    case.call_and_validate(checks=[not_a_server_error, CHECKS.get_one("status_code_conformance")])
