"""Compare desired with live. The models decide whether they differ; deepdiff explains how.

Both sides are canonical bodies, so `==` is the truth. deepdiff is imported only when something differs: its import
costs more than planning a thousand objects that are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.models import Body


@dataclass(frozen=True, slots=True, order=True)
class FieldChange:
    """One field, as it is and as it should be; `None` means that it is not there.

    Attributes:
        path: e.g. `dial_rate` or `compliance_windows[America/New_York 9-20]`.
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


def explain(live: Body | None, desired: Body | None) -> tuple[FieldChange, ...]:
    """Return how two canonical bodies differ, sorted by path; empty when and only when they are equal.

    Lists are keyed, never compared by position: removing the first of three windows is one change, not seven.

    >>> explain({"dial_rate": 25.0}, {"dial_rate": 20.0})
    (FieldChange(path='dial_rate', live=25.0, desired=20.0),)
    """
    before, after = live or {}, desired or {}
    moved = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    return tuple(
        change
        for name in moved
        for change in _explain_field(name, before.get(name), after.get(name))
    )


def _explain_field(name: str, live: Any, desired: Any) -> tuple[FieldChange, ...]:  # noqa: ANN401 - JSON
    """Explain one field that differs; deepdiff is silent on some pairs (`[True]` and `[1]`), so the whole field is the fallback."""
    if not (isinstance(live, list | tuple) and isinstance(desired, list | tuple)):
        return (FieldChange(name, live, desired),)
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
    return tuple(sorted(found, key=lambda change: change.path)) or (
        FieldChange(name, live, desired),
    )


def _keyed(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return a list of small mappings by what names each (its texts), with its numbers as a range: ``{"Europe/London": "9-17, 18-20"}``."""
    ranges: dict[str, list[str]] = {}
    for item in items:
        label = " ".join(value for value in item.values() if isinstance(value, str))
        numbers = "-".join(str(value) for value in item.values() if not isinstance(value, str))
        ranges.setdefault(label, []).append(numbers)
    return {label: ", ".join(sorted(numbers)) for label, numbers in ranges.items()}
