"""The OpenAPI description of the Personal Connection API as the sandbox implements it."""

from __future__ import annotations

from typing import Final

from reconciler.sandbox.openapi import JSON
from reconciler.sandbox.skill_rules import DAYS, MAX_ABANDON_RATE, MAX_RATIO, MAX_RINGING_S

DESCRIPTION: Final = (
    "Personal Connection skills: a weekly schedule, calling hours by time zone, pacing, DNC groups. Strict: an unknown"
    " version, parameter or field is an error. A write replaces a whole block and acts at once; 206 says that a part of"
    " it was not taken. Paths may differ in letter case and double their slashes. The reason of a 404 stands in the header icStatusDescription alone."
)

_TEXT: JSON = {"type": "string"}
_FLAG: JSON = {"type": "boolean"}
_TIME: JSON = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}
_COUNT: JSON = {"type": "integer", "minimum": 0}


def _object(properties: JSON) -> JSON:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _number(low: float, high: float) -> JSON:
    return {"type": "number", "minimum": low, "maximum": high}


def _listed(*names: str) -> JSON:
    rows = {"type": "array", "items": {"type": "object"}}
    return {"type": "object", "properties": dict.fromkeys(names, rows), "minProperties": 1}


SCHEMAS: Final[JSON] = {
    "Schedule": _object(
        {
            "isScheduled": _FLAG,
            **{
                f"{day}{part}": schema
                for day in DAYS
                for part, schema in (("StartTime", _TIME), ("EndTime", _TIME), ("IsActive", _FLAG))
            },
        }
    ),
    "Zone": _object(
        {
            "standardName": {**_TEXT, "minLength": 1},
            "startTime": _TIME,
            "endTime": _TIME,
            "timeZoneActiveToCall": _FLAG,
            "overrideTime": _FLAG,
        }
    ),
    "General": _object(
        {
            "maximumRatio": _number(1, MAX_RATIO),
            "minimumRatio": _number(1, MAX_RATIO),
            "aggressiveness": {**_TEXT, "minLength": 1},
            "blockMultipleCalls": _FLAG,
            "percentageOfAgentsBeforeOverdial": _number(0, 100),
            "abandonRateThreshold": _number(0, MAX_ABANDON_RATE),
            "abandonRateCutoff": _number(0, 100),
            "overrideBusinessUnitAbandonRate": _FLAG,
            "maximumRingingDuration": _number(1, MAX_RINGING_S),
            "callerIdOverride": {**_TEXT, "minLength": 1},
        }
    ),
    "ScheduleSettings": _object({"scheduleSettings": {"$ref": "#/components/schemas/Schedule"}}),
    "TimeZoneSettings": _object(
        {
            "timeZoneSettings": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Zone"},
            }
        }
    ),
    "GeneralSettings": _object({"generalSettings": {"$ref": "#/components/schemas/General"}}),
    "Error": _object({"error": _TEXT, "error_description": _TEXT}),
    "Token": _object(
        {
            "access_token": _TEXT,
            "refresh_token": _TEXT,
            "id_token": _TEXT,
            "token_type": _TEXT,
            "expires_in": _COUNT,
        }
    ),
    "RefreshToken": {
        "type": "object",
        "properties": dict.fromkeys(("token", "refreshToken", "refresh_token"), _TEXT),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    },
    "AccessKey": _object({"accessKeyId": _TEXT, "accessKeySecret": _TEXT}),
    "PasswordGrant": {
        "type": "object",
        "properties": {"grant_type": {"enum": ["password"]}, "username": _TEXT, "password": _TEXT},
        "required": ["grant_type", "username", "password"],
    },
}
"""Every body that has a fixed form, by name."""

_DATE: Final[JSON] = {
    "Date": {"required": True, "schema": _TEXT, "description": "the platform's clock"}
}
_BLOCKS: Final = {
    "schedule-settings": "ScheduleSettings",
    "time-zones": "TimeZoneSettings",
    "general-settings": "GeneralSettings",
}
_REASON: Final[JSON] = {"icStatusDescription": {"schema": _TEXT, "description": "why"}}


def _answer(description: str, schema: JSON | None = None, headers: JSON | None = None) -> JSON:
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": description, "headers": _DATE | (headers or {}), **content}


def _ref(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


def _plain(description: str) -> JSON:
    content = {"text/plain": {"schema": _TEXT}}
    return {"description": description, "headers": _DATE, "content": content}


_ALWAYS: Final[dict[int, JSON]] = {
    400: _answer("something is wrong with the request", _ref("Error"), _REASON),
    401: _answer("no, an unknown or an expired token; or a key that is not one", _ref("Error")),
    429: _answer("over a limit that nobody published", _ref("Error")),
    500: _plain("the server broke"),
    503: _plain("the server is down"),
}
_MORE: Final[dict[str, tuple[int, ...]]] = {
    "get_openid": (200,),
    "get_configuration": (200, 404),
    "post_access_key": (200,),
    "post_token": (200,),
    "post_refresh": (200,),
    "get_unit": (200, 403, 404),
    "get_zones": (200, 403, 404),
    "get_skills": (200, 204, 403, 404),
    "get_parameters": (200, 204, 403, 404),
    "get_skill": (200, 403, 404),
    "get_block": (200, 403, 404),
    "put_block": (204, 206, 403, 404),
    "post_stop": (202, 403, 404, 409),
    "get_groups": (200, 204, 403, 404),
    "get_scrubbed": (200, 204, 403, 404),
    "post_scrubbed": (204, 403, 404, 409),
    "delete_scrubbed": (204, 403, 404),
    "get_contacts": (200, 204, 403, 404),
}
"""Answers of each handler, in addition to the common ones."""

_SAID: Final[dict[int, JSON]] = {
    202: _answer("it will be done, a moment later"),
    204: _answer("done, or nothing to list"),
    206: _answer("a part of it was not taken: the items say which", {"type": "object"}),
    403: _answer("the role does not allow it", _ref("Error")),
    404: _answer("no such version, skill or group", None, _REASON),
    409: _answer("it is so already", _ref("Error")),
}
_FOUND: Final[dict[str, JSON]] = {
    "post_access_key": _ref("Token"),
    "post_token": _ref("Token"),
    "post_refresh": _ref("Token"),
    "get_zones": {"type": "array", "items": {"type": "object"}},
    "get_skills": _listed("skills"),
    "get_parameters": _listed("skills"),
    "get_groups": _listed("dncGroups"),
    "get_scrubbed": _listed("scrubbedSkills"),
    "get_contacts": _listed("wfM_OB_StatsV9", "outboundStats"),
}
_PAGE: Final[tuple[JSON, ...]] = (
    {"name": "skip", "in": "query", "schema": {**_COUNT, "maximum": 999_999_999}},
    {"name": "top", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
)
_QUERIES: Final[dict[str, tuple[JSON, ...]]] = {
    "get_configuration": ({"name": "tenantId", "in": "query", "required": True, "schema": _TEXT},),
    "get_skills": (
        {"name": "isActive", "in": "query", "schema": {"enum": ["true", "false"]}},
        *_PAGE,
    ),
    "get_scrubbed": _PAGE,
    "get_contacts": tuple(
        {
            "name": name,
            "in": "query",
            "required": True,
            "schema": {"type": "string", "format": "date-time"},
            "example": example,
        }
        for name, example in (
            ("startDate", "2027-02-01T00:00:00Z"),
            ("endDate", "2027-02-08T00:00:00Z"),
        )
    ),
}


TOKEN: Final[JSON] = {"type": "http", "scheme": "bearer"}


def describe(method: str, path: str, handler: str, said: str) -> JSON:
    """Return the arguments of FastAPI's `add_api_route` for one operation."""
    codes = {
        code: _SAID.get(code) or _answer("found", _schema(handler, path)) for code in _MORE[handler]
    }
    operation: JSON = {
        "parameters": [*_in_path(path), *_QUERIES.get(handler, ())],
        "security": [] if _is_open(path) else [{"token": []}],
    }
    if body := _body(handler, path):
        operation["requestBody"] = {"required": True, "content": body}
    summary = said.partition("\n")[0].rstrip(".")
    block = path.rpartition("/")[2].replace("-", "_") if handler.endswith("_block") else ""
    return {
        "operation_id": f"{handler}_{block}".rstrip("_"),
        "summary": summary,
        "responses": {
            code: codes.get(code) or _ALWAYS[code] for code in sorted({*codes, *_ALWAYS})
        },
        "openapi_extra": operation,
        "tags": [method],
    }


def _is_open(path: str) -> bool:
    return not path.startswith("/inContactAPI/")


def _schema(handler: str, path: str) -> JSON:
    block = _BLOCKS.get(path.rpartition("/")[2])
    return (
        _ref(block) if handler == "get_block" and block else _FOUND.get(handler, {"type": "object"})
    )


def _body(handler: str, path: str) -> JSON:
    if handler == "put_block":
        return {"application/json": {"schema": _ref(_BLOCKS[path.rpartition("/")[2]])}}
    if handler == "post_access_key":
        return {"application/json": {"schema": _ref("AccessKey")}}
    if handler == "post_refresh":
        return {"application/json": {"schema": _ref("RefreshToken")}}
    if handler == "post_token":
        return {"application/x-www-form-urlencoded": {"schema": _ref("PasswordGrant")}}
    return {}


def _in_path(path: str) -> list[JSON]:
    examples = {"version": "v33.0", "skill_id": "4001", "group_id": "70"}
    return [
        {"name": name, "in": "path", "required": True, "schema": _TEXT, "example": example}
        for name, example in examples.items()
        if f"{{{name}}}" in path
    ]
