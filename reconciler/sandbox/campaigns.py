"""HTTP handlers of the campaigns API: parse a request, call the platform, build the answer. One handler for each row of the contract."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii
from sqlite3 import Row
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from reconciler.sandbox import campaign_rules as rules
from reconciler.sandbox import writes
from reconciler.sandbox.campaign_state import CampaignState
from reconciler.sandbox.clock import parse_instant
from reconciler.sandbox.db import TOKEN_S
from reconciler.sandbox.errors import BadGrant, Failed, Invalid, NotFound, SandboxMissing
from reconciler.sandbox.http import JSON_TYPE, Answer, Call, Front, Operation, media_type, mount
from reconciler.sandbox.writes import Conditions, Mishap, Ticket

try:
    from fastapi import FastAPI

    from reconciler.sandbox import campaigns_openapi as described
    from reconciler.sandbox.openapi import Described
except ImportError as error:
    raise SandboxMissing from error

FORM_TYPE = "application/x-www-form-urlencoded"
LONGEST = timedelta(days=92)
"""Of a metrics request."""

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
T = TypeVar("T")


def create_app(
    state: CampaignState,
    *,
    drop: Callable[[], Exception] = ConnectionResetError,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> FastAPI:
    """Return the campaigns API over a platform: an ASGI app without a lifespan, described at `/openapi.json`.

    Args:
        state: the platform to serve.
        drop: makes what the app raises, in process, where a fault drops the connection. Give your client's own
            transport error.
        sleep: waits the seconds given, for the faults `slow` and `hang`.
    """
    app = Described(
        title="CXone campaigns API (sandbox)",
        version="1",
        description=described.DESCRIPTION,
        schemas=described.SCHEMAS,
        token=described.TOKEN,
    )
    mount(app, Front(state, drop, sleep), OPERATIONS)
    return app


async def get_token(state: CampaignState, call: Call) -> Answer:
    """Issue a token for a form with the client's id and secret."""
    form = _form(call)
    if form.pop("grant_type", None) != "client_credentials":
        raise BadGrant("unsupported_grant_type")
    scope = form.pop("scope", None)
    token = state.issue(form.get("client_id", ""), form.get("client_secret", ""), scope)
    scopes = " ".join(sorted(token.scopes))
    return Answer.of(
        {
            "access_token": token.value,
            "token_type": "bearer",
            "expires_in": TOKEN_S,
            "scope": scopes,
        },
        headers={"Cache-Control": "no-store"},
    )


async def get_settings(state: CampaignState, _: Call) -> Answer:
    """Return the tenant's limits; a limit that is not set has no key."""
    settings = state.settings
    limits = {
        "max_dial_rate": settings.max_dial_rate,
        "max_concurrent_calls": settings.max_concurrent_calls,
    }
    return Answer.of({k: v for k, v in limits.items() if v is not None})


async def get_lists(state: CampaignState, call: Call) -> Answer:
    """List the DNC lists, a page at a time."""
    page, size = _page(call.query(), 100)
    rows, total = state.list_page(page, size)
    rows, total = _shuffled(call, rows, total)
    return Answer.of({"lists": rows, "page": page, "page_size": size, "total": total})


async def get_campaigns(state: CampaignState, call: Call) -> Answer:
    """List the campaigns, a page at a time, with what each has stored when asked to expand."""
    query = call.query()
    page, size = _page(query, 1000)
    expand = query.get("expand")
    if expand not in {None, "schedule"}:
        raise Invalid([("expand", "must be schedule")])
    if expand and "reject-expand" in call.strikes:
        raise Invalid([("expand", "is not a parameter here")])
    rows, total = state.campaign_page(page, size)
    rows, total = _shuffled(call, rows, total)
    # Joined, not dumped again: the stored text is JSON already, and a page holds up to a thousand campaigns.
    if expand is None or "no-expand" in call.strikes:
        listed = ",".join(map(_brief, rows))
    else:
        etags = "no-etags" not in call.strikes
        listed = ",".join([_expanded(row, etags=etags) for row in rows])
    return Answer(
        body=f'{{"campaigns":[{listed}],"page":{page},"page_size":{size},"total":{total}}}'
    )


async def get_campaign(state: CampaignState, call: Call) -> Answer:
    """Return a campaign with its stored and its active schedule."""
    row = state.campaign(_campaign_id(call))
    head = {k: row[k] for k in ("id", "name", "status", "schedule_id")}
    dialer = {"active_schedule_id": row["active_id"], "activated_at": row["activated_at"]}
    return Answer.of(head | {"dialer": dialer})


async def get_schedule(state: CampaignState, call: Call) -> Answer:
    """Return the stored schedule, unless the caller has it."""
    row = state.campaign(_campaign_id(call))
    if row["schedule"] is None:
        raise NotFound("the campaign has no schedule")
    if "no-etags" in call.strikes:
        return Answer(body=row["schedule"])
    headers = {"ETag": f'"{row["schedule_id"]}"'}
    known = call.header("if-none-match")
    if known is not None and writes.matches(known, row["schedule_id"], weak=True):
        return Answer(304, "", headers)
    return Answer(body=row["schedule"], headers=headers)


async def post_schedule(state: CampaignState, call: Call) -> Answer:
    """Store a schedule whole, under a new id."""
    return await _write(state, call, call.raw)


async def delete_schedule(state: CampaignState, call: Call) -> Answer:
    """Remove the stored schedule; the active one goes on dialing until a refresh."""
    return await _write(state, call, None)


async def put_refresh(state: CampaignState, call: Call) -> Answer:
    """Make the dialer take the stored schedule after the activation delay."""
    campaign_id = _campaign_id(call)
    state.campaign(campaign_id)
    if "locked" in call.strikes:
        raise Failed("the dialer is locked")
    state.refresh(campaign_id, call.client)
    return Answer(202)


async def get_metrics(state: CampaignState, call: Call) -> Answer:
    """Return the hours of [from, to) that have data."""
    query = call.query()
    start, end = _hour(query, "from"), _hour(query, "to")
    if end <= start:
        raise Invalid([("to", "must be after from")])
    if end - start > LONGEST:
        raise Invalid([("to", f"must be at most {LONGEST.days} days after from")])
    return Answer.of({"buckets": state.metrics(_campaign_id(call), start, end)})


async def post_events(state: CampaignState, call: Call) -> Answer:
    """Accept telemetry events."""
    body = rules.load(call.raw)
    errors = rules.check_events(body)
    if errors:
        raise Invalid(errors)
    return Answer.of({"accepted": state.take_events(body["events"])}, 202)


async def _write(state: CampaignState, call: Call, raw: bytes | None) -> Answer:
    ticket = None if "no-keys" in call.strikes else _ticket(call)
    conditions = Conditions(call.header("if-match"), call.header("if-none-match"))
    with state.claim(ticket):
        await call.pause()
        result = state.write_schedule(
            _campaign_id(call),
            raw,
            client=call.client,
            ticket=ticket,
            conditions=Conditions() if "no-etags" in call.strikes else conditions,
            vet=call.vet,
            mishap=_mishap(call),
        )
    if result.status >= 500:  # noqa: PLR2004 - a kept failure is plain text
        raise Failed("internal error")
    headers = {} if "no-etags" in call.strikes else result.headers
    return Answer(result.status, result.body, headers)


def _ticket(call: Call) -> Ticket:
    path = call.request.url.path
    return writes.make_ticket(
        call.client, call.request.method, path, call.header("idempotency-key"), call.raw
    )


def _mishap(call: Call) -> Mishap | None:
    if late := call.strikes.get("late"):
        return Mishap(late_ms=late.ms)
    if stored := call.strikes.get("500-stored"):
        return Mishap(commit=stored.commit)
    return None


def _form(call: Call) -> dict[str, str]:
    """Return the form fields of a token request; empty if the body is not a form or has an unknown field."""
    if media_type(call.header("content-type")) != FORM_TYPE or call.request.url.query:
        return {}
    try:
        pairs = parse_qsl(
            call.raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=9
        )
    except ValueError:
        return {}
    known = {"grant_type", "client_id", "client_secret", "scope"}
    return dict(pairs) if len({k for k, _ in pairs} & known) == len(pairs) else {}


def _campaign_id(call: Call) -> str:
    return str(call.request.path_params["campaign_id"])


def _page(query: dict[str, str], most: int) -> tuple[int, int]:
    """Return page and page size.

    Raises:
        Invalid: either is out of bounds.
    """
    errors = []
    page, size = query.get("page", "1"), query.get("page_size", "100")
    if not _NUMBER.fullmatch(page):
        errors.append(("page", "must be an integer from 1"))
    if not (_NUMBER.fullmatch(size) and int(size) <= most):
        errors.append(("page_size", f"must be an integer from 1 to {most}"))
    if errors:
        raise Invalid(errors)
    return int(page), int(size)


def _hour(query: dict[str, str], name: str) -> datetime:
    try:
        instant = parse_instant(query.get(name, ""))
    except ValueError as error:
        raise Invalid([(name, str(error))]) from None
    if instant != instant.replace(minute=0, second=0, microsecond=0, tzinfo=UTC):
        raise Invalid([(name, "must be on a whole hour")])
    return instant


def _shuffled(call: Call, rows: list[T], total: int) -> tuple[list[T], int]:
    """Return a page with the paging faults injected."""
    if "short-page" in call.strikes:
        rows = rows[:-1]
    if "shifted-page" in call.strikes:
        rows = [*rows[:-1], *rows[:1]]
    return rows, total + ("wrong-total" in call.strikes)


def _brief(row: Row) -> str:
    return (
        f'{{"id":{_quoted(row["id"])},"name":{_quoted(row["name"])},"status":{_quoted(row["status"])}'
        f',"schedule_id":{_quoted(row["schedule_id"])}}}'
    )


def _expanded(row: Row, *, etags: bool) -> str:
    active, at = _quoted(row["active_id"]), _quoted(row["activated_at"])
    etag = _quoted(writes.etag(row["schedule_id"])) if etags else "null"
    return (
        f'{_brief(row)[:-1]},"dialer":{{"active_schedule_id":{active},"activated_at":{at}}}'
        f',"schedule":{row["schedule"] or "null"},"etag":{etag}}}'
    )


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def _operation(
    method: str,
    path: str,
    handle: Callable[[CampaignState, Call], Awaitable[Answer]],
    **rest: Any,
) -> Operation:
    return Operation(method, path, handle, describe=described.describe(method, path), **rest)


OPERATIONS = (
    _operation("POST", "/api/oauth2/token", get_token, scope=None, takes=FORM_TYPE),
    _operation("GET", "/api/dialer/settings", get_settings, scope="dialer:read"),
    _operation("GET", "/api/dnc/lists", get_lists, scope="dnc:read", query=("page", "page_size")),
    _operation(
        "GET",
        "/api/campaigns",
        get_campaigns,
        scope="campaigns:read",
        query=("page", "page_size", "expand"),
    ),
    _operation("GET", "/api/campaigns/{campaign_id}", get_campaign, scope="campaigns:read"),
    _operation(
        "GET", "/api/campaigns/{campaign_id}/schedule", get_schedule, scope="campaigns:read"
    ),
    _operation(
        "POST",
        "/api/campaigns/{campaign_id}/schedule",
        post_schedule,
        scope="campaigns:write",
        takes=JSON_TYPE,
        keyed=True,
    ),
    _operation(
        "DELETE",
        "/api/campaigns/{campaign_id}/schedule",
        delete_schedule,
        scope="campaigns:write",
        keyed=True,
    ),
    _operation(
        "PUT", "/api/campaigns/{campaign_id}/actions/refresh", put_refresh, scope="campaigns:write"
    ),
    _operation(
        "GET",
        "/api/campaigns/{campaign_id}/metrics",
        get_metrics,
        scope="campaigns:read",
        query=("from", "to"),
    ),
    _operation(
        "POST", "/api/telemetry/events", post_events, scope="telemetry:write", takes=JSON_TYPE
    ),
)
"""Every row of the contract's table."""
