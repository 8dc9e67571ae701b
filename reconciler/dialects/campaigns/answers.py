"""What may be read from an answer. What is not as the contract says is an `ApiError` that says so, never a crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from reconciler.dialects.base import Call, Exchange, NotJSON, Reply
from reconciler.dialects.campaigns.kind import instant
from reconciler.errors import ApiError

MAX_PAGES: Final = 10_000
LARGEST: Final = 2**53
"""Beyond it a JSON number is not exact, and nothing that we read is that large."""

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

    def items(self, name: str) -> list[dict[str, Any]]:
        """Return a list of objects."""
        items = self.body.get(name)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.wrong(f"`{name}` is not a list of objects")
        return items

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return a list of objects, each with an id."""
        rows = self.items(name)
        if not all(is_id(row.get("id")) for row in rows):
            raise self.wrong(f"a row of `{name}` has no id")
        return rows

    def text(self, part: Part, name: str) -> str | None:
        """Return a text, `None` when it is null or missing."""
        value = part.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"`{name}` is not text")
        return value

    def number(self, part: Part, name: str) -> float | None:
        """Return a number from 0 up, `None` when it is null or missing."""
        value = part.get(name)
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= LARGEST
        ):
            raise self.wrong(f"`{name}` is not a number from 0 up")
        return value

    def count(self, part: Part, name: str) -> int | None:
        """Return a whole number from 0 up, `None` when it is null or missing."""
        value = self.number(part, name)
        if isinstance(value, float):
            raise self.wrong(f"`{name}` is not a count")
        return value

    def instant(self, part: Part, name: str) -> datetime:
        """Return an instant in UTC."""
        try:
            return instant(self.text(part, name) or "")
        except ValueError:
            raise self.wrong(f"`{name}` is not an instant with an offset") from None


def is_id(value: object) -> bool:
    """Return whether a value can be an id: it goes into paths and messages, so what cannot be printed is none."""
    return isinstance(value, str) and value != "" and value.isprintable()


def pages(first: Answer, name: str, size: int) -> Exchange[list[dict[str, Any]]]:
    """Return the rows of every page, given the first. With a `total` the rest is asked for at once; without, one after the other.

    Args:
        first: page 1.
        name: what the rows are called.
        size: rows asked for; a server that gives fewer at a time says so in `page_size`.

    Raises:
        ApiError: the list is short, or shifted while it was read.
    """
    total = first.count(first.body, "total")
    size = min(size, first.count(first.body, "page_size") or size)
    if total is None:
        rows = yield from _one_by_one(first, name, size)
    else:
        rows = yield from _side_by_side(first, name, size, total)
    if len({row["id"] for row in rows}) != len(rows):
        raise first.wrong("the list repeats a row, so it changed while it was read; run again")
    return rows


def _one_by_one(first: Answer, name: str, size: int) -> Exchange[list[dict[str, Any]]]:
    page = first.rows(name)
    rows, number = list(page), 1
    while len(page) == size:
        number += 1
        if number > MAX_PAGES:
            raise first.wrong(f"the list has no end: more than {MAX_PAGES} pages")
        call = _page(first.call, number)
        (reply,) = yield (call,)
        page = Answer(call, reply).rows(name)
        rows += page
    return rows


def _side_by_side(
    first: Answer, name: str, size: int, total: int
) -> Exchange[list[dict[str, Any]]]:
    rows = list(first.rows(name))
    count = 1 if len(rows) == total else -(-total // size)
    if len(rows) < min(size, total) or count > MAX_PAGES:
        raise first.wrong(_short(len(rows), total))
    calls = tuple(_page(first.call, number) for number in range(2, count + 1))
    replies = (yield calls) if calls else ()
    for call, reply in zip(calls, replies, strict=True):
        answer = Answer(call, reply)
        rows += answer.rows(name)
        if answer.count(answer.body, "total") != total:
            raise answer.wrong("the list changed while it was read: its `total` moved; run again")
    if len(rows) != total:
        raise first.wrong(_short(len(rows), total))
    return rows


def _short(rows: int, total: int) -> str:
    return f"the list changed while it was read, or is short: {rows} rows of {total}; run again"


def _page(call: Call, number: int) -> Call:
    return replace(call, params={**call.params, "page": str(number)}, expects=frozenset({200}))


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
