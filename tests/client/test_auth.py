"""One token for all tasks, and what is said when there is none."""

import asyncio
import re
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.client import MOST_TOKENS, MOST_TOKENS_OF_A_CALL, MOST_TRIES
from reconciler.client.auth import Tokens
from reconciler.client.refusals import MOST_STRAY
from reconciler.dialects.base import Credentials, Token
from reconciler.dialects.calls import Call
from reconciler.dialects.campaigns import api as campaigns
from reconciler.errors import AccessError, ApiError, Unavailable
from reconciler.settings import Settings
from tests.support.fake_platform import (
    SECRET,
    TOKEN,
    Platform,
    client_of,
    converse,
    play,
    send,
    settings,
)

TOKEN_PATH = "/api/oauth2/token"
READ = Call("GET", "/api/dialer/settings")


def bearers(platform):
    return [request.headers.get("authorization") for request in platform.seen]


def test_the_token_request_is_a_form_without_a_token():
    platform = Platform()
    converse(platform, READ)
    first, second = platform.seen
    assert (first.method, first.url.path) == ("POST", TOKEN_PATH)
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b"client_secret=canary-c0ffee-secret" in first.content
    assert bearers(platform) == [None, f"Bearer {TOKEN}-1"]
    assert second.headers["accept"] == "application/json"


def test_one_request_serves_all_waiting_tasks():
    async def slow_token(request):
        await asyncio.sleep(1)
        return platform._token(request)

    platform = Platform(tokens=[slow_token])
    converse(platform, *[READ] * 20)
    assert platform.counts == {TOKEN_PATH: 1, READ.path: 20}


def after(seconds, *, lifetime=1800):
    """How many tokens two requests that are this far apart take."""

    def token(_):
        return httpx.Response(200, json={"access_token": TOKEN, "expires_in": lifetime})

    async def main():
        async with client_of(platform) as client:
            await client.run(send(READ))
            await asyncio.sleep(seconds)
            await client.run(send(READ))

    platform = Platform(tokens=[token, token])
    play(main())
    return platform.counts[TOKEN_PATH]


def test_a_token_is_renewed_thirty_seconds_before_its_end():
    assert after(1769) == 1
    assert after(1770.1) == 2


def test_a_short_token_is_used_for_half_its_life():
    assert after(4.9, lifetime=10) == 1
    assert after(5.1, lifetime=10) == 2


@pytest.mark.parametrize("lifetime", [0.0, -5.0])
def test_a_token_that_is_born_dead_is_used_once(lifetime):
    async def run(exchange):
        nonlocal asked
        exchange.close()
        asked += 1
        return Token(TOKEN, lifetime)

    async def main():
        tokens = Tokens(
            campaigns,
            Credentials("client-1", SECRET),
            Settings("acme", "https://acme.example", None),
            run=run,
            monotonic=lambda: 0.0,
        )
        return [await tokens.get(), await tokens.get()]

    asked = 0
    assert [token.value for token in play(main())] == [TOKEN, TOKEN]
    assert asked == 2


def test_a_refused_token_is_renewed_once_and_the_call_goes_on():
    platform = Platform([401, 200])
    (reply,) = converse(platform, READ)
    assert reply.status == 200
    assert bearers(platform) == [None, f"Bearer {TOKEN}-1", None, f"Bearer {TOKEN}-2"]


def test_many_tasks_with_a_refused_token_renew_it_once():
    def check(request):
        good = request.headers["authorization"] == f"Bearer {TOKEN}-2"
        return httpx.Response(200 if good else 401, json={})

    platform = Platform([check] * 100)
    converse(platform, *[READ] * 8)
    assert platform.counts[TOKEN_PATH] == 2


def test_a_refusal_that_comes_late_does_not_cost_the_others_their_new_token():
    async def check(request):
        good = request.headers["authorization"] == f"Bearer {TOKEN}-2"
        await asyncio.sleep(platform.counts[READ.path])
        return httpx.Response(200 if good else 401, json={})

    platform = Platform([check] * 100)
    converse(platform, *[READ] * 8)
    assert platform.counts[TOKEN_PATH] == 2


def test_a_call_goes_on_when_another_process_ends_its_tokens_again_and_again():
    platform = Platform([401] * (MOST_TOKENS - 1))
    (reply,) = converse(platform, READ)
    assert reply.status == 200
    assert bearers(platform)[-1] == f"Bearer {TOKEN}-{MOST_TOKENS}"
    waits = [later - earlier for earlier, later in pairwise(platform.times[1::2])]
    assert waits[0] < 0.01  # the first refusal is renewed at once, the others after a back-off
    assert max(waits[1:]) > 0.1


def test_another_process_that_signs_in_does_not_end_a_run():
    """Only the newest token is good, and somebody else takes one at every third request."""
    others = 0

    def check(request):
        nonlocal others
        calls = platform.counts[READ.path]
        if calls % 3 == 0:
            others += 1
            return httpx.Response(401, json={"error": "invalid_token"})
        return httpx.Response(200, json={})

    platform = Platform([check] * 10_000)
    replies = converse(platform, *[READ] * 300)
    assert {reply.status for reply in replies} == {200}
    assert 1 < platform.counts[TOKEN_PATH] <= others + 1


def test_calls_whose_tokens_are_all_refused_end_within_one_budget():
    def refuse(_):
        return httpx.Response(401, json={})

    platform = Platform([refuse] * 1000)
    with pytest.raises(
        AccessError, match=r"^GET /api/dialer/settings: .* in a row \(401\)"
    ) as caught:
        converse(platform, *[READ] * 50)
    assert "CXONE_CLIENT_ID" in str(caught.value)
    in_flight = settings().options.concurrency
    assert platform.counts[TOKEN_PATH] <= MOST_TOKENS + in_flight


def test_one_resource_that_refuses_every_token_ends_beside_others_that_do_not():
    def check(request):
        return httpx.Response(401 if request.url.path == "/closed" else 200, json={})

    platform = Platform([check] * 1000)
    calls = [Call("GET", "/closed"), *[READ] * 900]
    with pytest.raises(AccessError, match=r"^GET /closed: "):
        converse(platform, *calls, requests_per_second=20.0)
    assert platform.counts["/closed"] == MOST_TOKENS_OF_A_CALL


def refused(status, error):
    def answer(_):
        return httpx.Response(status, json={"error": error})

    return answer


ROTATED = (
    "the platform refused CXONE_CLIENT_ID with CXONE_CLIENT_SECRET (401): either may be wrong, and a secret may have been rotated; "
    "correct CXONE_CLIENT_ID, or put the current secret into CXONE_CLIENT_SECRET"
)
NO_SCOPE = (
    "the platform does not grant the scope that CXONE_SCOPE asks for (invalid_scope): correct it, or have the scope "
    "granted to the client in CXONE_CLIENT_ID"
)
NO_API = "POST /api/oauth2/token does not exist there (404): check the host in CXONE_TENANT_URL"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refused(401, "invalid_client"), ROTATED),
        (refused(403, "invalid_client"), ROTATED.replace("401", "403")),
        (refused(400, "invalid_scope"), NO_SCOPE),
        (refused(404, "not_found"), NO_API),
        (401, ROTATED),
    ],
)
@pytest.mark.parametrize("urgent", [False, True])
def test_a_refused_token_request_is_sent_once_and_names_the_variable(answer, message, urgent):
    platform = Platform(tokens=[answer])
    with pytest.raises(AccessError) as caught:
        converse(platform, READ, urgent=urgent)
    assert str(caught.value) == message
    assert platform.counts == {TOKEN_PATH: 1}


def page(status):
    """What a gateway answers by itself."""
    return lambda _: httpx.Response(
        status, text="<html>no route</html>", headers={"Location": "https://elsewhere.example"}
    )


@given(st.lists(st.sampled_from([302, 400, 403, 404, 405, 503]), max_size=12), st.booleans())
def test_a_page_in_place_of_a_token_is_no_refusal_unless_it_stays(statuses, urgent):
    platform = Platform(tokens=[page(status) for status in statuses])
    try:
        (reply,) = converse(platform, READ, urgent=urgent)
    except Unavailable:
        assert len(statuses) >= MOST_TRIES
    except (AccessError, ApiError):
        assert not urgent
        assert len(statuses) > MOST_STRAY
    else:
        assert reply.status == 200
        assert platform.counts[TOKEN_PATH] == len(statuses) + 1


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, ROTATED.replace("401", "403")), (404, NO_API), (302, "the platform redirects (302)")],
)
def test_a_page_that_stays_is_the_refusal_that_it_was(status, message):
    platform = Platform(tokens=[page(status)] * 20)
    with pytest.raises(AccessError, match=re.escape(message)):
        converse(platform, READ)
    assert platform.counts == {TOKEN_PATH: 1 + MOST_STRAY}


def test_a_refused_secret_is_sent_once_however_many_tasks_wait():
    platform = Platform(tokens=[refused(401, "invalid_client")] * 20)

    async def main():
        async with client_of(platform) as client:
            tasks = [client.run(send(READ)) for _ in range(20)]
            return await asyncio.gather(*tasks, return_exceptions=True)

    results = play(main())
    assert {type(result) for result in results} == {AccessError}
    assert platform.counts == {TOKEN_PATH: 1}


def test_other_refusals_of_the_token_request_stay_what_they_are():
    with pytest.raises(ApiError, match="unsupported_grant_type"):
        converse(Platform(tokens=[refused(400, "unsupported_grant_type")]), READ)


@pytest.mark.parametrize("value", ["two\nlines", "with space", "ünicode", ""])
def test_a_token_that_no_header_can_carry_is_refused(value):
    def token(_):
        return httpx.Response(200, json={"access_token": value})

    with pytest.raises(ApiError, match="access_token"):
        converse(Platform(tokens=[token]), READ)


def test_a_platform_that_gives_no_token_is_unavailable():
    with pytest.raises(Unavailable, match=r"^POST /api/oauth2/token: no usable answer in 8 tries"):
        converse(Platform(tokens=[503] * 8), READ)


def test_a_cancelled_task_does_not_take_the_others_token_along():
    async def slow_token(request):
        await asyncio.sleep(5)
        return platform._token(request)

    async def main():
        async with client_of(platform) as client:
            first = asyncio.create_task(client.run(send(READ)))
            second = asyncio.create_task(client.run(send(READ)))
            await asyncio.sleep(1)
            first.cancel()
            return await second

    platform = Platform(tokens=[slow_token, slow_token])
    assert play(main())[0].status == 200


@given(st.lists(st.sampled_from([200, 401]), max_size=12))
def test_any_run_of_refused_tokens_ends_in_an_answer_or_an_access_error(statuses):
    platform = Platform(statuses)
    try:
        (reply,) = converse(platform, READ)
    except AccessError:
        assert statuses[:MOST_TOKENS] == [401] * MOST_TOKENS
    else:
        assert reply.status == 200
    assert platform.counts[TOKEN_PATH] <= MOST_TOKENS
    assert SECRET not in str(bearers(platform))
