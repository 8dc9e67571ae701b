"""The life of a change against every quirk alone, and against seeded pairs of them: always the same zeros.

Play one again, with its story: `pytest -n 0 tests/quirks -k "campaigns and zone-links"`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quirks import desk as desks
from tests.quirks.harness import Life, life, pair
from tests.quirks.platform import BOTH, QUIRKS

ALONE = [(api, (quirk,)) for quirk, apis in QUIRKS.items() for api in apis]
HONEST: list[tuple[str, tuple[str, ...]]] = [(api, ()) for api in BOTH]
SEEDS = 6
LONG_SEEDS = 150


def named(case: tuple[str, tuple[str, ...]]) -> str:
    return f"{case[0]}-{'+'.join(case[1]) or 'honest'}"


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("templates")
    return {api: desks.template(folder, api) for api in BOTH}


@pytest.fixture
def live(templates: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def living(api: str, quirks: tuple[str, ...], **more: int) -> None:
        lived = life(templates[api], tmp_path, api, quirks, **more)
        wrong = lived.live()
        assert not wrong, told(lived, api, quirks, more)

    return living


def told(lived: Life, api: str, quirks: tuple[str, ...], more: dict[str, int]) -> str:
    wrong = "\n".join(lived.wrong)
    return f"{api} with {quirks}, {more}:\n{wrong}\n{lived.story()}"


@pytest.mark.parametrize("case", HONEST + ALONE, ids=named)
def test_a_change_lives_through_each_quirk(live, case):
    live(*case)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("api", BOTH)
def test_a_change_lives_through_a_pair_of_quirks(live, api, seed):
    live(api, pair(api, seed), seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("case", HONEST + ALONE, ids=named)
def test_a_change_lives_through_each_quirk_phase_by_phase(live, case):
    live(*case, full=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS, LONG_SEEDS))
@pytest.mark.parametrize("api", BOTH)
def test_a_change_lives_through_many_pairs_of_quirks(live, api, seed):
    live(api, pair(api, seed), seed=seed, full=True)
