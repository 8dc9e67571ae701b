"""What all tests share: an environment of their own, and examples that are not timed."""

import compileall
import gc
import importlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import hypothesis
import pytest

from tests.support import machine
from tests.support.machine import GITCONFIG
from tests.support.signing import Signer, signer

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, max_examples=30
)
hypothesis.settings.load_profile("untimed")


OWN = {
    "GIT_CONFIG_GLOBAL": str(GITCONFIG),
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
"""What a test's processes find in place of what the developer has set. The product drops `GIT_*`, so `HOME` is ours, too."""


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the git configuration, the zone, the locale, the umask or the ignored signals of whoever runs it."""
    # `nohup` and a shell's `&` ignore these signals, and children inherit that.
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    home = tmp_path_factory.mktemp("home")
    shutil.copy(GITCONFIG, home)
    machine.keep_templates_in(tmp_path_factory.mktemp("templates"))
    mask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GIT_", "LANG", "LC_", "PYTHON", "XDG_")):
                patch.delenv(name)
        for name, value in (OWN | {"HOME": str(home)}).items():
            patch.setenv(name, value)
        time.tzset()
        yield
    os.umask(mask)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the tenant, the proxy or the CI of whoever runs it."""
    for name in list(os.environ):
        if (
            name.startswith(("CXONE_", "GITHUB_", "RECONCILE_"))
            or name.lower().endswith("_proxy")
            or name in {"CI", "NO_COLOR"}
        ):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return a signer whom tests trust."""
    return signer(tmp_path_factory.mktemp("ours"), "ci")


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return another signer."""
    return signer(tmp_path_factory.mktemp("theirs"), "other")


def pytest_collection(session: pytest.Session) -> None:
    """Share the compiling of a fresh checkout, and collect without the garbage collector.

    Each worker imports all test modules, in the same order. If none has been compiled, each worker would compile all of them. So each
    first compiles its own share, and finds the others' in the caches.
    """
    gc.disable()
    worker = getattr(session.config, "workerinput", {})
    if worker and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        number = int(worker["workerid"].removeprefix("gw"))
        _compile_share(session.config.rootpath, number, worker["workercount"])


def _compile_share(root: Path, number: int, count: int) -> None:
    modules = [
        file for room in ("reconciler", "tests") for file in sorted(root.glob(f"{room}/**/*.py"))
    ]
    for file in islice(modules, number, None, count):
        if file.name.startswith("test_"):  # pytest compiles it in its own way, while it is imported
            # The collection reports what is wrong with it.
            with suppress(Exception, pytest.skip.Exception):
                importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))
        else:
            compileall.compile_file(file, quiet=2)


def pytest_collection_finish() -> None:
    """Keep what was collected, which lives as long as the worker, out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the cheapest tests first under `mutmut run`, where the first that fails ends a mutant."""
    stats = Path("mutmut-stats.json")
    if os.environ.get("MUTANT_UNDER_TEST") and stats.exists():
        seconds = json.loads(stats.read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
