"""The campaigns API: a schedule per campaign, a refresh that the dialer takes later, do-not-call lists beside it.

Source: the platform's API description, "campaigns". What a server may leave out (keys, ETags, `expand`) is never relied on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from reconciler.dialects.base import (
    JSON,
    Bucket,
    Call,
    Capabilities,
    Check,
    Credentials,
    Exchange,
    Live,
    Reply,
    ScrubList,
    Site,
    Snapshot,
    Stored,
    Token,
    Waiting,
    probe,
)
from reconciler.dialects.campaigns import kind
from reconciler.dialects.campaigns.answers import Answer, is_id, pages
from reconciler.errors import ApiError, UncertainWrite
from reconciler.models import Body

NAME: Final = "campaigns"
CAPABILITIES: Final = Capabilities(
    activation=True, conditional_writes=True, idempotency_keys=True, atomic_writes=True
)
HOSTS: Final[tuple[str, ...]] = ()
"""No answer of this API leads anywhere else."""

KINDS: Final = kind.KINDS

DEFAULT_CEILINGS: Final = {"max_dial_rate": 50.0, "max_concurrent_calls": 2000.0}
"""The brief's defaults, where the dialer's settings leave a key out."""

CAMPAIGNS_PAGE: Final = 1000
LISTS_PAGE: Final = 100
METRICS_SPAN: Final = timedelta(days=92)
EVENTS_PER_CALL: Final = 500
TOKEN_LIFETIME_S: Final = 1800.0
PLATFORM_FIELDS: Final = ("id", "updated_at", "updated_by")
"""What the platform adds to a stored schedule; never desired, never compared."""

NOT_FOUND: Final = 404
BAD_REQUEST: Final = 400
ACCEPTED: Final = 202


def _path(key: str, *rest: str) -> str:
    return "/".join(("/api/campaigns", quote(key, safe=""), *rest))


# --- signing in ---------------------------------------------------------------------------------------------------------


def authenticate(credentials: Credentials, site: Site | None = None) -> Exchange[Token]:  # noqa: ARG001 - the tenant's URL is all there is
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
    answer = Answer(call, reply)
    value = answer.text(answer.body, "access_token")
    if not value or not (value.isascii() and value.isprintable()):
        raise answer.wrong("the answer holds no access_token that can be sent")
    lifetime = answer.number(answer.body, "expires_in") or TOKEN_LIFETIME_S
    scopes = (answer.text(answer.body, "scope") or "").split()
    return Token(value, float(lifetime), frozenset(scopes))


# --- reading ------------------------------------------------------------------------------------------------------------


def read() -> Exchange[Snapshot]:
    """Read limits, all pages of the lists and all campaigns, in as few rounds as the pages allow."""
    calls = (Call("GET", "/api/dialer/settings"), _lists_page(), _campaigns_page(expand=True))
    replies = yield calls
    settings, lists, campaigns = map(Answer, calls, replies)
    ceilings = _ceilings(settings)
    scrubs = yield from _scrubs(lists)
    objects = yield from _campaigns(campaigns)
    return Snapshot(objects, ceilings, scrubs, _clock(settings, lists, campaigns))


def read_one(key: str) -> Exchange[Live]:
    """Read one campaign and its schedule; a campaign without one answers 404 on the schedule alone."""
    calls = _calls_of(key)
    replies = yield calls
    return _read_alone(key, *map(Answer, calls, replies))


def read_some(keys: Sequence[str] | None) -> Exchange[Mapping[str, Live]]:
    """Read the list of campaigns for `keys` (`None`: all); where the server cannot expand it, these one by one."""
    call = _campaigns_page(expand=True)
    (reply,) = yield (call,)
    return (yield from _campaigns(Answer(call, reply), keys))


def _calls_of(key: str) -> tuple[Call, Call]:
    schedule = Call("GET", _path(key, "schedule"), expects=frozenset({200, NOT_FOUND}))
    return Call("GET", _path(key)), schedule


def _read_alone(key: str, campaign: Answer, schedule: Answer) -> Live:
    if campaign.body.get("id") != key:
        raise campaign.wrong(f"the answer is not about campaign {key}")
    if schedule.reply.status == NOT_FOUND:
        return _live(campaign, campaign.body, None, None)
    return _live(schedule, campaign.body, schedule.body, schedule.reply.headers.get("etag"))


def _campaigns_page(*, expand: bool) -> Call:
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
        call = _campaigns_page(expand=False)
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


def _ceilings(settings: Answer) -> dict[str, float]:
    names = {"dial_rate": "max_dial_rate", "max_concurrent_calls": "max_concurrent_calls"}
    found = {ours: settings.number(settings.body, theirs) for ours, theirs in names.items()}
    return {
        ours: float(DEFAULT_CEILINGS[names[ours]] if limit is None else limit)
        for ours, limit in found.items()
    }


def _lists_page() -> Call:
    return Call("GET", "/api/dnc/lists", params={"page": "1", "page_size": str(LISTS_PAGE)})


def _scrubs(first: Answer) -> Exchange[dict[str, tuple[ScrubList, ...]]]:
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


# --- writing ------------------------------------------------------------------------------------------------------------


def write(key: str, body: Body | None, *, token: str, live: Live) -> Exchange[Stored]:
    """Replace the campaign's schedule as one, or remove it; refused with 412 when it is not the one that `live` quotes."""
    headers = {"Idempotency-Key": token, **_condition(live)}
    call = Call(
        "DELETE" if body is None else "POST",
        _path(key, "schedule"),
        headers=headers,
        json=body,
        expects=frozenset({204, NOT_FOUND} if body is None else {201}),
        repeatable=False,
    )
    (reply,) = yield (call,)
    return Stored(None) if body is None else _stored(call, reply)


def _stored(call: Call, reply: Reply) -> Stored:
    """Return what a 201 says was stored. One that cannot be read may have stored it all the same."""
    try:
        answer = Answer(call, reply)
        if not is_id(answer.body.get("id")):
            raise answer.wrong("the answer does not say what was stored")
        at = answer.text(answer.body, "updated_at")
    except ApiError as error:
        raise UncertainWrite(error.status, error.where, error.reasons) from None
    return Stored(answer.body["id"], reply.headers.get("etag"), at)


def _condition(live: Live) -> dict[str, str]:
    if live.version:
        return {"If-Match": live.version}
    return {"If-None-Match": "*"} if live.stored is None else {}


def activate(key: str) -> Exchange[Waiting | None]:
    """Tell the dialer to refresh. 500 is a wait, not a failure: the lists say whether one is SYNCING or the dialer is locked."""
    call = Call("PUT", _path(key, "actions", "refresh"), expects=frozenset({ACCEPTED, 500}))
    (reply,) = yield (call,)
    if reply.status == ACCEPTED:
        return None
    call = _lists_page()
    (first,) = yield (call,)
    linked = yield from _scrubs(Answer(call, first))
    syncing = [entry.name or entry.id for entry in linked.get(key, ()) if entry.status == "SYNCING"]
    return Waiting(
        f"DNC list {', '.join(syncing)} is SYNCING" if syncing else "the dialer is locked"
    )


def silence(key: str, *, token: str) -> Exchange[Waiting | None]:
    """Remove what is stored, whatever it is, and have the dialer let go of what it took."""
    headers = {"Idempotency-Key": token}
    expects = frozenset({204, NOT_FOUND})
    call = Call(
        "DELETE", _path(key, "schedule"), headers=headers, expects=expects, repeatable=False
    )
    yield (call,)
    return (yield from activate(key))


# --- what holds here ----------------------------------------------------------------------------------------------------


def examine() -> Exchange[tuple[Check, ...]]:
    """Ask for each thing that a server may leave out, and whether each scope that reads is there."""
    limits = yield from probe("limits", _asked_limits(), "grant the scope dialer:read")
    lists = yield from probe("do-not-call lists", _asked_lists(), "grant the scope dnc:read")
    expand = yield from probe(
        "campaigns with their schedules in one list",
        _asked_expand(),
        "nothing to do: campaigns are read one by one, which takes longer",
    )
    return limits, lists, expand


def _asked_limits() -> Exchange[str]:
    call = Call("GET", "/api/dialer/settings")
    (reply,) = yield (call,)
    found = _ceilings(Answer(call, reply))
    return ", ".join(f"{name} {limit:g}" for name, limit in sorted(found.items()))


def _asked_lists() -> Exchange[str]:
    call = _lists_page()
    (reply,) = yield (call,)
    rows = yield from pages(Answer(call, reply), "lists", LISTS_PAGE)
    active = sum(row.get("status") == "ACTIVE" for row in rows)
    return f"{len(rows)}, {active} of them ACTIVE"


def _asked_expand() -> Exchange[str]:
    call = _campaigns_page(expand=True)
    (reply,) = yield (replace(call, expects=frozenset({200})),)
    answer = Answer(call, reply)
    rows = answer.rows("campaigns")
    if not all("schedule" in row and "dialer" in row for row in rows):
        raise answer.wrong("the server ignores `expand`")
    tags = sum(bool(row.get("etag")) for row in rows)
    return f"{len(rows)} on the first page, {tags} with an ETag"


def roundtrip(key: str) -> Exchange[Check]:
    """Write nothing: even an unchanged schedule is stored under a new id, and would wait for a refresh."""
    live = yield from read_one(key)
    said = f"{live.name or key} can be read; a schedule that is written back gets a new id here, so it was not"
    return Check("round trip", holds=True, said=said)


# --- signals ------------------------------------------------------------------------------------------------------------


def metrics(key: str, start: datetime, end: datetime) -> Exchange[tuple[Bucket, ...]]:
    """Read hourly buckets of [start, end), asking for at most 92 days at a time."""
    calls = tuple(
        Call("GET", _path(key, "metrics"), params={"from": _text(low), "to": _text(high)})
        for low, high in _spans(start, end)
    )
    replies = (yield calls) if calls else ()
    answers = map(Answer, calls, replies)
    return tuple(_bucket(answer, row) for answer in answers for row in answer.items("buckets"))


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + METRICS_SPAN, end)
        start += METRICS_SPAN


def _bucket(answer: Answer, row: Mapping[str, Any]) -> Bucket:
    attempts, answers = answer.count(row, "attempts"), answer.count(row, "answers")
    if attempts is None or answers is None:
        raise answer.wrong("an hour has no `attempts` or no `answers`")
    return Bucket(
        start=answer.instant(row, "start"),
        attempts=attempts,
        answers=answers,
        abandons=answer.count(row, "abandons") or 0,
        agents=answer.number(row, "agents"),
        handle_time_s=answer.number(row, "handle_time_s"),
    )


def publish(events: Sequence[Mapping[str, JSON]]) -> Exchange[int]:
    """Hand events to the platform's intake; the same id counts once, so a repeat is harmless."""
    accepted = 0
    for low in range(0, len(events), EVENTS_PER_CALL):
        call = Call(
            "POST",
            "/api/telemetry/events",
            json={"events": list(events[low : low + EVENTS_PER_CALL])},
            expects=frozenset({ACCEPTED}),
        )
        (reply,) = yield (call,)
        answer = Answer(call, reply)
        accepted += answer.count(answer.body, "accepted") or 0
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


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
