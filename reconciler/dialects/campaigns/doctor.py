"""Checks of `doctor` for the campaigns API."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler.dialects.answers import LISTED, Answer
from reconciler.dialects.base import Check, probe
from reconciler.dialects.calls import Call, Exchange
from reconciler.dialects.campaigns.reading import (
    LISTS_PAGE,
    campaigns_page,
    ceilings,
    is_expanded,
    lists_page,
    read_one,
)
from reconciler.dialects.pages import by_number
from reconciler.errors import safe

NOT_WRITTEN: Final = (
    "this API stores every write under a new id, and the dialer keeps the old one until a refresh, so writing back is "
    "a change: to try a write, apply a manifest of a campaign that does not run"
)


def examine() -> Exchange[tuple[Check, ...]]:
    """Check each optional feature of a server, and each scope for reading."""
    limits = yield from probe("limits", _ask_limits(), "grant the scope dialer:read")
    lists = yield from probe("do-not-call lists", _ask_lists(), "grant the scope dnc:read")
    expand = yield from probe(
        "campaigns with their schedules in one list",
        _ask_expand(),
        "nothing to do: campaigns are read one by one, which takes longer",
        optional=True,
    )
    return limits, lists, expand


def _ask_limits() -> Exchange[str]:
    answer = yield from Answer.ask(Call("GET", "/api/dialer/settings"))
    found = ceilings(answer)
    return ", ".join(f"{name} {limit:g}" for name, limit in sorted(found.items()))


def _ask_lists() -> Exchange[str]:
    first = yield from Answer.ask(lists_page())
    rows = yield from by_number(first, "id", "lists", size=LISTS_PAGE)
    active = sum(row.get("status") == "ACTIVE" for row in rows.values())
    return f"{len(rows)}, {active} of them ACTIVE"


def _ask_expand() -> Exchange[str]:
    answer = yield from Answer.ask(replace(campaigns_page(expand=True), expects=LISTED))
    rows = answer.rows("campaigns")
    if not all(map(is_expanded, rows)):
        raise answer.wrong("the server ignores `expand`")
    tags = sum(bool(row.get("etag")) for row in rows)
    return f"{len(rows)} on the first page, {tags} with an ETag"


def roundtrip(key: str) -> Exchange[Check]:
    """Read one campaign, and report that nothing was written: writing an unchanged schedule would store it under a new id that waits for a refresh."""
    found = yield from probe("round trip", _read_name(key), "name a campaign that exists")
    return replace(found, note=found.holds, advice=NOT_WRITTEN if found.holds else found.advice)


def _read_name(key: str) -> Exchange[str]:
    live = yield from read_one(key)
    return f"not made: campaign {safe(live.name or key)} was read, and nothing was written"
