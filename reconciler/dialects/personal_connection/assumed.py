"""What nobody has verified on a tenant, each in one place. Whoever learns better changes one line here.

**M**: one live-tested client or one help page says so. **I**: inferred. The README lists them under "To verify on your tenant".
"""

from __future__ import annotations

from typing import Any, Final

from reconciler.scalars import clock as _clock

STRATEGY: Final = "Personal Connection"
"""M: what `outboundStrategy` says of a skill that obeys the three blocks."""

RATIO: Final = 3.0
"""H: the highest `maximumRatio`."""

RATIO_WITHOUT_PREDICTIVE: Final = 1.0
"""I: the highest `maximumRatio` where the business unit's `allowPredictiveDialing` is false."""

RUN_WINDOW_ZONE: Final = "defaultTimeZone"
"""M: the field of the business unit that names the zone of a skill's week."""

OVERRIDE_TIME: Final = False
"""I: `overrideTime` of a zone that is switched on; a zone that is on keeps what it has."""

MEMBERSHIP_DONE: Final = frozenset({200, 201, 202, 204, 409})
"""I: answers after which a group scrubs a skill; 409 says that it did already. What counts is what is read back."""

MEMBERSHIP_GONE: Final = frozenset({200, 202, 204, 404})
"""I: answers after which a group does not scrub a skill; 404 says that it did not."""

WRAPPERS: Final = ("resultSet",)
"""M: names under which some versions wrap an answer: around a list, or between its name and its rows."""

GROUPS: Final = ("dncGroups", "groups")
"""I: names under which the list of groups stands, where it is not the whole answer."""

SCRUBBED: Final = ("scrubbedSkills", "dncGroupScrubbedSkills", "skills")
"""I: the same for the skills that a group scrubs."""

SKILLS: Final = ("skills", "skillParameters")
"""M: the same for skills and for their settings in bulk."""

CONTACTS: Final = ("wfM_OB_StatsV9", "outboundStats")
"""H: the same for what was dialed; the first is the newer."""

INTERVAL_START: Final = ("intervalStartDate", "startDate", "date")
"""I: names of an interval's start, first found first."""

GROUPS_COME_WHOLE: Final = True
"""I: `/dnc-groups` may not know pages: where it names no total, a second answer that equals the first is the whole list."""

UNMANAGED: Final = frozenset({"abandonRateCutoff", "callerIdOverride", "minimumRatio"})
"""H/I: fields of the pacing that are known and that no manifest manages: written back as they came, and never named as unknown."""

FAILED_ITEM: Final = ("error", "errorDescription", "errors", "errorMessage")
"""I: what an item of a 200 or a 206 carries when it was not done, where `success` does not say so."""

METRICS_DAYS: Final = 7
"""I: the longest interval that is asked for at once."""


def level_text(level: int) -> str:
    """Return the text that a block has for the number by which `/skills/parameters` names the aggressiveness.

    I: the number in digits. Reading holds it against one skill's block, and reads every block where it does not hold.
    """
    return str(level)


def clock_text(time: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a time of day as `HH:MM`. M: hours may have seconds; whatever is no such text stays as it came, and is judged as unknown."""
    try:
        return _clock(time)
    except ValueError:
        return time


def bulk_zone_name(zone: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON value
    """Return the Windows name of a zone in bulk. M: `name` is what a block calls `standardName`."""
    return zone.get("standardName", zone.get("name"))
