"""The page about `optimize`: its worked examples are what the samples print, and its Python example runs."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest

from reconciler.cli import run
from tests.support.samples import copy_files

ROOT = Path(__file__).parents[2]
PAGE = ROOT / ".github" / "docs" / "optimize.md"
TEXT = PAGE.read_text("utf-8")
CONSOLE = re.findall(
    r"^```console\n\$ reconcile (optimize .*?)^```$", TEXT, re.MULTILINE | re.DOTALL
)


@pytest.fixture(autouse=True)
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of the samples and the examples, where they are in the repository; the tenant with the capacity that the page declares."""
    copy_files(ROOT / "schedules" / "sandbox", tmp_path / "schedules" / "sandbox")
    copy_files(PAGE.parent / "examples", tmp_path / ".github" / "docs" / "examples")
    (capacity,) = re.findall(r"^  capacity: .*\n", TEXT, re.MULTILINE)
    tenant = tmp_path / "schedules" / "sandbox" / "tenant.yaml"
    tenant.write_text(
        tenant.read_text("utf-8").replace("spec:\n", f"spec:\n{capacity}", 1), "utf-8"
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.splitlines()[0].split("/")[-1])
def test_every_proposal_that_is_shown_is_what_the_samples_print(
    block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    command, *lines = block.splitlines()
    assert max(map(len, lines)) <= 80
    assert run(command.split()) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    assert [line for line in lines if line != "…" and line not in printed] == []
    assert len(lines) > 4


def test_every_example_is_shown() -> None:
    shown = [re.search(r"examples/(\S+)", block)[1] for block in CONSOLE]
    assert shown == ["too-fast.csv", "too-slow.csv", "too-little.csv", "shared-lines.csv"]
    assert sorted(shown) == sorted(path.name for path in (PAGE.parent / "examples").iterdir())


def test_the_python_example_gives_what_it_says() -> None:
    (example,) = re.findall(r"^```pycon\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    test = doctest.DocTestParser().get_doctest(example, {}, "optimize.md", str(PAGE), 0)
    results = doctest.DocTestRunner().run(test)
    assert results.attempted >= 6
    assert results.failed == 0
