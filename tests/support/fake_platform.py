"""A platform that replays a list of answers, and clients that run in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import httpx

from reconciler.client import Client
from reconciler.dialects.base import Credentials
from reconciler.dialects.calls import Call, Exchange, Reply
from reconciler.dialects.campaigns import api as campaigns
from reconciler.settings import ClientOptions, Settings
from reconciler.world import here
from tests.support.virtual_time import VirtualLoop

T = TypeVar("T")
SECRET = "canary-c0ffee-secret"
TOKEN = "canary-c0ffee-token"
DATE = "Mon, 01 Mar 2027 12:00:00 GMT"
Answer: TypeAlias = (
    int
    | httpx.Response
    | Exception
    | Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
)


def play(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class Platform:
    """Issues tokens, and answers other requests from a list. When the list is used up, it answers 200."""

    def __init__(self, answers: Iterable[Answer] = (), *, tokens: Iterable[Answer] = ()) -> None:
        self.answers = list(answers)
        self.tokens = list(tokens)
        self.seen: list[httpx.Request] = []
        self.times: list[float] = []
        self.counts: Counter[str] = Counter()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        self.times.append(now())
        self.counts[request.url.path] += 1
        if request.url.path == "/api/oauth2/token":
            return await self._give(self.tokens, request, self._token)
        return await self._give(self.answers, request, self._fine)

    async def _give(self, answers: list[Answer], request, otherwise) -> httpx.Response:
        answer = answers.pop(0) if answers else otherwise
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            answer = httpx.Response(answer, headers={"Date": DATE})
        if isinstance(answer, httpx.Response):
            return answer
        made = answer(request)
        return made if isinstance(made, httpx.Response) else await made

    def _token(self, _: httpx.Request) -> httpx.Response:
        count = self.counts["/api/oauth2/token"]
        return httpx.Response(
            200,
            json={"access_token": f"{TOKEN}-{count}", "token_type": "bearer", "expires_in": 1800},
            headers={"Date": DATE},
        )

    def _fine(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"fine": True}, headers={"Date": DATE})


def settings(**options: Any) -> Settings:
    """Return settings of a tenant with a secret. The default request rate delays no test."""
    wanted = ClientOptions(**{"requests_per_second": 1000.0, **options})
    found = Settings("acme", "https://acme.example", None, options=wanted)
    return replace(found, credentials=Credentials("client-1", SECRET))


def client_of(
    platform: Platform, *, progress: Callable[[str], None] = print, **options: Any
) -> Client:
    """Return a client that uses the running loop's clock. Call this inside `play`.

    The test of the canary can observe the client's progress lines."""
    return Client(
        campaigns,
        settings(**options),
        here(progress)._replace(monotonic=now),
        transport_factory=lambda: httpx.MockTransport(platform),
    )


def send(*calls: Call) -> Exchange[tuple[Reply, ...]]:
    """Exchange that sends the calls as one batch and returns the replies."""
    return (yield calls)


def converse(platform: Platform, *calls: Call, **options: Any) -> tuple[Reply, ...]:
    """Send the calls as one batch with a new client, in virtual time."""

    async def main() -> tuple[Reply, ...]:
        async with client_of(platform, **options) as client:
            return await client.run(send(*calls))

    return play(main())
