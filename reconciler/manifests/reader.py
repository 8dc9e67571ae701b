"""Read the strict subset of YAML 1.2 in which manifests are written: bytes to plain values, with places.

The reader builds values from the events of ruamel's C parser (`CParser`). Ruamel's own constructors would be the
shorter way, but they take six times as long, keep no place for a scalar, and accept what this subset refuses. Short files
of one shape are parsed once (`shapes`), unless places are kept.

Text that another tool could read differently is refused, with its place: anchors, aliases, merge keys, tags, directives,
duplicate keys, keys that are not text, numbers that YAML 1.1 and 1.2 read differently, hidden characters. Dates, `no`,
`on` and `10:30` are text.

Limits: 256 KiB per file, depth 20, 50,000 nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from reconciler.errors import ManifestError, Place, Problem, ReconcileError
from reconciler.manifests import characters, shapes
from reconciler.manifests.characters import MAX_PROBLEMS

try:
    from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined] # its own import from ruamel.yaml.clib
except ImportError as error:  # pragma: no cover - a broken installation
    raise ReconcileError(
        "ruamel.yaml.clib is not installed: run `pip install ruamel.yaml.clib`"
    ) from error

MAX_DEPTH = 20
MAX_NODES = 50_000

Path: TypeAlias = tuple[str | int, ...]
"""Path within a document: keys and list positions."""
Mark: TypeAlias = tuple[int, int]
"""Line and column, from 1."""


@dataclass(frozen=True, slots=True)
class Spot:
    """The position of a value in its file.

    Attributes:
        key: the parser's event of the value's key; for an item of a list, of the item itself.
        value: the parser's event of the value.
        flow: whether the value stands directly in ``{}`` or ``[]``.
    """

    key: Any
    value: Any
    flow: bool

    def mark(self, *, of_key: bool = False) -> Mark:
        """Return line and column of the value, or of its key."""
        return _mark(self.key if of_key else self.value)

    @property
    def plain(self) -> str | None:
        """Text of an unquoted scalar as it stands in the file; `None` for anything else."""
        text: str | None = getattr(self.value, "value", None)
        return None if text is None or self.value.style else text

    @property
    def text(self) -> slice:
        """Range of a scalar within the file, in characters."""
        return slice(self.value.start_mark.index, self.value.end_mark.index)


class Document(NamedTuple):
    """One document of a file: its value, its start, and the position of each value if places were kept."""

    value: dict[str, Any]
    mark: Mark
    spots: Mapping[Path, Spot]


def read(data: bytes, file: str, *, keep_places: bool = False) -> tuple[Document, ...]:
    """Return the documents of a file, in order, without empty ones.

    Args:
        data: the file's bytes.
        file: its name in messages.
        keep_places: keep the position of every value; about ten times slower.

    Raises:
        ManifestError: not YAML, or outside the subset: every problem with its place.
    """
    if problems := characters.check(data, file):
        raise ManifestError(problems)
    if not keep_places and len(data) <= _LONGEST and (found := _read_by_shape(data)) is not None:
        return found
    return _Reader(data, file, keep_places=keep_places).documents()


_LONGEST = 4 * 1024
"""Bytes of a file above which its shape is not kept: that takes up to thirty times as much memory, and long files are seldom alike."""


def _read_by_shape(data: bytes) -> tuple[Document, ...] | None:
    """Return the documents of a file by its shape; `None` if it has none, or a value outside the subset."""
    text, values = shapes.split(data.decode("utf-8"))
    documents = _documents_of(text)
    if documents is None:
        return None
    try:
        found = [each[1:-1] if each[0] == '"' else _plain(each) for each in values]
    except _Odd:
        return None
    return tuple(Document(shapes.filled(each.value, found), each.mark, {}) for each in documents)


@lru_cache(maxsize=256)
def _documents_of(shape: str) -> tuple[Document, ...] | None:
    """Return the documents of a shape, with slots; `None` if this is none."""
    text = shapes.with_placeholders(shape)
    if text is None:
        return None
    try:
        parsed = _Reader(text.encode(), "", keep_places=False).documents()
        return tuple(each._replace(value=shapes.slotted(each.value)) for each in parsed)
    except (ManifestError, shapes.NoWholeValue):
        return None


_CORE: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""The words of YAML 1.2's core schema."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(
    r"[-+]?((0|[1-9][0-9]{0,17})(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][-+]?[0-9]{1,2})?"
)
_LIKE_A_NUMBER = re.compile(
    r"[-+]?(0[xob][0-9a-fA-F_]+|\.(inf|Inf|INF)|(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?)|\.(nan|NaN|NAN)"
)
_SHOWN = 40
"""Most characters of a scalar that a message shows."""

_COLON = re.compile(r"[^\s,{}\[\]]*")
"""An unquoted scalar in `{}` or `[]`, including a colon that may not be there."""

_NUMERIC = frozenset("0123456789+-.")


class _Odd(Exception):
    """A scalar outside the subset; the message says what to write."""


@lru_cache(maxsize=4096)
def _plain(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar by YAML 1.2's core schema. Equal texts share one object."""
    if text in _CORE:
        return _CORE[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _LIKE_A_NUMBER.fullmatch(text):
        quoted = f', "{text}"' if len(text) <= _SHOWN else ""
        raise _Odd(
            f"{text[:_SHOWN]} is a number that tools read differently: write it as a plain decimal, or as text in quotes{quoted}"
        )
    return text


class _Reader:
    """Builds the documents of one file and collects its problems."""

    def __init__(self, data: bytes, file: str, *, keep_places: bool) -> None:
        self._file = file
        self._data = data
        self._keep = keep_places
        self._problems: list[Problem] = []
        self._spots: dict[Path, Spot] = {}
        # The bare parser: a loader would add a constructor and a resolver, which are not used here and form a cycle with it.
        # The cyclic collector seldom runs (see `__main__`), so each file would keep 13 KiB.
        step = CParser(data).get_event
        # A node takes at least one byte, so a small file cannot hold too many.
        self._step: Callable[[], Any] = step if len(data) < MAX_NODES else self._count(step)

    def documents(self) -> tuple[Document, ...]:
        found = []
        try:
            while type(event := self._step()) is not StreamEndEvent:
                if type(event) is DocumentStartEvent:
                    found.append(self._document(event))
        except MarkedYAMLError as error:
            self._refuse_broken(error)
        except YAMLError as error:
            self._problems.append(
                Problem(Place(self._file), f"is not valid YAML: {str(error).splitlines()[0]}")
            )
        if self._problems:
            raise ManifestError(self._problems)
        return tuple(document for document in found if document is not None)

    def _document(self, start: Any) -> Document | None:
        if start.version or start.tags:
            self._refuse(start.start_mark, "holds a directive (%): remove it")
        event = self._step()
        self._spots = {}
        value = self._value(event, (), 0)
        if type(event) is ScalarEvent and not event.value and not event.style:
            return None
        if type(value) is not dict:
            self._refuse(
                event.start_mark,
                "is not a manifest: write its keys (apiVersion, kind, metadata, spec)",
            )
        return Document(value, _mark(event), self._spots)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is AliasEvent:
            self._refuse(
                event.start_mark,
                f"uses an alias (*{event.anchor}): write the value out, or use a profile",
            )
            return None
        if event.anchor is not None or event.ctag is not None:
            self._refuse_properties(event)
        if depth == MAX_DEPTH:
            self._refuse(event.start_mark, f"is nested more than {MAX_DEPTH} deep")
            raise ManifestError(self._problems)
        if kind is MappingStartEvent:
            return self._mapping(event.flow_style, path, depth + 1)
        return self._sequence(event.flow_style, path, depth + 1)

    def _scalar(self, event: Any) -> str | int | float | bool | None:
        if event.anchor is not None or event.ctag is not None:
            self._refuse_properties(event)
        text: str = event.value
        if event.style:
            if event.style == '"' and not text.isprintable():
                self._refuse_escapes(event, text)
            return text
        try:
            return _plain(text)
        except _Odd as odd:
            self._refuse(event.start_mark, str(odd))
            return text

    def _mapping(self, flow: bool, path: Path, depth: int) -> dict[str, Any]:  # noqa: FBT001 - as the event says it
        result: dict[str, Any] = {}
        step, scalar, keep = self._step, self._scalar, self._keep
        child = path
        while type(key := step()) is not MappingEndEvent:
            name = scalar(key) if type(key) is ScalarEvent else self._value(key, path, depth)
            if type(name) is not str or name == "<<":
                name = self._refuse_key(key, name)
            event = step()
            if keep:
                child = (*path, name)
            if name in result:
                self._refuse(
                    key.start_mark, f"the key {name!r} is duplicated in this mapping: remove one"
                )
            elif keep:
                self._spots[child] = Spot(key, event, flow)
            result[name] = (
                scalar(event) if type(event) is ScalarEvent else self._value(event, child, depth)
            )
        return result

    def _sequence(self, flow: bool, path: Path, depth: int) -> list[Any]:  # noqa: FBT001 - as the event says it
        result: list[Any] = []
        step = self._step
        while type(event := step()) is not SequenceEndEvent:
            child = (*path, len(result)) if self._keep else path
            if self._keep:
                self._spots[child] = Spot(event, event, flow)
            result.append(self._value(event, child, depth))
        return result

    def _refuse_properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(
                event.start_mark,
                f"sets an anchor (&{event.anchor}): write values out, or use a profile",
            )
        if event.ctag is not None:
            self._refuse(event.start_mark, f"sets a tag ({event.tag}): remove it")

    def _refuse_key(self, event: Any, name: object) -> str:
        if name == "<<":
            self._refuse(
                event.start_mark, "uses a merge key (<<): write the keys out, or use a profile"
            )
        else:
            self._refuse(event.start_mark, "a key must be text: put it in quotes")
        return str(name)

    def _refuse_escapes(self, event: Any, text: str) -> None:
        for char in sorted(set(text)):
            if characters.is_hidden_in_yaml(char):
                self._refuse(event.start_mark, characters.hides(char))

    def _count(self, step: Callable[[], Any]) -> Callable[[], Any]:
        nodes = 0

        def count() -> Any:
            nonlocal nodes
            event = step()
            nodes += isinstance(event, NodeEvent)
            if nodes > MAX_NODES:
                self._refuse(
                    event.start_mark,
                    f"holds more than {MAX_NODES} values: split it into several files",
                )
                raise ManifestError(self._problems)
            return event

        return count

    def _refuse_broken(self, error: MarkedYAMLError) -> None:
        conflict = _CONFLICT.search(self._data)
        if conflict is not None:
            line = self._data.count(b"\n", 0, conflict.start()) + 1
            self._problems.append(Problem(Place(self._file, line, 1), _UNRESOLVED))
            return
        start = error.context_mark
        if start is None or error.problem != "found unexpected ':'":
            self._refuse(error.problem_mark or start, _describe(error))
            return
        found = _COLON.match(self._data.decode("utf-8"), start.index)
        text = found[0][:_SHOWN] if found else ""
        key, _, value = text.partition(":")
        space = "" if key.isdigit() else f"; or a space behind the colon, {key}: {value}"
        said = f'{text} holds a colon, which text without quotes may not in {{}} or []: put it in quotes, "{text}"{space}'
        self._refuse(start, said)

    def _refuse(self, mark: Any, message: str) -> None:
        place = Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)
        self._problems.append(Problem(place, message))
        if len(self._problems) == MAX_PROBLEMS:
            raise ManifestError(self._problems)


_CONFLICT = re.compile(rb"^<{7}( |\r?$)", re.MULTILINE)

_UNRESOLVED = "a merge conflict begins here: keep what is right, and remove the lines <<<<<<<, ======= and >>>>>>>"


def _mark(event: Any) -> Mark:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _describe(error: MarkedYAMLError) -> str:
    said = ": ".join(part for part in (error.context, error.problem) if part)
    return f"is not valid YAML: {said}"
