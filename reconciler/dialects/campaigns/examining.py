"""What `doctor` asks this API about itself."""

from __future__ import annotations

from dataclasses import replace

from reconciler.dialects.answers import LISTED, Answer, by_number
from reconciler.dialects.base import Call, Check, Exchange, probe
from reconciler.dialects.campaigns.reading import (
    LISTS_PAGE,
    campaigns_page,
    ceilings,
    lists_page,
    read_one,
)


def examine() -> Exchange[tuple[Check, ...]]:
    """Ask for each thing that a server may leave out, and whether each scope that reads is there."""
    limits = yield from probe("limits", _asked_limits(), "grant the scope dialer:read")
    lists = yield from probe("do-not-call lists", _asked_lists(), "grant the scope dnc:read")
    expand = yield from probe(
        "campaigns with their schedules in one list",
        _asked_expand(),
        "nothing to do: campaigns are read one by one, which takes longer",
    )
    alone = yield from probe(
        "one campaign",
        _asked_alone(),
        "nothing can be applied: each write is verified by this call",
    )
    return limits, lists, expand, alone


def _asked_limits() -> Exchange[str]:
    call = Call("GET", "/api/dialer/settings")
    (reply,) = yield (call,)
    found = ceilings(Answer(call, reply))
    return ", ".join(f"{name} {limit:g}" for name, limit in sorted(found.items()))


def _asked_lists() -> Exchange[str]:
    call = lists_page()
    (reply,) = yield (call,)
    rows = yield from by_number(Answer(call, reply), "id", "lists", size=LISTS_PAGE)
    active = sum(row.get("status") == "ACTIVE" for row in rows.values())
    return f"{len(rows)}, {active} of them ACTIVE"


def _asked_expand() -> Exchange[str]:
    call = campaigns_page(expand=True)
    (reply,) = yield (replace(call, expects=LISTED),)
    answer = Answer(call, reply)
    rows = answer.rows("campaigns")
    if not all("schedule" in row and "dialer" in row for row in rows):
        raise answer.wrong("the server ignores `expand`")
    tags = sum(bool(row.get("etag")) for row in rows)
    return f"{len(rows)} on the first page, {tags} with an ETag"


def _asked_alone() -> Exchange[str]:
    """Ask for one campaign and its schedule, as a read-back does."""
    call = campaigns_page(expand=False)
    (reply,) = yield (call,)
    answer = Answer(call, reply)
    rows = answer.rows("campaigns")
    if not rows:
        return "no campaign to ask for"
    live = yield from read_one(answer.id(rows[0], "id"))
    return f"campaign {live.key} {'holds no schedule' if live.stored is None else 'and its schedule can be read'}"


def roundtrip(key: str) -> Exchange[Check]:
    """Write nothing: even an unchanged schedule is stored under a new id, and would wait for a refresh."""
    live = yield from read_one(key)
    said = f"{live.name or key} can be read; a schedule that is written back gets a new id here, so it was not"
    return Check("round trip", holds=True, said=said)
