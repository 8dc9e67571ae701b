"""The campaigns API: a schedule per campaign, a refresh that the dialer takes later, do-not-call lists beside it.

Source: the platform's API description, "campaigns". What a server may leave out (keys, ETags, `expand`) is never relied on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from reconciler import effect
from reconciler.calendar import Hours, Window
from reconciler.dialects.base import (
    JSON,
    Bucket,
    Call,
    Capabilities,
    Credentials,
    Exchange,
    Live,
    Reply,
    ScrubList,
    Snapshot,
    Stored,
    Token,
    Waiting,
)
from reconciler.effect import Direction, Rule
from reconciler.errors import ApiError
from reconciler import models
from reconciler.models import Body

NAME: Final = "campaigns"
CAPABILITIES: Final = Capabilities(activation=True, conditional_writes=True, idempotency_keys=True)

DEFAULT_CEILINGS: Final = {"dial_rate": 50.0, "max_concurrent_calls": 2000.0}
"""The brief's defaults, where the dialer's settings leave a key out."""

CAMPAIGNS_PAGE: Final = 1000
LISTS_PAGE: Final = 100
MAX_PAGES: Final = 10_000
METRICS_SPAN: Final = timedelta(days=92)
EVENTS_PER_CALL: Final = 500
TOKEN_LIFETIME_S: Final = 1800
PLATFORM_FIELDS: Final = ("id", "updated_at", "updated_by")
"""What the platform adds to a stored schedule; never desired, never compared."""


# --- the kind -----------------------------------------------------------------------------------------------------------


def _windows(items: Iterable[Mapping[str, Any]]) -> tuple[Window, ...]:
    return tuple(
        sorted(
            Window(item["timezone"], item["start_hour"] * 60, item["end_hour"] * 60)
            for item in items
        )
    )


def _window_rule(
    live: Iterable[Mapping[str, Any]], desired: Iterable[Mapping[str, Any]]
) -> Direction:
    return effect.fewer_hours_tighten(_windows(live), _windows(desired))


class CampaignKind:
    """`CampaignSchedule`: what the engine may know of it."""

    name = "CampaignSchedule"
    rules: Mapping[str, Rule] = {
        "compliance_windows": _window_rule,
        "dial_rate": effect.lower_tightens,
        "dnc_verification": effect.true_tightens,
        "end_time": effect.earlier_tightens,
        "max_concurrent_calls": effect.lower_tightens,
        "start_time": effect.later_tightens,
        "timezone": effect.neutral,  # contract: serves display and the offset check alone
    }

    def canonical(self, raw: Body) -> Body:
        """Return a received schedule in the form that manifests compile to."""
        return models.canonical(raw)

    def hours(self, body: Body) -> Hours:
        """Return the span and the daily windows of a canonical body."""
        return Hours(
            _instant(body["start_time"]),
            _instant(body["end_time"]),
            _windows(body["compliance_windows"]),
        )

    def ceilings(self, body: Body) -> Mapping[str, float]:
        """Return calls per second and calls at once."""
        return {
            "dial_rate": body["dial_rate"],
            "max_concurrent_calls": body["max_concurrent_calls"],
        }

    def scrubs(self, body: Body) -> bool:
        """Return the do-not-call flag."""
        return bool(body["dnc_verification"])

    def audit_fields(self, body: Body) -> Mapping[str, JSON]:
        """Return the audit entry's fields, by the brief's names."""
        return {
            "campaign_id": body["campaign_id"],
            "compliance_windows": body["compliance_windows"],
            "dial_rate": body["dial_rate"],
            "max_concurrent": body["max_concurrent_calls"],
        }


KINDS: Final = {CampaignKind.name: CampaignKind()}


# --- signing in ---------------------------------------------------------------------------------------------------------


def authenticate(credentials: Credentials) -> Exchange[Token]:
    """Ask for a client-credentials token (contract: `POST /api/oauth2/token`)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
    }
    if credentials.scope:
        form["scope"] = credentials.scope
    call = Call("POST", "/api/oauth2/token", form=form, anonymous=True)
    (reply,) = yield (call,)
    answer = _object(call, reply)
    value = answer.get("access_token")
    if not isinstance(value, str) or not value:
        raise ApiError(reply.status, call.where, ["the answer holds no access_token"])
    lifetime = answer.get("expires_in", TOKEN_LIFETIME_S)
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float):
        lifetime = TOKEN_LIFETIME_S
    return Token(value, float(lifetime), frozenset(str(answer.get("scope") or "").split()))


# --- reading ------------------------------------------------------------------------------------------------------------


def read() -> Exchange[Snapshot]:
    """Read limits, all pages of the lists and all campaigns, in as few rounds as the pages allow."""
    first = (Call("GET", "/api/dialer/settings"), _lists_page(1), _campaigns_page(1, expand=True))
    settings, lists, campaigns = yield first
    rows = yield from _rest_of_lists(first[1], lists)
    objects = yield from _campaigns(first[2], campaigns)
    return Snapshot(
        objects,
        _ceilings(_object(first[0], settings)),
        _scrubs(rows),
        _clock(settings, lists, campaigns),
    )


def read_one(key: str) -> Exchange[Live]:
    """Read one campaign and its schedule; a campaign without one answers 404 on the schedule alone."""
    calls = _calls_of(key)
    campaign, schedule = yield calls
    return _live(_object(calls[0], campaign), *_stored_of(calls[1], schedule))


def _calls_of(key: str) -> tuple[Call, Call]:
    path = f"/api/campaigns/{quote(key, safe='')}"
    return Call("GET", path), Call("GET", f"{path}/schedule", expects=frozenset({200, 404}))


def _stored_of(call: Call, reply: Reply) -> tuple[dict[str, Any] | None, str | None]:
    if reply.status == 404:  # noqa: PLR2004 - the status is the contract's word
        return None, None
    return _object(call, reply), reply.headers.get("etag")


def _campaigns_page(page: int, *, expand: bool) -> Call:
    params = {"page": str(page), "page_size": str(CAMPAIGNS_PAGE)}
    if expand:
        params["expand"] = "schedule"
    return Call(
        "GET", "/api/campaigns", params=params, expects=frozenset({200, 400} if expand else {200})
    )


def _campaigns(call: Call, first: Reply) -> Exchange[dict[str, Live]]:
    if first.status == 400:  # noqa: PLR2004 - the status is the contract's word
        if not any("expand" in reason for reason in explain(first)):
            raise ApiError(first.status, call.where, explain(first))
        call = _campaigns_page(1, expand=False)
        (first,) = yield (call,)
    expanded = "expand" in call.params
    pages = yield from _pages(call, first, "campaigns", CAMPAIGNS_PAGE)
    rows = [row for page in pages for row in page]
    _same_list(call, [row["id"] for row in rows])
    if expanded and all("schedule" in row and "dialer" in row for row in rows):
        return {
            live.key: live
            for live in (_live(row, row["schedule"], row.get("etag")) for row in rows)
        }
    return (yield from _each([row["id"] for row in rows]))


def _each(keys: Sequence[str]) -> Exchange[dict[str, Live]]:
    """Read campaigns one by one: for servers that do not know `expand`."""
    pairs = [_calls_of(key) for key in keys]
    replies = yield tuple(call for pair in pairs for call in pair)
    objects = {}
    for key, calls, campaign, schedule in zip(
        keys, pairs, replies[::2], replies[1::2], strict=True
    ):
        objects[key] = _live(_object(calls[0], campaign), *_stored_of(calls[1], schedule))
    return objects


def _live(campaign: Mapping[str, Any], schedule: dict[str, Any] | None, etag: str | None) -> Live:
    """Return a campaign as the engine knows it. Takes the platform's own fields out of `schedule`, which is ours alone."""
    dialer = campaign.get("dialer") or {}
    stored_id = stored_at = None
    if schedule is not None:
        stored_id, stored_at, _ = (schedule.pop(name, None) for name in PLATFORM_FIELDS)
    return Live(
        key=campaign["id"],
        name=campaign.get("name", ""),
        running=campaign.get("status") == "RUNNING",
        stored=schedule,
        version=etag,
        stored_id=stored_id,
        active_id=dialer.get("active_schedule_id"),
        stored_at=stored_at,
        activated_at=dialer.get("activated_at"),
    )


def _lists_page(page: int) -> Call:
    return Call("GET", "/api/dnc/lists", params={"page": str(page), "page_size": str(LISTS_PAGE)})


def _rest_of_lists(call: Call, first: Reply) -> Exchange[list[dict[str, Any]]]:
    pages = yield from _pages(call, first, "lists", LISTS_PAGE)
    rows = [row for page in pages for row in page]
    _same_list(call, [row["id"] for row in rows])
    return rows


def _ceilings(settings: Mapping[str, Any]) -> dict[str, float]:
    names = {"dial_rate": "max_dial_rate", "max_concurrent_calls": "max_concurrent_calls"}
    return {
        ours: float(settings.get(theirs, DEFAULT_CEILINGS[ours])) for ours, theirs in names.items()
    }


def _scrubs(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[ScrubList, ...]]:
    linked: dict[str, list[ScrubList]] = {}
    for row in rows:
        entry = ScrubList(
            str(row["id"]),
            str(row.get("name", "")),
            str(row.get("status", "")),
            row.get("updated_at"),
        )
        for key in row.get("campaign_ids") or ():
            linked.setdefault(str(key), []).append(entry)
    return {key: tuple(entries) for key, entries in linked.items()}


def _clock(*replies: Reply) -> datetime:
    seen = [reply.at for reply in replies if reply.at is not None]
    if not seen:
        raise ApiError(
            replies[0].status, "any call", ["the platform sends no Date, so its clock is unknown"]
        )
    return max(seen)


# --- pages --------------------------------------------------------------------------------------------------------------


def _pages(call: Call, first: Reply, name: str, size: int) -> Exchange[list[list[dict[str, Any]]]]:
    """Return every page's rows. With a `total` the rest is asked for at once; without, one page after the other."""
    pages = [_rows(call, first, name)]
    total = _total(call, first)
    if total is None:
        while len(pages[-1]) == size and len(pages) < MAX_PAGES:
            (reply,) = yield (_page_of(call, len(pages) + 1),)
            pages.append(_rows(call, reply, name))
        return pages
    count = min(-(-total // size), MAX_PAGES)
    calls = tuple(_page_of(call, page) for page in range(2, count + 1))
    replies = (yield calls) if calls else ()
    pages += [_rows(call, reply, name) for reply in replies]
    totals = {total, *(_total(call, reply) for reply in replies)}
    if len(totals) > 1 or sum(map(len, pages)) != total:
        raise ApiError(
            first.status,
            call.where,
            [
                f"the list changed while it was read, or is short: {sum(map(len, pages))} rows of {total}; run again"
            ],
        )
    return pages


def _page_of(call: Call, page: int) -> Call:
    return Call(call.method, call.path, params={**call.params, "page": str(page)})


def _total(call: Call, reply: Reply) -> int | None:
    total = _object(call, reply).get("total")
    if total is not None and (isinstance(total, bool) or not isinstance(total, int) or total < 0):
        raise ApiError(reply.status, call.where, ["`total` is not a count"])
    return total


def _rows(call: Call, reply: Reply, name: str) -> list[dict[str, Any]]:
    rows = _object(call, reply).get(name)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows
    ):
        raise ApiError(reply.status, call.where, [f"the answer holds no list of `{name}` with ids"])
    return rows


def _same_list(call: Call, ids: Sequence[str]) -> None:
    """Refuse a list that repeats a row: it shifted between two pages, so another row is missing."""
    if len(set(ids)) != len(ids):
        raise ApiError(
            200, call.where, ["the list repeats a row, so it changed while it was read; run again"]
        )


# --- writing ------------------------------------------------------------------------------------------------------------


def write(key: str, body: Body | None, *, token: str, live: Live) -> Exchange[Stored]:
    """Replace the campaign's schedule as one, or remove it; refused with 412 when it is not the one that `live` quotes."""
    path = f"/api/campaigns/{quote(key, safe='')}/schedule"
    headers = {"Idempotency-Key": token, **_condition(live)}
    if body is None:
        yield (
            Call("DELETE", path, headers=headers, expects=frozenset({204, 404}), repeatable=False),
        )
        return Stored(None)
    call = Call(
        "POST", path, headers=headers, json=body, expects=frozenset({201}), repeatable=False
    )
    (reply,) = yield (call,)
    answer = _object(call, reply)
    return Stored(answer.get("id"), reply.headers.get("etag"), answer.get("updated_at"))


def _condition(live: Live) -> dict[str, str]:
    if live.version:
        return {"If-Match": live.version}
    return {"If-None-Match": "*"} if live.stored is None else {}


def activate(key: str) -> Exchange[Waiting | None]:
    """Tell the dialer to refresh. 500 is a wait, not a failure: the lists say whether one is SYNCING or the dialer is locked."""
    path = f"/api/campaigns/{quote(key, safe='')}/actions/refresh"
    (reply,) = yield (Call("PUT", path, expects=frozenset({202, 500})),)
    if reply.status == 202:  # noqa: PLR2004 - the status is the contract's word
        return None
    call = _lists_page(1)
    (first,) = yield (call,)
    rows = yield from _rest_of_lists(call, first)
    syncing = [
        entry.name or entry.id for entry in _scrubs(rows).get(key, ()) if entry.status == "SYNCING"
    ]
    return Waiting(
        f"DNC list {', '.join(syncing)} is SYNCING" if syncing else "the dialer is locked"
    )


# --- signals ------------------------------------------------------------------------------------------------------------


def metrics(key: str, start: datetime, end: datetime) -> Exchange[tuple[Bucket, ...]]:
    """Read hourly buckets of [start, end), asking for at most 92 days at a time."""
    path = f"/api/campaigns/{quote(key, safe='')}/metrics"
    calls = tuple(
        Call("GET", path, params={"from": _text(low), "to": _text(high)})
        for low, high in _spans(start, end)
    )
    replies = (yield calls) if calls else ()
    rows = [
        row
        for call, reply in zip(calls, replies, strict=True)
        for row in _object(call, reply).get("buckets", ())
    ]
    return tuple(_bucket(row) for row in rows)


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + METRICS_SPAN, end)
        start += METRICS_SPAN


def _bucket(row: Mapping[str, Any]) -> Bucket:
    return Bucket(
        start=_instant(row["start"]),
        attempts=row["attempts"],
        answers=row["answers"],
        abandons=row.get("abandons", 0),
        agents=row.get("agents"),
        handle_time_s=row.get("handle_time_s"),
    )


def publish(events: Sequence[Mapping[str, JSON]]) -> Exchange[int]:
    """Hand events to the platform's intake; the same id counts once, so a repeat is harmless."""
    accepted = 0
    for low in range(0, len(events), EVENTS_PER_CALL):
        call = Call(
            "POST",
            "/api/telemetry/events",
            json={"events": list(events[low : low + EVENTS_PER_CALL])},
            expects=frozenset({202}),
        )
        (reply,) = yield (call,)
        accepted += int(_object(call, reply).get("accepted", 0))
    return accepted


# --- answers ------------------------------------------------------------------------------------------------------------


def explain(reply: Reply) -> tuple[str, ...]:
    """Return each field's message of a 400, or the error's word with the scope that a 403 asks for."""
    answer = reply.json if isinstance(reply.json, dict) else {}
    errors = answer.get("errors")
    if isinstance(errors, list):
        return tuple(
            f"{item.get('field', '?')}: {item.get('message', '?')}"
            for item in errors
            if isinstance(item, dict)
        )
    scope = f" (scope {answer['required_scope']})" if answer.get("required_scope") else ""
    return (f"{answer['error']}{scope}",) if answer.get("error") else ()


def missing_scope(reply: Reply) -> str | None:
    """Return the scope that a 403 names."""
    scope = reply.json.get("required_scope") if isinstance(reply.json, dict) else None
    return scope if isinstance(scope, str) else None


def _object(call: Call, reply: Reply) -> dict[str, Any]:
    if not isinstance(reply.json, dict):
        raise ApiError(reply.status, call.where, ["the answer is not a JSON object"])
    return reply.json


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
