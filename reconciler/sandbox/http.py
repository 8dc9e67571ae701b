"""HTTP layer shared by both APIs: rate limit, faults, tokens, scopes, strict validation, `Date`. Contains nothing specific to one API.

An API is a list of `Operation`s; `mount` makes it an ASGI app. The order of checks is the contract's: token, scope, then
the operation's own (key replay, body, precondition). Dropped connections: over a socket the server puts its abort into
the scope; in process the app raises what `drop` makes, so a client's transport can tell them apart from an answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from reconciler.sandbox.campaign_rules import MAX_BODY
from reconciler.sandbox.clock import http_date
from reconciler.sandbox.db import State, Token
from reconciler.sandbox.errors import (
    Conflict,
    Down,
    Failed,
    Forbidden,
    Invalid,
    KeyReused,
    NotFound,
    PreconditionFailed,
    Refusal,
    SandboxMissing,
    TooMany,
    Unauthorized,
)
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.limit import Limit

try:
    from fastapi import FastAPI, Request, Response
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise SandboxMissing from error

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
ABORT = "cxone.abort"
"""Key of the scope under which a server puts a function that drops the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer before it is sent: `body` is JSON or plain text, as `media` says; empty for none."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str | None = JSON_TYPE

    @classmethod
    def of(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return a JSON answer."""
        return cls(status, json.dumps(value, separators=(",", ":")), headers or {})

    @classmethod
    def refusing(cls, refusal: Refusal) -> Answer:
        """Return the answer for a refusal."""
        if isinstance(refusal.payload, str):
            return cls(refusal.status, refusal.payload, refusal.headers, TEXT_TYPE)
        return cls(refusal.status, json.dumps(refusal.payload), refusal.headers)


@dataclass(slots=True)
class Call:
    """One request, as an operation sees it.

    Attributes:
        operation: the requested operation.
        request: as received, for headers, query and path.
        raw: its body, cut just above the allowed size.
        strikes: the faults to inject, by kind.
        now: the platform's clock in milliseconds.
        sleep: waits the seconds given.
        token: the request's token; `None` for the token request.
    """

    operation: Operation
    request: Request
    raw: bytes
    strikes: Mapping[str, Fault]
    now: int
    sleep: Callable[[float], Awaitable[None]]
    token: Token | None = None

    @property
    def client(self) -> str:
        """The client's id; empty for the token request."""
        return self.token.client if self.token else ""

    def header(self, name: str) -> str | None:
        """Return a header; several of one name are joined, as HTTP joins lists."""
        found: list[str] = self.request.headers.getlist(name)
        return ", ".join(found) if found else None

    def query(self) -> dict[str, str]:
        """Return the query.

        Raises:
            Invalid: a parameter that is unknown, or given twice.
        """
        pairs = self.request.query_params.multi_items()
        found = dict(pairs)
        errors = [(k, "is not a parameter here") for k in found if k not in self.operation.query]
        if len(found) != len(pairs):
            errors += [(k, "is given twice") for k in found if sum(k == p for p, _ in pairs) > 1]
        if errors:
            raise Invalid(errors)
        return found

    def vet(self) -> None:
        """Refuse a query, body or media type that the operation does not accept.

        Raises:
            Invalid: names the wrong parameter or header.
        """
        self.query()
        if not _admits_json(self.header("accept")):
            raise Invalid([("Accept", f"must be {JSON_TYPE}")])
        if not self.operation.takes:
            if self.raw:
                raise Invalid([("body", "must be empty")])
        elif media_type(self.header("content-type")) != self.operation.takes:
            raise Invalid([("Content-Type", f"must be {self.operation.takes}")])

    async def pause(self) -> None:
        """Sleep for the delay of a `slow` fault, if there is one."""
        if slow := self.strikes.get("slow"):
            await self.sleep(slow.ms / 1000)


Handler: TypeAlias = Callable[[Any, Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of an API's table.

    Attributes:
        method, path: the route.
        handle: executes the operation, given the platform and the call.
        scope: scope that the token must have; `None` for the token request, which needs no token.
        takes: media type of the request's body; empty when it has none.
        query: names of its parameters.
        keyed: requests carry an idempotency key. The handler then calls `vet` and `pause` itself, after the replay.
        describe: its OpenAPI description.
    """

    method: str
    path: str
    handle: Handler
    scope: str | None
    takes: str = ""
    query: tuple[str, ...] = ()
    keyed: bool = False
    describe: Mapping[str, Any] = field(default_factory=dict)


class Front:
    """Entry point for all requests to a platform.

    Args:
        state, sleep: the platform, and a function that sleeps for a number of seconds.
        drop: makes what an in-process app raises in place of an answer.
        refuse: converts a refusal to an answer in the API's format.
    """

    def __init__(
        self,
        state: State,
        drop: Callable[[], Exception] = ConnectionResetError,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        refuse: Callable[[Refusal], Answer] = Answer.refusing,
    ) -> None:
        self._state = state
        self._drop = drop
        self._sleep = sleep
        self._refuse = refuse
        self._limit = Limit()

    async def take(self, operation: Operation, request: Request) -> Response:
        """Answer one request, or drop its connection."""
        path = request.url.path
        now = self._state.now_ms()
        strikes = self._state.faults.draw(request.method, path, now)
        call = Call(operation, request, await _body(request), strikes, now, self._sleep)
        try:
            settings = self._state.settings
            self._limit.check(settings.requests_per_second, settings.burst, now)
            answer = None if "reset-before" in strikes else await self._answer(call)
        except Refusal as refusal:
            answer = self._refuse(refusal)
        return self._send(call, answer)

    def plain(self, answer: Answer) -> Response:
        """Return the response to send, with its `Date`."""
        headers = {**answer.headers, "Date": http_date(self._state.now_ms())}
        media = answer.media if answer.body else None
        return Response(answer.body.encode(), answer.status, headers, media)

    async def _answer(self, call: Call) -> Answer:
        self._canned(call)
        if call.operation.scope is not None:
            call.token = self._admit(call, call.operation.scope)
        if not call.operation.keyed:
            if call.operation.scope is not None:
                call.vet()
            await call.pause()
        answer = await call.operation.handle(self._state, call)
        if hang := call.strikes.get("hang"):
            await self._sleep(hang.ms / 1000)
        return answer

    def _admit(self, call: Call, scope: str) -> Token:
        token = self._state.authenticate(bearer(call) or "")
        if scope not in token.scopes:
            raise Forbidden(scope)
        return token

    def _canned(self, call: Call) -> None:
        for kind in call.strikes:
            if kind == "401" and (value := bearer(call)):
                self._state.revoke(value)
            if make := _CANNED.get(kind):
                raise make(call)

    def _send(self, call: Call, answer: Answer | None) -> Response:
        if answer is not None:
            answer = _spoil(answer, call.strikes)
        dropped = answer is None or "reset-after" in call.strikes
        status = 0 if answer is None or dropped else answer.status
        self._state.traffic[call.operation.method, call.operation.path, status] += 1
        if answer is None or dropped:
            return Dropped(self._drop)
        response = self.plain(answer)
        if "truncated" in call.strikes:
            return Dropped(self._drop, response)
        return response


class Dropped(Response):
    """A response that drops the connection before or in the middle of the answer.

    Args:
        drop: makes what is raised in process.
        partly: send the first half of this response before the drop.
    """

    def __init__(self, drop: Callable[[], Exception], partly: Response | None = None) -> None:
        super().__init__()
        self._make = drop
        self._partly = partly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the partial response, if any, then drop the connection."""
        if self._partly is not None:
            body = bytes(self._partly.body)
            start = {"type": "http.response.start", "status": self._partly.status_code}
            await send(start | {"headers": self._partly.raw_headers})
            half = {"type": "http.response.body", "body": body[: len(body) // 2]}
            await send(half | {"more_body": True})
            await asyncio.sleep(0)  # send the first half before the connection drops
        abort = scope.get(ABORT)
        if abort is None:
            raise self._make()
        abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def mount(app: FastAPI, front: Front, operations: tuple[Operation, ...]) -> None:
    """Route every operation to the front, describe them at `/openapi.json`, and answer everything else in JSON."""
    for operation in operations:
        app.add_api_route(
            operation.path,
            _endpoint(front, operation),
            methods=[operation.method],
            response_class=Response,
            **operation.describe,
        )

    async def unrouted(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = dict((isinstance(error, HTTPException) and error.headers) or {})
        what = {404: "no such route", 405: "method not allowed here"}.get(status, "bad request")
        return front.plain(Answer(status, json.dumps({"error": what}), headers))

    async def description(_: Request) -> Response:
        return front.plain(Answer.of(app.openapi()))

    async def crashed(_: Request, __: Exception) -> Response:
        return front.plain(Answer(500, "internal error", media=TEXT_TYPE))

    app.add_api_route("/openapi.json", description, include_in_schema=False)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(Exception, crashed)


def bearer(call: Call) -> str | None:
    """Return the token that came with a request."""
    scheme, _, value = (call.header("authorization") or "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def media_type(header: str | None) -> str:
    """Return a media type without its parameters, in lower case."""
    return (header or "").partition(";")[0].strip().lower()


def _endpoint(front: Front, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await front.take(operation, request)

    return endpoint


async def _body(request: Request) -> bytes:
    """Read a request body to its end. Keep at most one byte more than allowed, so that the caller can detect a body that is too large."""
    kept = bytearray()
    try:
        async for chunk in request.stream():
            kept += chunk[: MAX_BODY + 1 - len(kept)]
    except ClientDisconnect:
        kept.clear()
    return bytes(kept)


def _admits_json(accept: str | None) -> bool:
    ranges = {media_type(part) for part in (accept or "").split(",")}
    return not ranges.isdisjoint({JSON_TYPE, "application/*", "*/*"})


def _spoil(answer: Answer, strikes: Mapping[str, Fault]) -> Answer:
    """Return the response with the faults of the call injected."""
    if answer.status >= 400:  # noqa: PLR2004 - the first status that refuses
        return answer
    if "500-after" in strikes:
        return Answer.refusing(Failed("internal error"))
    if "garbage" in strikes:
        return Answer(answer.status, "<html>this is not JSON", answer.headers)
    return answer


def _too_many(call: Call) -> Refusal:
    after = call.strikes["429"].after
    if after == "date":
        after = http_date(call.now + 2000)
    return TooMany(None if after == "none" else after)


def _unauthorized(call: Call) -> Refusal:
    return Unauthorized("invalid_token" if call.operation.scope else "invalid_client")


_WHY = "a fault that was asked for"
_CANNED: Mapping[str, Callable[[Call], Refusal]] = {
    "400": lambda _: Invalid([("body", _WHY)]),
    "401": _unauthorized,
    "403": lambda call: Forbidden(call.operation.scope or "none"),
    "404": lambda _: NotFound(_WHY),
    "409": lambda _: Conflict(_WHY),
    "412": lambda _: PreconditionFailed(_WHY),
    "422": lambda _: KeyReused(_WHY),
    "429": _too_many,
    "500": lambda _: Failed("internal error"),
    "503": lambda _: Down("service unavailable"),
}
