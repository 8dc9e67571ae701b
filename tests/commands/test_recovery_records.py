"""What settling makes of records that another run, or somebody else, wrote. No git, no platform."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler import audit
from reconciler.audit import Record
from reconciler.commands import recovery
from reconciler.commands.recovery import Left
from reconciler.dialects.campaigns import api as campaigns
from reconciler.errors import LedgerError
from reconciler.plan import Result
from tests.support.factories import make_live, make_plan
from tests.support.gitfakes import operation, run

COMMIT = "c" * 40


@dataclass
class Asked:
    """What of a session and a ledger settling asks for."""

    dialect: Any = campaigns

    @property
    def folder(self) -> Any:
        return SimpleNamespace(path=Path("schedules/acme"))

    def records(self) -> tuple[Record, ...]:
        return ()


def left_by(by: str, *, atomic: bool = True, **parts: Any) -> Left:
    one = dataclasses.replace(operation(), **parts)
    event = run(COMMIT, by).intent(one, digest="d" * 64, generation=0, atomic=atomic)
    return Left(audit.chain(event, None, 0), None, make_live())


def ended(left: Left) -> list[str]:
    plan = make_plan([operation()])
    events = recovery.unsent_outcomes(Asked(), [left], plan, run(COMMIT, "now"))
    return [event.data["result"] for event in events]


def test_what_derives_again_in_the_same_words_is_sent_again():
    assert ended(left_by("before")) == []
    assert ended(left_by("before", name="renamed since")) == []


@pytest.mark.parametrize("parts", [{"base": {"dial_rate": 1.0}}, {"after": "b" * 64}])
def test_what_derives_again_in_other_words_is_closed_and_begun_anew(parts: dict[str, Any]) -> None:
    """Else its id would be taken for good, or what was forged there would be carried out as ours."""
    assert ended(left_by("before", **parts)) == [Result.NOT_STARTED]


def test_what_does_not_derive_again_is_closed():
    assert ended(left_by("before", desired={"dial_rate": 1.0})) == [Result.NOT_STARTED]


def test_an_intent_of_a_kind_that_the_platform_has_not_is_an_error_with_its_place():
    left = left_by("before", kind="SkillSchedule")
    with pytest.raises(LedgerError) as raised:
        recovery.known_outcomes(
            Asked(), [dataclasses.replace(left, result=Result.UNKNOWN)], run(COMMIT)
        )
    said = str(raised.value)
    assert f"note of {COMMIT[:12]}: it concerns a SkillSchedule" in said
    assert f"(record {left.intent.id[:12]})" in said
    assert said.endswith("See: reconcile audit verify schedules/acme")
