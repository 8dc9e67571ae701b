"""At a platform where a write acts at once, a widening is judged again just before it is written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.audit import RecordKind
from reconciler.commands import apply
from reconciler.commands.recheck import FRESH_S
from reconciler.sandbox import platforms
from tests.commands.test_life_skills import API, desk, records_of, running
from tests.support.skills import held, start, wider

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


def test_a_skill_that_starts_while_the_tightenings_are_written_is_not_sped_up(desk, monkeypatch):
    kind, before = platforms.PLATFORMS[API], held(desk.platform, str(SKILL))

    def app_over(world):
        app = kind.app(world)

        async def starting(scope, receive, send):
            await app(scope, receive, send)
            if scope["method"] == "PUT" and "/4002/" in scope["path"]:
                start(world, str(SKILL))

        return starting

    with monkeypatch.context() as patch:
        patch.setitem(platforms.PLATFORMS, API, replace(kind, app=app_over))
        asyncio.run(apply.apply(desk.world, apply.ApplyRequest(desk.folder), asyncio.Event()))
    assert "4001" in running(desk)
    after = held(desk.platform, str(SKILL))
    assert after["maximum_ratio"] == before["maximum_ratio"]
    assert wider(after, before) == []
