"""HTTP client of one tenant: runs a dialect's exchanges at the tenant's request rate, and maps every failure to an error.

`pace` computes when a request leaves and how long to wait, `queue` makes calls wait for their turn, `lanes` sends them, `auth` gets tokens, `hosts` checks where it goes.
This module decides what follows from an answer. Before every further attempt of a call, it makes that call's `again`, if there is one:

| answer | repeatable call | write |
|---|---|---|
| no connection | retry, within the budget | retry: nothing was sent |
| reset, timeout, 5xx | retry, within the budget | `UncertainWrite`: the caller must read before it writes again |
| 401 | retry with a new token, within a budget | retry: it was not executed |
| 429 | retry after the wait, until the deadline | retry: it was not executed |
| 3xx or 4xx to a sign-in, without a reason | retry, `MOST_STRAY` times | |
| 403, redirect, bad certificate | `AccessError` | `AccessError`, but `UncertainWrite` for a redirect |
| anything to an optional call of a stop | `ApiError` | |
| anything else | `ApiError` | `ApiError`, but `UncertainWrite` for 2xx and 409 (key in flight) |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, TypeVar

from reconciler.client.auth import Tokens
from reconciler.client.clock import PlatformClock, Skew
from reconciler.client.hosts import target
from reconciler.client.lanes import Lanes, Lost, Transport, embedded, tcp
from reconciler.client.pace import equal_jitter, full_jitter, retry_after, timeout_s
from reconciler.client.queue import CallQueue
from reconciler.client.refusals import Refusals, is_server_error, may_have_run
from reconciler.dialects.base import Dialect, Token
from reconciler.dialects.calls import Call, Exchange, Reply
from reconciler.errors import (
    AccessError,
    ApiError,
    NotFinished,
    ReconcileError,
    TenantLocked,
    Unavailable,
    safe,
)
from reconciler.settings import Settings
from reconciler.world import World

__all__ = ["Client", "Skew", "Transport", "embedded"]

T = TypeVar("T")

MOST_TRIES: Final = 8
"""Most tries of a call that gets no usable answer."""

MOST_TOKENS: Final = 5
"""Most tokens refused in a row, over all calls. Another process that signs in with the same credentials can end our tokens."""

MOST_TOKENS_OF_A_CALL: Final = 12
"""Most tokens refused for one call while other calls succeed."""

URGENT_S: Final = 1.0
"""Seconds that an emergency stop waits after a 429 without a usable `Retry-After`."""

MOST_URGENT_S: Final = 30.0
"""Longest time in seconds that an emergency stop waits after a 429, whatever its `Retry-After`. Some servers and proxies say a day.

A write that is told to wait longer ends with that answer, so that the stop can report it. The writes of other objects go on.
"""

TOLD_S: Final = 10.0
"""Seconds from which on a wait after a 429 is reported."""

DOWN_S: Final = 60.0
"""Seconds without any usable answer after which no call is tried again."""


@dataclass(slots=True)
class _Tries:
    """Failures of one call so far. `unsure`: one of the attempts may have been executed."""

    began: float
    lost: int = 0
    refused: int = 0
    unauthorized: int = 0
    unsure: bool = False


class Client:
    """Talks to one tenant. Nothing is sent before the first `run`; the deadline counts from construction.

    ```python
    async with Client(dialect, settings) as client:
        snapshot = await client.run(dialect.read())
    ```

    Args:
        dialect: the tenant's API.
        settings: the tenant's settings, with credentials.
        world: clock, sleep and jitter. Its `progress` gets one line when the platform gives no usable answer and the call is
            retried; the line holds no secret, and no host.
        transport_factory: opens a lane; TCP when `None`.

    Raises:
        ValueError: the settings hold no credentials.
        UsageError: the CA bundle cannot be used.
    """

    def __init__(
        self,
        dialect: Dialect,
        settings: Settings,
        world: World,
        transport_factory: Callable[[], Transport] | None = None,
    ) -> None:
        if settings.credentials is None:
            raise ValueError("an embedded platform needs the credentials that it issued")
        credentials, options = settings.credentials, settings.options
        self._dialect = dialect
        self._settings = settings
        self._world = world
        self._tokens = Tokens(
            dialect, credentials, settings, run=self.run, monotonic=world.monotonic
        )
        self._lanes = Lanes(settings.base_url, credentials, transport_factory or tcp(settings))
        self._refusals = Refusals(dialect, settings)
        self._queue = CallQueue(options, world.monotonic, self._pause)
        self._until = world.monotonic() + options.deadline_s
        self._ends = world.monotonic() + min(options.deadline_s, options.wait_s)
        self._told_at = self._waits_told_at = float("-inf")
        self._down_since: float | None = None
        self._clock = PlatformClock()
        self._may_write: Callable[[], Awaitable[bool]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._lanes.close()

    @property
    def now(self) -> datetime | None:
        """Time on the platform's clock: its last `Date` plus our seconds since; `None` before the first answer."""
        return self._clock.at(self._world.monotonic())

    @property
    def uncertainty_s(self) -> float:
        """Largest error of `now`, in seconds; infinite if no answer had a `Date`."""
        return self._clock.uncertainty_s

    def skew(self, our_now: datetime) -> Skew:
        """Return how far the platform's clock is ahead of ours, which shows `our_now`."""
        return self._clock.skew(our_now, self._world.monotonic())

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self._until - self._world.monotonic()

    async def sign_in(self) -> Token:
        """Return a token that is valid now; request one if there is none.

        Raises:
            AccessError: see `run`.
        """
        return await self._tokens.get()

    @contextmanager
    def guard(self, may_write: Callable[[], Awaitable[bool]]) -> Iterator[None]:
        """Call `may_write` right before each write leaves, and again when it is connected: the lock may have been lost meanwhile."""
        self._may_write = may_write
        try:
            yield
        finally:
            self._may_write = None

    async def run(self, exchange: Exchange[T]) -> T:
        """Run an exchange and return its value. A failure is thrown into the exchange first, so that it can undo a partial change.

        Raises:
            AccessError: the secret, the host or a scope was refused.
            UncertainWrite: a write was sent, and whether it was executed is unknown.
            ApiError: the platform refused the call, its answer is unreadable, or it tells a stop to wait longer than `MOST_URGENT_S`.
            Unavailable: no usable answer within the budget.
            NotFinished: the deadline has passed, or would pass before the next request may leave.
            TenantLocked, LockUnknown: the lock was lost, or could not be read, before a write left (`guard`).
        """
        try:
            calls = next(exchange)
            while True:
                try:
                    replies = await self._batch(calls)
                except ReconcileError as error:
                    calls = exchange.throw(error)
                else:
                    calls = exchange.send(replies)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            exchange.close()

    async def _batch(self, calls: Sequence[Call]) -> tuple[Reply, ...]:
        """Return a reply for each call. Few workers share one iterator, so ten thousand calls do not need ten thousand tasks."""
        if len(calls) == 1:
            return (await self._call(calls[0]),)
        replies: dict[int, Reply] = {}
        todo = iter(enumerate(calls))

        async def work() -> None:
            for index, call in todo:
                replies[index] = await self._call(call)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(len(calls), self._settings.options.concurrency)):
                    workers.create_task(work())
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
        else:
            return tuple(replies[index] for index in range(len(calls)))
        raise first

    async def _call(self, call: Call) -> Reply:
        """Send a call, with retries, until it gets an answer that it expects."""
        tries = _Tries(self._world.monotonic())
        while True:
            token = None if call.anonymous else await self._tokens.get()
            answer = await self._attempt(call, token, tries)
            if isinstance(answer, Reply) and answer.status in call.expects:
                if token is not None:
                    self._tokens.accept()
                return answer
            await self._after(call, token, answer, tries)
            tries.unsure |= may_have_run(answer)
            if call.again is not None and await self.run(call.again(tries.unsure)):
                return Reply(HTTPStatus.NO_CONTENT, {}, empty=True)

    async def _attempt(self, call: Call, token: Token | None, tries: _Tries) -> Reply | Lost:
        async with self._queue.turn(call):
            if (allow := self._guarded(call)) is not None:
                await allow()
            sent_at = self._world.monotonic()
            urgent = self._settings.options.urgent
            limit_s = min(timeout_s(call, tries.lost, urgent=urgent), self.left_s)
            base = target(call, token, self._settings, self._dialect.HOSTS)
            answer = await self._lanes.attempt(call, token, base=base, limit_s=limit_s, allow=allow)
        if isinstance(answer, Reply):
            self._learn(call, answer, sent_at)
        return answer

    def _guarded(self, call: Call) -> Callable[[], Awaitable[None]] | None:
        """Return a function that raises if a write may not leave; `None` for a call that is not guarded."""
        may_write = self._may_write
        if may_write is None or not call.is_write:
            return None

        async def allow() -> None:
            if not await may_write():
                raise TenantLocked(
                    f"{safe(call.where)} was not sent: the tenant's lock was lost or taken over while the request waited"
                )

        return allow

    def _learn(self, call: Call, reply: Reply, sent_at: float) -> None:
        """Update the estimates of the platform's clock and rate limit from an answer, and note that the platform is up."""
        now = self._world.monotonic()
        self._clock.learn(reply, sent_at, now)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            told_s = retry_after(reply) or URGENT_S
            long_s = URGENT_S if call.is_write else MOST_URGENT_S
            self._queue.slow(call, sent_at, told_s if told_s <= MOST_URGENT_S else long_s)
        if reply.status in call.expects or not is_server_error(reply.status):
            self._down_since = None

    async def _after(
        self, call: Call, token: Token | None, answer: Reply | Lost, tries: _Tries
    ) -> None:
        """Wait until the call may be sent again, or raise the error that its answer means."""
        if call.optional and self._settings.options.urgent:
            raise self._refusals.error(call, token, answer)
        match answer:
            case Reply(status=HTTPStatus.UNAUTHORIZED) if token is not None:
                await self._renew(call, token, tries)
            case Reply(status=HTTPStatus.TOO_MANY_REQUESTS):
                await self._wait_as_told(call, answer, tries)
            case Lost(sent=sent, again=True) if call.repeatable or not sent:
                await self._retry(call, answer.reason, 0.0, tries)
            case Reply(status=status) if self._refusals.may_pass(call, answer, tries.lost):
                told_s = retry_after(answer) or 0.0
                asks = f", the platform asks to wait {told_s:.0f} s" if told_s else ""
                await self._retry(call, f"{status}{asks}", told_s, tries)
            case _:
                if isinstance(answer, Reply) and answer.status == HTTPStatus.FORBIDDEN and token:
                    self._tokens.drop(token)
                raise self._refusals.error(call, token, answer)

    async def _renew(self, call: Call, sent: Token, tries: _Tries) -> None:
        """Drop the refused token, and back off if it was not the first.

        Raises:
            AccessError: too many tokens were refused.
        """
        tries.unauthorized += 1
        self._tokens.drop(sent)
        refused = max(tries.unauthorized, self._tokens.refused_in_a_row)
        if (
            self._tokens.refused_in_a_row >= MOST_TOKENS
            or tries.unauthorized >= MOST_TOKENS_OF_A_CALL
        ):
            raise AccessError(
                f"{safe(call.where)}: the platform refused {refused} new tokens in a row (401): check the rights of the client in "
                f"{self._settings.variables.client_id}, and that no other process signs in with it all the time"
            )
        if refused > 1:
            wait_s = full_jitter(refused - 2, self._world.random.random())
            await self._pause(wait_s, f"{safe(call.where)} was answered 401 and")

    async def _wait_as_told(self, call: Call, reply: Reply, tries: _Tries) -> None:
        """Wait after a 429. The calls of a stop wait together, before they leave again.

        Raises:
            ApiError: a write of a stop was told to wait longer than `MOST_URGENT_S`.
        """
        told_s = retry_after(reply) or 0.0
        if self._settings.options.urgent:
            if told_s > MOST_URGENT_S:
                said = f"the platform asks to wait {told_s:.0f} s"
                if call.is_write:
                    raise ApiError(reply.status, call.where, [said])
                self._tell_wait(call, f"{said}; retrying every {MOST_URGENT_S:.0f} s")
            return
        wait_s = max(told_s, equal_jitter(tries.refused, self._world.random.random()))
        tries.refused += 1
        if TOLD_S <= wait_s < self.left_s:
            self._tell_wait(call, f"retrying after {wait_s:.0f} s")
        await self._pause(wait_s, f"{safe(call.where)} was answered 429 and")

    def _tell_wait(self, call: Call, said: str) -> None:
        """Report a wait after a 429; at most once per `DOWN_S`."""
        now = self._world.monotonic()
        if now - self._waits_told_at >= DOWN_S:
            self._waits_told_at = now
            self._world.progress(f"{safe(call.where)} was answered 429: {said}")

    async def _retry(self, call: Call, reason: str, told_s: float, tries: _Tries) -> None:
        """Back off before another try.

        Raises:
            Unavailable: the budget of the call or of the client is used up.
        """
        now = self._world.monotonic()
        if self._down_since is None:
            self._down_since = now
        wait_s = max(told_s, full_jitter(tries.lost, self._world.random.random()))
        tries.lost += 1
        if tries.lost >= MOST_TRIES or now + wait_s - self._down_since > DOWN_S:
            over = f"tries over {now - tries.began:.0f} s"
            many = "1 try" if tries.lost == 1 else f"{tries.lost} {over}"
            raise Unavailable(
                f"{safe(call.where)}: no usable answer in {many} (last: {reason}): {self._named} is down or out of reach, "
                "run again later"
            )
        self._tell(call, reason, DOWN_S - (now - self._down_since))
        await self._pause(wait_s, f"{safe(call.where)} got no usable answer ({reason}) and")

    @property
    def _named(self) -> str:
        """URL of the platform, for messages: it is no secret, and a mistyped one must be visible."""
        named = "the platform" if self._settings.in_process else safe(self._settings.url)
        return f"{named}, or the proxy," if self._settings.proxy else named

    def _tell(self, call: Call, reason: str, left_s: float) -> None:
        """Report that the platform gives no usable answer and for how long it will be retried; at most once per `DOWN_S`."""
        now = self._world.monotonic()
        if now - self._told_at < DOWN_S:
            return
        self._told_at = now
        wait_s = min(left_s, max(self._ends - now, 0.0))
        self._world.progress(
            f"{safe(call.where)}: no usable answer ({safe(reason)}): retrying, for {wait_s:.0f} s at most"
        )

    async def _pause(self, seconds: float, who: str) -> None:
        if seconds >= self.left_s:
            wait = f"{who} would have to wait {seconds:.0f} s" if seconds > 0 else "no time is left"
            limit_s = self._settings.options.deadline_s
            raise NotFinished(
                f"not finished within --deadline ({limit_s:g} s): {wait}; run again to go on"
            )
        if seconds > 0:
            await self._world.sleep(seconds)
