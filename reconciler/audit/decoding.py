"""Decode records: from the lines of a note, and from those of a state."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any, Final

from reconciler.audit import lines
from reconciler.audit.lines import DEPTH_LIMIT
from reconciler.audit.records import (
    DEFECTS_LIMIT,
    LINE_LIMIT,
    VERSION,
    Defect,
    Record,
    event_of,
    record_of,
)
from reconciler.audit.rules import HASH
from reconciler.audit.schema import RecordKind, check, is_deep


def decode(commit: str, blob: bytes) -> tuple[tuple[Record, ...], tuple[Defect, ...]]:
    """Decode a note: return its records, and a defect for each line that is not a record (`lines_of`)."""
    records: list[Record] = []
    defects: list[Defect] = []
    for _, _, found in lines_of(commit, blob):
        if isinstance(found, Defect):
            defects.append(found)
        else:
            records.append(found)
    return tuple(records), tuple(defects)


def lines_of(commit: str, blob: bytes) -> Iterator[tuple[int, bytes, Record | Defect]]:
    """Yield each line of a note: its number, its bytes without the line end, and its record, or a defect if it is none.

    Reading stops after `DEFECTS_LIMIT` defects.

    Args:
        commit: the commit that carries the note.
        blob: its bytes.
    """
    number = at = defects = 0
    while (end := blob.find(b"\n", at)) >= 0:
        line, at, number = blob[at:end], end + 1, number + 1
        found = _decode_line(commit, number, line)
        yield number, line, found
        if isinstance(found, Defect):
            defects += 1
            if defects == DEFECTS_LIMIT:
                yield number + 1, b"", Defect(commit, number + 1, "from here on nothing was read")
                return
    if at < len(blob) or not number:
        problem = "the line is cut: it has no end"
        yield number + 1, blob[at:], Defect(commit, number + 1, problem)


def decode_state(data: bytes) -> tuple[Record, ...]:
    """Decode a state file. A checkpoint holds its hash, so the canonical form and the hashes of its lines are not checked again.

    Raises:
        ValueError: names the first line that is not a record, or not in order.
    """
    if data and not data.endswith(b"\n"):
        raise ValueError("its last line is incomplete")
    records = []
    before = -1
    for number, line in enumerate(io.BytesIO(data), start=1):
        try:
            fields, is_known = lines.parse(_checked(line[:-1]))
            is_plain = lines.are_plain(_check(fields, in_state=True)) and is_known
            if not is_plain:
                _require_flat(fields)
            record = _record(fields, is_plain=is_plain)
            if record.seq <= before:
                raise ValueError("it does not follow the record before it")  # noqa: TRY301
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}") from None
        before = record.seq
        records.append(record)
    return tuple(records)


def _decode_line(commit: str, number: int, line: bytes) -> Record | Defect:
    fields: dict[str, Any] = {}
    try:
        fields, is_known = lines.parse(_checked(line))
        loose = _check(fields)
        if is_known and lines.are_plain(loose):
            return _record(fields, is_plain=True)
        _require_flat(fields)
        if lines.encode(fields) != line:
            raise ValueError("the line is not in canonical form")  # noqa: TRY301
        return _record(fields)
    except (ValueError, RecursionError) as error:
        id_ = fields.get("id")
        return Defect(commit, number, str(error), str(id_) if HASH.holds(id_) else "")


def _checked(line: bytes) -> bytes:
    if len(line) >= LINE_LIMIT:
        raise ValueError(f"the line has {len(line)} bytes; at most {LINE_LIMIT - 1} are allowed")
    if b"\0" in line:
        raise ValueError("the line holds a NUL")
    return line


def _check(fields: dict[str, Any], *, in_state: bool = False) -> Sequence[Any]:
    """Check version and fields; return the values that are floats, lists and mappings."""
    version = fields.get("v")
    if version != VERSION and type(version) is int:
        raise ValueError(f"record version {version}: this program reads version {VERSION}")
    problem, loose = check(fields, in_state=in_state)
    if problem is not None:
        raise ValueError(problem)
    return loose


def _require_flat(fields: dict[str, Any]) -> None:
    if is_deep(fields):
        raise ValueError(f"the record nests deeper than {DEPTH_LIMIT} levels")


_KINDS: Final = {kind.value: kind for kind in RecordKind}


def _record(fields: dict[str, Any], *, is_plain: bool = False) -> Record:
    """Return a record of its fields, which become those of its event."""
    take = fields.pop
    kind, tenant, commit = take("kind"), take("tenant"), take("commit")
    run, ts = take("run"), take("ts")
    seq, n, prev = take("seq"), take("n"), take("prev")
    h, id_, _ = take("h"), take("id"), take("v")  # `_check` accepts one version only
    event = event_of(_KINDS[kind], tenant, commit, run, ts, MappingProxyType(fields))
    return record_of(event, seq, n, prev, h, id_, is_plain=is_plain)
