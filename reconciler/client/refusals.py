"""The error that an answer means when its call is not sent again; see the table in `reconciler.client`."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from reconciler.client.lanes import Lost
from reconciler.dialects.base import Call, Dialect, Reply, Token
from reconciler.errors import AccessError, ApiError, ReconcileError, UncertainWrite, safe
from reconciler.settings import Settings


class Refusals:
    """Maps answers to errors in a tenant's words."""

    def __init__(self, dialect: Dialect, settings: Settings) -> None:
        """Explain answers by `dialect`, and name the variables of `settings`."""
        self._dialect = dialect
        self._settings = settings

    def error(self, call: Call, token: Token | None, answer: Reply | Lost) -> ReconcileError:
        """Return the error that an answer means for a call that is not sent again."""
        if isinstance(answer, Lost):
            return self._lost(call, answer)
        status = answer.status
        if not call.repeatable and _is_open(status):
            said = (*self._dialect.explain(answer), "whether it was executed is unknown")
            return UncertainWrite(status, call.where, said)
        if _is_redirect(status):
            return self._redirected(call, answer)
        if token is not None and status == HTTPStatus.FORBIDDEN:
            return self._forbidden(call, answer)
        return ApiError(status, call.where, self._dialect.explain(answer))

    def _lost(self, call: Call, lost: Lost) -> ReconcileError:
        if lost.untrusted:
            return AccessError(
                f"the certificate of the host in {self._settings.variables.url} is not trusted "
                f"({safe(lost.reason, limit=100)}): check the host, or give the authority that signed it with --ca-bundle"
            )
        if call.repeatable:
            return ApiError(lost.status, call.where, [lost.reason])
        return UncertainWrite(
            lost.status, call.where, [lost.reason, "whether it was executed is unknown"]
        )

    def _redirected(self, call: Call, reply: Reply) -> ReconcileError:
        host = _host(reply.headers.get("location", ""))
        return AccessError(
            f"{safe(call.where)}: the platform redirects ({reply.status}) to {host}, and a redirect is never followed, "
            f"because it would carry the token along: check the host in {self._settings.variables.url}"
        )

    def _forbidden(self, call: Call, reply: Reply) -> ReconcileError:
        names = self._settings.variables
        scope = self._dialect.missing_scope(reply)
        lacks = f"the scope {safe(scope, limit=100)}" if scope else "a right that it does not name"
        return AccessError(
            f"{safe(call.where)}: the platform refuses it (403), for the client lacks {lacks}: have it granted to the "
            f"client in {names.client_id}, and name it in {names.scope} if that is set"
        )


def is_trouble(status: int) -> bool:
    """Whether the server had a problem of its own, so that the same call may do better later."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT


def _is_redirect(status: int) -> bool:
    return 300 <= status < 400 and status != HTTPStatus.NOT_MODIFIED  # noqa: PLR2004 - HTTP's class


def _is_open(status: int) -> bool:
    """Whether an unexpected answer to a write leaves open that it was executed. 409: an earlier attempt may still run."""
    return is_trouble(status) or status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.CONFLICT


def _host(location: str) -> str:
    """Return the host that a redirect names: its path and query may hold what must not be printed."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return safe(host, limit=100) if host else "another path of the same host"
