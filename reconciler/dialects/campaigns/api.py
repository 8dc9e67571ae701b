"""The campaigns API: a schedule for each campaign, a refresh that activates it later, and do-not-call lists.

Source: the platform's API description, "campaigns". Optional features of a server (idempotency keys, ETags, `expand`) are used but never relied on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.dialects.answers import LISTED, NOT_FOUND, Answer, Row, measured, spans
from reconciler.dialects.base import (
    Bucket,
    Capabilities,
    Credentials,
    Measured,
    Removal,
    Silenced,
    Site,
    Token,
    Waiting,
)
from reconciler.dialects.calls import JSON, Call, Exchange, Reply
from reconciler.dialects.campaigns.answers import explain
from reconciler.dialects.campaigns.doctor import examine, roundtrip
from reconciler.dialects.campaigns.reading import (
    lists_page,
    look,
    path,
    plain,
    read,
    read_limits,
    read_one,
    read_pages,
    read_some,
    read_stored,
    scrubs,
    strong,
)
from reconciler.errors import ApiError, ReconcileError, UncertainWrite
from reconciler.kinds.campaign import KINDS
from reconciler.kinds.live import Live, Stored
from reconciler.models import Body

__all__ = [
    "CAPABILITIES",
    "HOSTS",
    "KINDS",
    "NAME",
    "activate",
    "authenticate",
    "examine",
    "explain",
    "look",
    "metrics",
    "missing_scope",
    "publish",
    "read",
    "read_limits",
    "read_one",
    "read_pages",
    "read_some",
    "read_stored",
    "roundtrip",
    "silence",
    "write",
]

NAME: Final = "campaigns"
CAPABILITIES: Final = Capabilities(
    activation=True, conditional_writes=True, idempotency_keys=True, atomic_writes=True
)
HOSTS: Final[tuple[str, ...]] = ()
"""No answer of this API refers to another host."""

METRICS_SPAN: Final = timedelta(days=92)
EVENTS_PER_CALL: Final = 500
TOKEN_LIFETIME_S: Final = 1800.0
"""Documented token lifetime, used if the answer has no `expires_in`."""

ACCEPTED: Final = frozenset({200, 202, 204})
"""Answers by which a server accepts a refresh. The contract says 202. A read shows afterwards whether it was done."""

REMOVED: Final = frozenset({200, 202, 204, NOT_FOUND})
"""Answers after which a stop goes on to its refresh. The contract says 204; 200 and 202 are as good in HTTP. A read confirms silence."""

PRECONDITION_FAILED: Final = 412

NO_CONDITIONS: Final = frozenset({400, 428, 501})
"""Answers of servers that do not accept `If-Match` on a removal."""


# --- signing in ---------------------------------------------------------------------------------------------------------


def authenticate(credentials: Credentials, site: Site | None = None) -> Exchange[Token]:  # noqa: ARG001 - the tenant's URL is all there is
    """Request a client-credentials token (contract: `POST /api/oauth2/token`)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
    }
    if credentials.scope:
        form["scope"] = credentials.scope
    call = Call("POST", "/api/oauth2/token", form=form, anonymous=True)
    answer = yield from Answer.ask(call)
    value, life_s, assumed = answer.token(TOKEN_LIFETIME_S)
    scopes = (answer.text(answer.body, "scope") or "").split()
    return Token(value, life_s, frozenset(scopes), assumed=assumed)


# --- writing ------------------------------------------------------------------------------------------------------------


def write(key: str, body: Body | None, *, token: str, live: Live) -> Exchange[Stored]:
    """Replace or remove the campaign's schedule atomically; 412 if the stored schedule is not the one in `live`."""
    headers = {"Idempotency-Key": token, **_condition(live)}
    call = Call(
        "DELETE" if body is None else "POST",
        path(key, "schedule"),
        headers=headers,
        json=body,
        expects=frozenset({204, NOT_FOUND} if body is None else {201}),
        repeatable=False,
    )
    answer = yield from Answer.ask(call)
    return Stored(None) if body is None else _stored(answer)


def _stored(answer: Answer) -> Stored:
    """Parse a 201. If it is unreadable, the outcome of the write is uncertain; if it lacks a field that was sent, the result has no body."""
    try:
        stored = answer.id(answer.body, "id")
        at = answer.text(answer.body, "updated_at")
    except ApiError as error:
        raise UncertainWrite(error.status, error.where, error.reasons) from None
    body = plain(answer.body) if answer.body.keys() >= answer.call.json.keys() else None
    return Stored(stored, strong(answer.reply.headers.get("etag")), at, body)


def _condition(live: Live) -> dict[str, str]:
    if live.version:
        return {"If-Match": live.version}
    return {"If-None-Match": "*"} if live.stored is None else {}


def activate(key: str) -> Exchange[Waiting | None]:
    """Tell the dialer to refresh. On a 500, return what to wait for: a list that is SYNCING, or else the locked dialer.

    After a lost answer the caller reads whether the dialer took the schedule, so the client does not send the call again.
    """
    taken = yield from _refresh(key, repeatable=False)
    return None if taken else Waiting((yield from _why_locked(key)))


def _refresh(key: str, *, repeatable: bool = True) -> Exchange[bool]:
    """Tell the dialer to refresh; return whether it accepts."""
    where, expects = path(key, "actions", "refresh"), ACCEPTED | {500}
    call = Call("PUT", where, expects=expects, repeatable=repeatable)
    (reply,) = yield (call,)
    return reply.status in ACCEPTED


def _why_locked(key: str) -> Exchange[str]:
    first = yield from Answer.ask(lists_page())
    linked = yield from scrubs(first)
    syncing = [entry.name or entry.id for entry in linked.get(key, ()) if entry.status == "SYNCING"]
    return f"DNC list {', '.join(syncing)} is SYNCING" if syncing else "the dialer is locked"


def silence(key: str, *, token: str, version: str | None = None) -> Exchange[Silenced]:
    """Remove the stored schedule, and tell the dialer to refresh, so that it drops the active one.

    If the refresh has to wait and the do-not-call lists cannot be read, the reason is less exact.
    """
    removal = yield from _remove(key, token, version)
    if removal in {Removal.CHANGED, Removal.UNCONDITIONAL} or (yield from _refresh(key)):
        return Silenced(removal)
    try:
        return Silenced(removal, Waiting((yield from _why_locked(key))))
    except ReconcileError as error:
        said = f"the dialer is locked, or a DNC list is SYNCING (the lists cannot be read: {error})"
        return Silenced(removal, Waiting(said))


def _remove(key: str, token: str, version: str | None) -> Exchange[Removal]:
    """Remove the stored schedule; with `version`, only if it is the stored one.

    Servers exist that do not accept the condition. They answer 400, 428 or 501.
    """
    headers, expects = {"Idempotency-Key": token}, REMOVED
    if version is not None:
        headers["If-Match"] = version
        expects |= {PRECONDITION_FAILED, *NO_CONDITIONS}
    call = Call("DELETE", path(key, "schedule"), headers=headers, expects=expects, repeatable=False)
    (reply,) = yield (call,)
    if reply.status == NOT_FOUND:
        return Removal.NOTHING_STORED
    if reply.status == PRECONDITION_FAILED:
        return Removal.CHANGED
    if reply.status in NO_CONDITIONS:
        return Removal.UNCONDITIONAL
    return Removal.UNSEEN if version is None else Removal.AS_GIVEN


# --- signals ------------------------------------------------------------------------------------------------------------


def metrics(key: str, start: datetime, end: datetime) -> Exchange[Measured]:
    """Read hourly buckets of [start, end), asking for at most 92 days at a time."""
    answers = yield from Answer.ask_all(
        [
            Call(
                "GET",
                path(key, "metrics"),
                params={"from": _text(low), "to": _text(high)},
                expects=LISTED,
            )
            for low, high in spans(start, end, METRICS_SPAN)
        ]
    )
    rows = ((answer, row) for answer in answers for row in answer.rows("buckets"))
    return measured(rows, _bucket)


def _bucket(answer: Answer, row: Row) -> Bucket:
    attempts, answers = answer.whole(row, "attempts"), answer.whole(row, "answers")
    if attempts is None or answers is None:
        raise answer.wrong("an hour has no `attempts` or no `answers`")
    return Bucket(
        start=answer.instant(row, "start"),
        attempts=attempts,
        answers=answers,
        abandons=answer.whole(row, "abandons"),
        agents=answer.number(row, "agents"),
        handle_time_s=answer.duration_s(row, "handle_time_s"),
    )


def publish(events: Sequence[Mapping[str, JSON]]) -> Exchange[int]:
    """Send events to the platform's intake. The platform counts an id once, so repeating an event is harmless."""
    accepted = 0
    for low in range(0, len(events), EVENTS_PER_CALL):
        call = Call(
            "POST",
            "/api/telemetry/events",
            json={"events": list(events[low : low + EVENTS_PER_CALL])},
            expects=frozenset({202}),
        )
        answer = yield from Answer.ask(call)
        accepted += answer.whole(answer.body, "accepted") or 0
    return accepted


# --- answers ------------------------------------------------------------------------------------------------------------


def missing_scope(reply: Reply) -> str | None:
    """Return the scope that a 403 names."""
    scope = reply.json.get("required_scope") if isinstance(reply.json, dict) else None
    return scope if isinstance(scope, str) else None


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
