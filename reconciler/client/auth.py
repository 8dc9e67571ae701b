"""Access tokens: requested once, shared by all tasks of a run, renewed before they expire."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

from reconciler.dialects.base import Credentials, Dialect, Site, Token
from reconciler.dialects.calls import Exchange
from reconciler.errors import AccessError, ApiError
from reconciler.settings import Settings

RENEW_BEFORE_END_S: Final = 30.0
"""Seconds before its end from which a token is not used: it must still be valid when the request arrives."""

_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""A bearer token that a header can carry (RFC 6750 §2.1)."""


class Tokens:
    """Token cache of one tenant: one request serves all tasks that wait, and a token is renewed before it expires.

    Refused credentials are sent once, however many tasks wait, because platforms lock out clients that retry.

    Args:
        dialect: knows how to request a token.
        credentials: what to request it with.
        settings: the tenant's; error messages name its variables.
        run: sends the calls of an exchange, and returns its value.
        monotonic: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        dialect: Dialect,
        credentials: Credentials,
        settings: Settings,
        *,
        run: Callable[[Exchange[Token]], Awaitable[Token]],
        monotonic: Callable[[], float],
    ) -> None:
        self._dialect = dialect
        self._credentials = credentials
        self._names = settings.variables
        options = settings.options
        self._site = Site(settings.base_url, options.api_version, options.api_versions)
        self._run = run
        self._monotonic = monotonic
        self._request = asyncio.Lock()
        self._token: Token | None = None
        self._usable_until = 0.0
        self._refused: str | None = None
        self.refused_in_a_row = 0

    async def get(self) -> Token:
        """Return a token that is valid now; request one when there is none.

        Raises:
            AccessError: the secret or the scope was refused; the message names the variable.
            ReconcileError: the token request failed for another reason.
        """
        token = self._valid()
        if token is not None:
            return token
        async with self._request:
            return self._valid() or await self._renew()

    def drop(self, refused: Token) -> None:
        """Forget a token that the platform refused, unless another task has already replaced it."""
        if self._token is refused:
            self._token = None
            self.refused_in_a_row += 1

    def accept(self) -> None:
        """Note that the platform accepted a token, so that earlier refusals do not count any more."""
        self.refused_in_a_row = 0

    def _valid(self) -> Token | None:
        return self._token if self._monotonic() < self._usable_until else None

    async def _renew(self) -> Token:
        if self._refused is not None:
            raise AccessError(self._refused)
        try:
            return self._keep(
                await self._run(self._dialect.authenticate(self._credentials, self._site))
            )
        except ApiError as error:
            failure: Exception = self._explain(error)
        except Exception as error:  # noqa: BLE001 - re-raised below, without the frames that hold the secret
            failure = error
        failure.__cause__ = failure.__context__ = None
        raise failure.with_traceback(None)

    def _keep(self, token: Token) -> Token:
        if not _BEARER.fullmatch(token.value):
            raise ApiError(200, "the token request", ["a header cannot carry its access_token"])
        margin = min(RENEW_BEFORE_END_S, token.expires_in_s / 2)
        self._usable_until = self._monotonic() + token.expires_in_s - margin
        self._token = token
        return token

    def _explain(self, error: ApiError) -> Exception:
        """Return the error to raise for a refused token request; it names the variables to correct."""
        names, said = self._names, " ".join(error.reasons)
        if "invalid_scope" in said:
            self._refused = (
                f"the platform does not grant the scope that {names.scope} asks for (invalid_scope): correct it, or "
                f"have the scope granted to the client in {names.client_id}"
            )
        elif error.status in {401, 403} or "invalid_client" in said or "invalid_grant" in said:
            self._refused = (
                f"the platform refused {names.client_id} with {names.client_secret}{self._application} ({error.status}): either may be "
                f"wrong, and a secret may have been rotated; correct {names.client_id}, or put the current secret into {names.client_secret}"
            )
        elif error.status == 404:  # noqa: PLR2004 - the status is HTTP's word
            self._refused = (
                f"{error.where} does not exist there (404): check the host in {names.url}"
            )
        return error if self._refused is None else AccessError(self._refused)

    @property
    def _application(self) -> str:
        """Message part that names the application's variables; empty without one. The platform does not say which pair it refused."""
        if self._credentials.app_id is None:
            return ""
        return f", or the application in {self._names.app_id} with {self._names.app_secret}"
