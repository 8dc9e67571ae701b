"""Decode records: from the lines of a note, and from those of a state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Any, Final

from reconciler.audit import lines
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
from reconciler.audit.schema import RecordKind, check, check_together, flaw_of

_BATCH: Final = 32 * 1024
"""Bytes of lines that are decoded together: about 25 records. Their values, and the code of each step, stay in the processor's cache."""


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
    number = defects = 0
    for line, record in _decode_batches(blob):
        number += 1
        found = record or _decode_line(commit, number, line)
        yield number, line, found
        if isinstance(found, Defect):
            defects += 1
            if defects == DEFECTS_LIMIT:
                yield number + 1, b"", Defect(commit, number + 1, "from here on nothing was read")
                return
    rest = blob[blob.rfind(b"\n") + 1 :]
    if rest or not number:
        problem = "the line is cut: it has no end"
        yield number + 1, rest, Defect(commit, number + 1, problem)


def decode_state(data: bytes) -> tuple[Record, ...]:
    """Decode a state file. A checkpoint holds its hash, so the canonical form and the hashes of its lines are not checked again.

    Raises:
        ValueError: names the first line that is not a record, or not in order.
    """
    if data and not data.endswith(b"\n"):
        raise ValueError("its last line is incomplete")
    records: list[Record] = []
    before = -1
    for line, known in _decode_batches(data, in_state=True):
        try:
            record = known or _decode_state_line(line)
            if record.seq <= before:
                raise ValueError("it does not follow the record before it")  # noqa: TRY301
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {len(records) + 1}: {error}") from None
        before = record.seq
        records.append(record)
    return tuple(records)


def _decode_batches(
    data: bytes, *, in_state: bool = False
) -> Iterator[tuple[bytes, Record | None]]:
    """Yield each line that has an end, without it; and its record, unless the line must be decoded by itself."""
    at = 0
    while (end := data.find(b"\n", at + _BATCH)) >= 0 or (end := data.rfind(b"\n", at)) >= 0:
        batch = data[at:end]
        found = batch.split(b"\n")
        known = _decode_together(found, in_state=in_state) if lines.is_ascii(batch) else None
        yield from zip(found, repeat(None) if known is None else known, strict=False)
        at = end + 1


def _decode_together(found: Sequence[bytes], *, in_state: bool) -> list[Record] | None:
    """Decode several lines at once. That takes two thirds of the time of decoding each by itself.

    Args:
        found: the lines. `lines.is_ascii` holds for each.
        in_state: they are lines of a state.

    Returns:
        Their records. `None` if one of the lines is not a record, is not in canonical form, or must be looked at more closely. Then
        each line must be decoded by itself, so that its defect is told.
    """
    if max(map(len, found)) >= LINE_LIMIT:
        return None
    try:
        parsed = [lines.parse(line, known_as_ascii=True) for line in found]
    except ValueError:
        return None
    if not all(is_known for _, is_known in parsed):
        return None
    records = [fields for fields, _ in parsed]
    loose = check_together(records, in_state=in_state)
    if loose is None or {each["v"] for each in records} != {VERSION} or not lines.are_plain(loose):
        return None
    return [_record(fields, is_plain=True) for fields in records]


def _decode_state_line(line: bytes) -> Record:
    fields, is_known = lines.parse(_checked(line))
    is_plain = lines.are_plain(_check(fields, in_state=True)) and is_known
    if not is_plain:
        _require_canonical(fields)
    return _record(fields, is_plain=is_plain)


def _decode_line(commit: str, number: int, line: bytes) -> Record | Defect:
    fields: dict[str, Any] = {}
    try:
        fields, is_known = lines.parse(_checked(line))
        loose = _check(fields)
        if is_known and lines.are_plain(loose):
            return _record(fields, is_plain=True)
        _require_canonical(fields)
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


def _require_canonical(fields: dict[str, Any]) -> None:
    if (flaw := flaw_of(fields)) is not None:
        raise ValueError(flaw)


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
