"""The life of a change against every quirk, two in a life, and against seeded pairs of them: always the same zeros.

The long run plays each quirk alone, phase by phase, and many pairs.

Play one again, with its story: `pytest -n 0 tests/quirks -k "campaigns and zone-links"`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quirks import desk as desks
from tests.quirks.harness import PHASES, SHORT, STOP, WHOLE, Life, in_pairs, life, pair
from tests.quirks.platform import BOTH, QUIRKS

Case = tuple[str, tuple[str, ...]]

STOPPED = {
    quirk
    for quirk in QUIRKS
    if quirk.startswith(("short-pages", "booleans", "wrapped"))
    or quirk in {"no-total", "skill-in-list", "empty-200", "locked-as-json", "lost-answers"}
    or quirk in {"other-ids", "hidden-when-new", "revoked-tokens", "added-fields", "no-etags"}
}
"""Quirks that an emergency stop could trip over; the others are stopped in the long run."""

SHARED = {"bom", "header-case", "html-as-json", "rate-bursts", "retry-after-date", "skewed-clock"}
"""Quirks below both dialects: one API shows them, the long run both."""

ALONE: list[Case] = [(api, (quirk,)) for quirk, apis in QUIRKS.items() for api in apis]
CUT: list[Case] = [
    (api, both)
    for api in BOTH
    for stopped in (True, False)
    for both in in_pairs(
        quirk
        for quirk, apis in QUIRKS.items()
        if api in apis and (quirk in STOPPED) is stopped and (quirk not in SHARED or api == BOTH[0])
    )
]
HONEST: list[Case] = [(api, ()) for api in BOTH]
SEEDS = 3
LONG_SEEDS = 150


def named(case: Case) -> str:
    return f"{case[0]}-{'+'.join(case[1]) or 'honest'}"


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Path]:
    folder = tmp_path_factory.mktemp("templates")
    return {
        (api, remote): desks.template(folder, api, remote=remote)
        for api in BOTH
        for remote in (True, False)
    }


@pytest.fixture
def live(templates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # the life goes into its clone; this brings the test back

    def living(case: Case, *, remote: bool = False, **more: int) -> None:
        api, quirks = case
        lived = life(templates[api, remote], tmp_path, api, quirks, **more)
        wrong = lived.live()
        assert not wrong, told(lived, case, more)

    return living


def told(lived: Life, case: Case, more: dict[str, int]) -> str:
    wrong = "\n".join(lived.wrong)
    return f"{named(case)} {more}:\n{wrong}\n{lived.story()}"


@pytest.mark.parametrize("case", HONEST, ids=named)
def test_a_change_lives_where_the_platform_has_no_quirk(live, case):
    live(case, depth=WHOLE, remote=True)


@pytest.mark.parametrize("case", CUT, ids=named)
def test_a_change_lives_through_each_quirk(live, case):
    live(case, depth=STOP if STOPPED.intersection(case[1]) else SHORT)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("api", BOTH)
def test_a_change_lives_through_a_pair_of_quirks(live, api, seed):
    live((api, pair(api, seed)), seed=seed, depth=WHOLE if seed == 0 else SHORT)


@pytest.mark.long
@pytest.mark.parametrize("case", HONEST + ALONE, ids=named)
def test_a_change_lives_through_each_quirk_phase_by_phase(live, case):
    live(case, depth=PHASES, remote=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS, LONG_SEEDS))
@pytest.mark.parametrize("api", BOTH)
def test_a_change_lives_through_many_pairs_of_quirks(live, api, seed):
    live((api, pair(api, seed)), seed=seed, depth=PHASES, remote=True)
