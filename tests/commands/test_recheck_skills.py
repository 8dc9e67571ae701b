"""At a platform where a write acts at once, a widening is judged again just before it is written."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.audit import RecordKind
from reconciler.commands import apply
from reconciler.commands.recheck import FRESH_S
from tests.commands.test_life_skills import desk, records_of
from tests.support.skills import held

__all__ = ["desk"]

SKILL = 4001


def group_is_off(desk) -> None:
    desk.platform.put_group(71, "Internal Suppression", active=False, skills=(4002, 4003))


def nothing(desk) -> None:
    pass


@pytest.mark.parametrize(
    ("passed_s", "happens", "result"),
    [
        (FRESH_S + 1, group_is_off, "refused"),
        (FRESH_S + 1, nothing, "updated"),
        (FRESH_S - 1, group_is_off, "updated"),
    ],
)
def test_a_widening_is_judged_again_before_it_is_written(desk, passed_s, happens, result):
    before, now = held(desk.platform, str(SKILL)), [0.0]

    def checkpoint(name: str) -> None:
        if name == "intents:recorded":
            now[0] += passed_s
            happens(desk)

    world = desk.world._replace(monotonic=lambda: now[0], checkpoint=checkpoint)
    asked = apply.ApplyRequest(desk.folder)
    asyncio.run(apply.apply(world, asked, asyncio.Event()))
    records = records_of(desk).records()
    outcomes = [each.data for each in records if each.kind is RecordKind.OUTCOME]
    (entry,) = [each for each in outcomes if each["target"] == str(SKILL)]
    assert entry["result"] == result
    assert (held(desk.platform, str(SKILL)) == before) == (result == "refused")
    if result == "refused":
        assert "judged again, dnc-list" in entry["message"]
        assert [each["status"] for each in entry["dnc_lists"]] == ["INACTIVE"]
