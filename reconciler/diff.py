"""Compare desired with live. The models decide whether they differ; deepdiff explains how.

Both sides are canonical bodies, so `==` is the truth. deepdiff is imported only when something differs: its import
costs more than planning a thousand objects that are equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.models import Body


class FieldChange(NamedTuple):
    """One field, as it is and as it should be; `None` means that it is not there.

    Attributes:
        path: e.g. `dial_rate`, or `compliance_windows[America/New_York]` with the zone's hours as text: ``9-12, 13-20``.
    """

    path: str
    live: Any = None
    desired: Any = None


def same(live: Body | None, desired: Body | None, canonical: Callable[[Body], Body]) -> bool:
    """Return whether a live body, as received, says what a desired canonical one says.

    Equality of what was received is tried first: making a body canonical costs ten times as much, and almost every
    live body is in the form in which we sent it.
    """
    if live is None or desired is None:
        return live is desired
    return live == desired or canonical(live) == desired


def moved(live: Body, desired: Body) -> list[str]:
    """Return the names of the top-level fields that differ, sorted; a field that is `null` is not a field that is missing."""
    nothing = object()
    return sorted(
        name
        for name in live.keys() | desired.keys()
        if live.get(name, nothing) != desired.get(name, nothing)
    )


def explain(live: Body | None, desired: Body | None) -> tuple[FieldChange, ...]:
    """Return how two canonical bodies differ, sorted by path; empty when and only when they are equal.

    Lists are keyed, never compared by position: removing the first of three windows is one change, not seven.

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
    """Explain one field that differs. Where keyed forms hide the difference, the whole field is the explanation."""
    whole = (FieldChange(name, live, desired),)
    if not (_can_be_keyed(live) and _can_be_keyed(desired)):
        return whole
    from deepdiff import DeepDiff  # noqa: PLC0415 - see the module's docstring
    from deepdiff.helper import NotPresent  # noqa: PLC0415 - same

    tree = DeepDiff(_keyed(live), _keyed(desired), view="tree", threshold_to_diff_deeper=0)
    found = [
        FieldChange(
            path=f"{name}[{level.path(output_format='list')[0]}]",
            live=None if isinstance(level.t1, NotPresent) else level.t1,
            desired=None if isinstance(level.t2, NotPresent) else level.t2,
        )
        for levels in tree.values()
        for level in levels
    ]
    return tuple(sorted(found, key=lambda change: change.path)) or whole


def _can_be_keyed(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def _keyed(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return a list of small mappings by what names each (its texts), with its numbers and times of day as a range: ``{"Europe/London": "9-17, 18-20"}``.

    Names are taken in reverse order, which puts a start before its end whatever order the platform wrote them in.
    """
    ranges: dict[str, list[tuple[str, ...]]] = {}
    for item in items:
        values = [item[name] for name in sorted(item, reverse=True)]
        label = " ".join(value for value in values if is_name(value))
        numbers = tuple(str(value) for value in values if not is_name(value))
        ranges.setdefault(label, []).append(numbers)
    return {
        label: ", ".join("-".join(numbers) for numbers in sorted(found, key=_by_size))
        for label, found in ranges.items()
    }


_TIME_OF_DAY = r"[0-9]{2}:[0-9]{2}"


def is_name(value: object) -> bool:
    """Return whether a part of a small mapping names it: a text that is no time of day."""
    return isinstance(value, str) and re.fullmatch(_TIME_OF_DAY, value) is None


def _by_size(numbers: tuple[str, ...]) -> list[tuple[int, str]]:
    """Return a sort key that puts 9 before 10."""
    return [(len(number), number) for number in numbers]
