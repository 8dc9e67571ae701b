"""Who approved is recorded only beside the digest that was approved: an approver without one is nobody's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.audit import Run
from reconciler.commands.journal import provenance
from reconciler.git import Git
from reconciler.world import World, here

DIGEST = "d" * 64
CI = {"GITHUB_ACTOR": "merger", "RECONCILE_APPROVER": "lead", "GITHUB_RUN_ATTEMPT": "2"}


def world(**environ: str) -> World:
    return here(lambda _: None)._replace(environ=environ, directory=Path("/"))


def opened(approved: str | None, **environ: str) -> dict[str, Any]:
    """Return what the `open` of a run says that was given an approval, or none."""
    who = provenance(world(**environ), Git(Path("/"), environ={}), approved)
    run = Run("acme", "c" * 40, "r1", lambda: datetime(2027, 1, 1, tzinfo=UTC), who)
    event = run.open(digest=DIGEST, operations=1, tool="t", ledger=None, applied=None)
    return cast("dict[str, Any]", dict(event.data))


def test_an_approver_is_recorded_beside_the_digest_that_was_approved() -> None:
    said = opened(DIGEST, **CI)
    assert (said["approver"], said["approved"], said["run_attempt"]) == ("lead", DIGEST, "2")


def test_an_approver_whom_the_environment_names_approved_nothing_by_that() -> None:
    said = opened(None, **CI)
    assert (said["approver"], said["actor"]) == (None, "merger")
    assert "approved" not in said


@pytest.mark.parametrize("approved", [None, DIGEST])
def test_an_approver_who_is_not_known_is_not_guessed(approved: str | None) -> None:
    said = opened(approved, GITHUB_ACTOR="merger")
    assert (said["approver"], said.get("approved")) == (None, approved)
    assert "run_attempt" not in said
