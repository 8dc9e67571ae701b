"""What may be read from an answer of this API. What is not as the contract says is an `ApiError` that says so, never a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.dialects.base import JSON, Call, Exchange, NotJSON, Reply
from reconciler.dialects.personal_connection import assumed
from reconciler.errors import ApiError

TOP: Final = 100
"""Rows of a page, at most."""

MAX_PAGES: Final = 10_000
NOTHING: Final = 204
LARGEST: Final = 2**53
"""Beyond it a JSON number is not exact."""

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply beside the call that it answers."""

    call: Call
    reply: Reply

    def wrong(self, what: str) -> ApiError:
        """Return the error for an answer that is not what the contract says."""
        garbled = isinstance(self.reply.json, NotJSON)
        return ApiError(self.reply.status, self.call.where, [NotJSON.MESSAGE if garbled else what])

    @property
    def body(self) -> dict[str, Any]:
        """The answer as a JSON object."""
        if not isinstance(self.reply.json, dict):
            raise self.wrong("the answer is not a JSON object")
        return self.reply.json

    def rows(self, *names: str) -> list[dict[str, Any]]:
        """Return the list that the answer is, or holds under one of the names; 204 is an empty one."""
        if self.reply.status == NOTHING:
            return []
        found = self.reply.json
        if isinstance(found, dict):
            found = next((found[name] for name in names if name in found), None)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self.wrong(f"the answer is no list, nor holds one as {' or '.join(names)}")
        return found

    def text(self, part: Part, name: str) -> str:
        """Return a text; empty when it is null or missing."""
        value = part.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"`{name}` is not text")
        return value or ""

    def id(self, part: Part, name: str) -> str:
        """Return an id, which is a whole number on the wire, as text."""
        value = part.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(value)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return value
        raise self.wrong(f"`{name}` is not an id")

    def number(self, part: Part, name: str) -> float:
        """Return a number from 0 up; 0 when it is null or missing."""
        value = part.get(name)
        if value is None:
            return 0
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= LARGEST
        ):
            raise self.wrong(f"`{name}` is not a number from 0 up")
        return value

    def instant(self, part: Part, *names: str) -> datetime:
        """Return an instant; one without an offset is UTC, as all dates of this API are."""
        for name in names:
            if name in part:
                try:
                    moment = datetime.fromisoformat(self.text(part, name))
                except ValueError:
                    raise self.wrong(f"`{name}` is no instant") from None
                return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        raise self.wrong(f"an interval has none of {', '.join(names)}")


def pages(first: Answer, key: str, *names: str) -> Exchange[list[dict[str, Any]]]:
    """Return the rows of every page, given the first: a full page may have another behind it.

    Raises:
        ApiError: the list has no end, or changed while it was read.
    """
    page = first.rows(*names)
    rows, call = list(page), first.call
    while len(page) == TOP:
        if len(rows) // TOP >= MAX_PAGES:
            raise first.wrong(f"the list has no end: more than {MAX_PAGES} pages")
        call = replace(call, params={**call.params, "skip": str(len(rows))})
        (reply,) = yield (call,)
        page = Answer(call, reply).rows(*names)
        rows += page
    if len({json.dumps(row.get(key)) for row in rows}) != len(rows):
        raise first.wrong("the list repeats a row, so it changed while it was read; run again")
    return rows


def failed_items(value: JSON) -> Iterator[str]:
    """Yield what a 200 or a 206 says of items that were not done: only their own words, shortened by whoever prints them."""
    if isinstance(value, list):
        for item in value:
            yield from failed_items(item)
    if isinstance(value, dict):
        said = [value[name] for name in assumed.FAILED_ITEM if value.get(name)]
        if value.get("success") is False or said:
            yield (
                "; ".join(map(str, said)) or "an item was not done, and the answer does not say why"
            )
        for item in value.values():
            if isinstance(item, dict | list):
                yield from failed_items(item)


def explain(reply: Reply) -> tuple[str, ...]:
    """Return why a request was refused: what the body says, or the header that may say it alone."""
    body = reply.json if isinstance(reply.json, dict) else {}
    error, named = body.get("error"), ("error_description", "errorDescription", "message")
    description = next((body[name] for name in named if body.get(name)), None)
    said = [str(part) for part in (error, description) if part]
    header = reply.headers.get("icstatusdescription")
    return (": ".join(said),) if said else (header,) if header else ()
