"""The description is whole, and the app keeps to it: no server error, no answer that it does not name."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import CHECKS, not_a_server_error
from schemathesis.config import SchemathesisConfig

from reconciler import sandbox
from reconciler.sandbox import campaign_rules as rules
from reconciler.sandbox.campaigns import OPERATIONS
from reconciler.sandbox.campaigns_openapi import EXAMPLE

CONTRACT = """
POST /api/oauth2/token 200 401 400
GET /api/dialer/settings 200
GET /api/dnc/lists 200
GET /api/campaigns 200
GET /api/campaigns/{campaign_id} 200 404
GET /api/campaigns/{campaign_id}/schedule 200 304 404
POST /api/campaigns/{campaign_id}/schedule 201 404 409 412 422
PUT /api/campaigns/{campaign_id}/actions/refresh 202 404
DELETE /api/campaigns/{campaign_id}/schedule 204 404 409 412 422
GET /api/campaigns/{campaign_id}/metrics 200 404
POST /api/telemetry/events 202
"""
ROWS = [line.split() for line in CONTRACT.split("\n") if line]


TICKER = sandbox.Ticker()
WORLD = sandbox.CampaignState.open(clock="2027-03-01T12:00:00Z", monotonic=TICKER)
WORLD.configure(requests_per_second=0)
WORLD.put_campaign("1001")
APP = sandbox.create_app(WORLD)
DESCRIPTION = APP.openapi()
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
)
schema = schemathesis.openapi.from_asgi("/openapi.json", APP, config=SchemathesisConfig())


def test_every_row_of_the_contract_is_described_and_nothing_else():
    described = {(m.upper(), path) for path, item in DESCRIPTION["paths"].items() for m in item}
    assert (
        described == {(row[0], row[1]) for row in ROWS} == {(o.method, o.path) for o in OPERATIONS}
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_every_answer_of_a_row_is_described_with_its_date(row):
    method, path, *answers = row
    operation = DESCRIPTION["paths"][path][method.lower()]
    always = {"400", "401", "429", "500", "503"} | (set() if path.endswith("token") else {"403"})
    assert set(operation["responses"]) == set(answers) | always
    assert all("Date" in answer["headers"] for answer in operation["responses"].values())
    assert "Retry-After" in operation["responses"]["429"]["headers"]


def test_every_scope_is_described():
    flow = DESCRIPTION["components"]["securitySchemes"]["token"]["flows"]["clientCredentials"]
    asked = {
        scope
        for item in DESCRIPTION["paths"].values()
        for o in item.values()
        for s in o.get("security", [])
        for scope in s["token"]
    }
    assert asked == set(flow["scopes"]) == set(sandbox.credentials(WORLD).scopes)


def test_every_reference_leads_somewhere():
    names = set(re.findall(r"#/components/schemas/(\w+)", str(DESCRIPTION)))
    assert names <= set(DESCRIPTION["components"]["schemas"])


def test_the_example_of_a_schedule_is_taken():
    assert rules.check_schedule(EXAMPLE, "1001", WORLD.settings.ceilings) == []


@seed(20270301)
@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_a_described_one(case):
    TICKER.advance(
        24 * 3600
    )  # the keys of earlier cases are forgotten, or a replay would hide what is wrong with this one
    if case.operation.path != "/api/oauth2/token":
        token = WORLD.issue("sandbox", "sandbox-secret").value
        case.headers["Authorization"] = f"Bearer {token}"
        case.headers["Accept"] = "application/json"
    if case.path_parameters:
        case.path_parameters["campaign_id"] = "1001"
    case.call_and_validate(checks=[CHECKS.get_one(name) for name in NAMES])


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
