"""One tenant's access token: asked for once, shared by all tasks, renewed before it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from reconciler.dialects.base import Credentials, Dialect, Exchange, Site, Token
from reconciler.errors import AccessError, ApiError

RENEW_BEFORE_END_S: Final = 30.0
"""A token is not used in its last seconds: it must still be good when the request arrives."""

_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a header can carry as a bearer token (RFC 6750 §2.1)."""


class Names(Protocol):
    """The environment variables that messages name."""

    @property
    def url(self) -> str:
        """The tenant's URL."""

    @property
    def client_id(self) -> str:
        """The client's id."""

    @property
    def client_secret(self) -> str:
        """The client's secret."""

    @property
    def scope(self) -> str:
        """The scopes to ask for."""

    @property
    def app_id(self) -> str:
        """The id of the application that asks."""

    @property
    def app_secret(self) -> str:
        """Its secret."""


class Tokens:
    """The token cache of one tenant.

    A refused secret stays refused: it is sent once, however many tasks wait, because platforms lock clients that insist.
    """

    def __init__(
        self,
        dialect: Dialect,
        credentials: Credentials,
        names: Names,
        *,
        site: Site,
        run: Callable[[Exchange[Token]], Awaitable[Token]],
        monotonic: Callable[[], float],
    ) -> None:
        """Keep a tenant's token.

        Args:
            dialect: knows how to ask for one.
            credentials: what to ask with.
            names: the variables that a message names.
            site: where the tenant is.
            run: carries an exchange out.
            monotonic: seconds on a clock that never goes back.
        """
        self._dialect = dialect
        self._credentials = credentials
        self._names = names
        self._site = site
        self._run = run
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._token: Token | None = None
        self._usable_until = 0.0
        self._refused: str | None = None
        self.refused_in_a_row = 0

    async def get(self) -> Token:
        """Return a token that is good for a request now.

        Raises:
            AccessError: the secret or the scope was refused; the message names the variable.
            ReconcileError: whatever else kept the token request from an answer.
        """
        token = self._fresh()
        if token is not None:
            return token
        async with self._asking:
            return self._fresh() or await self._ask()

    def drop(self, refused: Token) -> None:
        """Forget `refused`, unless another task has replaced it already."""
        if self._token is refused:
            self._token = None
            self.refused_in_a_row += 1

    def accepted(self) -> None:
        """Note that the platform took a token: what it refused before was ended by somebody else."""
        self.refused_in_a_row = 0

    def _fresh(self) -> Token | None:
        return self._token if self._monotonic() < self._usable_until else None

    async def _ask(self) -> Token:
        if self._refused is not None:
            raise AccessError(self._refused)
        try:
            return self._keep(
                await self._run(self._dialect.authenticate(self._credentials, self._site))
            )
        except ApiError as error:
            failure: Exception = self._explained(error)
        except Exception as error:  # noqa: BLE001 - re-raised below, without the frames that hold the secret
            failure = error
        failure.__cause__ = failure.__context__ = None
        raise failure.with_traceback(None)

    def _keep(self, token: Token) -> Token:
        if not _BEARER.fullmatch(token.value):
            raise ApiError(
                200, "the token request", ["the access_token is none that a header can carry"]
            )
        margin = min(RENEW_BEFORE_END_S, token.expires_in_s / 2)
        self._usable_until = self._monotonic() + token.expires_in_s - margin
        self._token = token
        return token

    def _explained(self, error: ApiError) -> Exception:
        """Return what a refused token request means for whoever set the environment."""
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
        """The application that asked along, for a message: which of the two was refused is not said."""
        if self._credentials.app_id is None:
            return ""
        return f", or the application in {self._names.app_id} with {self._names.app_secret}"
