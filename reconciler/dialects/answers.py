"""Parse API answers, for every dialect. An unreadable answer is an `ApiError`, never a crash and never an empty result."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, ParamSpec, Self, TypeAlias, TypeVar
from urllib.parse import quote

from reconciler import scalars
from reconciler.dialects.base import Bucket, Measured
from reconciler.dialects.calls import JSON, Call, Exchange, NotJSON, Reply
from reconciler.errors import ApiError, Malformed, UnknownObject
from reconciler.kinds.base import DECIMAL, FLAG, IDENTITY, SECONDS, WHOLE, Form, Kind

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound="Answer")
Part = Mapping[str, Any]
Row = dict[str, Any]

NO_CONTENT: Final = 204
NOT_FOUND: Final = 404
LISTED: Final = frozenset({200, NO_CONTENT})
"""Success statuses of a list request; 204 means an empty list."""

TOTALS: Final = ("total", "totalRecords")
"""Names of the field that holds the total number of rows of a list."""

VALUE_SHOWN: Final = 40
"""Most characters of a received value that a message quotes."""

_DEPTH: Final = 3
_LIFETIME: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply together with its call.

    Attributes:
        WRAPPERS: names under which some servers wrap an answer: around a list, or between its name and its rows.
    """

    WRAPPERS: ClassVar[tuple[str, ...]] = ("resultSet",)

    call: Call
    reply: Reply

    @classmethod
    def ask(cls, call: Call) -> Exchange[Self]:
        """Make a call and return its answer."""
        (reply,) = yield (call,)
        return cls(call, reply)

    @classmethod
    def ask_all(cls, calls: Sequence[Call]) -> Exchange[list[Self]]:
        """Make calls side by side and return their answers, in order; without calls, nothing is sent."""
        replies = (yield tuple(calls)) if calls else ()
        return [*map(cls, calls, replies)]

    def wrong(self, what: str) -> ApiError:
        """Return the error for an answer that violates the contract."""
        if isinstance(self.reply.json, NotJSON):
            return ApiError(self.reply.status, self.call.where, [NotJSON.MESSAGE])
        return Malformed(self.reply.status, self.call.where, [what])

    @property
    def is_empty(self) -> bool:
        """Whether the answer means "nothing": 204, or 200 without a body."""
        return self.reply.status == NO_CONTENT or self.reply.empty

    @property
    def body(self) -> Row:
        """The answer's body as a JSON object."""
        if not isinstance(self.reply.json, dict):
            raise self.wrong("the answer is not a JSON object")
        return self.reply.json

    def page(self, *names: str) -> Page:
        """Return the list in the answer: the answer itself or the value of one of the names, with or without a wrapper."""
        if self.is_empty:
            return Page(self, [])
        found, around = _inside(self.reply.json, (*names, *self.WRAPPERS))
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self.wrong(f"the answer is not a list and has no list named {' or '.join(names)}")
        return Page(self, found, around)

    def objects(self, *names: str) -> list[Row]:
        """Return the rows of the answer's list that are objects; none if it has no list."""
        found, _ = _inside(self.reply.json, (*names, *self.WRAPPERS))
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def rows(self, *names: str) -> list[Row]:
        """Return the rows of `page`."""
        return self.page(*names).rows

    def one(self, *names: str) -> Row:
        """Return the one object in the answer: the answer itself, or the only row of a list under one of the names."""
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
            raise self.wrong(f"`{name}` is not text: {shown(value)}")
        return value

    def id(self, part: Part, name: str) -> str:
        """Return an id as text."""
        try:
            return scalars.identity(part.get(name))
        except ValueError as error:
            raise self._unreadable(name, error, part.get(name)) from None

    def flag(self, part: Part, name: str) -> bool:
        """Return a truth value; false when it is null or missing. Use it only where false is the safe value."""
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

    def token(self, default_s: float) -> tuple[str, float, tuple[str, ...]]:
        """Return the access token, its lifetime in seconds, and what was assumed because the answer does not say it.

        Args:
            default_s: lifetime of a token whose answer gives no `expires_in`, or none that can be read. A stop needs the token all
                the same, and one that ends earlier is refused (401) and renewed.
        """
        value = self.text(self.body, "access_token")
        if not value or not (value.isascii() and value.isprintable()):
            raise self.wrong("the answer holds no access_token that can be sent")
        life = self.body.get("expires_in")
        text = "0" if life is None or life == "" else str(life)
        readable = not isinstance(life, bool) and _LIFETIME.fullmatch(text) is not None
        if readable and float(text) > 0:
            return value, float(text), ()
        what = "has no expires_in" if readable else "has an expires_in that is no number of seconds"
        return value, default_s, (f"the token answer {what}: assuming {default_s:.0f} s",)

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


def shown(value: JSON) -> str:
    """Return the beginning of a received value, as JSON; for a body that is none, what it is."""
    if isinstance(value, NotJSON):
        return NotJSON.MESSAGE
    return json.dumps(value, ensure_ascii=False)[:VALUE_SHOWN]


def _inside(value: JSON, names: Sequence[str]) -> tuple[JSON, list[Row]]:
    """Follow nested keys among the names; return the innermost value and the objects on the way."""
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
        answer: the answer that holds the page.
        rows: its rows.
        around: the objects that enclose the rows; they may hold the total and the page size.
    """

    answer: Answer
    rows: list[Row]
    around: Sequence[Row] = ()

    @property
    def total(self) -> int | None:
        """Number of rows of the whole list according to the server; `None` when it does not state one."""
        return self._said(*TOTALS)

    @property
    def size(self) -> int | None:
        """Number of rows of a page according to the server; `None` when it does not state one."""
        return self._said("page_size")

    @property
    def more(self) -> bool:
        """Whether the server links a next page."""
        links = [part.get("_links") for part in self.around]
        return any(isinstance(link, dict) and bool(link.get("next")) for link in links)

    def _said(self, *names: str) -> int | None:
        said = {self.answer.whole(part, name) for part in self.around for name in names} - {None}
        if len(said) > 1:
            raise self.answer.wrong(f"the list reports two different values of {names[0]}")
        return next(iter(said), None)


def tried(read: Callable[P, T], *parts: P.args, **named: P.kwargs) -> T | Malformed:
    """Return what a reader returns, or the error of an answer about one object, which must not end the reading of all."""
    try:
        return read(*parts, **named)
    except Malformed as error:
        return error


def clock(answers: Sequence[Answer]) -> datetime:
    """Return the platform's clock: the latest `Date` of its answers.

    Raises:
        ApiError: none has one.
    """
    seen = [answer.reply.at for answer in answers if answer.reply.at is not None]
    if not seen:
        raise answers[0].wrong("the platform sends no Date, so its clock is unknown")
    return max(seen)


def spans(
    start: datetime, end: datetime, longest: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """Yield [start, end) in parts that are no longer than `longest`."""
    while start < end:
        yield start, min(start + longest, end)
        start += longest


def measured(
    rows: Iterable[tuple[A, Row]], bucket_of: Callable[[A, Row], Bucket | None]
) -> Measured:
    """Parse rows into observed hours. An unreadable row is left out and counted.

    Args:
        rows: each with the answer that contains it.
        bucket_of: parses a row; `None` when the row belongs to another object.

    Raises:
        ApiError: no row can be read. The answer then has an unknown format, which does not mean that nothing was dialed.
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
"""JSON types of each scalar form, and the reader for servers that send another type."""


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
    """Return a part of a body with its scalars converted to their types; the same object if nothing changes, the usual case.

    An unreadable value is kept as received, so it counts as a difference of unknown direction.
    """
    for name, types, read in fields:
        value = part.get(name)
        if value is None or type(value) in types:
            continue
        with contextlib.suppress(ValueError):
            part = {**part, name: read(value)}
    return part


def segment(text: str) -> str:
    """Return a text as one segment of a path. An HTTP client would take `.` and `..` for a folder, and so call another path."""
    encoded = quote(text, safe="")
    return encoded.replace(".", "%2E") if text in {".", ".."} else encoded


def object_call(path: str) -> Call:
    """Return the call for one object. A 404 is an expected answer (`UnknownObject`)."""
    return Call("GET", path, expects=frozenset({200, NOT_FOUND}))


def known(answer: Answer, explain: Callable[[Reply], tuple[str, ...]]) -> Answer:
    """Return the answer to a request for one object.

    Raises:
        UnknownObject: the answer is a 404.
    """
    if answer.reply.status == NOT_FOUND:
        raise UnknownObject(NOT_FOUND, answer.call.where, explain(answer.reply))
    return answer
