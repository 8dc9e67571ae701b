"""The order in which the writes of a ledger took effect, which may differ from the order of its records.

A stop that cannot take the lock is an example: its outcome may be moved into the ledger before an apply records the outcome of a
write that took effect earlier.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from reconciler.audit.records import Record
from reconciler.audit.schema import NOTE

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def moment(record: Record) -> datetime:
    """Return when an event took effect: by the platform's clock, or by ours if the record has only that."""
    return datetime.fromisoformat(record.data.get("timestamp") or record.event.ts)


class EffectOrder:
    """Gives each event the instant by which it is ordered. Of equal instants the later record counts as the later event.

    Two cases do not go by the recorded instant. The writes of one run to one object took effect in the order of their records. An
    event without the platform's time comes after everything that was recorded before it, because our clock may be wrong.
    """

    def __init__(self) -> None:
        """Begin without events."""
        self._newest = _FIRST
        self._of_runs: dict[tuple[str, str], datetime] = {}

    def place(self, record: Record, instant: datetime) -> datetime:
        """Return the instant by which the next event of the ledger is ordered.

        Args:
            record: the outcome, or the record that stands alone.
            instant: when the event took effect according to the record.
        """
        writes = record.event.run, str(record.data["target"])
        if not _has_platform_time(record):
            instant = self._newest
        placed = max(instant, self._of_runs.get(writes, _FIRST))
        self._of_runs[writes] = placed
        self._newest = max(self._newest, placed)
        return placed


def may_be_later(record: Record, other: Record) -> bool:
    """Return whether an event may have taken effect after another one: by its place in the ledger, or by the platform's clock."""
    timed = _has_platform_time(record) and _has_platform_time(other)
    return record.seq > other.seq or (timed and moment(record) > moment(other))


def _has_platform_time(record: Record) -> bool:
    """Return whether the instant of an event is one of the platform's clock. An outcome without it repeats the time of its record."""
    said = record.data.get("timestamp")
    return said is not None and (record.kind is NOTE or said != record.event.ts)
