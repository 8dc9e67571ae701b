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
"""I: names of the list of groups, where the list is not the whole answer."""

SCRUBBED: Final = ("scrubbedSkills", "dncGroupScrubbedSkills", "skills")
"""I: names of the list of skills that a group scrubs."""

SKILLS: Final = ("skills", "skillParameters")
"""M: names of the list of skills, and of their settings in bulk."""

CONTACTS: Final = ("wfM_OB_StatsV9", "outboundStats")
"""H: names of the list of contacts that were dialed; the first is the newer."""

INTERVAL_START: Final = ("intervalStartDate", "startDate", "date")
"""I: names of an interval's start; the first one present counts."""

GROUPS_COME_WHOLE: Final = True
"""I: `/dnc-groups` may ignore `skip`. Where it names no total, a second answer that equals the first is the whole list."""

UNMANAGED: Final = frozenset({"abandonRateCutoff", "callerIdOverride", "minimumRatio"})
"""H/I: pacing fields that exist and that no manifest manages. They are written back unchanged, and not reported as unknown."""

FAILED_ITEM: Final = ("error", "errorDescription", "errors", "errorMessage")
"""I: one of these marks an item of a 200 or a 206 that was not done, where `success` does not say so."""

METRICS_DAYS: Final = 7
"""I: contacts of at most 7 days may be requested at once."""

BESIDE: Final[Mapping[str, str]] = {
    "models.skill.CLOSED": "M: the platform refuses a week with an inactive day.",
    "kinds.skill.FIELDS": "I: a lower aggressiveness, and a higher share of agents before overdialing, dial less.",
    "kinds.skill._threshold": "I: an abandonment threshold of 0, or one that the business unit's overrides, limits nothing.",
    "dialects.personal_connection.blocks._unpack_week": "I: a skill whose `isScheduled` is false runs at every hour.",
    "dialects.personal_connection.login.DISCOVERY": "M: an access key may be sent to this host where the area's own host takes none.",
    "dialects.personal_connection.login.ELSEWHERE": "I: with these answers an area's host says that it takes no access keys.",
    "dialects.personal_connection.login.AREA_API": "M: where the API is when discovery does not say.",
    "dialects.personal_connection.login.LIFETIME_S": "M: a token lives for an hour where the answer does not say.",
}
"""Assumptions that stand beside the code that they are about, by the name below `reconciler`."""


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

    M: `/skills/parameters` calls `name` what a block calls `standardName`.
    """
    return zone.get("standardName", zone.get("name"))
