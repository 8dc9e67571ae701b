"""A ref of ours that somebody made symbolic in the git remote: a push to it would move or delete another ref, such as main."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import sandbox
from tests.commands.test_halt import KEY, NAME, PATH, halt, remote, silent
from tests.support.desk import Desk, commit, desk, git, server

__all__ = ["desk", "remote", "server"]


@pytest.fixture(
    params=["reconcile/lock", "notes/reconcile", "heads/reconcile-audit", "reconcile/waiting"]
)
def symbolic(
    request: pytest.FixtureRequest, desk: Desk, server: sandbox.CampaignState, remote: Path
) -> str:
    """The name of a ref that leads to main, after a first apply."""
    server.configure(activation_s=0, requests_per_second=0)
    assert desk.run("apply", "--yes", PATH) == 0
    ledger = git(remote, "for-each-ref", "--format=%(refname)", "refs/notes/reconcile").strip()
    name = f"refs/{request.param}/{ledger.removeprefix('refs/notes/reconcile/')}"
    name += "/run-7" if "waiting" in name else ""
    git(remote, "symbolic-ref", name, "refs/heads/main")
    return name


def test_nothing_is_pushed_through_it_and_the_message_repairs_it(
    desk: Desk, server: sandbox.CampaignState, remote: Path, symbolic: str
) -> None:
    main = git(remote, "rev-parse", "refs/heads/main")
    desk.edit("dial_rate: 2.4", "dial_rate: 2.0", f"{NAME}.yaml")
    commit(desk.folder)
    before = server.executed()
    for command in (("apply", "--yes"), ("plan",), ("lock", "release")):
        said = desk.says(1, *command, PATH)
        assert f"{symbolic} of origin is a symbolic ref to refs/heads/main" in said
    assert server.executed() == before
    assert git(remote, "rev-parse", "refs/heads/main") == main
    command = said.split("`")[1]
    git(remote, *command.split()[1:])
    assert git(remote, "rev-parse", "refs/heads/main") == main
    if "lock" in symbolic or "waiting" in symbolic:
        assert desk.run("apply", "--yes", PATH) == 0


def test_a_stop_stops_and_moves_no_other_ref(
    desk: Desk, server: sandbox.CampaignState, remote: Path, symbolic: str
) -> None:
    main = git(remote, "rev-parse", "refs/heads/main")
    assert halt(desk, NAME, "--wait", "30") in {0, 3}
    assert silent(server, KEY)
    assert f"{symbolic} of origin is a symbolic ref" in desk.out + desk.err
    assert git(remote, "rev-parse", "refs/heads/main") == main
