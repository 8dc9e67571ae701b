"""Send one request and return its answer or the reason for its failure. The only module that uses httpx.

A *lane* is a transport with one connection. Lanes replace httpx's pool, which inspects every connection for every request.
They are bare transports, because httpx's client follows redirects with the secret, keeps cookies, and uses the proxies of the
environment.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import httpx

from reconciler._version import __version__
from reconciler.client.pace import http_date
from reconciler.dialects.base import Credentials, Token
from reconciler.dialects.calls import JSON, Call, NotJSON, Reply
from reconciler.errors import ReconcileError, UsageError, safe
from reconciler.settings import Settings

Transport: TypeAlias = httpx.AsyncBaseTransport

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Largest answer that is read, after decompression. A page of 1,000 campaigns is smaller than 1 MiB."""

CONNECT_TIMEOUT_S: Final = 10.0

KEEP_ALIVE_S: Final = 3.0
"""Seconds after which an idle connection is closed: before the server closes it (usually after 5 s or more) during a request."""

SHORTEST_SECRET: Final = 8
"""Shorter secrets are not hidden in error messages: hiding them would reveal where their letters stand."""

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"cxone-reconcile/{__version__}",
}
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt without a usable answer.

    Attributes:
        reason: a message of our own, because the library's message may quote a header.
        sent: whether any part of the request may have reached the platform.
        again: whether another attempt may succeed.
        untrusted: the certificate of the host is not trusted.
        status: status of an unreadable answer; 0 if there was no answer.
    """

    reason: str
    sent: bool = True
    again: bool = True
    untrusted: bool = False
    status: int = 0


class Lanes:
    """Lanes to one tenant, opened on demand and reused while they work."""

    def __init__(
        self, base_url: str, credentials: Credentials, open_lane: Callable[[], Transport]
    ) -> None:
        """Send to `base_url`, and hide `credentials` in the answers to refused calls."""
        self._base_url = base_url
        self._credentials = credentials
        self._open = open_lane
        self._idle: list[Transport] = []

    async def attempt(
        self,
        call: Call,
        token: Token | None,
        *,
        limit_s: float,
        base: str | None = None,
        allow: Callable[[], Awaitable[None]] | None = None,
    ) -> Reply | Lost:
        """Send `call` once, and wait for its answer. Network errors are returned, not raised.

        Args:
            call: what to send.
            token: `None` for a call that is sent without one.
            limit_s: seconds for the whole attempt.
            base: where to send it, if not to the tenant's own URL.
            allow: called when the connection is open, right before the first byte; an error that it raises is raised here, and nothing
                is sent. A lane to an embedded platform does not call it.
        """
        request = _request(base or self._base_url, call, token, limit_s)
        if allow is not None:
            request.extensions["trace"] = _before_the_first_byte(allow)
        lane = self._idle.pop() if self._idle else self._open()
        whole = False
        try:
            async with asyncio.timeout(limit_s):
                response, body = await _exchange(lane, request)
            whole = True
        except _TooLarge as error:
            return Lost(str(error), again=False, status=error.status)
        except (httpx.RequestError, OSError) as error:
            return _lost(error)
        except (asyncio.CancelledError, ReconcileError) as error:
            error.__context__ = None
            raise error.with_traceback(None) from None  # the frames below hold headers
        finally:
            if whole:
                self._idle.append(lane)
            else:
                await lane.aclose()
        return self._answer(call, token, response, body)

    async def close(self) -> None:
        """Close every lane."""
        while self._idle:
            await self._idle.pop().aclose()

    def _answer(
        self, call: Call, token: Token | None, response: httpx.Response, body: bytes
    ) -> Reply:
        status, headers = response.status_code, dict(response.headers.items())
        if status not in call.expects:
            headers = {name: self._hide(text, token) for name, text in headers.items()}
            body = self._hide(body.decode(errors="replace"), token).encode()
        try:
            value = parse(body) if body.strip() else None
        except ValueError:
            value = NotJSON()
        return Reply(status, headers, value, http_date(headers.get("date")), empty=not body.strip())

    def _hide(self, text: str, token: Token | None) -> str:
        """Return text from an answer without the secrets that it may echo."""
        ours = self._credentials
        for secret in (ours.client_secret, ours.app_secret or "", token.value if token else ""):
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "[hidden]")
        return text


def embedded(app: Callable[..., Awaitable[None]]) -> Callable[[], Transport]:
    """Return a function that opens a lane to an ASGI app in this process."""
    return functools.partial(httpx.ASGITransport, app=app)


def tcp(settings: Settings) -> Callable[[], Transport]:
    """Return a function that opens a lane to the tenant: verified TLS, one shared context, no proxy but `--proxy`.

    Raises:
        UsageError: the CA bundle cannot be used.
    """
    return functools.partial(
        httpx.AsyncHTTPTransport,
        verify=_tls(settings),
        trust_env=False,
        limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_S),
        proxy=settings.proxy,
    )


def _tls(settings: Settings) -> ssl.SSLContext:
    bundle, proxy = settings.options.ca_bundle, settings.proxy or ""
    if bundle is not None:
        try:
            return ssl.create_default_context(cafile=bundle)
        except OSError:  # includes ssl.SSLError
            name = safe(bundle, limit=200)
            raise UsageError(
                f"--ca-bundle {name} is not a readable PEM file of certificates"
            ) from None
    if settings.base_url.startswith("https:") or proxy.startswith("https:"):
        return httpx.create_ssl_context(trust_env=False)
    return ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # plain HTTP to this machine: loading authorities takes longer than a plan


def _request(base_url: str, call: Call, token: Token | None, limit_s: float) -> httpx.Request:
    if not call.path.startswith("/"):
        raise ValueError(f"a call's path starts with /, or it could name another host: {call.path}")
    headers = {**_HEADERS, **call.headers}
    if token is not None:
        headers["Authorization"] = f"Bearer {token.value}"
    timeout = httpx.Timeout(limit_s, connect=min(limit_s, CONNECT_TIMEOUT_S))
    return httpx.Request(
        call.method,
        base_url + call.path,
        params=call.params or None,
        headers=headers,
        json=call.json,
        data=call.form,
        extensions={"timeout": timeout.as_dict()},
    )


def _before_the_first_byte(
    allow: Callable[[], Awaitable[None]],
) -> Callable[[str, object], Awaitable[None]]:
    """Return a trace for httpcore: https://www.encode.io/httpcore/extensions/#trace. A connection can take seconds to open."""

    async def trace(event: str, _: object) -> None:
        if event == "http11.send_request_headers.started":
            await allow()

    return trace


async def _exchange(lane: Transport, request: httpx.Request) -> tuple[httpx.Response, bytes]:
    """Return the answer and its whole body.

    Raises:
        _TooLarge: the body is larger than `MAX_ANSWER_BYTES`.
        httpx.RequestError, OSError: the network failed.
    """
    response = await lane.handle_async_request(request)
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            await response.aclose()
            raise _TooLarge(response.status_code)
        chunks.append(chunk)
    return response, b"".join(chunks)


class _TooLarge(Exception):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")


def _lost(error: Exception) -> Lost:
    distrust = _distrust(error)
    if distrust is not None:
        return Lost(distrust, sent=False, again=False, untrusted=True)
    if isinstance(error, _UNSENT):
        proxy = isinstance(error, httpx.ProxyError)
        return Lost("the proxy refused the connection" if proxy else "no connection", sent=False)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Lost("no answer in time")
    if isinstance(error, httpx.ProtocolError | httpx.DecodingError):
        return Lost("the answer broke off, or is not HTTP")
    return Lost("the connection was reset")


def _distrust(error: BaseException | None) -> str | None:
    """Return why the host's certificate is not trusted; `None` for another error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return str(error.verify_message)
        error = error.__cause__ or error.__context__
    return None


def parse(body: bytes) -> JSON:
    """Return the JSON value of `body`: UTF-8 with or without a BOM, finite numbers, text that can be encoded again.

    Half a surrogate pair, such as a name that was cut within an emoji, becomes U+FFFD, as in any reader of UTF-16.

    A number beyond a float's range (`1e400`) becomes its text. Then only its own field cannot be read, not the whole answer.

    Repeated keys are not detected: that would take longer than all other parsing.

    Raises:
        ValueError: not valid JSON of that form.
    """
    text = body.decode("utf-8-sig")  # some servers send a byte order mark
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "\\ud" in text or "\\uD" in text:
        # Half a surrogate pair can be parsed, but not hashed or printed.
        units = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
        value = json.loads(units.decode("utf-16", "replace"))
    return value


def _finite(text: str) -> float | str:
    number = float(text)
    return number if abs(number) < float("inf") else text


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
