"""Read skills: all settings in one bulk call if its answer proves consistent, else block by block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.dialects.answers import (
    LISTED,
    NOT_FOUND,
    Part,
    Row,
    known,
    object_call,
    segment,
    shown,
    tried,
)
from reconciler.dialects.calls import Call, Exchange
from reconciler.dialects.pages import by_skip
from reconciler.dialects.personal_connection import assumed
from reconciler.dialects.personal_connection.answers import TOP, SkillAnswer, explain
from reconciler.dialects.personal_connection.blocks import BLOCKS, is_plain
from reconciler.effect import UNREADABLE
from reconciler.errors import ApiError, Malformed
from reconciler.kinds.live import Live, ScrubList
from reconciler.kinds.skill import KIND
from reconciler.models.zones import iana_name


@dataclass(frozen=True, slots=True)
class SkillSettings:
    """Settings of a skill, from its blocks.

    Attributes:
        fields: fields of a body, by name.
        unknown: names of received fields that the contract does not have; empty when read from the bulk answer.
    """

    fields: dict[str, Any]
    unknown: frozenset[str] = field(default=frozenset(), compare=False)


def skill_path(key: str, *rest: str) -> str:
    """Return the path of a skill or of a resource below it."""
    return "/".join(("/skills", segment(key), *rest))


def group_path(group: str, *rest: str) -> str:
    """Return the path of a DNC group's list of skills."""
    return "/".join(("/dnc-groups", segment(group), "scrubbed-skills", *rest))


def unit_call() -> Call:
    """Return the call for the business unit. A 404 is an expected answer: it means that the API version is not supported."""
    return Call("GET", "/business-unit", expects=frozenset({200, NOT_FOUND}))


def skills_call() -> Call:
    """Return the call for the first page of skills."""
    params = {"isActive": "true", "skip": "0", "top": str(TOP)}
    return Call("GET", "/skills", params=params, expects=LISTED)


def bulk_call() -> Call:
    """Return the bulk call for every skill's settings. A 404 is an expected answer: the platform lacks the bulk call."""
    return Call("GET", "/skills/parameters", expects=LISTED | {NOT_FOUND})


def groups_call() -> Call:
    """Return the call for the DNC groups."""
    return Call("GET", "/dnc-groups", expects=LISTED)


def block_calls(key: str) -> tuple[Call, ...]:
    """Return the calls for a skill's blocks, in their order."""
    return tuple(object_call(skill_path(key, "parameters", block.path)) for block in BLOCKS)


@dataclass(frozen=True, slots=True)
class Unit:
    """The business unit: its default zone, its zones (`None`: not stated), and whether it may dial ahead."""

    zone: str
    zones: frozenset[str] | None
    predictive: bool


def unit_of(answer: SkillAnswer) -> Unit:
    """Parse the business unit.

    Raises:
        ApiError: the answer lacks the zone, or the platform does not support this version of the API.
    """
    if answer.reply.status == NOT_FOUND:
        raise answer.wrong(
            "the platform does not support this API version, or belongs to another area: check `version` and `url` in tenant.yaml"
        )
    units = answer.rows("businessUnits")
    if not units:
        raise answer.wrong("the answer names no business unit")
    zone = answer.text(units[0], assumed.RUN_WINDOW_ZONE)
    if not zone:
        raise answer.wrong(f"the business unit has no `{assumed.RUN_WINDOW_ZONE}`")
    listed = units[0].get("timeZones")
    zones = None
    if isinstance(listed, list):
        zones = frozenset(
            iana_name(answer.text(row, "standardName")) for row in listed if isinstance(row, dict)
        )
    return Unit(iana_name(zone), zones, answer.flag(units[0], "allowPredictiveDialing"))


# --- DNC groups ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Groups:
    """The DNC groups by id, and the ids of those that scrub each skill."""

    lists: Mapping[str, ScrubList]
    of_skill: Mapping[str, tuple[str, ...]]


def read_groups(answer: SkillAnswer) -> Exchange[Groups]:
    """Read the skills of every DNC group, because the API has no query for the groups of a skill."""
    lists = {}
    unpaged = assumed.GROUPS_COME_WHOLE
    rows = yield from by_skip(
        answer, "dncGroupId", *assumed.GROUPS, top=TOP, may_be_unpaged=unpaged
    )
    for group, row in rows.items():
        active = answer.flag(row, "isActive") and not answer.flag(row, "isRemoved")
        name, at = answer.text(row, "dncGroupName"), answer.text(row, "lastUpdateTime")
        lists[group] = ScrubList(group, name, "ACTIVE" if active else "INACTIVE", at or None)
    of_skill: dict[str, tuple[str, ...]] = {}
    for group, members in (yield from read_members(sorted(lists))).items():
        for key in members:
            of_skill[key] = (*of_skill.get(key, ()), group)
    return Groups(lists, of_skill)


def read_members(groups: Sequence[str]) -> Exchange[dict[str, frozenset[str]]]:
    """Return the skills that each group scrubs. First pages are requested concurrently."""
    params = {"skip": "0", "top": str(TOP)}
    calls = [Call("GET", group_path(group), params=params, expects=LISTED) for group in groups]
    answers = yield from SkillAnswer.ask_all(calls)
    found = {}
    for group, answer in zip(groups, answers, strict=True):
        rows = yield from by_skip(answer, "skillId", *assumed.SCRUBBED, top=TOP)
        found[group] = frozenset(rows)
    return found


# --- settings -----------------------------------------------------------------------------------------------------------


def settings_of(
    keys: Sequence[str], bulk: SkillAnswer
) -> Exchange[dict[str, SkillSettings | Malformed]]:
    """Return the settings of skills: from the bulk answer if it agrees with the blocks of one skill, else from all blocks.

    A skill that the bulk answer lacks is read block by block, because it may be new. So is one with an odd value there, because
    the bulk format differs.
    """
    found = of_bulk(bulk) or {}
    held: dict[str, SkillSettings | Malformed] = {key: found[key] for key in keys if key in found}
    for key in [*held][:1]:
        sample = yield from of_blocks([key])
        held = held | sample if sample[key] == held[key] else {}
    rest = yield from of_blocks([key for key in keys if key not in held])
    return {key: held[key] if key in held else rest[key] for key in keys}


def of_bulk(answer: SkillAnswer) -> dict[str, SkillSettings] | None:
    """Parse a bulk answer into settings by skill; `None` when there is none, or its format is unknown."""
    if answer.reply.status == NOT_FOUND:
        return None
    try:
        rows = {answer.id(row, "skillId"): row for row in answer.rows(*assumed.SKILLS)}
    except ApiError:
        return None
    found = {}
    for key, row in rows.items():
        with contextlib.suppress(*UNREADABLE):
            fields: dict[str, Any] = {}
            for block in BLOCKS:
                fields |= block.read(block.of_bulk(row[block.name]))
            if is_plain(fields):
                found[key] = SkillSettings(fields)
    return found


def of_blocks(keys: Sequence[str]) -> Exchange[dict[str, SkillSettings | Malformed]]:
    """Read the blocks of each skill, all at once. A block that violates the contract makes only its own skill unreadable."""
    answers = yield from SkillAnswer.ask_all([call for key in keys for call in block_calls(key)])
    size = len(BLOCKS)
    return {
        key: tried(part_of, answers[index * size : (index + 1) * size])
        for index, key in enumerate(keys)
    }


def part_of(answers: Iterable[SkillAnswer]) -> SkillSettings:
    """Return the settings that a skill's blocks hold.

    Raises:
        ApiError: a block violates the contract.
    """
    found: dict[str, Any] = {}
    unknown: frozenset[str] = frozenset()
    for block, answer in zip(BLOCKS, answers, strict=True):
        try:
            raw = block.inner(known(answer, explain).reply.json)
            found |= block.read(raw)
            unknown |= block.unknown(raw)
        except UNREADABLE:
            said = (
                f"the settings block {block.name} violates the contract: {shown(answer.reply.json)}"
            )
            raise answer.wrong(said) from None
    return SkillSettings(found, unknown)


# --- skills -------------------------------------------------------------------------------------------------------------


def skill_of(answer: SkillAnswer, key: str) -> Row:
    """Return the row of one skill from an answer. Some API versions wrap it in a list.

    Raises:
        UnknownObject: there is no such skill.
        ApiError: the answer is about another skill.
    """
    row = known(answer, explain).one(*assumed.SKILLS)
    if answer.id(row, "skillId") != key:
        raise answer.wrong(f"the answer is not about skill {key}")
    return row


def read_unlisted(keys: Sequence[str]) -> Exchange[dict[str, Row | Malformed]]:
    """Read each skill that the list lacks by itself. Only a 404 for the skill itself means that it is absent."""
    answers = yield from SkillAnswer.ask_all([object_call(skill_path(key)) for key in keys])
    return {
        key: tried(skill_of, answer, key)
        for key, answer in zip(keys, answers, strict=True)
        if answer.reply.status != NOT_FOUND
    }


def unfit(answer: SkillAnswer, row: Part) -> str | None:
    """Return the reason why a skill cannot be managed; `None` if it can."""
    name = row.get("skillName")
    if not answer.flag(row, "isOutbound"):
        return f'skill "{name}" is inbound only, so it has no schedule: correct the id'
    if row.get("isActive") is not None and not answer.flag(row, "isActive"):
        return f'skill "{name}" is not active: activate it on the platform, or delete the manifest'
    if row.get("outboundStrategy") != assumed.STRATEGY:
        return f'skill "{name}" is no {assumed.STRATEGY} skill but {row.get("outboundStrategy") or "has no strategy"}: correct the id, or change the skill there'
    return None


def other_strategy(answer: SkillAnswer, row: Part) -> str:
    """Return what a skill clearly is instead of one that dials by Personal Connection; empty if it may be one."""
    strategy = row.get("outboundStrategy")
    if isinstance(strategy, str) and strategy.strip():
        return "" if _letters(strategy) == _letters(assumed.STRATEGY) else strategy
    said = row.get("isOutbound")
    is_inbound = said is not None and tried(answer.flag, row, "isOutbound") is False
    return "inbound" if is_inbound else ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def is_running(answer: SkillAnswer, row: Part) -> bool:
    """Return whether a skill dials now. The platform sends the field only for running skills: absent means no (contract, fact 7)."""
    return answer.flag(row, "isRunning")


def bare(answer: SkillAnswer, row: Part) -> Live:
    """Return a listed skill without its settings: only its name and whether it runs are known."""
    name = answer.text(row, "skillName")
    return Live(answer.id(row, "skillId"), name, running=is_running(answer, row))


def live_of(
    answer: SkillAnswer, row: Part, settings: SkillSettings, unit: Unit, groups: Groups
) -> Live:
    """Return a skill as a `Live`. Its stored schedule is always the active one."""
    key = answer.id(row, "skillId")
    chosen = list(groups.of_skill.get(key, ()))
    stored = KIND.canonical(
        {"skill_id": key, "timezone": unit.zone, **settings.fields, "dnc_groups": chosen}
    )
    name, running = answer.text(row, "skillName"), is_running(answer, row)
    return Live(key=key, name=name, running=running, stored=stored, unknown=settings.unknown)
