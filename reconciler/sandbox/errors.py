"""Errors of the sandbox: those of its operator, and the refusals that a platform answers.

A `Refusal` is raised by the platform and carries the status and the body that the contract prescribes, so the
handlers of an API (`campaigns`) need no table of errors.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from shlex import quote
from typing import ClassVar


class SandboxError(Exception):
    """The sandbox cannot do what its operator asked: a state file, a port, a fault."""


class FaultError(SandboxError, ValueError):
    """A fault specification is not valid."""


class SandboxMissing(SandboxError, ImportError):
    """The web framework is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the sandbox's HTTP side is not installed: "
            f"run {quote(sys.executable or 'python')} -m pip install 'cxone-reconcile[sandbox]'"
        )


class Refusal(Exception):
    """A request that the platform refuses.

    Attributes:
        status: HTTP status.
        payload: JSON body; a string is sent as plain text.
        headers: beyond the usual ones.
    """

    status: ClassVar[int] = 500

    def __init__(
        self, payload: dict[str, object] | str, headers: dict[str, str] | None = None
    ) -> None:
        self.payload = payload
        self.headers = headers or {}
        super().__init__(payload if isinstance(payload, str) else json.dumps(payload))


class Invalid(Refusal):
    """400, with each wrong field. An error is (field, message); the field reads like `compliance_windows[0].start_hour`."""

    status = 400

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        self.errors = tuple(errors)
        super().__init__({"errors": [{"field": f, "message": m} for f, m in self.errors]})


class BadGrant(Refusal):
    """400 to a token request: `unsupported_grant_type` or `invalid_scope`."""

    status = 400

    def __init__(self, error: str) -> None:
        super().__init__({"error": error})


class Unauthorized(Refusal):
    """401: the token is missing, unknown or expired, or the client's secret is wrong."""

    status = 401

    def __init__(self, error: str = "invalid_token") -> None:
        super().__init__({"error": error}, {"WWW-Authenticate": "Bearer"})


class Forbidden(Refusal):
    """403: the token lacks a scope, which the answer names."""

    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__({"error": "insufficient_scope", "required_scope": scope})


class NotFound(Refusal):
    """404: no such route, campaign or schedule."""

    status = 404

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__({"error": what})


class Conflict(Refusal):
    """409: the same key is in flight."""

    status = 409

    def __init__(self, what: str) -> None:
        super().__init__({"error": what})


class PreconditionFailed(Refusal):
    """412: what is stored is not what the caller read."""

    status = 412

    def __init__(self, what: str) -> None:
        super().__init__({"error": what})


class KeyReused(Refusal):
    """422: the key was used for another body."""

    status = 422

    def __init__(self, what: str) -> None:
        super().__init__({"error": what})


class TooMany(Refusal):
    """429: over the rate limit. `retry_after` is the header as sent; `None` sends none."""

    status = 429

    def __init__(self, retry_after: str | None) -> None:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        super().__init__({"error": "rate limit exceeded"}, headers)


class Failed(Refusal):
    """500 with a plain body: the dialer is locked, a list is SYNCING, or the server broke."""


class Down(Refusal):
    """503 with a plain body."""

    status = 503
