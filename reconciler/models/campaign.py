"""`CampaignSchedule`: a campaign's schedule on the `campaigns` API (`contract/campaigns-api.md`, "The schedule")."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from reconciler.models.base import Body, Expects, Flag, Label, Manifest, Metadata, Strict
from reconciler.models.instants import from_instant, to_instant
from reconciler.models.zones import primary_zone, zone

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
EndHour = Annotated[
    int, Field(ge=0, le=23), Expects("a whole hour from 0 to 23 (no window reaches midnight)")
]
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

    end_hour: EndHour
    """First local hour in which contacts of the zone may not be called any more, 0 to 23, after start_hour."""

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
    """Settings on the platform. Only these are compared, hashed, sent and recorded."""

    campaign_id: CampaignId
    """The platform's id of the campaign, in quotes."""

    timezone: Zone
    """IANA zone of start_time and end_time. It does not limit who is called; compliance_windows do."""

    start_time: Moment
    """When dialing may begin: a wall time in `timezone`, or ISO 8601 with the offset that the zone has then."""

    end_time: Moment
    """When dialing ends, written like start_time and later than it. Dialing may go on all the time between; compliance_windows limit it."""

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
    """Calling hours by the zone of the contact. Contacts in a zone without a window are not called."""

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
    """Name, owner and profile of a campaign's manifest. Never sent to the platform."""

    campaign_name: Label | None = None
    """Name of the campaign on the platform. The plan stops if it differs: a guard against a wrong id."""


class CampaignSchedule(Manifest):
    """The schedule of one outbound campaign."""

    api: ClassVar[str] = "campaigns"
    identified_by: ClassVar[str] = "campaign_id"
    named_by: ClassVar[str] = "campaign_name"

    kind: Annotated[Literal["CampaignSchedule"], Expects("CampaignSchedule")]
    """Kind of the manifest."""

    metadata: CampaignMetadata
    """Name, owner and profile of the manifest."""

    @property
    def platform_name(self) -> str | None:
        """Return the name that the campaign must have on the platform."""
        return self.metadata.campaign_name

    @classmethod
    def spec_of(cls, body: Body) -> dict[str, Any]:
        """Return the body with its instants as wall times of its zone."""
        return {
            name: from_instant(value, body["timezone"]) if name in _INSTANTS else value
            for name, value in body.items()
        }

    spec: CampaignSpec
    """Settings that the platform must hold."""

    @property
    def key(self) -> str:
        """Return the campaign's id."""
        return self.spec.campaign_id

    def compile(self) -> Body | None:
        """Return the canonical body, or `None` when retired."""
        return None if self.metadata.retired else compile_campaign(self.spec)


def compile_campaign(spec: CampaignSpec) -> dict[str, Any]:
    """Return the canonical body of a schedule. Fields that the spec omits are missing in the body, too."""
    body = {name: value for name, value in vars(spec).items() if value is not None}
    return body | {
        "timezone": primary_zone(spec.timezone),
        "start_time": to_instant(spec.start_time, spec.timezone),
        "end_time": to_instant(spec.end_time, spec.timezone),
        "compliance_windows": [
            {**vars(window), "timezone": primary_zone(window.timezone)}
            for window in sorted(spec.compliance_windows, key=_order)
        ],
    }
