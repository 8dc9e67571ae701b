"""The three settings blocks of a skill, in both formats, and the fields of a body that they hold.

A write takes the block as received, changes only managed fields and sends the whole block back, so unknown fields are kept.
A value of a managed field that cannot be read is kept as received: it counts as a difference of unknown direction.
`/skills/parameters` has the same settings in another format, which is converted into blocks first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler import scalars
from reconciler.dialects.answers import scalar_readers, typed
from reconciler.dialects.calls import JSON
from reconciler.dialects.personal_connection import assumed
from reconciler.effect import UNREADABLE
from reconciler.kinds.base import FLAG
from reconciler.kinds.skill import KIND
from reconciler.models.skill import DAYS
from reconciler.models.zones import iana_name, windows_name

Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        path: last segment of its path.
        name: its key in the answer.
        fields: names of the body's fields that it holds.
        unpack: block as received → those fields.
        pack: block as received, those fields → block to send.
        of_bulk: form of `/skills/parameters` → block.
        managed: names of the received fields that those fields become.
        more: names of the other fields that the contract gives it.
    """

    path: str
    name: str
    fields: tuple[str, ...]
    unpack: Callable[[JSON], Part]
    pack: Callable[[JSON, Mapping[str, Any]], JSON]
    of_bulk: Callable[[JSON], JSON]
    managed: frozenset[str]
    more: frozenset[str] = frozenset()

    def unknown(self, raw: JSON) -> frozenset[str]:
        """Return the names of fields in a received block that are not in the contract. They are written back unchanged."""
        rows = raw if isinstance(raw, list) else [raw]
        names = {name for row in rows if isinstance(row, Mapping) for name in row}
        return frozenset(names - self.managed - self.more)

    def restored(self, before: JSON, now: JSON) -> JSON:
        """Return a block as it was `before`, with the fields that nobody manages as they are `now`; those of a zone that is off now are from before."""
        if not isinstance(before, list):
            return self._restored(before, now)
        on = {
            zone["standardName"]: zone
            for zone in now or ()
            if _flag(zone["timeZoneActiveToCall"]) is True
        }
        return [self._restored(row, on.get(row["standardName"], row)) for row in before]

    def _restored(self, before: JSON, now: JSON) -> JSON:
        return {**now, **{name: before[name] for name in self.managed if name in before}}

    def read(self, raw: JSON) -> Part:
        """Return the body's fields that a block holds, in canonical form.

        Raises:
            TypeError, KeyError, AttributeError, ValueError: the block has another form, so it could not be sent back either.
        """
        return KIND.canonical(self.unpack(raw))

    def inner(self, answer: JSON) -> JSON:
        """Return the block from an answer: the value under its name, or the answer itself."""
        return answer[self.name] if isinstance(answer, dict) and self.name in answer else answer


# -- the week


def _unpack_week(raw: JSON) -> Part:
    """Return the active days. A skill with `isScheduled` false has no limit: it runs on every day, from midnight to midnight."""
    scheduled = _flag(raw["isScheduled"])
    if scheduled is False:
        return {"run_window": [{"day": day, "start": "00:00", "end": "24:00"} for day in DAYS]}
    if scheduled is not True:
        return {"run_window": {"isScheduled": scheduled}}
    rows = []
    for day in DAYS:
        active = _flag(raw[f"{day}IsActive"])
        if active is True:
            start, end = (
                assumed.clock_text(raw[f"{day}{part}"]) for part in ("StartTime", "EndTime")
            )
            rows.append({"day": day, "start": start, "end": end})
        elif active is not False:
            rows.append(
                {"day": day, "active": active}
            )  # without hours, so no rule takes it for open
    return {"run_window": rows}


def _flag(value: object) -> object:
    """Return a truth value; a value that is none as received."""
    try:
        return scalars.boolean(value)
    except ValueError:
        return value


def _pack_week(raw: JSON, part: Mapping[str, Any]) -> JSON:
    changed: dict[str, Any] = {"isScheduled": True}
    for row in part["run_window"]:
        day = row["day"]
        changed |= {
            f"{day}StartTime": row["start"],
            f"{day}EndTime": row["end"],
            f"{day}IsActive": True,
        }
    return {**raw, **changed}


def _week_of_bulk(bulk: JSON) -> JSON:
    found = {"isScheduled": bulk["isScheduled"], **{f"{day}IsActive": False for day in DAYS}}
    for row in bulk["schedules"]:
        day = row["day"].lower()
        found |= {
            f"{day}StartTime": row["startTime"],
            f"{day}EndTime": row["endTime"],
            f"{day}IsActive": row["active"],
        }
    return found


# -- zones


def _unpack_zones(raw: JSON) -> Part:
    if not isinstance(raw, list):
        raise TypeError("no list of zones")
    rows = []
    for zone in raw:
        name, active = zone["standardName"], _flag(zone["timeZoneActiveToCall"])
        if not isinstance(name, str):
            raise TypeError("a zone without a name")
        if active is True:
            start, end = (assumed.clock_text(zone[part]) for part in ("startTime", "endTime"))
            rows.append({"timezone": name, "start": start, "end": end})
        elif active is not False:
            rows.append({"timezone": name, "active": active})  # without hours, as a day
    return {"calling_windows": rows}


def _pack_zones(raw: JSON, part: Mapping[str, Any]) -> JSON:
    """Return the zones to send: the platform switches off every zone that is missing. Other settings of a zone are kept."""
    known = {iana_name(zone["standardName"]): zone for zone in raw}
    return [
        {
            "overrideTime": assumed.OVERRIDE_TIME,
            "standardName": _wire_name(window["timezone"]),
            **known.get(window["timezone"], {}),
            "startTime": window["start"],
            "endTime": window["end"],
            "timeZoneActiveToCall": True,
        }
        for window in part["calling_windows"]
    ]


def _wire_name(zone: str) -> str:
    """Return the Windows name of a zone. A zone unknown to CLDR came from the platform, and keeps its name."""
    try:
        return windows_name(zone)
    except ValueError:
        return zone


def _zones_of_bulk(bulk: JSON) -> JSON:
    return [{**zone, "standardName": assumed.bulk_zone_name(zone)} for zone in bulk]


# -- pacing

_WIRE: Final = {
    "maximum_ratio": "maximumRatio",
    "aggressiveness": "aggressiveness",
    "block_multiple_calls": "blockMultipleCalls",
    "percentage_of_agents_before_overdial": "percentageOfAgentsBeforeOverdial",
    "abandon_rate_threshold": "abandonRateThreshold",
    "override_business_unit_abandon_rate": "overrideBusinessUnitAbandonRate",
    "maximum_ringing_duration_s": "maximumRingingDuration",
}


_FLAGS: Final = tuple(name for name in _WIRE if KIND.fields[name].form is FLAG)
_NUMBERS: Final = tuple(each for each in scalar_readers(KIND) if each[0] in _WIRE)


def _unpack_pace(raw: JSON) -> Part:
    """Return the pacing. A value that cannot be read is kept as received, with an unknown direction."""
    found = {ours: raw[theirs] for ours, theirs in _WIRE.items()}
    found |= {name: _flag(found[name]) for name in _FLAGS}
    level = found["aggressiveness"]
    is_number = isinstance(level, int) and not isinstance(level, bool)
    found["aggressiveness"] = assumed.level_text(level) if is_number else level
    return typed(found, _NUMBERS)


def _pack_pace(raw: JSON, part: Mapping[str, Any]) -> JSON:
    now = KIND.canonical(_unpack_pace(raw))
    return {
        **raw,
        **{_WIRE[name]: value for name, value in part.items() if now[name] != value},
    }


def _pace_of_bulk(bulk: JSON) -> JSON:
    return bulk


WEEK: Final = Block(
    "schedule-settings",
    "scheduleSettings",
    ("run_window",),
    _unpack_week,
    _pack_week,
    _week_of_bulk,
    frozenset(
        {
            "isScheduled",
            *(f"{day}{part}" for day in DAYS for part in ("StartTime", "EndTime", "IsActive")),
        }
    ),
)
ZONES: Final = Block(
    "time-zones",
    "timeZoneSettings",
    ("calling_windows",),
    _unpack_zones,
    _pack_zones,
    _zones_of_bulk,
    frozenset({"standardName", "startTime", "endTime", "timeZoneActiveToCall"}),
    frozenset({"overrideTime"}),
)
PACE: Final = Block(
    "general-settings",
    "generalSettings",
    tuple(_WIRE),
    _unpack_pace,
    _pack_pace,
    _pace_of_bulk,
    frozenset(_WIRE.values()),
    assumed.UNMANAGED,
)
BLOCKS: Final = (WEEK, ZONES, PACE)
"""Every block, in the order in which they are written."""


def is_odd_pace(fields: Mapping[str, Any]) -> bool:
    """Return whether the pacing holds a value of another type. The platform may refuse a block that still holds it."""
    return any(type(fields[name]) not in types for name, types, _ in _NUMBERS)


def is_plain(fields: Part) -> bool:
    """Return whether the fields of all blocks hold no odd hours and no odd pacing."""
    try:
        KIND.hours({"timezone": "UTC", **fields})
    except UNREADABLE:
        return False
    return not is_odd_pace(fields)
