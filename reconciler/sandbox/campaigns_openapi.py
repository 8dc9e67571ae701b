"""The OpenAPI description of the campaigns API: every answer of every row, with its headers. The data, and the functions that assemble it."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.sandbox import campaign_rules as rules
from reconciler.sandbox.db import SCOPES
from reconciler.sandbox.openapi import JSON

DESCRIPTION = (
    "Outbound campaign schedules: store one, refresh the dialer, read what it dials. Strict: an unknown route, parameter"
    " or field and a missing scope are errors. `PUT …/actions/refresh` answers 500 while the dialer is locked or a linked"
    " DNC list is SYNCING. The order of checks of a write is token, scope, key replay, body, precondition."
)

_TEXT: JSON = {"type": "string"}
_MAYBE: JSON = {"type": ["string", "null"]}
_ID: JSON = {"type": "string", "minLength": 1, "maxLength": rules.MAX_ID}
_WHEN: JSON = {"type": "string", "format": "date-time"}
_HOUR: JSON = {"type": "integer", "minimum": 0, "maximum": 23}
_ZONE: JSON = {"type": "string", "description": "IANA zone", "examples": ["America/New_York"]}


def _object(
    properties: JSON, *, required: tuple[str, ...] | None = None, closed: bool = True
) -> JSON:
    names = list(properties) if required is None else list(required)
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": not closed,
    }


def _array(items: JSON, most: int | None = None) -> JSON:
    return {"type": "array", "items": items} | ({} if most is None else {"maxItems": most})


def _ref(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


_SCHEDULE: JSON = {
    "campaign_id": _ID,
    "timezone": _ZONE,
    "start_time": _WHEN,
    "end_time": {**_WHEN, "description": "after start_time, as instants"},
    "dial_rate": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": rules.MAX_RATE,
        "description": "calls per second, within the tenant's dialer settings",
    },
    "max_concurrent_calls": {"type": "integer", "minimum": 1, "maximum": rules.MAX_CALLS},
    "compliance_windows": {
        **_array(_ref("Window"), rules.MAX_WINDOWS),
        "description": "two of one zone may not overlap",
    },
    "dnc_verification": {"type": "boolean"},
}
_DIALER = _object({"active_schedule_id": _MAYBE, "activated_at": {**_MAYBE, "format": "date-time"}})
_BRIEF: JSON = {
    "id": _TEXT,
    "name": _TEXT,
    "status": {"enum": ["RUNNING", "STOPPED"]},
    "schedule_id": _MAYBE,
}
_STORED = {"anyOf": [_ref("StoredSchedule"), {"type": "null"}]}
_LIST = _object(
    {
        "id": _TEXT,
        "name": _TEXT,
        "status": {"enum": ["ACTIVE", "SYNCING", "INACTIVE"]},
        "campaign_ids": _array(_TEXT),
        "updated_at": _WHEN,
    }
)
_COUNT: JSON = {"type": "integer", "minimum": 0}
_MEAN: JSON = {"type": "number", "minimum": 0}


def _page(name: str, rows: JSON) -> JSON:
    one = {"type": "integer", "minimum": 1}
    return _object({name: _array(rows), "page": one, "page_size": one, "total": _COUNT})


EXAMPLE: JSON = {
    "campaign_id": "1001",
    "timezone": "America/New_York",
    "start_time": "2027-03-08T14:00:00Z",
    "end_time": "2027-03-20T00:00:00Z",
    "dial_rate": 2.5,
    "max_concurrent_calls": 240,
    "compliance_windows": [{"timezone": "America/New_York", "start_hour": 9, "end_hour": 20}],
    "dnc_verification": True,
}
"""A schedule that the platform takes, for campaign 1001."""

SCHEMAS: JSON = {
    "Window": _object({"start_hour": _HOUR, "end_hour": _HOUR, "timezone": _ZONE}),
    "Schedule": _object(_SCHEDULE),
    "StoredSchedule": _object({**_SCHEDULE, "id": _TEXT, "updated_at": _WHEN, "updated_by": _TEXT}),
    "Settings": _object(
        {"max_dial_rate": {"type": "number"}, "max_concurrent_calls": {"type": "integer"}},
        required=(),
    ),
    "Campaign": _object({**_BRIEF, "dialer": _DIALER}),
    "Campaigns": _page(
        "campaigns",
        _object(
            {**_BRIEF, "dialer": _DIALER, "schedule": _STORED, "etag": _MAYBE},
            required=tuple(_BRIEF),
        ),
    ),
    "Lists": _page("lists", _LIST),
    "Token": _object(
        {
            "access_token": _TEXT,
            "token_type": {"const": "bearer"},
            "expires_in": {"const": 1800},
            "scope": _TEXT,
        }
    ),
    "TokenRequest": _object(
        {
            "grant_type": {"const": "client_credentials"},
            "client_id": _TEXT,
            "client_secret": {"type": "string", "format": "password"},
            "scope": {**_TEXT, "description": "space-separated; absent asks for all"},
        },
        required=("grant_type", "client_id", "client_secret"),
    ),
    "BadGrant": _object({"error": {"enum": ["unsupported_grant_type", "invalid_scope"]}}),
    "Metrics": _object(
        {
            "buckets": _array(
                _object(
                    {"start": _WHEN}
                    | dict.fromkeys(("attempts", "answers", "abandons"), _COUNT)
                    | dict.fromkeys(("agents", "handle_time_s"), _MEAN)
                )
            )
        }
    ),
    "Event": _object({"id": _ID, "type": _ID, "at": _WHEN, "campaign_id": _ID}, closed=False),
    "Events": _object({"events": _array(_ref("Event"), rules.MAX_EVENTS)}),
    "Accepted": _object({"accepted": _COUNT}),
    "Errors": _object({"errors": _array(_object({"field": _TEXT, "message": _TEXT}))}),
    "Error": _object({"error": _TEXT}),
    "Forbidden": _object({"error": _TEXT, "required_scope": {"enum": list(SCOPES)}}),
}
"""Every body, by name."""

_DATE: JSON = {"Date": {"required": True, "schema": _TEXT, "description": "the platform's clock"}}
_RETRY: JSON = {"Retry-After": {"schema": _TEXT, "description": "seconds, or a date"}}
_TAG: JSON = {"ETag": {"schema": _TEXT, "description": 'quoted id of what is stored: "<id>"'}}


def _answer(description: str, schema: str | None = None, headers: JSON | None = None) -> JSON:
    content = {} if schema is None else {"content": {"application/json": {"schema": _ref(schema)}}}
    return {"description": description, "headers": _DATE | (headers or {}), **content}


def _plain(description: str) -> JSON:
    content = {"text/plain": {"schema": _TEXT}}
    return {"description": description, "headers": _DATE, "content": content}


_ALWAYS: dict[int, JSON] = {
    429: _answer("over the rate limit", "Error", _RETRY),
    500: _plain("the server broke"),
    503: _plain("the server is down"),
}
_COMMON: dict[int, JSON] = _ALWAYS | {
    400: _answer("something is wrong with the request: every field of it", "Errors"),
    401: _answer("no, an unknown or an expired token", "Error"),
    403: _answer("the token lacks a scope", "Forbidden"),
}
_NO_CAMPAIGN = {404: _answer("no such campaign", "Error")}
_NOTHING = {404: _answer("no such campaign, or it has no schedule", "Error")}
_KEYED = {
    409: _answer("a request with this key is in flight", "Error"),
    412: _answer("what is stored is not what was read", "Error"),
    422: _answer("the key was used for another body", "Error"),
}


def _query(name: str, schema: JSON) -> JSON:
    return {"name": name, "in": "query", "schema": schema}


def _hour(name: str, example: str) -> JSON:
    return {"name": name, "in": "query", "required": True, "schema": _WHEN, "example": example}


def _header(name: str, *, required: bool = False, pattern: str = '^(\\*|"[!#-~]+")$') -> JSON:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "required": required, "schema": schema}


def _paging(most: int) -> list[JSON]:
    number = {"type": "integer", "minimum": 1, "maximum": 999_999_999, "default": 1}
    return [
        _query("page", number),
        _query("page_size", {**number, "maximum": most, "default": 100}),
    ]


_KEY = _header("Idempotency-Key", required=True, pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")
_CAMPAIGN: JSON = {
    "name": "campaign_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "example": "1001",
}


def _row(
    name: str,
    summary: str,
    answers: Mapping[int, JSON],
    *,
    scope: str | None,
    parameters: tuple[JSON, ...] = (),
    body: JSON | None = None,
) -> JSON:
    security: JSON = {} if scope is None else {"security": [{"token": [scope]}]}
    extra = security | (
        {} if body is None else {"requestBody": {"required": True, "content": body}}
    )
    if parameters:
        extra["parameters"] = list(parameters)
    return {
        "name": name,
        "operation_id": name,
        "summary": summary,
        "status_code": next(iter(answers)),
        "responses": dict(answers),
        "openapi_extra": extra,
    }


def _body(schema: str) -> JSON:
    examples = {"examples": {"one": {"value": EXAMPLE}}} if schema == "Schedule" else {}
    return {"application/json": {"schema": _ref(schema), **examples}}


_ROWS: Mapping[tuple[str, str], JSON] = {
    ("POST", "/api/oauth2/token"): _row(
        "get_token",
        "Ask for an access token",
        {
            200: _answer("a JWT, good for half an hour", "Token"),
            400: _answer("another grant, or a scope that the client does not have", "BadGrant"),
            401: _answer("unknown client, or another secret", "Error"),
            **_ALWAYS,
        },
        scope=None,
        body={"application/x-www-form-urlencoded": {"schema": _ref("TokenRequest")}},
    ),
    ("GET", "/api/dialer/settings"): _row(
        "get_settings",
        "Read the tenant's limits; absent keys mean 50 and 2000",
        {200: _answer("the limits", "Settings"), **_COMMON},
        scope="dialer:read",
    ),
    ("GET", "/api/dnc/lists"): _row(
        "get_lists",
        "List the do-not-call lists and the campaigns they are linked to, by id",
        {200: _answer("a page", "Lists"), **_COMMON},
        scope="dnc:read",
        parameters=tuple(_paging(100)),
    ),
    ("GET", "/api/campaigns"): _row(
        "get_campaigns",
        "List the campaigns, by id; with expand, what each has stored",
        {200: _answer("a page", "Campaigns"), **_COMMON},
        scope="campaigns:read",
        parameters=(*_paging(1000), _query("expand", {"enum": ["schedule"]})),
    ),
    ("GET", "/api/campaigns/{campaign_id}"): _row(
        "get_campaign",
        "Read what a campaign has stored and what the dialer has active",
        {200: _answer("the campaign", "Campaign"), **_COMMON, **_NO_CAMPAIGN},
        scope="campaigns:read",
        parameters=(_CAMPAIGN,),
    ),
    ("GET", "/api/campaigns/{campaign_id}/schedule"): _row(
        "get_schedule",
        "Read the stored schedule",
        {
            200: _answer("the schedule", "StoredSchedule", _TAG),
            304: _answer("it is the one you have", None, _TAG),
            **_COMMON,
            **_NOTHING,
        },
        scope="campaigns:read",
        parameters=(_CAMPAIGN, _header("If-None-Match")),
    ),
    ("POST", "/api/campaigns/{campaign_id}/schedule"): _row(
        "post_schedule",
        "Store a schedule, whole; it dials after a refresh",
        {201: _answer("stored", "StoredSchedule", _TAG), **_COMMON, **_NO_CAMPAIGN, **_KEYED},
        scope="campaigns:write",
        parameters=(
            _CAMPAIGN,
            _KEY,
            _header("If-Match"),
            _header("If-None-Match", pattern="^\\*$"),
        ),
        body=_body("Schedule"),
    ),
    ("DELETE", "/api/campaigns/{campaign_id}/schedule"): _row(
        "delete_schedule",
        "Remove the stored schedule; what dials goes on until a refresh",
        {204: _answer("removed"), **_COMMON, **_NOTHING, **_KEYED},
        scope="campaigns:write",
        parameters=(_CAMPAIGN, _KEY, _header("If-Match")),
    ),
    ("PUT", "/api/campaigns/{campaign_id}/actions/refresh"): _row(
        "put_refresh",
        "Have the dialer take what is stored",
        {
            202: _answer("it will, a moment later"),
            **_COMMON,
            **_NO_CAMPAIGN,
            500: _plain("the dialer is locked, or a linked DNC list is SYNCING: wait"),
        },
        scope="campaigns:write",
        parameters=(_CAMPAIGN,),
    ),
    ("GET", "/api/campaigns/{campaign_id}/metrics"): _row(
        "get_metrics",
        "Read the hours of [from, to), whole hours, at most 92 days",
        {
            200: _answer("an hour each, UTC; a missing one has no data", "Metrics"),
            **_COMMON,
            **_NO_CAMPAIGN,
        },
        scope="campaigns:read",
        parameters=(
            _CAMPAIGN,
            _hour("from", "2027-02-01T00:00:00Z"),
            _hour("to", "2027-02-08T00:00:00Z"),
        ),
    ),
    ("POST", "/api/telemetry/events"): _row(
        "post_events",
        "Hand in telemetry; the same id counts once",
        {202: _answer("how many were new", "Accepted"), **_COMMON},
        scope="telemetry:write",
        body=_body("Events"),
    ),
}


TOKEN: JSON = {
    "type": "oauth2",
    "flows": {
        "clientCredentials": {
            "tokenUrl": "/api/oauth2/token",
            "scopes": dict.fromkeys(SCOPES, ""),
        }
    },
}


def describe(method: str, path: str) -> JSON:
    """Return the arguments of FastAPI's `add_api_route` for one operation."""
    return _ROWS[method, path]
