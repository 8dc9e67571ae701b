"""`CampaignSchedule`: a campaign's schedule on the `campaigns` API (`contract/campaigns-api.md`, "The schedule")."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from reconciler.models.base import Body, Expects, Flag, Label, Manifest, Metadata, Strict
from reconciler.models.instants import (
    canonical_instant,
    from_instant,
    primary_zone,
    to_instant,
    zone,
)

PLATFORM_FIELDS = frozenset({"id", "updated_at", "updated_by"})
"""What the platform adds to a schedule that it returns; never part of a body."""

_INSTANTS = ("start_time", "end_time")


def _known_zone(name: str) -> str:
    zone(name)
    return name


CampaignId = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-]{1,64}$"),
    Expects("1 to 64 letters, digits, _ and -, in quotes"),
]
Zone = Annotated[
    str, AfterValidator(_known_zone), Expects("an IANA time zone such as America/New_York")
]
Hour = Annotated[int, Field(ge=0, le=23), Expects("a whole hour from 0 to 23")]
Moment = Annotated[
    str,
    Expects('a wall time such as "2027-01-11 09:00", or ISO 8601 with an offset, in quotes'),
]


class Window(Strict):
    """Daily calling hours for the contacts of one zone: local [start, end), every day."""

    timezone: Zone
    """IANA zone of the contacts that the window admits."""

    start_hour: Hour
    """First local hour in which contacts of the zone may be called, 0 to 23."""

    end_hour: Hour
    """Local hour from which they may not be called any more, 0 to 23, after start_hour."""

    @field_validator("end_hour")
    @classmethod
    def _ends_after_it_starts(cls, end: int, info: ValidationInfo) -> int:
        start = info.data.get("start_hour", -1)
        if end <= start:
            raise ValueError(
                f"must be after start_hour {start}, not {end}: a window past midnight needs two"
            )
        return end


class CampaignSpec(Strict):
    """What the platform holds: only this is compared, hashed, sent and recorded."""

    campaign_id: CampaignId
    """The platform's id of the campaign, in quotes."""

    timezone: Zone
    """IANA zone in which start_time and end_time are read. It does not limit who is called: windows do."""

    start_time: Moment
    """When dialing may begin: a wall time in `timezone`, or ISO 8601 with the offset that the zone has then."""

    end_time: Moment
    """When dialing ends, written like start_time and after it as an instant. The span is continuous: windows limit the days."""

    dial_rate: Annotated[
        float, Field(gt=0, le=100), Expects("above 0 and at most 100 (calls per second)")
    ]
    """Calls per second, above 0 and at most 100."""

    max_concurrent_calls: Annotated[
        int, Field(ge=1, le=5000), Expects("a whole number from 1 to 5000 (calls)")
    ]
    """Calls in progress at the same time, 1 to 5000."""

    dnc_verification: Flag
    """Whether numbers are checked against the do-not-call lists linked to the campaign."""

    compliance_windows: Annotated[
        tuple[Window, ...], Field(strict=False), Expects("a list of windows")
    ]
    """Calling hours by the zone of the contact. A contact in a zone without a window is not called."""

    @field_validator("start_time", "end_time")
    @classmethod
    def _is_a_moment(cls, text: str, info: ValidationInfo) -> str:
        if "timezone" not in info.data:
            return text  # the zone's own problem is reported
        instant = to_instant(text, info.data["timezone"])
        start = info.data.get("start_time")
        if start is not None and instant <= to_instant(start, info.data["timezone"]):
            raise ValueError(f"must be after start_time {start!r}, not {text!r}")
        return text

    @field_validator("compliance_windows")
    @classmethod
    def _do_not_overlap(cls, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        for first, second in pairwise(sorted(windows, key=_order)):
            if (
                primary_zone(first.timezone) == primary_zone(second.timezone)
                and second.start_hour < first.end_hour
            ):
                raise ValueError(
                    f"overlap in {first.timezone}: {first.start_hour}-{first.end_hour} and "
                    f"{second.start_hour}-{second.end_hour}; write them as one"
                )
        return windows


def _order(window: Window) -> tuple[str, int]:
    return primary_zone(window.timezone), window.start_hour


class CampaignMetadata(Metadata):
    """Who and what a campaign's manifest is. Never sent to the platform."""

    campaign_name: Label | None = None
    """What the platform must call the object. When it differs the plan stops: a guard against a wrong id."""


class CampaignSchedule(Manifest):
    """The schedule of one outbound campaign."""

    api: ClassVar[str] = "campaigns"
    identified_by: ClassVar[str] = "campaign_id"
    named_by: ClassVar[str] = "campaign_name"

    kind: Annotated[Literal["CampaignSchedule"], Expects("CampaignSchedule")]
    """What the manifest describes."""

    metadata: CampaignMetadata
    """Who and what the manifest is."""

    @property
    def platform_name(self) -> str | None:
        """Return what the platform must call the campaign."""
        return self.metadata.campaign_name

    @classmethod
    def spec_of(cls, body: Body) -> dict[str, Any]:
        """Return the body with its instants as wall times of its zone."""
        return {
            name: from_instant(value, body["timezone"]) if name in _INSTANTS else value
            for name, value in body.items()
        }

    spec: CampaignSpec
    """What the platform must hold."""

    @property
    def key(self) -> str:
        """Return the campaign's id."""
        return self.spec.campaign_id

    def compile(self) -> Body | None:
        """Return the canonical body, or `None` when retired."""
        return None if self.metadata.retired else compile_campaign(self.spec)


def compile_campaign(spec: CampaignSpec) -> dict[str, Any]:
    """Return the canonical body of a schedule: `canonical` leaves it as it is."""
    return {
        "campaign_id": spec.campaign_id,
        "timezone": primary_zone(spec.timezone),
        "start_time": to_instant(spec.start_time, spec.timezone),
        "end_time": to_instant(spec.end_time, spec.timezone),
        "dial_rate": spec.dial_rate,
        "max_concurrent_calls": spec.max_concurrent_calls,
        "compliance_windows": [
            {
                "timezone": primary_zone(window.timezone),
                "start_hour": window.start_hour,
                "end_hour": window.end_hour,
            }
            for window in sorted(spec.compliance_windows, key=_order)
        ],
        "dnc_verification": spec.dnc_verification,
    }


MANAGED = frozenset(CampaignSpec.model_fields)
"""The fields of a schedule that a manifest manages."""

_WINDOW = frozenset(Window.model_fields)


def unknown_fields(raw: Body) -> frozenset[str]:
    """Return the names of the fields of a received schedule that neither a manifest nor the contract knows.

    A field of a window is named with its list: `compliance_windows[].note`.
    """
    found = raw.keys() - MANAGED - PLATFORM_FIELDS
    windows = raw.get("compliance_windows")
    for item in windows if isinstance(windows, list | tuple) else ():
        if isinstance(item, Mapping) and item.keys() != _WINDOW:
            found |= {f"compliance_windows[].{name}" for name in item.keys() - _WINDOW}
    return frozenset(found)


def canonical(raw: Body) -> dict[str, Any]:
    """Return the managed fields of a received body in the one form in which equal means equal; it never raises.

    Instants are in UTC, zones have their primary name, the rate is a float, counts are integers, windows are sorted by zone and hour.
    A field that no manifest manages is dropped: the platform may add fields, and they are no difference. A managed field that has no such form
    stays as it came, and a missing one stays missing: both count as a difference.
    """
    body = {name: value for name, value in raw.items() if name in MANAGED}
    for name in _INSTANTS:
        if name in body:
            body[name] = canonical_instant(body[name])
    if "timezone" in body:
        body["timezone"] = _zone(body["timezone"])
    if "dial_rate" in body:
        body["dial_rate"] = _rate(body["dial_rate"])
    if "max_concurrent_calls" in body:
        body["max_concurrent_calls"] = _count(body["max_concurrent_calls"])
    if "compliance_windows" in body:
        body["compliance_windows"] = _windows(body["compliance_windows"])
    return body


def _rate(value: object) -> object:
    try:
        return float(value) if type(value) is int else value
    except OverflowError:
        return value


def _count(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _zone(value: object) -> object:
    return primary_zone(value) if isinstance(value, str) else value


def _window_part(name: str, part: object) -> object:
    return _zone(part) if name == "timezone" else _count(part) if name.endswith("_hour") else part


def _windows(value: object) -> object:
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        return value
    windows = [
        {name: _window_part(name, part) for name, part in item.items() if name in _WINDOW}
        for item in value
    ]
    try:
        return sorted(
            windows, key=lambda item: (item["timezone"], item["start_hour"], item["end_hour"])
        )
    except (KeyError, TypeError):
        return windows
