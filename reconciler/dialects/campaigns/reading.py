"""Reading: limits, do-not-call lists and campaigns, in as few calls as the server allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from reconciler.dialects.base import JSON, Call, Exchange, Live, ScrubList, Snapshot
from reconciler.dialects.campaigns.answers import Answer, explain, is_id, pages
from reconciler.errors import ApiError

DEFAULT_CEILINGS: Final = {"max_dial_rate": 50.0, "max_concurrent_calls": 2000.0}
"""The brief's defaults, where the dialer's settings leave a key out."""

PLATFORM_FIELDS: Final = ("id", "updated_at", "updated_by")
"""What the platform adds to a stored schedule; never desired, never compared."""

CAMPAIGNS_PAGE: Final = 1000
LISTS_PAGE: Final = 100
NOT_FOUND: Final = 404
BAD_REQUEST: Final = 400


def path(key: str, *rest: str) -> str:
    """Return the path of a campaign, or of what is below it."""
    return "/".join(("/api/campaigns", quote(key, safe=""), *rest))


def read() -> Exchange[Snapshot]:
    """Read limits, all pages of the lists and all campaigns, in as few rounds as the pages allow."""
    calls = (Call("GET", "/api/dialer/settings"), lists_page(), campaigns_page(expand=True))
    replies = yield calls
    settings, lists, campaigns = map(Answer, calls, replies)
    limits = ceilings(settings)
    linked = yield from scrubs(lists)
    objects = yield from _campaigns(campaigns)
    return Snapshot(objects, limits, linked, _clock(settings, lists, campaigns))


def read_one(key: str) -> Exchange[Live]:
    """Read one campaign and its schedule; a campaign without one answers 404 on the schedule alone."""
    calls = _calls_of(key)
    replies = yield calls
    return _read_alone(key, *map(Answer, calls, replies))


def read_some(keys: Sequence[str] | None) -> Exchange[Mapping[str, Live]]:
    """Read the list of campaigns for `keys` (`None`: all); where the server cannot expand it, these one by one."""
    call = campaigns_page(expand=True)
    (reply,) = yield (call,)
    return (yield from _campaigns(Answer(call, reply), keys))


def _calls_of(key: str) -> tuple[Call, Call]:
    schedule = Call("GET", path(key, "schedule"), expects=frozenset({200, NOT_FOUND}))
    return Call("GET", path(key)), schedule


def _read_alone(key: str, campaign: Answer, schedule: Answer) -> Live:
    if campaign.body.get("id") != key:
        raise campaign.wrong(f"the answer is not about campaign {key}")
    if schedule.reply.status == NOT_FOUND:
        return _live(campaign, campaign.body, None, None)
    return _live(schedule, campaign.body, schedule.body, schedule.reply.headers.get("etag"))


def campaigns_page(*, expand: bool) -> Call:
    """Return the call for page 1; with `expand`, a 400 is an answer to read: the server may not know the word."""
    params = {"page": "1", "page_size": str(CAMPAIGNS_PAGE)}
    if not expand:
        return Call("GET", "/api/campaigns", params=params)
    expects = frozenset({200, BAD_REQUEST})
    return Call("GET", "/api/campaigns", params={**params, "expand": "schedule"}, expects=expects)


def _campaigns(first: Answer, keys: Sequence[str] | None = None) -> Exchange[dict[str, Live]]:
    if first.reply.status == BAD_REQUEST:
        reasons = explain(first.reply)
        if not any("expand" in reason for reason in reasons):
            raise ApiError(first.reply.status, first.call.where, reasons)
        call = campaigns_page(expand=False)
        (reply,) = yield (call,)
        first = Answer(call, reply)
    rows = yield from pages(first, "campaigns", CAMPAIGNS_PAGE)
    if "expand" in first.call.params and all("schedule" in row and "dialer" in row for row in rows):
        asked = None if keys is None else frozenset(keys)
        return {
            row["id"]: _expanded(first, row) for row in rows if asked is None or row["id"] in asked
        }
    return (yield from _each([row["id"] for row in rows] if keys is None else keys))


def _expanded(answer: Answer, row: dict[str, Any]) -> Live:
    return _live(answer, row, row["schedule"], answer.text(row, "etag"))


def _each(keys: Sequence[str]) -> Exchange[dict[str, Live]]:
    """Read campaigns one by one: for servers that do not know `expand`."""
    calls = [call for key in keys for call in _calls_of(key)]
    replies = (yield tuple(calls)) if calls else ()
    answers = list(map(Answer, calls, replies))
    return {
        key: _read_alone(key, campaign, schedule)
        for key, campaign, schedule in zip(keys, answers[::2], answers[1::2], strict=True)
    }


def _live(answer: Answer, campaign: Mapping[str, Any], schedule: JSON, etag: str | None) -> Live:
    """Return a campaign as the engine knows it. Takes the platform's own fields out of `schedule`, which is ours alone."""
    dialer = campaign.get("dialer") or {}
    stored = schedule if schedule is not None else {}
    if not isinstance(dialer, dict) or not isinstance(stored, dict):
        raise answer.wrong(f"`dialer` or `schedule` of {campaign['id']} is not an object")
    if schedule is not None and not is_id(stored.get("id")):
        raise answer.wrong(f"the schedule of {campaign['id']} has no id")
    live = Live(
        key=campaign["id"],
        name=answer.text(campaign, "name") or "",
        running=campaign.get("status") == "RUNNING",
        stored=schedule,
        version=etag,
        stored_id=stored.get("id"),
        active_id=answer.text(dialer, "active_schedule_id"),
        stored_at=answer.text(stored, "updated_at"),
        activated_at=answer.text(dialer, "activated_at"),
    )
    for name in PLATFORM_FIELDS:
        stored.pop(name, None)
    return live


def ceilings(settings: Answer) -> dict[str, float]:
    """Return the tenant's limits by our names, the brief's defaults where a key is left out."""
    names = {"dial_rate": "max_dial_rate", "max_concurrent_calls": "max_concurrent_calls"}
    found = {ours: settings.number(settings.body, theirs) for ours, theirs in names.items()}
    return {
        ours: float(DEFAULT_CEILINGS[names[ours]] if limit is None else limit)
        for ours, limit in found.items()
    }


def lists_page() -> Call:
    """Return the call for page 1 of the do-not-call lists."""
    return Call("GET", "/api/dnc/lists", params={"page": "1", "page_size": str(LISTS_PAGE)})


def scrubs(first: Answer) -> Exchange[dict[str, tuple[ScrubList, ...]]]:
    """Read the rest of the do-not-call lists, and return them by the campaigns that they are linked to."""
    rows = yield from pages(first, "lists", LISTS_PAGE)
    linked: dict[str, tuple[ScrubList, ...]] = {}
    for row in rows:
        keys = row.get("campaign_ids") or []
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise first.wrong("`campaign_ids` is not a list of ids")
        name, status = first.text(row, "name") or "", first.text(row, "status") or ""
        entry = ScrubList(row["id"], name, status, first.text(row, "updated_at"))
        for key in keys:
            linked[key] = (*linked.get(key, ()), entry)
    return linked


def _clock(*answers: Answer) -> datetime:
    seen = [answer.reply.at for answer in answers if answer.reply.at is not None]
    if not seen:
        raise answers[0].wrong("the platform sends no Date, so its clock is unknown")
    return max(seen)
