"""Compare desired with live: `==` on canonical bodies decides whether they differ, deepdiff explains how.

deepdiff compares values with parts at any depth, because a platform may return any JSON for a schedule. It reports each
difference by its path. It is imported only when such a value differs: the import costs more than planning a thousand equal
objects.

| value | compared | example of a path |
|---|---|---|
| list of mappings (windows, the days of a week) | by the naming part of each item, in any order | `compliance_windows[Europe/London]` |
| list of different texts (groups) | as a set | `dnc_groups[70]` |
| mapping | by key | `links[self]` |
| any other list | by position | `tags[0]` |
| anything else | as a whole | `dial_rate` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from reconciler.models import Body


class FieldChange(NamedTuple):
    """The difference in one field: live and desired value; `None` means that the field is missing.

    Attributes:
        path: e.g. `dial_rate`, or `compliance_windows[America/New_York]` with the zone's hours as text: ``9-12, 13-20``.
            An item of a set is its own value, and `None` on the side that does not have it.
    """

    path: str
    live: Any = None
    desired: Any = None


def same(live: Body | None, desired: Body | None, canonical: Callable[[Body], Body]) -> bool:
    """Return whether a live body, as received, equals a desired canonical body.

    Equality of what was received is tried first: making a body canonical costs ten times as much, and almost every
    live body is in the form in which we sent it.
    """
    if live is None or desired is None:
        return live is desired
    return live == desired or canonical(live) == desired


def moved(live: Body, desired: Body) -> list[str]:
    """Return the sorted names of the top-level fields that differ. `null` differs from a missing field."""
    nothing = object()
    return sorted(
        name
        for name in live.keys() | desired.keys()
        if live.get(name, nothing) != desired.get(name, nothing)
    )


def explain(live: Body | None, desired: Body | None) -> tuple[FieldChange, ...]:
    """Return how two canonical bodies differ, sorted by path; empty when and only when they are equal.

    Removing the first of three windows is one change, not seven, because windows are keyed.

    >>> explain({"dial_rate": 25.0}, {"dial_rate": 20.0})
    (FieldChange(path='dial_rate', live=25.0, desired=20.0),)
    """
    before, after = live or {}, desired or {}
    return tuple(
        change
        for name in moved(before, after)
        for change in _explain_field(name, before.get(name), after.get(name))
    )


def _explain_field(name: str, live: Any, desired: Any) -> tuple[FieldChange, ...]:
    """Explain one field that differs. If the difference is not visible in the compared forms, report the whole field."""
    whole = (FieldChange(name, live, desired),)
    before, after = _comparable(live), _comparable(desired)
    if live in _NO_ITEMS or desired in _NO_ITEMS:  # an empty list has the form of the other one
        before, after = before or type(after)(), after or type(before)()
    if not (isinstance(before, _WITH_PARTS) and isinstance(after, _WITH_PARTS)):
        return whole
    from deepdiff import DeepDiff  # noqa: PLC0415 - see the module's docstring
    from deepdiff.helper import NotPresent  # noqa: PLC0415 - same

    tree = DeepDiff(before, after, view="tree", threshold_to_diff_deeper=0)
    found = []
    for kind, levels in tree.items():
        for level in levels:
            old, new = (None if isinstance(t, NotPresent) else t for t in (level.t1, level.t2))
            if kind in {"set_item_added", "set_item_removed"}:
                steps = [*level.up.path(output_format="list"), new if old is None else old]
            else:
                steps = level.path(output_format="list")
            if steps and old != new:
                path = name + "".join(f"[{step}]" for step in steps)
                found.append(FieldChange(path, _plain(old), _plain(new)))
    return tuple(sorted(found, key=lambda change: change.path)) or whole


_WITH_PARTS = (dict, list, set)
_NO_ITEMS: Final[tuple[object, ...]] = ([], ())


def _comparable(value: Any) -> Any:
    """Return a JSON value in the form in which deepdiff compares it: see the table of the module."""
    if isinstance(value, Mapping):
        return {name: _comparable(item) for name, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if all(isinstance(item, Mapping) for item in value):
        return _keyed(value)
    if all(isinstance(item, str) for item in value) and len({*value}) == len(value):
        return {*value}
    return [_comparable(item) for item in value]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a part that is there on one side alone may be a set, or hold one."""
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _keyed(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return a list of small mappings keyed by the texts that name each one, with its numbers and times of day as a range: ``{"Europe/London": "9-17, 18-20"}``.

    Names are taken in reverse order, which puts a start before its end whatever order the platform wrote them in.
    """
    ranges: dict[str, list[tuple[str, ...]]] = {}
    for item in items:
        values = [item[name] for name in sorted(item, reverse=True)]
        label = " ".join(value for value in values if is_name(value))
        numbers = tuple(_number(value) for value in values if not is_name(value))
        ranges.setdefault(label, []).append(numbers)
    return {
        label: ", ".join("-".join(numbers) for numbers in sorted(found, key=_by_size))
        for label, found in ranges.items()
    }


def _number(value: object) -> str:
    """Return a value as reports show it: a platform may hold `null` or a truth value where a number belongs."""
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


_TIME_OF_DAY = r"[0-9]{2}:[0-9]{2}"


def is_name(value: object) -> bool:
    """Return whether a value in a small mapping is its name: a text that is not a time of day."""
    return isinstance(value, str) and re.fullmatch(_TIME_OF_DAY, value) is None


def _by_size(numbers: tuple[str, ...]) -> list[tuple[int, str]]:
    """Return a sort key that puts 9 before 10."""
    return [(len(number), number) for number in numbers]
