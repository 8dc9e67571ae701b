"""Read limits, do-not-call lists and campaigns in as few calls as the server allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from reconciler import scalars
from reconciler.dialects.answers import (
    LISTED,
    NOT_FOUND,
    SCALARS,
    Answer,
    Row,
    clock,
    known,
    object_call,
    scalar_readers,
    segment,
    shown,
    tried,
    typed,
)
from reconciler.dialects.base import Listed, OnPage
from reconciler.dialects.calls import JSON, Call, Exchange
from reconciler.dialects.campaigns.answers import explain
from reconciler.dialects.pages import by_number
from reconciler.errors import ApiError, Malformed
from reconciler.kinds.base import WHOLE
from reconciler.kinds.campaign import HOURS, KIND
from reconciler.kinds.live import Live, ScrubList, Snapshot, unread

DEFAULT_CEILINGS: Final = {"max_dial_rate": 50.0, "max_concurrent_calls": 2000.0}
"""Default limits of the brief, for keys that are missing in the dialer's settings."""

CAMPAIGNS_PAGE: Final = 1000
LISTS_PAGE: Final = 100
BAD_REQUEST: Final = 400


def path(key: str, *rest: str) -> str:
    """Return the path of a campaign, or of what is below it."""
    return "/".join(("/api/campaigns", segment(key), *rest))


def read(named: Collection[str] = ()) -> Exchange[Snapshot]:
    """Read limits, all pages of the lists and all campaigns, in as few rounds as the pages allow.

    Args:
        named: ids of the campaigns in manifests. If the list lacks one, it is read by itself, because a list may lag.
    """
    calls = (Call("GET", "/api/dialer/settings"), lists_page(), campaigns_page(expand=True))
    settings, lists, campaigns = yield from Answer.ask_all(calls)
    limits = ceilings(settings)
    linked = yield from scrubs(lists)
    found = yield from _campaigns(campaigns)
    missing = [key for key in named if key not in found]
    if missing:
        found |= yield from _read_unlisted(missing)
    odd = {
        key: "; ".join(each.reasons) for key, each in found.items() if not isinstance(each, Live)
    }
    objects = {key: each if isinstance(each, Live) else unread(key) for key, each in found.items()}
    return Snapshot(objects, limits, linked, clock((settings, lists, campaigns)), unreadable=odd)


def read_limits() -> Exchange[Snapshot]:
    """Read limits and all pages of the lists: a few calls, however many campaigns there are."""
    calls = (Call("GET", "/api/dialer/settings"), lists_page())
    settings, lists = yield from Answer.ask_all(calls)
    linked = yield from scrubs(lists)
    return Snapshot({}, ceilings(settings), linked, clock((settings, lists)))


def read_one(key: str) -> Exchange[Live]:
    """Read one campaign and its schedule; a campaign without one answers 404 on the schedule alone.

    Raises:
        UnknownObject: there is no such campaign.
    """
    campaign, schedule = yield from Answer.ask_all((object_call(path(key)), _schedule_call(key)))
    return _read_alone(key, campaign, schedule)


def read_some(keys: Sequence[str]) -> Exchange[Mapping[str, Live]]:
    """Read the campaigns in `keys` from the list, or one by one if the server cannot expand the list."""
    first = yield from Answer.ask(campaigns_page(expand=True))
    found = yield from _campaigns(first, keys)
    return {key: each for key, each in found.items() if isinstance(each, Live)}


def read_pages(on_page: OnPage) -> Exchange[None]:
    """Read the list of campaigns page by page. Of a server without `expand` it shows no schedules.

    Raises:
        IncompleteList: the list contradicts itself.
    """
    first = yield from _supported((yield from Answer.ask(campaigns_page(expand=True))))

    def take(answer: Answer, rows: list[Row]) -> None:
        on_page(dict(filter(None, (_listed(answer, row) for row in rows))))

    yield from by_number(first, "id", "campaigns", size=CAMPAIGNS_PAGE, on_page=take)


def _listed(answer: Answer, row: Row) -> tuple[str, Listed] | None:
    """Return a campaign of a page by its id. A row without an id is left out; a schedule that cannot be read is not shown."""
    try:
        key = answer.id(row, "id")
    except ApiError:
        return None
    try:
        live = _expanded(answer, key, row) if is_expanded(row) else None
        return key, Listed(answer.text(row, "name") or key, live)
    except ApiError:
        return key, Listed(key)


def read_stored(key: str) -> Exchange[Live]:
    """Read the stored schedule of one campaign."""
    schedule = yield from Answer.ask(_schedule_call(key))
    if schedule.reply.status == NOT_FOUND:
        return Live(key, "")
    return _live(schedule, key, {}, schedule.body, schedule.reply.headers.get("etag"))


def look(key: str) -> Exchange[Live]:
    """Read whether one campaign dials. Of a silent one, whose two ids are null, the schedule need not be read.

    Raises:
        UnknownObject: there is no such campaign.
    """
    campaign = yield from Answer.ask(object_call(path(key)))
    row = known(campaign, explain).one("campaigns")
    dialer = row.get("dialer")
    active = dialer.get("active_schedule_id", "") if isinstance(dialer, dict) else ""
    if row.get("id") == key and row.get("schedule_id", "") is None and active is None:
        return _live(campaign, key, row, None, None)
    schedule = yield from Answer.ask(_schedule_call(key))
    return _read_alone(key, campaign, schedule)


Found: TypeAlias = Live | Malformed
"""A campaign, or the reason why it cannot be read. One of them must not end the reading of all."""


def _read_unlisted(keys: Sequence[str]) -> Exchange[dict[str, Found]]:
    """Read each campaign that the list lacks by itself. Only a 404 for the campaign itself means that it is absent."""
    answers = yield from Answer.ask_all([object_call(path(key)) for key in keys])
    pairs = zip(keys, answers, strict=True)
    found = {key: each for key, each in pairs if each.reply.status != NOT_FOUND}
    schedules = yield from Answer.ask_all([*map(_schedule_call, found)])
    return {
        key: tried(_read_alone, key, campaign, schedule)
        for (key, campaign), schedule in zip(found.items(), schedules, strict=True)
    }


def _schedule_call(key: str) -> Call:
    return object_call(path(key, "schedule"))


def _read_alone(key: str, campaign: Answer, schedule: Answer) -> Live:
    row = known(campaign, explain).one("campaigns")
    if campaign.id(row, "id") != key:
        raise campaign.wrong(f"the answer is not about campaign {key}")
    if schedule.reply.status == NOT_FOUND:
        return _live(campaign, key, row, None, None)
    return _live(schedule, key, row, schedule.body, schedule.reply.headers.get("etag"))


def campaigns_page(*, expand: bool) -> Call:
    """Return the call for page 1. With `expand`, a 400 is returned, not raised: the server may not support it."""
    params = {"page": "1", "page_size": str(CAMPAIGNS_PAGE)}
    if not expand:
        return Call("GET", "/api/campaigns", params=params, expects=LISTED)
    expects = LISTED | {BAD_REQUEST}
    return Call("GET", "/api/campaigns", params={**params, "expand": "schedule"}, expects=expects)


def _campaigns(first: Answer, keys: Sequence[str] | None = None) -> Exchange[dict[str, Found]]:
    first = yield from _supported(first)
    rows = yield from by_number(first, "id", "campaigns", size=CAMPAIGNS_PAGE)
    if "expand" in first.call.params and all(map(is_expanded, rows.values())):
        asked = rows.keys() if keys is None else rows.keys() & set(keys)
        return {key: tried(_expanded, first, key, row) for key, row in rows.items() if key in asked}
    return (yield from _each([*rows] if keys is None else keys))


def _supported(first: Answer) -> Exchange[Answer]:
    """Return page 1 of the campaigns: the given one, or if the server refuses `expand`, the one without it."""
    if first.reply.status != BAD_REQUEST:
        return first
    reasons = explain(first.reply)
    if not any("expand" in reason for reason in reasons):
        raise ApiError(first.reply.status, first.call.where, reasons)
    return (yield from Answer.ask(campaigns_page(expand=False)))


def is_expanded(row: Row) -> bool:
    """Return whether a listed campaign holds its schedule: the server knows `expand`."""
    return "schedule" in row and "dialer" in row


def _expanded(answer: Answer, key: str, row: Row) -> Live:
    return _live(answer, key, row, row["schedule"], answer.text(row, "etag"))


def _each(keys: Sequence[str]) -> Exchange[dict[str, Found]]:
    """Read campaigns one by one, for servers without `expand`."""
    calls = [call for key in keys for call in (object_call(path(key)), _schedule_call(key))]
    answers = yield from Answer.ask_all(calls)
    return {
        key: tried(_read_alone, key, campaign, schedule)
        for key, campaign, schedule in zip(keys, answers[::2], answers[1::2], strict=True)
    }


PLATFORM_FIELDS: Final = frozenset({"id", "updated_at", "updated_by"})
"""Fields that the platform adds to a returned schedule; never part of a body."""

_WINDOW: Final = frozenset({"timezone", *HOURS})
_SCALARS: Final = scalar_readers(KIND)
_HOURS: Final = tuple((name, *SCALARS[WHOLE]) for name in HOURS)


def unknown_fields(raw: Row) -> dict[str, Any]:
    """Return the fields of a received schedule that are neither managed by manifests nor in the contract, with their values.

    A field of a window is named with its list, `compliance_windows[].note`, and its value is a list over the windows.
    """
    found = {name: raw[name] for name in raw.keys() - KIND.fields.keys() - PLATFORM_FIELDS}
    windows = raw.get("compliance_windows")
    rows = windows if isinstance(windows, list | tuple) else ()
    for item in rows:
        if isinstance(item, Mapping) and item.keys() != _WINDOW:
            for name in item.keys() - _WINDOW:
                found[f"compliance_windows[].{name}"] = [
                    each.get(name) if isinstance(each, Mapping) else None for each in rows
                ]
    return found


def plain(stored: Row) -> Row:
    """Return a stored schedule with scalars converted to their types, because some servers send numbers and truth values as text."""
    body = typed(stored, _SCALARS)
    windows = body.get("compliance_windows")
    if isinstance(windows, list) and all(isinstance(each, dict) for each in windows):
        read = [typed(each, _HOURS) for each in windows]
        if any(new is not old for new, old in zip(read, windows, strict=True)):
            body = {**body, "compliance_windows": read}
    return body


def _live(
    answer: Answer, key: str, campaign: Mapping[str, Any], schedule: JSON, etag: str | None
) -> Live:
    """Return a campaign as a `Live`. Removes the platform's own fields from `schedule` in place, so `schedule` must not be shared."""
    dialer = campaign.get("dialer") or {}
    stored = schedule if schedule is not None else {}
    for name, part in (("dialer", dialer), ("schedule", stored)):
        if not isinstance(part, dict):
            raise answer.wrong(f"`{name}` of {key} is not an object: {shown(part)}")
    active = dialer.get("active_schedule_id")
    writer = stored.get("updated_by")
    unsent = unknown_fields(stored)
    live = Live(
        key=key,
        name=answer.text(campaign, "name") or "",
        running=answer.text(campaign, "status") == "RUNNING",
        stored=None if schedule is None else plain(schedule),
        version=strong(etag),
        stored_id=None if schedule is None else answer.id(stored, "id"),
        active_id=None if active is None else answer.id(dialer, "active_schedule_id"),
        stored_at=answer.text(stored, "updated_at"),
        activated_at=answer.text(dialer, "activated_at"),
        unknown=frozenset(unsent),
        unsent=unsent,
        stored_by=writer if isinstance(writer, str) else None,  # for reports only
    )
    for name in PLATFORM_FIELDS:
        stored.pop(name, None)
    return live


def strong(etag: str | None) -> str | None:
    """Return an ETag that a condition can name; `None` for a weak one, which `If-Match` never matches (RFC 9110 §13.1.1).

    Proxies that compress answers make strong ETags weak.
    """
    return None if etag is None or etag.startswith("W/") else etag


def ceilings(settings: Answer) -> dict[str, float]:
    """Return the tenant's limits by field name, with the brief's default for each missing key."""
    names = {"dial_rate": "max_dial_rate", "max_concurrent_calls": "max_concurrent_calls"}
    found = {ours: settings.number(settings.body, theirs) for ours, theirs in names.items()}
    return {
        ours: float(DEFAULT_CEILINGS[names[ours]] if limit is None else limit)
        for ours, limit in found.items()
    }


def lists_page() -> Call:
    """Return the call for page 1 of the do-not-call lists."""
    return Call(
        "GET", "/api/dnc/lists", params={"page": "1", "page_size": str(LISTS_PAGE)}, expects=LISTED
    )


def scrubs(first: Answer) -> Exchange[dict[str, tuple[ScrubList, ...]]]:
    """Read the rest of the do-not-call lists, and return them by the campaigns that they are linked to."""
    rows = yield from by_number(first, "id", "lists", size=LISTS_PAGE)
    linked: dict[str, tuple[ScrubList, ...]] = {}
    for key, row in rows.items():
        name, status = first.text(row, "name") or "", first.text(row, "status") or ""
        entry = ScrubList(key, name, status.upper(), first.text(row, "updated_at"))
        for campaign in _campaign_ids(first, row):
            linked[campaign] = (*linked.get(campaign, ()), entry)
    return linked


def _campaign_ids(answer: Answer, row: Row) -> list[str]:
    ids = row.get("campaign_ids") or []
    try:
        if isinstance(ids, list):
            return [scalars.identity(each) for each in ids]
    except ValueError:
        pass
    raise answer.wrong("`campaign_ids` is not a list of ids")
