"""A canary in the secret and in the tokens: it must sing in no sink."""

import asyncio
import logging
import traceback
import warnings
from dataclasses import replace

import httpx
import pytest

from reconciler.client import Client
from reconciler.client.lanes import SHORTEST_SECRET, Lanes
from reconciler.dialects.base import Credentials, Token
from reconciler.dialects.calls import Call
from reconciler.dialects.campaigns import api as campaigns
from reconciler.errors import ReconcileError, TenantLocked, UncertainWrite
from reconciler.world import here
from tests.client.test_lanes import Server, ok
from tests.support.fake_platform import (
    SECRET,
    TOKEN,
    Platform,
    client_of,
    now,
    play,
    send,
    settings,
)

CANARY = "c0ffee"
READ = Call("GET", "/api/dialer/settings")
WRITE = Call("POST", "/x", json={}, headers={"Idempotency-Key": "k"}, repeatable=False)


def everything(error):
    """All that a sink could print of an error: itself, its chain, its frames with their local variables."""
    seen, todo, lines = set(), [error], []
    while todo:
        error = todo.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        todo += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        lines += [*shown.format(), str(error), repr(error), repr(error.args), repr(vars(error))]
    return "\n".join(lines)


def echo(status):
    """An answer that repeats whatever it was sent."""

    def answer(request):
        sent = request.content.decode() + str(dict(request.headers))
        body = {"error": sent, "required_scope": sent, "errors": [{"field": sent, "message": sent}]}
        where = f"https://evil.example/?{SECRET}"
        return httpx.Response(status, json=body, headers={"Location": where, "X-Echo": sent})

    return answer


def over_an_illegal_header(request):
    value = request.headers.get("authorization", request.content)
    raise httpx.LocalProtocolError(f"Illegal header value {value}", request=request)


def over_a_long_chain(request):
    try:
        over_an_illegal_header(request)
    except httpx.LocalProtocolError as error:
        raise httpx.ReadError(str(error), request=request) from error


def over_no_token(request):
    return httpx.Response(200, json={"access_token": f"{TOKEN} two words", "expires_in": "x"})


def over_a_strange_lifetime(request):
    return httpx.Response(200, json={"access_token": TOKEN, "expires_in": []})


def over_bad_json(request):
    return httpx.Response(
        200,
        content=b'{"access_token": "%s"' % TOKEN.encode(),
        headers={"Content-Type": "application/json"},
    )


TROUBLES = [
    *(echo(status) for status in (302, 307, 400, 401, 403, 404, 409, 412, 422, 429, 500, 503)),
    over_an_illegal_header,
    over_a_long_chain,
    over_no_token,
    over_a_strange_lifetime,
    over_bad_json,
]


@pytest.mark.parametrize("call", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("where", ["tokens", "answers"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=range(len(TROUBLES)))
def test_no_trouble_makes_the_canary_sing(trouble, where, call, caplog, capfd):
    async def main():
        async with client_of(platform, deadline_s=50) as client:
            try:
                await client.run(send(call, call))
            except ReconcileError as error:
                return everything(error) + repr(client) + repr(vars(client))
        return ""

    platform = Platform(**{where: [trouble] * 50})
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        shown = play(main())
    assert CANARY not in shown
    assert CANARY not in caplog.text
    assert CANARY not in "".join(capfd.readouterr())
    assert CANARY not in "".join(str(warning.message) for warning in warned)


def test_the_canary_was_there_to_be_heard():
    async def main():
        async with client_of(platform) as client:
            await client.run(send(READ))

    platform = Platform()
    play(main())
    assert SECRET.encode() in platform.seen[0].content
    assert TOKEN in platform.seen[1].headers["authorization"]
    with pytest.raises(httpx.LocalProtocolError) as caught:
        over_an_illegal_header(platform.seen[1])
    assert CANARY in everything(caught.value)


def loopback(*script, cancel=False):
    """What an error shows that a real connection brought, or a cancellation when the script is at its end."""

    async def main():
        async with server.running():
            client = Client(campaigns, settings_of(server.url), here(print))
            async with client:
                task = asyncio.create_task(client.run(send(WRITE)))
                if cancel:
                    await server.asked.wait()
                    task.cancel()
                try:
                    await task
                except (ReconcileError, asyncio.CancelledError) as error:
                    return everything(error), type(error)

    server = Server(*script)
    return asyncio.run(main())


def settings_of(url):
    return replace(settings(), url=url)


GRANTED = ok(b'{"access_token": "%s"}' % TOKEN.encode())


@pytest.mark.parametrize("last", [b"", b"SMTP", ok(extra=b"X-Line: broken\r\n")[:-3]])
def test_a_real_connection_that_breaks_does_not_make_it_sing_either(last, caplog):
    caplog.set_level(logging.DEBUG)
    shown, kind = loopback(GRANTED, last)
    assert kind is UncertainWrite
    assert CANARY not in shown
    assert "send_request_headers" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("script", [(None,), (GRANTED, None)], ids=["token", "call"])
def test_an_interrupted_request_does_not_make_it_sing_either(script):
    shown, kind = loopback(*script, cancel=True)
    assert kind is asyncio.CancelledError
    assert CANARY not in shown


def test_a_write_that_is_not_allowed_when_it_is_connected_does_not_make_it_sing_either():
    asked = []

    async def may_write():
        asked.append(True)
        return len(asked) == 1

    async def main():
        async with server.running(), Client(campaigns, settings_of(server.url), here(print)) as it:
            with it.guard(may_write):
                try:
                    await it.run(send(WRITE))
                except TenantLocked as error:
                    return everything(error)

    server = Server(GRANTED)
    assert CANARY not in asyncio.run(main())
    assert len(server.requests) == 1


def test_a_cancellation_does_not_show_the_frames_below():
    async def hold(request):
        held = [*request.headers.items(), request.content]
        await asyncio.sleep(1e9)
        return held

    async def main(platform):
        async with client_of(platform) as client:
            task = asyncio.create_task(client.run(send(READ)))
            await asyncio.sleep(1)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                return everything(error)

    for platform in (Platform([hold]), Platform(tokens=[hold])):
        assert CANARY not in play(main(platform))


def test_what_holds_a_secret_does_not_show_it():
    credentials = Credentials("client-1", SECRET)
    call = Call("POST", "/api/oauth2/token", form={"client_secret": SECRET})
    shown = repr([credentials, Token(TOKEN, 1.0), call, settings()])
    assert CANARY not in shown


def test_what_a_refusal_echoes_is_hidden_and_the_rest_is_kept():
    lanes = Lanes("https://acme.example", Credentials("client-1", SECRET), lambda: None)
    body = f'{{"error": "{SECRET} and {TOKEN} and more"}}'.encode()
    assert lanes._answer(READ, Token(TOKEN, 1.0), httpx.Response(400), body).json == {
        "error": "[hidden] and [hidden] and more"
    }


def test_a_secret_of_a_few_letters_does_not_tear_a_refusal_apart():
    lanes = Lanes("https://acme.example", Credentials("client-1", "error"), lambda: None)
    assert len("error") < SHORTEST_SECRET
    assert lanes._answer(READ, None, httpx.Response(400), b'{"error": "x"}').json == {"error": "x"}


def test_an_expected_answer_is_never_changed():
    async def main():
        async with client_of(Platform([lambda _: httpx.Response(200, json=[SECRET])])) as client:
            return (await client.run(send(READ)))[0].json, now()

    assert play(main())[0] == [SECRET]
