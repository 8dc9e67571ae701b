"""`audit repair`: a damage that somebody looked at ends the refusals, and stays visible."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler import sandbox
from tests.commands.test_begin import declared, shared
from tests.commands.test_renamed import NAME, PATH, real
from tests.support.desk import Desk, desk, git, server

__all__ = ["desk", "real", "server", "shared"]

REASON = ("--reason", "edited by hand, ticket 17")


def test_a_damage_that_was_looked_at_is_cut_off_and_told_from_then_on(
    desk: Desk, real: sandbox.CampaignState, shared: Path
) -> None:
    ref = declared(desk)
    assert desk.run("apply", "--yes", PATH) == 0
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") == 0
    git(desk.folder, "fetch", "-q", "origin", f"{ref}:{ref}")
    git(desk.folder, "notes", f"--ref={ref}", "append", "-m", "looks good", "HEAD")
    git(desk.folder, "push", "-q", "origin", ref)
    head = git(desk.folder, "rev-parse", ref).strip()
    assert desk.run("audit", "verify", PATH) == 1
    assert f"reconcile audit repair schedules/sandbox --head {head}" in desk.out.replace("\n", " ")
    assert desk.run("audit", "repair", PATH, "--head", "1" * 40, *REASON) == 1
    assert desk.run("audit", "repair", PATH, "--head", head[:12], *REASON) == 64
    assert git(shared, "rev-parse", ref).strip() == head
    assert desk.run("audit", "repair", PATH, "--head", head, *REASON) == 0, desk.out + desk.err
    cut = git(shared, "rev-parse", ref).strip()
    assert f"--expect-cut {cut}" in desk.out.replace("\n", " ")
    assert desk.run("audit", "verify", PATH, "--format", "json") == 1, "anybody can claim a repair"
    assert "ticket 17" in json.loads(desk.out)["remarks"][0]
    assert desk.run("audit", "verify", PATH) == 1
    assert "plan, apply and release begin at the repair" in desk.out
    assert "audit repair" not in desk.out, "it was repaired"
    assert desk.run("audit", "verify", PATH, "--expect-cut", cut) == 0
    assert "consistent, anchored by the mirror branch; only since the repair on" in desk.out
    desk.run("plan", PATH)
    assert "calls at night" in desk.out
    assert desk.run("apply", "--yes", PATH) == 0
    assert desk.run("audit", "verify", PATH, "--expect-head", head, "--expect-cut", cut) == 0
    assert desk.run("audit", "verify", PATH, "--expect-cut", cut[:12]) == 64
    for read in (
        ("log",),
        ("show", NAME),
        ("at", "2027-03-01T00:00:00Z", "--campaign", NAME),
        ("export",),
    ):
        assert desk.run("audit", *read, PATH) == 0, desk.err
        said = " ".join((desk.out + desk.err).split())
        assert "These records begin at a repair" in said, read
        assert head in said
    said = desk.says(1, "audit", "repair", PATH, "--head", head, *REASON)
    assert "look at what it holds now" in said, "it was repaired already"


def test_a_damaged_ledger_of_this_clone_is_repaired_as_well(desk: Desk) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    git(desk.folder, "notes", "--ref=reconcile/sandbox/sandbox", "append", "-m", "x", "HEAD")
    head = git(desk.folder, "rev-parse", "refs/notes/reconcile/sandbox/sandbox").strip()
    assert desk.run("plan", PATH) == 1
    assert desk.run("audit", "repair", PATH, "--head", head, *REASON) == 0, desk.out + desk.err
    assert desk.run("plan", PATH) == 0
