"""Whatever comes from outside, only errors of ours come out: never a traceback.

The gate runs a few examples, always the same. `pytest -m long tests/fuzz` runs many, and `python tests/fuzz/run.py` measures
time and memory.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.targets import targets

TARGETS = targets()
HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def fuzz(name: str, examples: int) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=HEALTH,
    )
    @given(target.inputs)
    def run(data: object) -> None:
        target.accepts(data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_only_errors_of_ours_come_out(name: str) -> None:
    fuzz(name, 25)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_only_errors_of_ours_come_out_of_many(name: str) -> None:
    fuzz(name, 3000)
