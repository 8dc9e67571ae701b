"""Map an answer to an error, if its call is not sent again; see the table in `reconciler.client`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from reconciler.client.lanes import Lost
from reconciler.dialects.base import Dialect, Token
from reconciler.dialects.calls import Call, Reply
from reconciler.errors import AccessError, ApiError, ReconcileError, UncertainWrite, safe
from reconciler.settings import Settings

MOST_STRAY: Final = 4
"""Most retries of a sign-in that is answered by an error without a reason."""


class Refusals:
    """Maps answers to errors that name a tenant's environment variables."""

    def __init__(self, dialect: Dialect, settings: Settings) -> None:
        """Use the explanations of `dialect` and the variables of `settings`."""
        self._dialect = dialect
        self._settings = settings

    def error(self, call: Call, token: Token | None, answer: Reply | Lost) -> ReconcileError:
        """Return the error for an answer to a call that is not sent again."""
        if isinstance(answer, Lost):
            return self._explain_lost(call, answer)
        status = answer.status
        if not call.repeatable and _is_uncertain(status):
            said = (*self._dialect.explain(answer), "whether it was executed is unknown")
            return UncertainWrite(status, call.where, said)
        if _is_redirect(status):
            return self._explain_redirect(call, answer)
        if token is not None and status == HTTPStatus.FORBIDDEN:
            return self._explain_forbidden(call, answer)
        return ApiError(status, call.where, self._dialect.explain(answer))

    def may_pass(self, call: Call, reply: Reply, tries: int) -> bool:
        """Return whether the same call may succeed later, after `tries` that did not: the server failed, or a gateway's page answered a sign-in.

        A platform that refuses a sign-in gives a reason, and a page does not. A 401 is a refusal without one, because platforms lock out
        clients that retry. After `MOST_STRAY` retries any answer is a refusal, but to an emergency stop.
        """
        if is_server_error(reply.status):
            return call.repeatable
        refused = reply.status == HTTPStatus.UNAUTHORIZED or self._dialect.explain(reply)
        is_early = tries < MOST_STRAY or self._settings.options.urgent
        is_error = reply.status >= HTTPStatus.MULTIPLE_CHOICES
        return call.anonymous and is_error and not refused and is_early

    def _explain_lost(self, call: Call, lost: Lost) -> ReconcileError:
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

    def _explain_redirect(self, call: Call, reply: Reply) -> ReconcileError:
        host = _host(reply.headers.get("location", ""))
        return AccessError(
            f"{safe(call.where)}: the platform redirects ({reply.status}) to {host}, and a redirect is never followed, "
            f"because it would carry the token along: check the host in {self._settings.variables.url}"
        )

    def _explain_forbidden(self, call: Call, reply: Reply) -> ReconcileError:
        names = self._settings.variables
        scope = self._dialect.missing_scope(reply)
        lacks = f"the scope {safe(scope, limit=100)}" if scope else "a right that it does not name"
        return AccessError(
            f"{safe(call.where)}: refused (403), because the client lacks {lacks}: grant it to the client in "
            f"{names.client_id}, and add it to {names.scope} if that is set"
        )


def is_server_error(status: int) -> bool:
    """Return whether the server failed, so that the same call may succeed later."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT


def may_have_run(answer: Reply | Lost) -> bool:
    """Return whether a call whose attempt is repeated may have been executed."""
    return answer.sent if isinstance(answer, Lost) else is_server_error(answer.status)


def _is_redirect(status: int) -> bool:
    return 300 <= status < 400 and status != HTTPStatus.NOT_MODIFIED  # noqa: PLR2004 - HTTP's class


def _is_uncertain(status: int) -> bool:
    """Return whether a write may have been executed despite an unexpected answer. 409: an earlier attempt may still run."""
    return (
        is_server_error(status) or status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.CONFLICT
    )


def _host(location: str) -> str:
    """Return the host of a redirect, without path and query, which may contain secrets."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return safe(host, limit=100) if host else "another path of the same host"
