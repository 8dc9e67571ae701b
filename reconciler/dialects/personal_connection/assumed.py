"""Assumptions about the Personal Connection API that nobody has verified on a tenant, each in one place.

Each docstring begins with the evidence: H, the vendor's own description or two sources; M, one client that was tested live, or one help page;
I, inferred. `reconcile explain assumptions` lists them all, with those of `BESIDE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.scalars import clock as _clock

STRATEGY: Final = "Personal Connection"
"""M: `outboundStrategy` of a skill that can be managed is `Personal Connection`."""

RATIO: Final = 3.0
"""H: the highest `maximumRatio` is 3."""

RATIO_WITHOUT_PREDICTIVE: Final = 1.0
"""I: the highest `maximumRatio` is 1 where the business unit's `allowPredictiveDialing` is false."""

RUN_WINDOW_ZONE: Final = "defaultTimeZone"
"""M: a skill's week is read in the business unit's `defaultTimeZone`."""

OVERRIDE_TIME: Final = False
"""I: a zone that is switched on gets `overrideTime: false`; a zone that is on keeps its own value."""

MEMBERSHIP_DONE: Final = frozenset({200, 201, 202, 204, 409})
"""I: after these answers a group scrubs a skill; 409 means that it did already. The membership is read back all the same."""

MEMBERSHIP_GONE: Final = frozenset({200, 202, 204, 404})
"""I: after these answers a group does not scrub a skill; 404 means that it did not."""

WRAPPERS: Final = ("resultSet",)
"""M: some versions wrap an answer under this name: around a list, or between its name and its rows."""

GROUPS: Final = ("dncGroups", "groups")
"""I: names of the field that holds the list of groups, if the answer is not the list itself."""

SCRUBBED: Final = ("scrubbedSkills", "dncGroupScrubbedSkills", "skills")
"""I: names of the field that holds the skills of a group."""

SKILLS: Final = ("skills", "skillParameters")
"""M: names of the field that holds the list of skills, also in the bulk settings."""

CONTACTS: Final = ("wfM_OB_StatsV9", "outboundStats")
"""H: names of the field that holds the dialed contacts; the first name is the newer one."""

INTERVAL_START: Final = ("intervalStartDate", "startDate", "date")
"""I: names of the field that holds an interval's start; the first one present is used."""

GROUPS_COME_WHOLE: Final = True
"""I: `/dnc-groups` may ignore `skip`. If it reports no total, a second answer equal to the first means that the list is complete."""

UNMANAGED: Final = frozenset({"abandonRateCutoff", "callerIdOverride", "minimumRatio"})
"""H/I: pacing fields that exist and that no manifest manages. They are written back unchanged, and not reported as unknown."""

FAILED_ITEM: Final = ("error", "errorDescription", "errors", "errorMessage")
"""I: without a field `success`, one of these fields marks an item of a 200 or a 206 as not done."""

METRICS_DAYS: Final = 7
"""I: contacts of at most 7 days may be requested at once."""

BESIDE: Final[Mapping[str, str]] = {
    "models.skill.CLOSED": "M: the platform refuses a week with an inactive day.",
    "kinds.skill.FIELDS": "I: a lower aggressiveness, and a higher share of agents before overdialing, dial less.",
    "kinds.skill._threshold": "I: an abandonment threshold of 0, or one overridden by the business unit's, has no effect.",
    "dialects.personal_connection.blocks._unpack_week": "I: a skill whose `isScheduled` is false runs at every hour.",
    "dialects.personal_connection.login.DISCOVERY": "M: an access key may be sent to this host if the area's own host does not accept access keys.",
    "dialects.personal_connection.login.ELSEWHERE": "I: with these answers an area's host indicates that it does not accept access keys.",
    "dialects.personal_connection.login.AREA_API": "M: the API's location if discovery does not return one.",
    "dialects.personal_connection.login.LIFETIME_S": "M: a token is valid for an hour if the answer has no `expires_in`.",
}
"""Assumptions documented next to their code, by dotted name below `reconciler`."""


def level_text(level: int) -> str:
    """Return the text that a block has for the number by which `/skills/parameters` names the aggressiveness.

    I: `/skills/parameters` gives the aggressiveness as the number in digits. It is compared with one skill's block; where it differs, every
    block is read.
    """
    return str(level)


def clock_text(time: Any) -> Any:
    """Return a time of day as `HH:MM`.

    M: `/skills/parameters` may give hours with seconds. Any other text stays as it came and counts as unknown.
    """
    try:
        return _clock(time)
    except ValueError:
        return time


def bulk_zone_name(zone: dict[str, Any]) -> Any:
    """Return the Windows name of a zone in bulk.

    M: the field `name` in `/skills/parameters` is the field `standardName` of a block.
    """
    return zone.get("standardName", zone.get("name"))
