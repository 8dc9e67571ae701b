"""Kills of real command lines at random points: what the platform did and what git holds obey the laws of `laws`.

A few short stories, always the same, are played always; `pytest -m long -n 2 -rP tests/crash/kills` plays many with more than 300 kills
and prints their figures. A story that breaks a law prints the command that plays it again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.kills import site
from tests.crash.kills.cast import CampaignCast, manifests, rewrite
from tests.crash.kills.figures import Figures
from tests.crash.kills.site import Parent
from tests.crash.kills.story import EXPIRY_S, Asked, play, told
from tests.crash.kills.strike import Kill

CUT = ((0, "halt"), (0, "apply"), (5, "release"), (2, "import"))
"""Seeds, each with the command that is killed."""

LONG_SEEDS = 120
PARTS = 8


@pytest.fixture(scope="session")
def both() -> Iterator[tuple[Parent, Parent]]:
    with site.parents() as found:
        yield found


def played(asked: Asked, folder: Path, both: tuple[Parent, Parent]) -> Figures:
    story = play(asked, folder, both)
    again = f"play it again: .venv/bin/{asked.command()}"
    assert not story.laws.wrong, "\n".join((*story.laws.wrong, story.told(), again))
    return story.figures


@pytest.mark.parametrize(("seed", "command"), CUT)
def test_a_killed_command_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, both: tuple[Parent, Parent], seed: int, command: str
) -> None:
    assert played(Asked(seed, command), tmp_path, both).kills[command]


def test_a_stop_that_dies_at_its_delete_in_a_clone_that_is_thrown_away_stays(
    tmp_path: Path, both: tuple[Parent, Parent]
) -> None:
    """A CI runner's clone goes with the runner: nothing but the platform knows of the DELETE, and the next commit must not dial again."""
    with told(Asked(0), tmp_path, both) as story:
        story.begin()
        name, site = "1001", story.site
        kill = Kill("DELETE", 1, "did", "tree")
        stop = story.run("halt", site.path, name, "--reason", "calls at night", kill=kill)
        assert [line.what for who, line in site.front.lines() if who == stop.name] == ["DELETE"]
        site.clone_again()
        rewrite(site.folder, "campaign_id", name, lambda text: text.replace("3.0", "4.5"))
        site.commit("another rate")
        site.pass_by(EXPIRY_S)
        story.run("apply", "--yes", site.path)
    assert set(story.laws.stops) == {name}
    assert not story.laws.wrong, story.told()


def test_a_stop_that_dies_at_its_delete_stays_although_no_apply_wrote_the_schedule(
    tmp_path: Path, both: tuple[Parent, Parent]
) -> None:
    """A hand stored it, somebody wrote its manifest, and an apply found it there."""
    with told(Asked(0), tmp_path, both) as story:
        story.begin()
        name, site = "1005", story.site
        assert isinstance(story.cast, CampaignCast)
        story.cast.platform.hand(name, story.cast.body(name, rate=1.5))
        story._new(name, manifests(site.folder, "campaign_id"))
        site.commit("a manifest by hand")
        story.run("apply", "--yes", site.path, "--tighten-only")
        kill = Kill("DELETE", 1, "did", "tree")
        stop = story.run("halt", site.path, name, "--reason", "calls at night", kill=kill)
        assert [line.what for who, line in site.front.lines() if who == stop.name] == ["DELETE"]
        site.clone_again()
        site.pass_by(EXPIRY_S)
        story.run("apply", "--yes", site.path)
    assert set(story.laws.stops) == {name}, story.told()
    assert not story.laws.wrong, story.told()


STEPS = 24
"""Kills of a stop at a drawn request; the first ones are in the cut."""


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, STEPS))]
)
def test_what_a_killed_stop_stopped_is_not_dialed_by_the_next_commit_of_a_new_clone(
    tmp_path: Path, both: tuple[Parent, Parent], seed: int
) -> None:
    """The stop dies at a drawn request, and its clone is thrown away."""
    rng = random.Random(seed)
    kill = Kill("request", 2 + seed % 6, rng.choice(("lost", "asked", "did")), "tree")
    with told(Asked(0), tmp_path, both) as story:
        story.begin()
        site, names = story.site, rng.choice((("1001",), ("--all",)))
        stop = story.run("halt", site.path, *names, "--reason", "calls at night", kill=kill)
        assert stop.struck, stop.line()
        ended = {
            line.key
            for who, line in site.front.lines()
            if (who, line.what) == (stop.name, "DELETE")
        }
        site.clone_again()
        for name in story.cast.keys:
            rewrite(site.folder, "campaign_id", name, lambda text: story.cast.edited(text, rng))
        site.commit("other rates")
        site.pass_by(EXPIRY_S)
        apply = story.run("apply", "--yes", site.path)
        wrote = {
            line.key
            for who, line in site.front.lines()
            if who == apply.name and line.status < 400 and line.body
        }
    assert not wrote & ended, story.told()
    assert not story.laws.wrong, story.told()


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_many_random_kills(tmp_path: Path, both: tuple[Parent, Parent], part: int) -> None:
    total = Figures()
    for seed in range(part, LONG_SEEDS, PARTS):
        total.add(played(Asked(seed, middle=True), tmp_path, both))
    print(total)
    assert total.killed >= 300 // PARTS, total
