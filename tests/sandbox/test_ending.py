"""The first signal ends a served sandbox, also one that comes the moment it is announced."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AT_ONCE = """
import io, signal, sys
from reconciler import sandbox

class Announced(io.StringIO):
    def flush(self):  # the last word of the announcement
        signal.raise_signal(int(sys.argv[1]))

sandbox.serve(out=Announced())
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_after_the_announcement_ends_it(ending):
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE, str(int(ending))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
