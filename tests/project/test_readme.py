"""The README's first two shell blocks are the product's promise: the main job, and the tests."""

import subprocess
import sys

from tests import readme

RUN = "python3 -m venv .venv && .venv/bin/pip install '.[sandbox]' && .venv/bin/reconcile apply --yes schedules/sandbox && .venv/bin/reconcile plan schedules/sandbox"
TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest"


def test_the_first_two_blocks_are_the_two_commands_word_for_word():
    assert readme.blocks()[:2] == [RUN, TEST]


def test_the_gate_is_handed_the_readmes_own_commands():
    for name, command in (("run", RUN), ("test", TEST)):
        ran = subprocess.run(
            [sys.executable, readme.__file__, name], capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == command


def test_contributors_are_told_the_same_test_command():
    assert TEST in (readme.README.parent / ".github" / "CONTRIBUTING.md").read_text()
