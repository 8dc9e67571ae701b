"""Check all fields of a record, fast: records that have the same fields, with values of the same types, are checked alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from reconciler.audit.rules import (
    COUNT_LIMIT,
    GROUPS,
    HASH_LENGTH,
    Rule,
    are_stamps,
    is_instant,
    is_text,
)

_REPEATED: Final = frozenset(
    {
        *(
            "kind",
            "tenant",
            "commit",
            "run",
            "digest",
            "object",
            "verb",
            "direction",
            "result",
            "action",
        ),
        *("actor", "approver", "pull_request", "reviewed_head", "run_url"),
    }
)
"""Fields whose values are the same in many records. Each is a text or null, so equal values have equal types.

Records with equal values share them: less memory is read and written while a long ledger is verified.
"""

_KNOWN_LIMIT: Final = 256
"""Most combinations of such values, and most shapes, that are remembered. Records of one run have equal values and stand together."""

_LOOSE: Final = (float, list, dict)
"""Types of values that must be looked at to know whether they are plain (`lines.are_plain`)."""

_HASH_LENGTHS: Final = {HASH_LENGTH}

_ABSENT: Final = object()

_flat: Final = chain.from_iterable


def _getter(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return a function that returns some of the fields, in order."""
    if len(names) > 1:
        return itemgetter(*names)
    if names:
        (name,) = names
        return lambda fields: (fields[name],)
    return lambda _: ()


class Shape:
    """What is left to check of records that have the same fields, with values of the same types. A ledger has few such shapes.

    Attributes:
        loose: returns the values of a record of this shape that are floats, lists and mappings.
    """

    def __init__(self, rules: Mapping[str, Rule], types: Mapping[str, type]) -> None:
        """Look at the types alone."""
        self._rules = rules
        self._fits = all(name in types for name, rule in rules.items() if rule.needed)
        known = {name: kind for name, kind in types.items() if name in rules}
        of: dict[str, list[str]] = {group: [] for group in GROUPS}
        singles = []
        for name, kind in known.items():
            rule = rules[name]
            if kind is type(None) or kind is bool:
                self._fits &= all(map(rule.holds, (None,) if kind is type(None) else (True, False)))
            elif kind is str and name in _REPEATED:
                of["repeated"].append(name)
            elif kind is GROUPS.get(rule.group):
                of[rule.group].append(name)
            else:
                singles.append(name)
        self.loose = _getter([name for name, kind in types.items() if kind in _LOOSE])
        self._hashes, self._counts = _getter(of["hash"]), _getter(of["count"])
        self._instants = _getter(of["instant"])
        self._names, self._texts = _getter(of["name"]), _getter([*of["name"], *of["text"]])
        self._repeated = _getter(of["repeated"])
        self._repeated_names = of["repeated"]
        self._singles = tuple((itemgetter(name), rules[name].holds) for name in singles)
        self._holds = tuple(rules[name].holds for name in of["repeated"])
        self._known: dict[tuple[str, ...], Mapping[str, str]] = {}

    def problem(self, fields: dict[str, Any]) -> str | None:
        """Return the first problem of a record of this shape; `None` if there is none. Values may be replaced by equal ones (`_REPEATED`)."""
        if self.are_sound((fields,)):
            return None
        return next(problems(fields, self._rules), None)

    def are_sound(self, records: Sequence[dict[str, Any]]) -> bool:
        """Return whether all fields of these records of this shape pass. Values may be replaced by equal ones (`_REPEATED`)."""
        return self._fits and self._hold(records) and self._share(records)

    def _hold(self, records: Sequence[dict[str, Any]]) -> bool:
        """Check all values but those of `_REPEATED`."""
        hashes = [*_flat(map(self._hashes, records))]
        counts = [*_flat(map(self._counts, records))]
        instants = [*_flat(map(self._instants, records))]
        texts = [*_flat(map(self._texts, records))]
        return (
            set(map(len, hashes)) == _HASH_LENGTHS
            and _is_hex("".join(hashes))
            and min(counts, default=-1) >= 0
            and max(counts) < COUNT_LIMIT
            and (are_stamps(instants) or all(map(is_instant, instants)))
            and ("".join(texts).isascii() or all(map(is_text, texts)))
            and "" not in _flat(map(self._names, records))
            and all(all(map(holds, map(value, records))) for value, holds in self._singles)
        )

    def _share(self, records: Sequence[dict[str, Any]]) -> bool:
        """Check the values of `_REPEATED`, and give the records those of records before them."""
        last: tuple[str, ...] | None = None
        shared: Mapping[str, str] | None = None
        for fields, repeated in zip(records, map(self._repeated, records), strict=True):
            if repeated != last:  # to compare texts takes less time than to hash them for a lookup
                last, shared = repeated, self._known.get(repeated)
                if shared is None:
                    shared = self._learn(repeated)
            if shared is None:
                return False
            fields.update(shared)
        return True

    def _learn(self, repeated: tuple[str, ...]) -> Mapping[str, str] | None:
        """Remember a combination of values; return it by name, or `None` if one of the values does not pass."""
        if not all(holds(value) for holds, value in zip(self._holds, repeated, strict=True)):
            return None
        if len(self._known) >= _KNOWN_LIMIT:
            self._known.clear()
        found = self._known[repeated] = dict(zip(self._repeated_names, repeated, strict=True))
        return found


def _is_hex(text: str) -> bool:
    """Return whether a text consists of lower-case hexadecimal digits."""
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


class Checks:
    """The checks of one kind of record."""

    def __init__(self, *tables: Mapping[str, Rule]) -> None:
        self._rules = {name: rule for table in tables for name, rule in table.items()}
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._last: tuple[list[str], list[type], Shape] = ([], [], Shape(self._rules, {}))
        """The last record's names, types and shape: one value, because several threads read records."""

    def shape(self, fields: Mapping[str, Any]) -> Shape:
        """Return the shape of a record. To compare it with the last record takes half the time of a lookup."""
        names, types = list(fields), list(map(type, fields.values()))
        known_names, known_types, shape = self._last
        if names != known_names or types != known_types:
            shape = self._shapes.get((*names, *types)) or self._learn(names, types)
            self._last = names, types, shape
        return shape

    def _learn(self, names: Sequence[str], types: Sequence[type]) -> Shape:
        if len(self._shapes) >= _KNOWN_LIMIT:
            self._shapes.clear()
        shape = Shape(self._rules, dict(zip(names, types, strict=True)))
        self._shapes[(*names, *types)] = shape
        return shape


def problems(fields: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[str]:
    """Yield what is wrong, field by field."""
    for name, rule in rules.items():
        value = fields.get(name, _ABSENT)
        if value is _ABSENT:
            if rule.needed:
                yield f"the record's {name} is missing"
        elif not rule.holds(value):
            yield f"the record's {name} must be {rule.words}, not {_shown(value)}"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004 - enough to find it by
