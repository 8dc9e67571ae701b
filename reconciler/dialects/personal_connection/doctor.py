"""Checks of `doctor` for the Personal Connection API: assumptions and contract, read-only; and the roundtrip of one block."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from reconciler import diff
from reconciler.dialects.answers import clock, object_call
from reconciler.dialects.base import Check, probe
from reconciler.dialects.calls import Call, Exchange
from reconciler.dialects.personal_connection import assumed, reading
from reconciler.dialects.personal_connection.answers import SkillAnswer
from reconciler.dialects.personal_connection.blocks import PACE
from reconciler.dialects.personal_connection.measuring import contacts_call
from reconciler.errors import Malformed
from reconciler.models.zones import iana_name, windows_name

_ASSUMED: Final = "correct it in personal_connection/assumed.py, or set the version that this endpoint speaks in `versions` of tenant.yaml"


def examine() -> Exchange[tuple[Check, ...]]:
    """Check version, zones, skills, both formats of the settings, groups and contacts."""
    version = yield from probe(
        "version", _version(), "set `version` in tenant.yaml to one that answers"
    )
    zones = yield from probe(
        "time zones", _zones(), "update the package tzlocal, or leave that zone out of manifests"
    )
    skills = yield from probe("skills", _skills(), f"STRATEGY: {_ASSUMED}")
    shapes = yield from probe(
        "settings in bulk",
        _shapes(),
        "nothing to do: every skill's blocks are read, which takes three calls a skill",
        optional=True,
    )
    groups = yield from probe("DNC groups", _groups(), f"GROUPS, SCRUBBED: {_ASSUMED}")
    contacts = yield from probe(
        "contacts", _contacts(), f"CONTACTS, INTERVAL_START: {_ASSUMED}; only optimize needs them"
    )
    return version, zones, skills, shapes, groups, contacts


def _version() -> Exchange[str]:
    answer = yield from SkillAnswer.ask(reading.unit_call())
    unit = reading.unit_of(answer)
    ahead = "allowed" if unit.predictive else "not allowed, so maximum_ratio is 1"
    return f"the business unit answers; weeks are read in {unit.zone}; dialing ahead is {ahead}"


def _zones() -> Exchange[str]:
    answer = yield from SkillAnswer.ask(Call("GET", "/timezones"))
    names = [answer.text(row, "standardName") for row in answer.rows("timeZones", "timezones")]
    strange = sorted(name for name in names if not _is_known(name))
    if strange:
        raise answer.wrong(f"not known to CLDR: {', '.join(strange)}")
    return f"{len(names)}, all known by their IANA names"


def _is_known(windows: str) -> bool:
    try:
        return windows_name(iana_name(windows)) == windows
    except ValueError:
        return False


def _list_managed() -> Exchange[list[str]]:
    answer = yield from SkillAnswer.ask(reading.skills_call())
    rows = answer.rows(*assumed.SKILLS)
    return [answer.id(row, "skillId") for row in rows if reading.unfit(answer, row) is None]


def _skills() -> Exchange[str]:
    answer = yield from SkillAnswer.ask(reading.skills_call())
    rows = answer.rows(*assumed.SKILLS)
    fit = sum(reading.unfit(answer, row) is None for row in rows)
    if rows and not fit:
        raise answer.wrong(f"none of the first {len(rows)} is a {assumed.STRATEGY} skill")
    return f"{fit} of the first {len(rows)} can be managed"


def _shapes() -> Exchange[str]:
    keys = (yield from _list_managed())[:1]
    if not keys:
        return "no skill to compare with"
    blocks = yield from reading.of_blocks(keys)
    answer = yield from SkillAnswer.ask(reading.bulk_call())
    bulk = reading.of_bulk(answer)
    if bulk is None or keys[0] not in bulk:
        raise answer.wrong("/skills/parameters is missing or has another form")
    sample = blocks[keys[0]]
    if isinstance(sample, Malformed):
        raise sample
    moved = diff.moved(sample.fields, bulk[keys[0]].fields)
    if moved:
        raise answer.wrong(f"it differs from the blocks of skill {keys[0]} in {', '.join(moved)}")
    return f"agrees with the blocks of skill {keys[0]}"


def _groups() -> Exchange[str]:
    answer = yield from SkillAnswer.ask(reading.groups_call())
    groups = yield from reading.read_groups(answer)
    return f"{len(groups.lists)}, which scrub {len(groups.of_skill)} skills"


def _contacts() -> Exchange[str]:
    """Read the contacts of the last 24 full hours by the platform's clock."""
    unit = yield from SkillAnswer.ask(reading.unit_call())
    end = clock([unit]).replace(minute=0, second=0, microsecond=0)
    answer = yield from SkillAnswer.ask(contacts_call(end - timedelta(days=1), end))
    rows = answer.rows(*assumed.CONTACTS)
    for row in rows:
        answer.start(row)
    return f"{len(rows)} intervals in the last day"


def roundtrip(key: str) -> Exchange[Check]:
    """Write the pacing of a skill back byte for byte and read it again. A running skill is not written."""
    advice = "check the skill on the platform: the values sent were those read"
    return (yield from probe("round trip", _written_back(key), advice))


def _written_back(key: str) -> Exchange[str]:
    skill = yield from SkillAnswer.ask(object_call(reading.skill_path(key)))
    row = reading.skill_of(skill, key)
    why = reading.unfit(skill, row)
    if why is not None or reading.is_running(skill, row):
        raise skill.wrong(why or "the skill is running: choose one that is not")
    path = reading.skill_path(key, "parameters", PACE.path)
    before = PACE.inner((yield from SkillAnswer.ask(Call("GET", path))).reply.json)
    sent = yield from SkillAnswer.ask(
        Call("PUT", path, json={PACE.name: before}, expects=frozenset({200, 202, 204, 206}))
    )
    sent.require_taken()
    answer = yield from SkillAnswer.ask(Call("GET", path))
    if PACE.inner(answer.reply.json) != before:
        raise answer.wrong("the read-back differs from what was sent")
    return f"{PACE.name} of skill {key} was written back unchanged and is read as it was"
