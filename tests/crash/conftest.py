"""A bench for each test that crashes something."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.crash.bench import Bench, Shared


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with ExitStack() as stack:
        yield Shared(tmp_path_factory.mktemp("crash"), stack)


@pytest.fixture
def bench(tmp_path: Path, shared: Shared) -> Bench:
    return Bench(tmp_path, shared)
