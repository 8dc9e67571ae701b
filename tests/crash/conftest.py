"""A bench for each test that crashes something."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import bench as benches
from tests.crash.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with benches.opened(tmp_path) as bench:
        yield bench
