"""Read whole lists, page by page, for every dialect.

A list is complete when it has as many rows as the server's total, or when an empty page follows. A page with fewer rows than
requested does not mean that it is the last one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from reconciler.dialects.answers import LISTED, Answer, Row
from reconciler.dialects.calls import Call, Exchange
from reconciler.errors import ApiError, IncompleteList

OnRows: TypeAlias = Callable[[Answer, list[Row]], None]
"""Takes the rows of one page, and the answer that holds it."""

MAX_PAGES: Final = 10_000
READINGS: Final = 3
"""Number of attempts to read a list that changes while it is read."""


@dataclass(slots=True)
class Whole:
    """The rows of a list read so far, page by page.

    Attributes:
        names: field names that may hold the rows.
        key: the field of a row that identifies it.
        may_be_unpaged: see `by_skip`.
        rows: rows read so far, by id.
        total: total number of rows as reported by the server, if any.
        linked: the last page links a next one.
        pages: pages read so far.
        on_page: called with each page, before it is checked. Then no wrong page ends the reading: the list is read on as far as possible.
        error: what is wrong with a page that was passed to `on_page`; raised at the end.
        moved: a page contradicts the earlier ones, because rows were added or removed meanwhile, perhaps by our own write.
    """

    names: tuple[str, ...]
    key: str
    may_be_unpaged: bool = False
    on_page: OnRows | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    total: int | None = None
    linked: bool = False
    pages: int = 0
    moved: bool = False
    error: IncompleteList | None = None

    def take(self, answer: Answer) -> int:
        """Add a page; return how many rows it has. With `on_page`, return how many of them are new.

        Raises:
            IncompleteList: the page contradicts the ones before it. Never raised with `on_page`.
        """
        if self.on_page is None:
            return self._add(answer)
        rows, before = answer.objects(*self.names), len(self.rows)
        self.on_page(answer, rows)
        try:
            self._add(answer)
        except ApiError as error:
            why = "; ".join(error.reasons)
            found = error if isinstance(error, IncompleteList) else self.broken(answer, why)
            self.error = self.error or found
            for row in rows:
                with contextlib.suppress(ApiError):
                    self.rows[answer.id(row, self.key)] = row
        return len(self.rows) - before

    def _add(self, answer: Answer) -> int:
        self.pages += 1
        page, total = answer.page(*self.names), self.total
        self.total = page.total if total is None else total
        if page.total not in {None, self.total}:
            self.moved = True
            raise self.broken(answer, f"its total moved from {total} to {page.total}")
        before = len(self.rows)
        self.rows |= {answer.id(row, self.key): row for row in page.rows}
        if len(self.rows) != before + len(page.rows):
            self.moved = self.pages > 1
            raise self.broken(answer, "it repeats a row")
        if not page.rows and (page.more or (self.linked and self.total is None)):
            raise self.broken(answer, "the next page that it links is empty")
        self._hold_against_total(answer, ended=not page.rows)
        self.linked = page.more
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
        """Whether the list has the server's total of rows and no link to a next page."""
        return len(self.rows) == self.total and not self.linked

    def broken(self, answer: Answer, why: str) -> IncompleteList:
        """Return the error for a list that contradicts itself."""
        said = f"the list is incomplete, or changed while it was read: {why}; run again"
        return IncompleteList(answer.reply.status, answer.call.where, [said])

    def follow(
        self, last: Answer, count: int, next_call: Callable[[Whole], Call]
    ) -> Exchange[None]:
        """Read the following pages one by one until the list is complete.

        Args:
            last: the last page that was read.
            count: number of rows of that page.
            next_call: returns the call for the next page.

        Raises:
            IncompleteList: the list contradicts itself.
        """
        while count and not self.is_complete and self.pages <= MAX_PAGES:
            call = next_call(self)
            (reply,) = yield (call,)
            answer = replace(last, call=call, reply=reply)
            if self.may_be_unpaged and self._is_repeated(answer):
                return
            count = self.take(answer)
        if self.error is not None:
            raise self.error

    def _is_repeated(self, answer: Answer) -> bool:
        """Whether the second page equals the first one, and the server announces no more rows."""
        once = self.pages == 1 and self.total is None and not self.linked
        return once and answer.rows(*self.names) == [*self.rows.values()]


def by_skip(
    first: Answer,
    key: str,
    *names: str,
    top: int,
    may_be_unpaged: bool = False,
    on_page: OnRows | None = None,
) -> Exchange[dict[str, Row]]:
    """Return the rows of every page by id, given the first, from a server that pages by `skip` and `top`.

    `skip` counts the rows received: a page may hold fewer than `top`.

    Args:
        first: the first page.
        key: the field of a row that identifies it.
        names: field names that may hold the rows.
        top: rows of a page, at most.
        may_be_unpaged: the server may ignore `skip` and return the whole list each time. Two equal answers end the list then.
        on_page: called with each page as it is read; again with each repeated reading.

    Raises:
        IncompleteList: the list contradicts itself, or changed during each of `READINGS` readings.
    """

    def next_call(whole: Whole) -> Call:
        params = {**first.call.params, "skip": str(len(whole.rows)), "top": str(top)}
        return replace(first.call, params=params, expects=LISTED)

    for again in reversed(range(READINGS)):
        whole = Whole(names, key, may_be_unpaged, on_page)
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


def by_number(
    first: Answer, key: str, *names: str, size: int, on_page: OnRows | None = None
) -> Exchange[dict[str, Row]]:
    """Return the rows of every page by id, given page 1, from a server that pages by `page` and `page_size`.

    If the total is known and page 1 is full, the other pages are requested concurrently. Otherwise they are requested one
    by one, because the number of pages is unknown, or because `on_page` must not wait for all of them.

    Args:
        first: page 1.
        key: the field of a row that identifies it.
        names: field names that may hold the rows.
        size: requested rows per page; a server with a smaller limit reports it in `page_size`.
        on_page: called with each page as it is read.

    Raises:
        IncompleteList: the list contradicts itself.
    """

    def page(number: int) -> Call:
        return replace(
            first.call, params={**first.call.params, "page": str(number)}, expects=LISTED
        )

    whole = Whole(names, key, on_page=on_page)
    count = whole.take(first)
    if on_page is None:
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
