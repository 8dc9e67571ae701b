"""HTTP handlers of the Personal Connection API: parse a request, call the platform, build the answer. One handler for each contract row.

Both formats of the settings exist on purpose, as at the vendor: `/skills/parameters` has the same settings as the three
blocks. A refusal has its reason in the body, or only in the header `icStatusDescription` (`quiet`).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from sqlite3 import Row
from typing import Any, Final

from reconciler.sandbox import skill_rules as rules
from reconciler.sandbox import skill_state as skills
from reconciler.sandbox.clock import from_ms, parse_instant
from reconciler.sandbox.connection_login import (
    get_configuration,
    get_openid,
    post_access_key,
    post_refresh,
    post_token,
)
from reconciler.sandbox.errors import (
    Down,
    Failed,
    Invalid,
    NotFound,
    Refusal,
    SandboxMissing,
    TooMany,
)
from reconciler.sandbox.http import JSON_TYPE, Answer, Call, Front, Operation, mount
from reconciler.sandbox.lenient import Lenient
from reconciler.sandbox.skill_state import KNOWN_ZONES, SkillState

try:
    from fastapi import FastAPI

    from reconciler.sandbox import connection_openapi as described
    from reconciler.sandbox.openapi import Described
except ImportError as error:
    raise SandboxMissing from error

VERSIONS: Final = range(20, 35)
"""Versions of the API that are spoken: v20.0 to v34.0."""

TOP: Final = 100
"""Rows of a page, at most."""

ROOT = "/inContactAPI/services/{version}"
_NUMBER = re.compile(r"[0-9]{1,9}")
_BLOCKS: Final = {
    "schedule-settings": (skills.SCHEDULE, "scheduleSettings"),
    "time-zones": (skills.ZONES, "timeZoneSettings"),
    "general-settings": (skills.GENERAL, "generalSettings"),
}


def create_connection_app(
    state: SkillState,
    *,
    drop: Callable[[], Exception] = ConnectionResetError,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> FastAPI:
    """Return the Personal Connection API over a platform: an ASGI app without a lifespan, described at `/openapi.json`.

    Args:
        state: the platform to serve.
        drop: makes what the app raises, in process, where a fault drops the connection.
        sleep: waits the seconds given, for the fault `slow`.
    """
    app = Described(
        title="CXone Personal Connection API (sandbox)",
        version="34",
        description=described.DESCRIPTION,
        schemas=described.SCHEMAS,
        token=described.TOKEN,
    )
    mount(app, Front(state, drop, sleep, refuse=refusing), OPERATIONS)
    app.add_middleware(Lenient, paths=[operation.path for operation in OPERATIONS])
    return app


def refusing(refusal: Refusal) -> Answer:
    """Return the HTTP answer for a refusal in this API's format."""
    if isinstance(refusal, TooMany):
        return Answer(refusal.status, _said("TooManyRequests", "rate limit exceeded"))
    if isinstance(refusal, Failed | Down):
        return Answer.refusing(refusal)
    if isinstance(refusal, Invalid):
        reason = "; ".join(f"{field} {message}" for field, message in refusal.errors)
        return Answer(
            400, _said("InvalidParameter", reason), _reason(f"InvalidParameter: {reason}")
        )
    if isinstance(refusal, NotFound):  # the reason is only in the header
        return Answer(404, "", _reason(refusal.what))
    word = str(refusal.payload["error"]) if isinstance(refusal.payload, dict) else refusal.payload
    return Answer(refusal.status, _said(word, f"the request was refused: {word}"), refusal.headers)


def _said(error: str, description: str) -> str:
    return json.dumps({"error": error, "error_description": description})


def _reason(text: str) -> dict[str, str]:
    return {"icStatusDescription": text.encode("ascii", "replace").decode()}


# -- reading


async def get_unit(state: SkillState, call: Call) -> Answer:
    """Return the business unit and its permissions."""
    _spoken(call)
    return Answer.of({"businessUnits": [state.unit()]})


async def get_zones(_: SkillState, call: Call) -> Answer:
    """List the zones that the platform knows, by their Windows names."""
    _spoken(call)
    rows = [
        {"displayName": shown, "standardName": name, "offset": shown[4:10]}
        for name, shown in KNOWN_ZONES.items()
    ]
    return Answer.of(rows)


async def get_skills(state: SkillState, call: Call) -> Answer:
    """List skills, a page at a time; 204 when there is none."""
    _spoken(call)
    query = call.query()
    skip, top = _page(query)
    wanted = query.get("isActive")
    if wanted not in {None, "true", "false"}:
        raise Invalid([("isActive", "must be true or false")])
    active = None if wanted is None else wanted == "true"
    every = state.skills(active=active)
    rows = [_brief(row) for row in every[skip : skip + top]]
    return _listed({"totalRecords": len(every), "skills": rows}, rows)


async def get_parameters(state: SkillState, call: Call) -> Answer:
    """Return the settings of all outbound skills in bulk, in another format than the blocks."""
    _spoken(call)
    if "no-bulk" in call.strikes:
        raise NotFound("there is no such resource")
    rows = [_bulk(row, odd="odd-bulk" in call.strikes) for row in state.skills() if row["outbound"]]
    return _listed({"skills": rows}, rows)


async def get_skill(state: SkillState, call: Call) -> Answer:
    """Return one skill."""
    _spoken(call)
    row = state.skill(_id(call, "skill_id"))
    return Answer.of({**_brief(row), "agentless": False, "agentlessPorts": 0})


async def get_block(state: SkillState, call: Call) -> Answer:
    """Return one block of a skill's settings."""
    _spoken(call)
    block, name = _block(call)
    return Answer.of({name: json.loads(state.skill(_id(call, "skill_id"))[block])})


async def get_groups(state: SkillState, call: Call) -> Answer:
    """List the DNC groups; 204 when there is none."""
    _spoken(call)
    call.query()
    rows = [
        {
            "dncGroupId": row["id"],
            "dncGroupName": row["name"],
            "isActive": bool(row["active"]),
            "isRemoved": bool(row["removed"]),
            "validRecords": row["records"],
            "lastUpdateTime": row["updated_at"],
        }
        for row in state.groups()
    ]
    return _listed({"totalRecords": len(rows), "dncGroups": rows}, rows)


async def get_scrubbed(state: SkillState, call: Call) -> Answer:
    """List the skills that a group scrubs, a page at a time; 204 when there is none."""
    _spoken(call)
    skip, top = _page(call.query())
    every = state.scrubbed(_id(call, "group_id"))
    rows = [{"skillId": skill} for skill in every[skip : skip + top]]
    return _listed({"totalRecords": len(every), "scrubbedSkills": rows}, rows)


async def get_contacts(state: SkillState, call: Call) -> Answer:
    """Return the contacts dialed in [startDate, endDate), by hour, under either of the list's two names."""
    _spoken(call)
    query = call.query()
    start, end = _instant(query, "startDate"), _instant(query, "endDate")
    if end <= start:
        raise Invalid([("endDate", "must be after startDate")])
    rows = [
        {
            "skillId": row["skill_id"],
            "intervalStartDate": from_ms(row["start_ms"]).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **json.loads(row["figures"]),
        }
        for row in state.contacts(start, end)
    ]
    return _listed(
        {"outboundStats" if "old-stats" in call.strikes else "wfM_OB_StatsV9": rows}, rows
    )


# -- writing


async def put_block(state: SkillState, call: Call) -> Answer:
    """Replace one block of a skill's settings, whole; it acts at once. 206 when something in it was not taken."""
    _spoken(call)
    block, name = _block(call)
    value = rules.block(call.raw, name)
    if "partial" in call.strikes:
        failed = [{"parameter": name, "success": False, "error": "a fault that was asked for"}]
        return Answer.of({"results": failed}, 206)
    failed = state.write(_id(call, "skill_id"), block, value, call.client)
    return Answer.of({name: failed}, 206) if failed else Answer(204)


async def post_scrubbed(state: SkillState, call: Call) -> Answer:
    """Make a DNC group scrub a skill."""
    _spoken(call)
    state.link(_id(call, "group_id"), _id(call, "skill_id"), call.client)
    return Answer(204)


async def delete_scrubbed(state: SkillState, call: Call) -> Answer:
    """Stop a DNC group from scrubbing a skill."""
    _spoken(call)
    state.unlink(_id(call, "group_id"), _id(call, "skill_id"), call.client)
    return Answer(204)


async def post_stop(state: SkillState, call: Call) -> Answer:
    """Stop a skill, a moment later; 409 when it does not run."""
    _spoken(call)
    state.stop(_id(call, "skill_id"), call.client)
    return Answer(202)


# -- words


def _spoken(call: Call) -> None:
    """Refuse an unsupported version."""
    match = re.fullmatch(r"v([1-9][0-9])\.0", _id(call, "version"))
    if match is None or int(match[1]) not in VERSIONS:
        raise NotFound("this version of the API does not exist")


def _id(call: Call, name: str) -> str:
    return str(call.request.path_params[name])


def _block(call: Call) -> tuple[str, str]:
    name = call.request.url.path.rpartition("/")[2]
    return _BLOCKS[name]


def _brief(row: Row) -> dict[str, Any]:
    return {
        "skillId": row["id"],
        "skillName": row["name"],
        "isActive": bool(row["active"]),
        "isOutbound": bool(row["outbound"]),
        "outboundStrategy": row["strategy"],
        "isRunning": bool(row["running"]),
        "campaignId": row["campaign_id"],
    }


def _bulk(row: Row, *, odd: bool) -> dict[str, Any]:
    week, pace = json.loads(row["schedule"]), json.loads(row["general"])
    days = [
        {
            "day": day.capitalize(),
            "active": week[f"{day}IsActive"],
            "startTime": f"{week[f'{day}StartTime']}:00",
            "endTime": f"{week[f'{day}EndTime']}:00",
        }
        for day in rules.DAYS
    ]
    zones = [
        {
            "name": zone["standardName"],
            "description": KNOWN_ZONES.get(zone["standardName"], ""),
            **{name: value for name, value in zone.items() if name != "standardName"},
        }
        for zone in json.loads(row["zones"])
    ]
    level = pace["aggressiveness"]
    pace["aggressiveness"] = int(level) + odd if level.isdigit() else 0
    return {
        "skillId": row["id"],
        "skillName": row["name"],
        "scheduleSettings": {"isScheduled": week["isScheduled"], "schedules": days},
        "timeZoneSettings": zones,
        "generalSettings": pace,
    }


def _listed(body: dict[str, Any], rows: list[dict[str, Any]]) -> Answer:
    return Answer.of(body) if rows else Answer(204)


def _page(query: dict[str, str]) -> tuple[int, int]:
    """Return the offset and the size of the requested page.

    Raises:
        Invalid: either is out of bounds.
    """
    skip, top = query.get("skip", "0"), query.get("top", str(TOP))
    errors = []
    if not _NUMBER.fullmatch(skip):
        errors.append(("skip", "must be an integer from 0"))
    if not (_NUMBER.fullmatch(top) and 1 <= int(top) <= TOP):
        errors.append(("top", f"must be an integer from 1 to {TOP}"))
    if errors:
        raise Invalid(errors)
    return int(skip), int(top)


def _instant(query: dict[str, str], name: str) -> datetime:
    text = query.get(name, "")
    if not text.endswith("Z"):
        raise Invalid([(name, "must be an instant that ends in Z")])
    try:
        return parse_instant(text)
    except ValueError as error:
        raise Invalid([(name, str(error))]) from None


_READ, _WRITE, _DNC = "campaigns:read", "campaigns:write", "dnc:read"
"""What a role of this platform allows, by the names that the sandbox's clients have anyway."""


def _operation(
    method: str,
    path: str,
    handle: Callable[[SkillState, Call], Awaitable[Answer]],
    scope: str | None,
    **rest: Any,
) -> Operation:
    where = path if scope is None else ROOT + path
    said = described.describe(method, where, handle.__name__, handle.__doc__ or "")
    return Operation(method, where, handle, scope, describe=said, **rest)


OPERATIONS: Final = (
    _operation("GET", "/.well-known/openid-configuration", get_openid, None),
    _operation(
        "GET", "/.well-known/cxone-configuration", get_configuration, None, query=("tenantId",)
    ),
    _operation("POST", "/authentication/v1/token/access-key", post_access_key, None),
    _operation("POST", "/auth/token", post_token, None),
    _operation("POST", "/public/user/refresh", post_refresh, None),
    _operation("GET", "/business-unit", get_unit, _READ),
    _operation("GET", "/timezones", get_zones, _READ),
    _operation("GET", "/skills", get_skills, _READ, query=("isActive", "skip", "top")),
    _operation("GET", "/skills/parameters", get_parameters, _READ),
    _operation("GET", "/skills/{skill_id}", get_skill, _READ),
    *(
        _operation("GET", f"/skills/{{skill_id}}/parameters/{block}", get_block, _READ)
        for block in _BLOCKS
    ),
    *(
        _operation(
            "PUT", f"/skills/{{skill_id}}/parameters/{block}", put_block, _WRITE, takes=JSON_TYPE
        )
        for block in _BLOCKS
    ),
    _operation("POST", "/skills/{skill_id}/stop", post_stop, _WRITE),
    _operation("GET", "/dnc-groups", get_groups, _DNC),
    _operation(
        "GET", "/dnc-groups/{group_id}/scrubbed-skills", get_scrubbed, _DNC, query=("skip", "top")
    ),
    _operation("POST", "/dnc-groups/{group_id}/scrubbed-skills/{skill_id}", post_scrubbed, _WRITE),
    _operation(
        "DELETE", "/dnc-groups/{group_id}/scrubbed-skills/{skill_id}", delete_scrubbed, _WRITE
    ),
    _operation(
        "GET",
        "/wfm-data/skills/dialer-contacts",
        get_contacts,
        _READ,
        query=("startDate", "endDate"),
    ),
)
"""Every row of the contract's tables."""
