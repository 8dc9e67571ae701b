"""The Personal Connection API: a schedule consists of three settings blocks of a skill and its DNC groups.

Source: the contract, "personal-connection". The API has no idempotency keys, no ETags and no refresh. Safety rests on
whole-block writes, a read just before each write, and the read-back. `assumed` lists what was never verified on a tenant.

Some calls are left out on purpose: changing zones of the business unit, starting a skill, changing lists, removing a skill
or a list. A test checks that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from reconciler.dialects.answers import Answer, Row, clock, object_call, tried
from reconciler.dialects.base import Capabilities, Listed, OnPage, Removal, Silenced, Waiting
from reconciler.dialects.calls import JSON, Call, Exchange, Reply
from reconciler.dialects.pages import by_skip
from reconciler.dialects.personal_connection import assumed, reading
from reconciler.dialects.personal_connection.answers import TOP, SkillAnswer, explain
from reconciler.dialects.personal_connection.doctor import examine, roundtrip
from reconciler.dialects.personal_connection.login import HOSTS, authenticate
from reconciler.dialects.personal_connection.measuring import metrics
from reconciler.dialects.personal_connection.writing import write
from reconciler.errors import ApiError, Malformed, UsageError
from reconciler.kinds.live import Live, Snapshot, unread
from reconciler.kinds.skill import KINDS

__all__ = [
    "CAPABILITIES",
    "HOSTS",
    "KINDS",
    "NAME",
    "activate",
    "authenticate",
    "examine",
    "explain",
    "look",
    "metrics",
    "missing_scope",
    "publish",
    "read",
    "read_limits",
    "read_one",
    "read_pages",
    "read_some",
    "read_stored",
    "roundtrip",
    "silence",
    "write",
]

NAME: Final = "personal-connection"
CAPABILITIES: Final = Capabilities(
    activation=False,
    conditional_writes=False,
    idempotency_keys=False,
    atomic_writes=False,
    rereads=True,
)
STOPPED: Final = frozenset({202, 204, 409})
"""Statuses after which a skill is stopped or will be. The read-back decides."""


# --- reading ------------------------------------------------------------------------------------------------------------


def read(named: Collection[str] = ()) -> Exchange[Snapshot]:
    """Read the business unit, then every skill with its settings and every DNC group.

    The business unit is read alone, because its answer shows whether the version of the API is wrong.

    Args:
        named: ids of the skills in manifests. If the list lacks one, it is read by itself, because a list may lag.
    """
    unit_answer = yield from SkillAnswer.ask(reading.unit_call())
    unit = reading.unit_of(unit_answer)
    answers = yield from SkillAnswer.ask_all(_calls())
    rows = yield from _list(answers[0])
    missing = [key for key in named if key not in rows]
    if missing:
        rows |= yield from reading.read_unlisted(missing)
    found, unfit, groups = yield from _skills(rows, answers, unit)
    odd = {
        key: "; ".join(each.reasons) for key, each in found.items() if not isinstance(each, Live)
    }
    objects = {key: each if isinstance(each, Live) else unread(key) for key, each in found.items()}
    ratio = assumed.RATIO if unit.predictive else assumed.RATIO_WITHOUT_PREDICTIVE
    offers = {"dnc_groups": frozenset(groups.lists)}
    if unit.zones is not None:
        offers["calling_windows"] = unit.zones
    return Snapshot(
        objects,
        {"maximum_ratio": ratio},
        {
            key: tuple(groups.lists[group] for group in chosen)
            for key, chosen in groups.of_skill.items()
        },
        clock([*answers, unit_answer]),
        lists=groups.lists,
        offers=offers,
        unfit=unfit,
        unreadable=odd,
    )


def read_limits() -> Exchange[Snapshot]:
    """Read everything: the rules need to know whether a skill runs, and scanning the groups costs more than reading the skills."""
    return (yield from read())


def read_one(key: str) -> Exchange[Live]:
    """Read one skill, its blocks, and every DNC group, because the API has no query for the groups of a skill.

    Raises:
        UnknownObject: there is no such skill.
    """
    calls = (
        reading.unit_call(),
        object_call(reading.skill_path(key)),
        reading.groups_call(),
        *reading.block_calls(key),
    )
    unit_answer, skill, groups, *blocks = yield from SkillAnswer.ask_all(calls)
    unit = reading.unit_of(unit_answer)
    row = reading.skill_of(skill, key)
    settings = reading.part_of(blocks)
    found = yield from reading.read_groups(groups)
    return reading.live_of(skill, row, settings, unit, found)


def look(key: str) -> Exchange[Live]:
    """Read one skill without its settings and groups."""
    answer = yield from SkillAnswer.ask(object_call(reading.skill_path(key)))
    return reading.bare(answer, reading.skill_of(answer, key))


def read_some(keys: Sequence[str]) -> Exchange[Mapping[str, Live]]:  # noqa: ARG001 - see below
    """Read every skill: the scan of the groups dominates the cost, and it is the same for one skill as for all."""
    *answers, unit = yield from SkillAnswer.ask_all((*_calls(), reading.unit_call()))
    rows = yield from _list(answers[0])
    found, _, _ = yield from _skills(rows, answers, reading.unit_of(unit))
    return {key: each for key, each in found.items() if isinstance(each, Live)}


def read_pages(on_page: OnPage) -> Exchange[None]:
    """Read the list of skills page by page, without their settings.

    Raises:
        IncompleteList: the list contradicts itself.
    """
    first = yield from SkillAnswer.ask(reading.skills_call())

    def take(answer: Answer, rows: list[Row]) -> None:
        on_page(dict(filter(None, (_listed(answer, row) for row in rows))))

    yield from by_skip(first, "skillId", *assumed.SKILLS, top=TOP, on_page=take)


def _listed(answer: Answer, row: Row) -> tuple[str, Listed] | None:
    """Return a skill of a page by its id. A row without an id is left out, and so is a silent skill that is clearly of another kind.

    Fields that cannot be read, and those that contradict each other, keep no skill from being stopped.
    """
    skill = SkillAnswer(answer.call, answer.reply)
    try:
        key = skill.id(row, "skillId")
    except ApiError:
        return None
    called = tried(skill.text, row, "skillName")
    name = called if isinstance(called, str) and called else key
    running, other = tried(reading.is_running, skill, row), reading.other_strategy(skill, row)
    if running is False:
        return None if other else (key, Listed(name, quiet=True))
    live = Live(key, name, running=True) if running is True else None
    return key, Listed(name, live, other=other)


def read_stored(key: str) -> Exchange[Live | None]:  # noqa: ARG001 - a stop keeps all settings
    """Return `None`: a stop removes nothing."""
    yield from ()
    return None


def _calls() -> tuple[Call, Call, Call]:
    return reading.skills_call(), reading.bulk_call(), reading.groups_call()


def _list(first: SkillAnswer) -> Exchange[dict[str, Row | Malformed]]:
    return {**(yield from by_skip(first, "skillId", *assumed.SKILLS, top=TOP))}


def _skills(
    rows: Mapping[str, Row | Malformed], answers: Sequence[SkillAnswer], unit: reading.Unit
) -> Exchange[tuple[dict[str, Live | Malformed], dict[str, str], reading.Groups]]:
    """Return the manageable skills (or why one cannot be read), the reason why each other one is not manageable, and the groups."""
    first, bulk, listed = answers
    groups = yield from reading.read_groups(listed)
    found: dict[str, Live | Malformed] = {}
    unfit, fit = dict[str, str](), dict[str, Row]()
    for key, row in rows.items():
        why = row if isinstance(row, Malformed) else tried(reading.unfit, first, row)
        if isinstance(why, Malformed):
            found[key] = why
        elif why is not None:
            unfit[key] = why
        elif isinstance(row, dict):
            fit[key] = row
    settings = yield from reading.settings_of([*fit], bulk)
    for key, row in fit.items():
        held = settings[key]
        if isinstance(held, Malformed):
            found[key] = held
        else:
            found[key] = tried(reading.live_of, first, row, held, unit, groups)
    return found, unfit, groups


# --- what does not exist here -------------------------------------------------------------------------------------------


def activate(key: str) -> Exchange[Waiting | None]:  # noqa: ARG001 - never asked for: `CAPABILITIES`
    """Do nothing: a stored schedule is active at once."""
    yield from ()
    return None


def silence(key: str, *, token: str, version: str | None = None) -> Exchange[Silenced]:  # noqa: ARG001 - there are no keys and no versions
    """Stop the skill, for the emergency stop only, and never with `force`. 409 means that the skill does not run."""
    call = Call("POST", f"{reading.skill_path(key)}/stop", expects=STOPPED, repeatable=False)
    yield (call,)
    return Silenced(Removal.NOTHING_STORED)


def publish(events: Sequence[Mapping[str, JSON]]) -> Exchange[int]:  # noqa: ARG001 - none is taken
    """Raise an error: this API has no intake for events.

    Raises:
        UsageError: always.
    """
    yield from ()
    raise UsageError(
        "the personal-connection API takes no events: write them to a file with --events"
    )


def missing_scope(reply: Reply) -> str | None:  # noqa: ARG001 - it never names one
    """Return `None`: a 403 of this API does not name the missing role."""
    return None
