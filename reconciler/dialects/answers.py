"""Read answers and whole lists, for every dialect. An answer that cannot be read is an `ApiError`, never a crash and never "nothing".

A list is read to its end: until it has as many rows as the server says that there are, or until an empty page follows. A
page with fewer rows than asked for proves nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from reconciler import scalars
from reconciler.dialects.base import JSON, Bucket, Call, Exchange, Measured, NotJSON, Reply
from reconciler.errors import ApiError, IncompleteList, UnknownObject
from reconciler.kinds.base import DECIMAL, FLAG, IDENTITY, SECONDS, WHOLE, Form, Kind

T = TypeVar("T")
A = TypeVar("A", bound="Answer")
Part = Mapping[str, Any]
Row = dict[str, Any]

NO_CONTENT: Final = 204
NOT_FOUND: Final = 404
LISTED: Final = frozenset({200, NO_CONTENT})
"""Statuses of a list; 204 is an empty one."""

TOTALS: Final = ("total", "totalRecords")
"""Names under which a list says how many rows it has."""

MAX_PAGES: Final = 10_000
READINGS: Final = 3
"""Times that a list is read which moves while it is read."""

VALUE_SHOWN: Final = 40
"""Characters of a value that a message repeats."""

_DEPTH: Final = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply beside the call that it answers.

    Attributes:
        WRAPPERS: names under which some servers wrap an answer: around a list, or between its name and its rows.
    """

    WRAPPERS: ClassVar[tuple[str, ...]] = ("resultSet",)

    call: Call
    reply: Reply

    def wrong(self, what: str) -> ApiError:
        """Return the error for an answer that is not what the contract says."""
        garbled = isinstance(self.reply.json, NotJSON)
        return ApiError(self.reply.status, self.call.where, [NotJSON.MESSAGE if garbled else what])

    @property
    def is_empty(self) -> bool:
        """Whether the server says that there is nothing: 204, or 200 without a body."""
        return self.reply.status == NO_CONTENT or self.reply.empty

    @property
    def body(self) -> Row:
        """The answer as a JSON object."""
        if not isinstance(self.reply.json, dict):
            raise self.wrong("the answer is not a JSON object")
        return self.reply.json

    def page(self, *names: str) -> Page:
        """Return the list that the answer is, or holds under one of the names, with or without a wrapper."""
        if self.is_empty:
            return Page(self, [])
        found, around = _inside(self.reply.json, (*names, *self.WRAPPERS))
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self.wrong(f"the answer is not a list, and holds none as {' or '.join(names)}")
        return Page(self, found, around)

    def rows(self, *names: str) -> list[Row]:
        """Return the rows of `page`."""
        return self.page(*names).rows

    def one(self, *names: str) -> Row:
        """Return the object that the answer is, or holds as the only row of a list under one of the names."""
        found, _ = _inside(self.reply.json, (*names, *self.WRAPPERS))
        if isinstance(found, list) and len(found) == 1:
            (found,) = found
        if not isinstance(found, dict):
            raise self.wrong("the answer is not one object")
        return found

    def text(self, part: Part, name: str) -> str | None:
        """Return a text; `None` when it is null or missing."""
        value = part.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"`{name}` is not text")
        return value

    def id(self, part: Part, name: str) -> str:
        """Return an id as text."""
        try:
            return scalars.identity(part.get(name))
        except ValueError as error:
            raise self._unreadable(name, error, part.get(name)) from None

    def flag(self, part: Part, name: str) -> bool:
        """Return a truth value; false when it is null or missing: ask only for what is safe to be false."""
        return self._optional(scalars.boolean, part, name) or False

    def number(self, part: Part, name: str) -> float | None:
        """Return a number from 0 up; `None` when it is null or missing."""
        return self._optional(scalars.decimal, part, name)

    def whole(self, part: Part, name: str) -> int | None:
        """Return a whole number from 0 up; `None` when it is null or missing."""
        return self._optional(scalars.whole, part, name)

    def duration_s(self, part: Part, name: str) -> float | None:
        """Return a duration in seconds; `None` when it is null or missing."""
        return self._optional(scalars.duration_s, part, name)

    def instant(self, part: Part, name: str, *, naive_is_utc: bool = False) -> datetime:
        """Return an instant in UTC."""

        def read(value: object) -> datetime:
            return scalars.instant(value, naive_is_utc=naive_is_utc)

        return self._read(read, part.get(name), name)

    def _optional(self, read: Callable[[object], T], part: Part, name: str) -> T | None:
        value = part.get(name)
        return None if value is None else self._read(read, value, name)

    def _read(self, read: Callable[[object], T], value: object, name: str) -> T:
        try:
            return read(value)
        except ValueError as error:
            raise self._unreadable(name, error, value) from None

    def _unreadable(self, name: str, error: ValueError, value: object) -> ApiError:
        return self.wrong(f"`{name}` is {error}: {str(value)[:VALUE_SHOWN]!r}")


def _inside(value: JSON, names: Sequence[str]) -> tuple[JSON, list[Row]]:
    """Return what stands under the first of the names, however deep one stands in another, and the objects on the way."""
    around: list[Row] = []
    while isinstance(value, dict) and len(around) < _DEPTH:
        around.append(value)
        name = next((name for name in names if isinstance(value.get(name), list | dict)), None)
        if name is None:
            break
        value = value[name]
    return value, around


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        answer: what it was read from.
        rows: its rows.
        around: the objects that the rows stand in, where a server says what it knows of the list.
    """

    answer: Answer
    rows: list[Row]
    around: Sequence[Row] = ()

    @property
    def total(self) -> int | None:
        """Rows of the whole list, as the server says; `None` when it does not."""
        return self._said(*TOTALS)

    @property
    def size(self) -> int | None:
        """Rows of a page, as the server says; `None` when it does not."""
        return self._said("page_size")

    @property
    def more(self) -> bool:
        """Whether the server links a next page."""
        links = [part.get("_links") for part in self.around]
        return any(isinstance(link, dict) and bool(link.get("next")) for link in links)

    def _said(self, *names: str) -> int | None:
        said = {self.answer.whole(part, name) for part in self.around for name in names} - {None}
        if len(said) > 1:
            raise self.answer.wrong(f"the list says two things of its {names[0]}")
        return next(iter(said), None)


@dataclass(slots=True)
class Whole:
    """A list that is read page by page.

    Attributes:
        names: what its rows may stand under.
        key: the field of a row that identifies it.
        may_be_unpaged: see `by_skip`.
        rows: what was read so far, by id.
        total: rows of the whole list, where the server says it.
        linked: the last page links a next one.
        pages: pages read so far.
        moved: a page does not fit the ones before it: rows were added or removed meanwhile, perhaps by a write of ours.
    """

    names: tuple[str, ...]
    key: str
    may_be_unpaged: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    total: int | None = None
    linked: bool = False
    pages: int = 0
    moved: bool = False

    def take(self, answer: Answer) -> int:
        """Add a page; return how many rows it has.

        Raises:
            IncompleteList: the page contradicts the ones before it.
        """
        page, total = answer.page(*self.names), self.total
        self.total = page.total if total is None else total
        if page.total not in {None, self.total}:
            self.moved = True
            raise self.broken(answer, f"its total moved from {total} to {page.total}")
        before = len(self.rows)
        self.rows |= {answer.id(row, self.key): row for row in page.rows}
        if len(self.rows) != before + len(page.rows):
            self.moved = self.pages > 0
            raise self.broken(answer, "it repeats a row")
        if not page.rows and (page.more or (self.linked and self.total is None)):
            raise self.broken(answer, "the next page that it links is empty")
        self._hold_against_total(answer, ended=not page.rows)
        self.linked = page.more
        self.pages += 1
        if self.pages > MAX_PAGES:
            raise self.broken(answer, f"it has no end after {MAX_PAGES} pages")
        return len(page.rows)

    def _hold_against_total(self, answer: Answer, *, ended: bool) -> None:
        if self.total is None:
            return
        if len(self.rows) > self.total or (ended and len(self.rows) < self.total):
            raise self.broken(answer, f"it has {len(self.rows)} rows of {self.total}")

    @property
    def is_complete(self) -> bool:
        """Whether the server's total is reached, and no next page is linked."""
        return len(self.rows) == self.total and not self.linked

    def broken(self, answer: Answer, why: str) -> IncompleteList:
        """Return the error for a list that contradicts itself, with the rows that were read."""
        said = f"the list is incomplete, or changed while it was read: {why}; run again"
        return IncompleteList(answer.reply.status, answer.call.where, [said], self.rows)

    def follow(
        self, last: Answer, count: int, next_call: Callable[[Whole], Call]
    ) -> Exchange[None]:
        """Read the pages that follow, one by one, until the list is complete.

        Args:
            last: the last page that was read.
            count: its rows.
            next_call: returns the call for the page after those that were read.

        Raises:
            IncompleteList: the list contradicts itself.
        """
        while count and not self.is_complete:
            call = next_call(self)
            (reply,) = yield (call,)
            answer = replace(last, call=call, reply=reply)
            if self.may_be_unpaged and self._is_repeated(answer):
                return
            count = self.take(answer)

    def _is_repeated(self, answer: Answer) -> bool:
        """Whether a second page is the first one again, and nothing says that there is more."""
        once = self.pages == 1 and self.total is None and not self.linked
        return once and answer.rows(*self.names) == [*self.rows.values()]


def by_skip(
    first: Answer, key: str, *names: str, top: int, may_be_unpaged: bool = False
) -> Exchange[dict[str, Row]]:
    """Return the rows of every page by id, given the first, from a server that pages by `skip` and `top`.

    `skip` counts the rows received: a page may hold fewer than `top`.

    Args:
        first: the first page.
        key: the field of a row that identifies it.
        names: what the rows may stand under.
        top: rows of a page, at most.
        may_be_unpaged: a server that ignores `skip` answers the whole list each time: an equal second answer ends it.

    Raises:
        IncompleteList: the list contradicts itself; one that moves while it is read, at each of `READINGS` readings.
    """

    def next_call(whole: Whole) -> Call:
        params = {**first.call.params, "skip": str(len(whole.rows)), "top": str(top)}
        return replace(first.call, params=params, expects=LISTED)

    for again in reversed(range(READINGS)):
        whole = Whole(names, key, may_be_unpaged)
        try:
            yield from whole.follow(first, whole.take(first), next_call)
        except IncompleteList:
            if not (again and whole.moved):
                raise
            (reply,) = yield (first.call,)
            first = replace(first, reply=reply)
        else:
            break
    return whole.rows


def by_number(first: Answer, key: str, *names: str, size: int) -> Exchange[dict[str, Row]]:
    """Return the rows of every page by id, given page 1, from a server that pages by `page` and `page_size`.

    Where the total is known and page 1 is full, the other pages are asked for at once; otherwise one by one, for a server
    that sends short pages does not say how many there are.

    Args:
        first: page 1.
        key: the field of a row that identifies it.
        names: what the rows may stand under.
        size: rows asked for; a server that gives fewer at a time says so in `page_size`.

    Raises:
        IncompleteList: the list contradicts itself.
    """

    def page(number: int) -> Call:
        return replace(
            first.call, params={**first.call.params, "page": str(number)}, expects=LISTED
        )

    whole = Whole(names, key)
    count = whole.take(first)
    total = whole.total or 0
    size = min(size, first.page(*names).size or size)
    last = -(-total // size)
    if last > MAX_PAGES:
        raise whole.broken(first, f"it is said to have {total} rows")
    if not whole.is_complete and count == min(size, total):
        calls = tuple(map(page, range(2, last + 1)))
        for call, reply in zip(calls, (yield calls) if calls else (), strict=True):
            count = whole.take(replace(first, call=call, reply=reply))
    yield from whole.follow(first, count, lambda whole: page(whole.pages + 1))
    return whole.rows


def shown(
    listing: Exchange[dict[str, Row]],
) -> Exchange[tuple[dict[str, Row], IncompleteList | None]]:
    """Return what a list shows, and the error when it is incomplete: an emergency stop goes by what there is."""
    try:
        return (yield from listing), None
    except IncompleteList as error:
        return dict(error.shown), error


def measured(
    rows: Iterable[tuple[A, Row]], bucket_of: Callable[[A, Row], Bucket | None]
) -> Measured:
    """Return the hours that rows say. A row that cannot be read is left out and counted.

    Args:
        rows: each beside the answer that it stands in.
        bucket_of: reads one; `None` when it is about another object.

    Raises:
        ApiError: no row can be read: then the answer has another form, which is not "nothing was dialed".
    """
    found: list[Bucket] = []
    left_out, read, last = 0, 0, None
    for answer, row in rows:
        try:
            bucket = bucket_of(answer, row)
        except ApiError as error:
            left_out, last = left_out + 1, error
        else:
            read += 1
            found += [] if bucket is None else [bucket]
    if last is not None and not read:
        raise last
    return Measured(tuple(found), left_out)


Reader: TypeAlias = tuple[tuple[type, ...], Callable[[object], object]]

SCALARS: Final[Mapping[Form, Reader]] = {
    DECIMAL: ((float, int), scalars.decimal),
    WHOLE: ((int, float), scalars.whole),
    SECONDS: ((int, float), scalars.duration_s),
    FLAG: ((bool,), scalars.boolean),
    IDENTITY: ((str,), scalars.identity),
}
"""The types that a scalar of a form has in JSON, and the reader for a server that writes it in another."""


def scalar_readers(
    kind: Kind,
) -> tuple[tuple[str, tuple[type, ...], Callable[[object], object]], ...]:
    """Return the scalar fields of a kind, each with its entry in `SCALARS`."""
    return tuple(
        (field.name, *SCALARS[field.form])
        for field in kind.fields.values()
        if field.form in SCALARS
    )


def typed(
    part: Row, fields: Iterable[tuple[str, tuple[type, ...], Callable[[object], object]]]
) -> Row:
    """Return a part of a body with its scalars in their own types; the same object where nothing changes, as almost everywhere.

    A value that cannot be read stays as it came, and so counts as a difference that nobody can judge.
    """
    for name, types, read in fields:
        value = part.get(name)
        if value is None or type(value) in types:
            continue
        with contextlib.suppress(ValueError):
            part = {**part, name: read(value)}
    return part


def object_call(path: str) -> Call:
    """Return the call for one object; its 404 is an answer to read (`UnknownObject`)."""
    return Call("GET", path, expects=frozenset({200, NOT_FOUND}))


def known(answer: Answer, explain: Callable[[Reply], tuple[str, ...]]) -> Answer:
    """Return the answer to a request for one object.

    Raises:
        UnknownObject: it is a 404.
    """
    if answer.reply.status == NOT_FOUND:
        raise UnknownObject(NOT_FOUND, answer.call.where, explain(answer.reply))
    return answer
