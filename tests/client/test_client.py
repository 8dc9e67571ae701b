"""What follows from each answer, on a platform that is a list of answers, in virtual time."""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import scalars
from reconciler.client import DOWN_S, MOST_TRIES, Client
from reconciler.dialects import answers as campaigns_answers
from reconciler.dialects.base import Waiting
from reconciler.dialects.calls import Call, NotJSON
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.personal_connection import answers as skills_answers
from reconciler.errors import (
    AccessError,
    ApiError,
    NotFinished,
    ReconcileError,
    TenantLocked,
    Unavailable,
    UncertainWrite,
)
from reconciler.settings import EMBEDDED, Settings
from reconciler.world import here
from tests.support import fake_platform
from tests.support.fake_platform import DATE, Platform, client_of, converse, now, play, send

READ = Call("GET", "/api/dialer/settings")
WRITE = Call(
    "POST",
    "/api/campaigns/1001/schedule",
    headers={"Idempotency-Key": "k1"},
    json={"dial_rate": 25.0},
    expects=frozenset({201}),
    repeatable=False,
)
TOKEN_PATH = "/api/oauth2/token"


def answer(status, body=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers={"Date": DATE, **named})


async def never(_):
    await asyncio.sleep(1e9)


def redirect(location):
    return answer(307, Location=location)


def failure(platform, call, **options):
    with pytest.raises(ReconcileError) as caught:
        converse(platform, call, **options)
    return caught.value


# --- exchanges ------------------------------------------------------------------------------------


def test_an_exchange_gets_a_reply_for_each_call_and_its_value_comes_back():
    def exchange():
        first, second = yield (Call("GET", "/a"), Call("GET", "/b"))
        (third,) = yield (Call("GET", "/c"),)
        return [reply.json["path"] for reply in (first, second, third)]

    async def main():
        async with client_of(platform) as client:
            return await client.run(exchange())

    platform = Platform([lambda r: httpx.Response(200, json={"path": r.url.path})] * 3)
    assert play(main()) == ["/a", "/b", "/c"]


def test_an_exchange_without_calls_needs_no_platform():
    def exchange():
        return 7
        yield

    async def main():
        async with client_of(platform) as client:
            return await client.run(exchange())

    platform = Platform()
    assert play(main()) == 7
    assert platform.seen == []


@given(st.integers(1, 40), st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_replies_keep_the_order_of_their_calls_however_long_each_takes(count, concurrency, rng):
    async def late(request):
        nonlocal most, busy
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(rng.random())
        busy -= 1
        return httpx.Response(200, json=int(request.url.path[1:]))

    most = busy = 0
    calls = [Call("GET", f"/{index}") for index in range(count)]
    replies = converse(Platform([late] * count), *calls, concurrency=concurrency)
    assert [reply.json for reply in replies] == list(range(count))
    assert most <= concurrency


def test_the_first_failure_of_a_batch_stops_the_rest():
    async def fine(_):
        await asyncio.sleep(0.01)
        return answer(200, {})

    platform = Platform([fine, fine, 404, *[fine] * 1000])
    with pytest.raises(ApiError):
        converse(platform, *[READ] * 1000, concurrency=2)
    assert platform.counts[READ.path] < 10


def test_a_call_is_sent_as_it_says():
    platform = Platform([answer(201, {})])
    converse(platform, WRITE)
    sent = platform.seen[-1]
    assert str(sent.url) == "https://acme.example/api/campaigns/1001/schedule"
    assert sent.headers["idempotency-key"] == "k1"
    assert sent.headers["content-type"] == "application/json"
    assert sent.content == b'{"dial_rate":25.0}'


def test_a_query_is_sent_in_order_and_an_empty_body_says_so():
    platform = Platform([202])
    converse(platform, Call("PUT", "/x", params={"b": "1 2", "a": "&"}, expects=frozenset({202})))
    assert platform.seen[-1].url.raw_path == b"/x?b=1+2&a=%26"
    assert platform.seen[-1].headers["content-length"] == "0"


@pytest.mark.parametrize("path", ["@evil.example/x", ".evil.example/", "", ":1/"])
def test_a_path_cannot_name_another_host(path):
    platform = Platform()
    with pytest.raises(ValueError, match="starts with /"):
        converse(platform, Call("GET", path))
    assert {request.url.host for request in platform.seen} <= {"acme.example"}


def test_a_reply_has_lower_case_headers_the_value_and_the_platforms_clock():
    (reply,) = converse(Platform([answer(200, {"a": 1}, ETag='"7"')]), READ)
    assert reply.headers["etag"] == '"7"'
    assert reply.json == {"a": 1}
    assert reply.at == datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_the_platforms_clock_goes_on_between_answers():
    async def main():
        async with client_of(Platform()) as client:
            before = client.now
            await client.run(send(READ))
            await asyncio.sleep(90)
            return before, client.now

    assert play(main()) == (None, datetime(2027, 3, 1, 12, 1, 30, tzinfo=UTC))


def test_an_expected_status_is_an_answer_whatever_it_is():
    call = Call("PUT", "/x", expects=frozenset({202, 500, 401, 429, 307}))
    for status in sorted(call.expects):
        assert converse(Platform([status]), call)[0].status == status


def test_a_client_without_credentials_cannot_be_made():
    with pytest.raises(ValueError, match="credentials"):
        Client(campaigns, Settings("sandbox", EMBEDDED, None), here(print))


# --- refusals -------------------------------------------------------------------------------------


def test_a_400_shows_each_fields_error():
    errors = [
        {"field": "dial_rate", "message": "above 50"},
        {"field": "compliance_windows[0].start_hour", "message": "after its end"},
    ]
    error = failure(Platform([answer(400, {"errors": errors})]), WRITE)
    assert type(error) is ApiError
    assert str(error) == (
        "the platform answered 400 to POST /api/campaigns/1001/schedule: dial_rate: above 50; "
        "compliance_windows[0].start_hour: after its end"
    )


@pytest.mark.parametrize("status", [404, 410, 412, 422])
@pytest.mark.parametrize("call", [READ, WRITE])
def test_a_refusal_is_an_error_with_its_status_and_is_never_sent_again(status, call):
    platform = Platform([status])
    error = failure(platform, call)
    assert type(error) is ApiError
    assert (error.status, error.where) == (status, call.where)
    assert platform.counts[call.path] == 1


def test_a_403_names_the_missing_scope_and_drops_the_token():
    refusal = answer(403, {"error": "insufficient_scope", "required_scope": "campaigns:write"})

    async def main():
        async with client_of(platform) as client:
            with pytest.raises(AccessError) as caught:
                await client.run(send(WRITE))
            await client.run(send(READ))
            return str(caught.value)

    platform = Platform([refusal])
    assert play(main()) == (
        "POST /api/campaigns/1001/schedule: refused (403), because the client lacks the scope "
        "campaigns:write: grant it to the client in CXONE_CLIENT_ID, and add it to CXONE_SCOPE if that is set"
    )
    assert platform.counts[TOKEN_PATH] == 2


def test_a_403_without_a_scope_says_so():
    assert "lacks a right that it does not name" in str(failure(Platform([403]), READ))


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_host_named(status):
    platform = Platform([answer(status, Location="https://evil.example/x?token=1")])
    error = failure(platform, READ)
    assert type(error) is AccessError
    assert f"redirects ({status}) to evil.example, and" in str(error)
    assert "token=1" not in str(error)
    assert len(platform.seen) == 2


@pytest.mark.parametrize("location", ["/elsewhere", "", "https://[bad", "\x1b[2J"])
def test_any_location_is_survived(location):
    assert "another path of the same host" in str(failure(Platform([redirect(location)]), READ))


def test_a_redirect_of_the_token_request_is_refused():
    platform = Platform(tokens=[redirect("https://evil.example/token")] * 20)
    assert type(failure(platform, READ)) is AccessError
    assert {request.url.host for request in platform.seen} == {"acme.example"}


@pytest.mark.parametrize("status", [200, 202, 303, 307, 408, 409, 500, 503])
def test_an_answer_that_leaves_a_writes_fate_open_says_so_and_nothing_is_sent_again(status):
    platform = Platform([status])
    error = failure(platform, WRITE)
    assert type(error) is UncertainWrite
    assert error.status == status
    assert str(error).endswith("whether it was executed is unknown")
    assert platform.counts[WRITE.path] == 1


# --- waits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [READ, WRITE])
@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("7", 7, 8),
        ("Mon, 01 Mar 2027 12:00:30 GMT", 30, 31),
        ("Mon, 01 Mar 2027 11:00:00 GMT", 0.25, 1),
        ("soon", 0.25, 1),
        ("0", 0.25, 1),
        (None, 0.25, 1),
    ],
)
def test_a_429_is_waited_for_as_told_and_the_call_goes_on(call, wish, least, most):
    headers = {} if wish is None else {"Retry-After": wish}
    platform = Platform([answer(429, **headers), answer(next(iter(call.expects)), {})])
    converse(platform, call)
    assert least <= platform.times[-1] - platform.times[-2] <= most


def test_a_long_wait_after_a_429_is_told():
    told = []
    waits = [answer(429, Retry_After="40")] * 2
    converse(Platform([*waits, 200]), READ, progress=told.append)
    assert told == [f"{READ.where} was answered 429: retrying after 40 s"]
    converse(Platform([answer(429, Retry_After="5"), 200]), READ, progress=told.append)
    assert len(told) == 1


def test_a_server_error_that_names_a_wait_is_told_with_it():
    error = failure(Platform([answer(503, Retry_After="3600")]), READ)
    assert "(last: 503, the platform asks to wait 3600 s)" in str(error)


def test_many_429_back_off_and_end_in_success():
    platform = Platform([429] * 30)
    assert converse(platform, READ)[0].status == 200
    waits = [b - a for a, b in zip(platform.times[1:], platform.times[2:], strict=False)]
    assert min(waits[6:]) >= 10


@pytest.mark.parametrize("call", [READ, WRITE])
def test_a_wait_beyond_the_deadline_ends_the_run_at_once(call):
    platform = Platform([answer(429, Retry_After="999999")])
    error = failure(platform, call, deadline_s=60)
    assert type(error) is NotFinished
    assert str(error) == (
        f"not finished within --deadline (60 s): {call.where} was answered 429 and would have to wait 999999 s; "
        "run again to go on"
    )
    assert platform.times[-1] < 1


def test_a_deadline_that_has_passed_says_so():
    async def main():
        async with client_of(Platform(), deadline_s=5) as client:
            await asyncio.sleep(6)
            assert client.left_s == -1
            await client.run(send(READ))

    with pytest.raises(NotFinished, match=r"\(5 s\): no time is left; run again to go on$"):
        play(main())


def test_requests_that_cannot_leave_before_the_deadline_end_the_run():
    platform = Platform()
    with pytest.raises(
        NotFinished, match=r"--deadline \(10 s\): the next request would have to wait"
    ):
        converse(platform, *[READ] * 100, requests_per_second=5, deadline_s=10)
    assert 40 <= len(platform.seen) <= 50


def test_an_attempt_never_outlives_the_deadline():
    error = failure(Platform([never]), READ, deadline_s=5)
    assert type(error) is NotFinished
    assert type(failure(Platform([never]), WRITE, deadline_s=5)) is UncertainWrite


# --- losses ---------------------------------------------------------------------------------------

RESETS = [
    httpx.ReadError("secret words"),
    httpx.WriteError("secret words"),
    httpx.CloseError("secret words"),
    httpx.ReadTimeout("secret words"),
    httpx.WriteTimeout("secret words"),
    httpx.RemoteProtocolError("secret words"),
    httpx.LocalProtocolError("secret words"),
    httpx.DecodingError("secret words"),
    ConnectionResetError("secret words"),
    TimeoutError("secret words"),
]
UNSENT = [
    httpx.ConnectError("secret words"),
    httpx.ConnectTimeout("secret words"),
    httpx.PoolTimeout("secret words"),
    httpx.ProxyError("secret words"),
]


@pytest.mark.parametrize("trouble", [*RESETS, *UNSENT, 500, 502, 503, 504, 408], ids=repr)
def test_a_repeatable_call_is_sent_again(trouble):
    platform = Platform([trouble, trouble])
    assert converse(platform, READ)[0].status == 200
    assert platform.counts[READ.path] == 3


@pytest.mark.parametrize("trouble", RESETS, ids=repr)
def test_a_write_that_may_have_arrived_is_never_sent_again(trouble):
    platform = Platform([trouble])
    error = failure(platform, WRITE)
    assert type(error) is UncertainWrite
    assert error.status == 0
    assert str(error).startswith(
        "the platform gave no answer to POST /api/campaigns/1001/schedule: "
    )
    assert "secret words" not in str(error)
    assert platform.counts[WRITE.path] == 1


@pytest.mark.parametrize("trouble", UNSENT, ids=repr)
def test_a_write_that_never_left_is_sent_again(trouble):
    platform = Platform([trouble, answer(201, {})])
    assert converse(platform, WRITE)[0].status == 201
    assert type(failure(Platform([trouble] * 99), WRITE)) is Unavailable


def test_a_write_that_never_left_and_then_was_reset_is_uncertain():
    platform = Platform([UNSENT[0], RESETS[0]])
    assert type(failure(platform, WRITE)) is UncertainWrite


@pytest.mark.parametrize("trouble", [503, httpx.ReadError(""), httpx.ConnectError("")], ids=repr)
def test_a_platform_that_stays_away_is_unavailable(trouble):
    platform = Platform([trouble] * 99)
    error = failure(platform, READ)
    assert type(error) is Unavailable
    assert str(error).startswith("GET /api/dialer/settings: no usable answer in ")
    assert str(error).endswith("https://acme.example is down or out of reach, run again later")
    assert platform.counts[READ.path] <= MOST_TRIES
    assert platform.times[-1] <= DOWN_S


def test_a_platform_behind_a_proxy_that_stays_away_may_be_the_proxy():
    platform = Platform([httpx.ConnectError("")] * 99)
    error = failure(platform, READ, proxy="http://proxy.example:3128")
    assert "https://acme.example, or the proxy, is down or out of reach" in str(error)


def told_while(platform, *calls, **options):
    """Return what was told, and when, while the calls were made at once and failed or not."""
    told = []

    async def main():
        def hear(line):
            told.append((now(), line))

        async with client_of(platform, progress=hear, **options) as client:
            for call in calls:
                with contextlib.suppress(ReconcileError):
                    await client.run(send(call, call, call))

    play(main())
    return told


@pytest.mark.parametrize(
    ("trouble", "reason"), [(503, "503"), (httpx.ConnectError("x"), "no connection")], ids=repr
)
def test_a_platform_that_is_down_is_told_after_the_first_attempt_and_until_when(trouble, reason):
    ((at, line),) = told_while(Platform([trouble] * 99), READ)
    assert at == 0
    assert line.startswith("GET /api/dialer/settings: no usable answer (")
    assert reason in line
    assert line.endswith("): retrying, for 60 s at most")
    assert "acme.example" not in line


@pytest.mark.parametrize("limits", [{"wait_s": 7.0}, {"deadline_s": 7.0}], ids=str)
def test_a_platform_that_is_down_is_told_to_be_retried_no_longer_than_the_caller_waits(limits):
    ((_, line),) = told_while(Platform([503] * 99), READ, urgent=True, **limits)
    assert line.endswith("): retrying, for 7 s at most")


def test_a_platform_that_is_down_at_the_token_is_told_as_well():
    ((_, line),) = told_while(Platform(tokens=[503] * 99), READ)
    assert line.startswith(f"POST {TOKEN_PATH}: no usable answer (503)")


def test_the_deadline_is_told_when_it_comes_before_the_end_of_the_tries():
    ((_, line),) = told_while(Platform([503] * 99), READ, deadline_s=20.0)
    assert line.endswith("for 20 s at most")


def test_a_platform_that_answers_is_not_told():
    assert told_while(Platform(), READ, READ) == []


@given(st.lists(st.sampled_from([200, 503, 500]), max_size=60))
def test_trouble_that_comes_and_goes_is_told_once_a_minute_at_most(script):
    told = told_while(Platform(script), *[READ] * 8)
    assert bool(told) == any(status != 200 for status in script[:24])
    assert all(later - at >= DOWN_S for (at, _), (later, _) in pairwise(told))


def test_a_503_is_waited_for_as_told():
    platform = Platform([answer(503, Retry_After="40")])
    converse(platform, READ)
    assert platform.times[-1] - platform.times[-2] >= 40
    assert type(failure(Platform([answer(503, Retry_After="61")]), READ)) is Unavailable


def test_a_call_after_a_long_outage_is_tried_once():
    async def main():
        async with client_of(platform) as client:
            with pytest.raises(Unavailable, match=r"in \d tries over \d+ s \(last: 503\)"):
                await client.run(send(READ))
            await asyncio.sleep(DOWN_S)
            with pytest.raises(Unavailable, match=r"no usable answer in 1 try \(last: 503\)"):
                await client.run(send(READ))

    platform = Platform([503] * 99)
    play(main())
    first = platform.counts[READ.path] - 1
    assert 2 <= first <= MOST_TRIES


def test_an_answer_in_between_ends_an_outage():
    async def main():
        async with client_of(platform) as client:
            for _ in range(3):
                await client.run(send(READ))
                await asyncio.sleep(2 * DOWN_S)

    platform = Platform([503, 503, 200] * 3)
    play(main())
    assert platform.counts[READ.path] == 9


def test_an_attempt_takes_no_longer_than_the_call_allows():
    platform = Platform([never])
    converse(platform, Call("GET", "/x", timeout_s=3))
    assert 3 <= platform.times[-1] <= 4
    error = failure(Platform([never]), WRITE)
    assert type(error) is UncertainWrite
    assert "no answer in time" in str(error)


def test_a_certificate_that_is_not_trusted_names_the_option():
    distrust = ssl.SSLCertVerificationError()
    distrust.verify_message = "self-signed certificate"
    trouble = httpx.ConnectError("x")
    trouble.__cause__ = distrust
    platform = Platform(tokens=[trouble])
    error = failure(platform, READ)
    assert type(error) is AccessError
    assert str(error) == (
        "the certificate of the host in CXONE_TENANT_URL is not trusted (self-signed certificate): check the host, or give "
        "the authority that signed it with --ca-bundle"
    )
    assert len(platform.seen) == 1


# --- answers that cannot be read ------------------------------------------------------------------


def raw(body, kind="application/json", status=200):
    return httpx.Response(status, content=body, headers={"Content-Type": kind, "Date": DATE})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"\xff",
        b"[" * 99999,
        b"1" * 5000,
    ],
    ids=range(6),
)
def test_an_answer_that_says_it_is_json_and_is_not_is_an_error(body):
    (reply,) = converse(Platform([raw(body)]), READ)
    assert isinstance(reply.json, NotJSON)
    for made in (campaigns_answers.Answer(READ, reply), skills_answers.SkillAnswer(READ, reply)):
        with pytest.raises(ApiError, match="the answer is not valid JSON"):
            _ = made.body


def test_a_number_beyond_a_float_makes_its_own_field_unreadable_and_not_the_answer():
    (reply,) = converse(Platform([raw(b'{"a": 1e999, "b": 2.5}')]), READ)
    assert reply.json == {"a": "1e999", "b": 2.5}
    with pytest.raises(ValueError, match="not a number"):
        scalars.decimal(reply.json["a"])


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize("body", [b"<html>", b"Accepted", b"\xff"])
def test_an_answer_that_nobody_reads_may_be_anything_whatever_its_label_says(body, kind):
    assert isinstance(converse(Platform([raw(body, kind)]), READ)[0].json, NotJSON)
    assert converse(Platform([raw(body, kind, 201)]), WRITE)[0].status == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_locked_dialer_is_waited_for_however_its_500_is_labelled(kind):
    platform = Platform([raw(b"dialer locked", kind, 500), httpx.Response(200, json={"lists": []})])

    async def main():
        async with client_of(platform) as client:
            return await client.run(campaigns.activate("1001"))

    assert play(main()) == Waiting("the dialer is locked")


def test_a_byte_order_mark_before_json_is_no_part_of_it():
    assert converse(Platform([raw(b'\xef\xbb\xbf{"a": 1}')]), READ)[0].json == {"a": 1}


def test_an_empty_answer_has_no_value():
    assert converse(Platform([raw(b"")]), READ)[0].json is None


def test_half_an_emoji_makes_no_answer_unreadable():
    body = b'{"a": "Spring \\ud83d", "b": ["\\ude00", "\\ud83d\\ude00", 1e999, 0.1], "\\uD800": 1}'
    (reply,) = converse(Platform([raw(body)]), READ)
    assert reply.json == {"a": "Spring \ufffd", "b": ["\ufffd", "😀", "1e999", 0.1], "\ufffd": 1}


def test_emoji_in_escapes_are_read():
    assert converse(Platform([raw(b'"\\ud83d\\ude00"')]), READ)[0].json == "😀"


@pytest.mark.parametrize(("call", "status"), [(READ, 200), (WRITE, 201), (READ, 404)])
def test_an_endless_answer_is_cut_off(call, status):
    class Endless(httpx.AsyncByteStream):
        sent = 0

        async def __aiter__(self):
            while True:
                self.sent += 1
                yield b"x" * (1 << 20)

        async def aclose(self):
            self.closed = True

    stream = Endless()
    error = failure(Platform([httpx.Response(status, stream=stream)]), call)
    assert type(error) is (UncertainWrite if call is WRITE else ApiError)
    assert "the answer is larger than 64 MiB" in str(error)
    assert stream.sent == 65
    assert stream.closed


# --- pace -----------------------------------------------------------------------------------------


class Bucket:
    """A server's rate limit: `burst` at once, then `rate` a second."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.left, self.at = rate, burst, float(burst), 0.0
        self.refused = 0

    async def __call__(self, _):
        await asyncio.sleep(0.05)
        self.left = min(self.burst, self.left + (now() - self.at) * self.rate)
        self.at = now()
        if self.left < 1:
            self.refused += 1
            return answer(429, Retry_After="1")
        self.left -= 1
        return answer(200, {})


@pytest.mark.parametrize(("rate", "burst", "count"), [(50, 5, 1000), (5, 1, 60), (50, 10, 200)])
def test_the_configured_rate_is_used_up_and_none_is_refused(rate, burst, count):
    server = Bucket(rate, burst)
    platform = Platform([server] * count)
    converse(platform, *[READ] * count, requests_per_second=rate)
    assert server.refused == 0
    assert platform.times[-1] <= 1.05 * count / rate


def test_a_process_that_was_held_up_does_not_send_at_once_all_that_it_missed():
    async def main():
        loop = asyncio.get_running_loop()

        def held_up():
            loop._now += 0.4

        loop.call_at(0.5, held_up)
        async with client_of(platform, requests_per_second=50, concurrency=8) as client:
            await client.run(send(*[READ] * 100))

    server = Bucket(50, 10)
    platform = Platform([server] * 200)
    play(main())
    assert server.refused == 0


def test_a_limit_that_is_lower_than_configured_is_found():
    server = Bucket(25, 25)
    platform = Platform([server] * 2000)
    converse(platform, *[READ] * 500, requests_per_second=50)
    assert platform.times[-1] <= 2 * 500 / 25
    assert server.refused <= 100


# --- laws -----------------------------------------------------------------------------------------

troubles = st.sampled_from(
    [429, 500, 503, 401, 403, 404, 409, 200, 201, 307, never, *RESETS, *UNSENT]
)


@given(st.lists(troubles, max_size=25), st.sampled_from([READ, WRITE]), st.floats(0.5, 200))
def test_any_run_of_troubles_ends_in_an_answer_or_a_named_error_before_the_deadline(
    troubles, call, deadline_s
):
    async def main():
        async with client_of(platform, deadline_s=deadline_s) as client:
            try:
                return await client.run(send(call))
            except ReconcileError as error:
                return error
            finally:
                nonlocal ended
                ended = now()

    ended = 0.0
    platform = Platform([*troubles, *[201] * (call is WRITE)])
    result = play(main())
    assert ended <= deadline_s + 1e-6
    if isinstance(result, tuple):
        assert result[0].status in call.expects
    if call is WRITE:
        executed = [
            t
            for t in troubles[: platform.counts[WRITE.path]]
            if t in {200, 201, 500, 503} or t in RESETS
        ]
        assert len(executed) <= 1, "a write that may have been executed was sent again"


def test_time_in_these_tests_passes_in_no_time():
    async def main():
        await asyncio.sleep(timedelta(days=1).total_seconds())
        return now()

    assert fake_platform.play(main()) == 86_400


def test_a_guarded_write_asks_right_before_it_leaves_and_a_read_never():
    allowed = [True, False]

    async def may_write():
        return allowed.pop(0)

    async def main():
        async with client_of(platform) as client:
            with client.guard(may_write):
                await client.run(send(READ))
                with pytest.raises(TenantLocked):
                    await client.run(send(WRITE))
            return await client.run(send(WRITE))

    platform = Platform([200, answer(429, Retry_After="7"), answer(201, {})])
    assert play(main())[0].status == 201
    assert platform.counts[WRITE.path] == 2
