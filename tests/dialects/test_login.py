"""Signing in where the answers differ: lifetimes, tenants, hosts and versions; and no secret goes anywhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.client.hosts import target
from reconciler.dialects.base import Credentials, Site, Token
from reconciler.dialects.calls import Call, NotJSON, Reply
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.personal_connection import api as pc
from reconciler.dialects.personal_connection import login
from reconciler.dialects.personal_connection.answers import failed_items
from reconciler.errors import AccessError, ApiError, ReconcileError, Unavailable
from reconciler.settings import Settings
from tests.support.factories import NOW, converse, make_reply

KEY = Credentials("key", "s3cret-of-key")
URL = "https://na1.nice-incontact.com"
SITE = Site(URL, 33)
SETTINGS = Settings("acme", URL, KEY)
OTHER = "https://cxone.niceincontact.com"
API = "https://api-na1.niceincontact.com"
AREA = "https://api-c31.nice-incontact.com"
SERVICES = "/inContactAPI/services"


def jwt(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


def sign_in(
    respond: Callable[[Call], Reply | ReconcileError], site: Site = SITE, who: Credentials = KEY
) -> tuple[Token, list[Call]]:
    """Sign in as the client would: each call is held against the allowed hosts before it is answered."""
    exchange, asked = pc.authenticate(who, site), []
    try:
        (call,) = next(exchange)
        while True:
            asked.append(call)
            target(call, None, SETTINGS, pc.HOSTS)
            reply = respond(call)
            if isinstance(reply, ReconcileError):
                (call,) = exchange.throw(reply)
            elif reply.status in call.expects:
                (call,) = exchange.send((reply,))
            else:
                (call,) = exchange.throw(ApiError(reply.status, call.where))
    except StopIteration as done:
        return done.value, asked


class Vendor:
    """A vendor's hosts: what each path answers, and which calls came."""

    def __init__(self, token: Any, **answers: Any) -> None:
        self.answers = {
            "access-key": make_reply(token),
            "openid-configuration": make_reply({"token_endpoint": f"{OTHER}/auth/token"}),
            "token": make_reply(token),
            "cxone-configuration": make_reply({"api_endpoint": API}),
            "business-unit": make_reply({"businessUnits": [{"tenantId": "t-unit"}]}),
            **{name.replace("_", "-"): answer for name, answer in answers.items()},
        }

    def __call__(self, call: Call) -> Reply | ReconcileError:
        answer = self.answers[call.path.rpartition("/")[2]]
        return answer(call) if callable(answer) else answer


GOOD = {"access_token": jwt(tenantId="t-access", icClusterId="C31"), "expires_in": 1234}


def life(expires: Any, api: str) -> Token:
    body = {"access_token": GOOD["access_token"]}
    if expires != "missing":
        body["expires_in"] = expires
    if api == "campaigns":
        return converse(campaigns.authenticate(KEY), (make_reply(body),))[0]
    return sign_in(Vendor(body))[0]


@pytest.mark.parametrize(("api", "default"), [("campaigns", 1800), ("personal-connection", 3600)])
@pytest.mark.parametrize("expires", ["missing", None, "", 0, "0", 600, 600.0, "600", "600.0"])
def test_a_lifetime_may_be_a_text_or_missing_and_what_is_assumed_is_said(api, default, expires):
    token = life(expires, api)
    given = str(expires).startswith("600")
    assert token.expires_in_s == (600 if given else default)
    assert [f"assuming {default} s" in each for each in token.assumed] == ([] if given else [True])


@pytest.mark.parametrize(("api", "default"), [("campaigns", 1800), ("personal-connection", 3600)])
@pytest.mark.parametrize("expires", ["soon", True, -5, "-5", [60], {}, "1e400", "\u0661"])
def test_a_token_whose_lifetime_cannot_be_read_is_used_all_the_same(api, default, expires):
    """A stop has nothing but this token."""
    token = life(expires, api)
    assert token.expires_in_s == default
    assert [f"no number of seconds: assuming {default} s" in each for each in token.assumed] == [
        True
    ]


@pytest.mark.parametrize(
    ("tokens", "tenant"),
    [
        ({"access_token": jwt(tenantId="t-access"), "id_token": jwt(tenantId="t-id")}, "t-id"),
        ({"access_token": jwt(tenantId="t-access"), "id_token": jwt(sub="x")}, "t-access"),
        ({"access_token": jwt(tenantId="t-access"), "id_token": "no.%%%"}, "t-access"),
        ({"access_token": jwt(tenantId="t-access"), "id_token": None}, "t-access"),
        ({"access_token": "opaque", "id_token": jwt(tenantId="t-id")}, "t-id"),
        ({"access_token": jwt(tenantId=7, icClusterId="c31")}, "t-unit"),
        ({"access_token": jwt(icClusterId="C31")}, "t-unit"),
    ],
)
def test_the_tenant_is_looked_for_in_the_id_token_then_in_the_access_token_then_at_the_unit(
    tokens, tenant
):
    token, asked = sign_in(Vendor(tokens))
    assert dict(asked[-1].params) == {"tenantId": tenant}
    assert token.base == f"{API}{SERVICES}/v33.0"
    units = [call for call in asked if call.path.endswith("business-unit")]
    assert [call.origin for call in units] == ([AREA] if tenant == "t-unit" else [])
    assert all(tokens["access_token"] not in repr(call) for call in units)


@pytest.mark.parametrize(
    "refusal",
    [
        make_reply(status=403),
        make_reply(status=404),
        make_reply(status=302),
        make_reply({}),
        make_reply({"api_endpoint": 7}),
        make_reply(NotJSON()),
        Unavailable("no usable answer"),
    ],
)
def test_without_discovery_the_areas_documented_host_is_taken_and_told(refusal):
    token, _ = sign_in(Vendor(GOOD, cxone_configuration=refusal))
    assert token.base == f"{AREA}{SERVICES}/v33.0"
    assert AREA in token.assumed[0]


@pytest.mark.parametrize(("cluster", "is_known"), [("C31", True), (None, False)])
def test_a_stop_waits_for_discovery_only_if_nothing_else_tells_the_host(cluster, is_known):
    """Calls to a wrong host would stop nothing, for as long as the token lives."""
    vendor = Vendor({"access_token": jwt(icClusterId=cluster), "expires_in": 9})
    _, (_, unit, find) = sign_in(vendor)
    assert (unit.optional, find.optional) == (is_known, is_known)


@pytest.mark.parametrize("cluster", [None, "", "evil.example/", "a@b", "-", 7, "x" * 99])
def test_a_token_that_names_no_cluster_leads_to_the_tenants_own_host(cluster):
    tokens = {"access_token": jwt(icClusterId=cluster), "expires_in": 9}
    refusals = dict.fromkeys(("cxone_configuration", "business_unit"), make_reply(status=404))
    token, _ = sign_in(Vendor(tokens, **refusals))
    assert token.base == f"{URL}{SERVICES}/v33.0"


def test_a_platform_that_is_not_the_vendors_answers_for_itself_alone():
    site = Site("http://127.0.0.1:8080", 33)
    exchange = pc.authenticate(KEY, site)
    (ask,) = next(exchange)
    assert (ask.origin, ask.expects) == (None, frozenset({200}))
    (find,) = exchange.send((make_reply(GOOD),))
    assert find.origin is None
    with pytest.raises(StopIteration) as done:
        exchange.throw(ApiError(404, find.where))
    assert done.value.value.base == f"{site.url}{SERVICES}/v33.0"


@pytest.mark.parametrize("status", sorted(login.ELSEWHERE))
def test_an_access_key_is_also_tried_at_the_other_documented_host(status):
    def elsewhere(call: Call) -> Reply:
        return make_reply(GOOD) if call.origin == OTHER else make_reply(status=status)

    _, asked = sign_in(Vendor(GOOD, access_key=elsewhere))
    assert [call.origin for call in asked] == [None, OTHER, OTHER]
    assert asked[0].json == asked[1].json


def test_an_access_key_is_also_tried_there_when_the_areas_host_is_out_of_reach():
    def elsewhere(call: Call) -> Reply | ReconcileError:
        return make_reply(GOOD) if call.origin == OTHER else Unavailable("no usable answer")

    assert sign_in(Vendor(GOOD, access_key=elsewhere))[0].value == GOOD["access_token"]


@pytest.mark.parametrize("status", [400, 401, 403, 429])
def test_a_key_that_is_refused_is_shown_to_no_other_host(status):
    asked = []

    def refuse(call: Call) -> Reply:
        asked.append(call.origin)
        return make_reply(status=status)

    with pytest.raises(ApiError):
        sign_in(Vendor(GOOD, access_key=refuse))
    assert asked == [None]


def test_each_endpoint_group_is_asked_in_its_own_version():
    site = Site(URL, 33, {"dnc-groups": 20, "wfm-data": 28})
    token, _ = sign_in(Vendor(GOOD), site)
    for path, version in (
        ("/skills/4001", 33),
        ("/business-unit", 33),
        ("/dnc-groups", 20),
        ("/dnc-groups/70/scrubbed-skills/4001", 20),
        ("/wfm-data/skills/dialer-contacts", 28),
    ):
        base = target(Call("GET", path), token, SETTINGS, pc.HOSTS)
        assert base == f"{API}{SERVICES}/v{version}.0"


def test_a_forged_host_is_refused_in_every_version():
    site = Site(URL, 33, {"dnc-groups": 20})
    forged = make_reply({"api_endpoint": "https://evil.example"})
    token, _ = sign_in(Vendor(GOOD, cxone_configuration=forged), site)
    for path in ("/skills", "/dnc-groups"):
        with pytest.raises(AccessError, match=r"evil\.example"):
            target(Call("GET", path), token, SETTINGS, pc.HOSTS)


names = st.sampled_from(["tenantId", "icClusterId", "access_token", "api_endpoint", "id_token"])
odd = st.sampled_from(
    ["https://evil.example", "evil.example/#", "c31", "@evil.example", "", None, 7]
)
values = st.one_of(odd, st.builds(lambda claims: jwt(**claims), st.dictionaries(names, odd)))
bodies = st.one_of(odd, st.dictionaries(names, values))
BOTH = Credentials("key", "s3cret-of-key", app_id="app", app_secret="s3cret-of-app")


@given(st.lists(st.tuples(st.sampled_from([200, 301, 401, 404, 500]), bodies)), st.booleans())
def test_no_answers_lead_a_secret_to_a_foreign_host(answers, application):
    script = iter(answers)

    def respond(_: Call) -> Reply:
        status, body = next(script, (200, {"access_token": "t"}))
        return Reply(status, {}, body, NOW)

    def checked(call: Call) -> Reply:
        base = target(call, None, SETTINGS, pc.HOSTS)  # raises before anything is sent
        host = base.removeprefix("https://").partition("/")[0]
        assert any(host == name or host.endswith(f".{name}") for name in pc.HOSTS)
        return respond(call)

    try:
        token, _ = sign_in(checked, who=BOTH if application else KEY)
        base = target(Call("GET", "/skills"), token, SETTINGS, pc.HOSTS)
    except ReconcileError:
        return
    assert "evil.example" not in base.removeprefix("https://").partition("/")[0]


def test_a_token_endpoint_that_is_no_url_is_an_error_of_the_platform():
    broken = make_reply({"token_endpoint": "https://["})
    with pytest.raises(ApiError, match="token_endpoint"):
        sign_in(Vendor(GOOD, openid_configuration=broken), who=BOTH)


def test_a_body_that_is_not_json_is_no_error_where_nobody_needs_it():
    reply = Reply(202, {"content-type": "application/json"}, NotJSON(), NOW)
    assert converse(pc.silence("4001", token="k"), (reply,))[0].waiting is None
    assert list(failed_items(reply.json)) == []
