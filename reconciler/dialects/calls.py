"""Requests and answers of a dialect, sans IO.

Every exchange is a generator that yields a batch of calls, receives one reply for each call, and returns a value:

    def read_one(key: str) -> Exchange[Live]:
        (reply,) = yield (Call("GET", f"/api/campaigns/{key}"),)
        return …

Calls of one batch may be sent concurrently; the next batch waits for all of them. If a batch fails, its error is thrown into
the generator, which may yield further calls (to undo what it did) before it raises. A dialect opens no socket, so it is
tested from stored samples, and a second dialect changes no other package.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

JSON: TypeAlias = Any
"""A decoded JSON value. Dialects use no other `Any`."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a dialect wants sent.

    Attributes:
        method: HTTP method.
        path: path below the tenant URL, already percent-encoded.
        params: query, in order.
        headers: beyond `Authorization` and `Accept`, which the client adds.
        json: body to send as JSON; `None` sends no body.
        form: body to send as a form (the token request alone).
        expects: the statuses whose answers the dialect reads. The client handles every other status: it renews the
            token, waits, retries, or raises.
        repeatable: the call is idempotent, so the client may retry it after a reset or a server error. A write with an
            idempotency key is *not* repeatable, because some servers ignore keys: its caller reads back first.
        anonymous: sent without a token.
        optional: the exchange has a fallback, so an emergency stop tries the call only once, and briefly.
        timeout_s: seconds that one attempt may take.
        origin: scheme and host to use instead of the tenant's. The client refuses a host that is neither the
            tenant's, nor below the dialect's `HOSTS`, nor named in the environment.
        again: an exchange that the client runs before every further attempt, because the wait before it may last minutes; `None` if
            it may send the call again without. The argument says whether an earlier attempt may have been executed. The exchange returns
            whether nothing is left to send, and raises if the call must not be sent again. A refused read of the exchange
            raises `UncertainWrite` if an earlier attempt may have been executed, because its error would be taken for a refusal of the call.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: JSON = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    expects: frozenset[int] = frozenset({200})
    repeatable: bool = True
    anonymous: bool = False
    optional: bool = False
    timeout_s: float = 30.0
    origin: str | None = None
    again: Callable[[bool], Exchange[bool]] | None = field(default=None, repr=False, compare=False)

    @property
    def where(self) -> str:
        """Method and path, for messages: never the query, never the host."""
        return f"{self.method} {self.path}"

    @property
    def is_write(self) -> bool:
        """Whether it may change something on the platform."""
        return not self.anonymous and self.method != "GET"


class NotJSON:
    """Marks a body that is not JSON. It is neither a mapping nor a list nor `None`, so no reader mistakes it for data."""

    MESSAGE = "the answer is not valid JSON"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: status, headers with lower-case names, the decoded JSON body and the platform's clock.

    Attributes:
        json: `None` when the body is empty; a `NotJSON` when it cannot be decoded, which is an error only for a caller that reads the body.
        at: the `Date` header; `None` when the platform sent none.
        empty: there is no body, which is a valid answer; a body that is not JSON is not.
    """

    status: int
    headers: Mapping[str, str]
    json: JSON = None
    at: datetime | None = None
    empty: bool = False


T = TypeVar("T")
Exchange: TypeAlias = Generator[tuple[Call, ...], tuple[Reply, ...], T]
