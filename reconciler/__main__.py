"""Entry point of the console script `reconcile` and of `python -m reconciler`."""

from __future__ import annotations

import gc
import os
import sys
import warnings

GC_THRESHOLD = 500_000
"""Allocations between two runs of the cyclic garbage collector.

A command makes few cycles and ends soon. At Python's default of 700, validating ten thousand manifests takes twice as
long, because the collector walks everything that was loaded again and again.
"""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(GC_THRESHOLD)
    # Pydantic's own switch: without it pydantic searches all installed packages for plugins at every start.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    # anyio 4.16 leaves a coroutine behind when a connection is cancelled before its first step, as at the end of a stop.
    warnings.filterwarnings("ignore", r"coroutine 'connect_tcp\b", RuntimeWarning)
    try:
        from reconciler.cli import run  # noqa: PLC0415 - after the switch is set

        code = run()
    except KeyboardInterrupt:  # while Python imports: later ones are handled where they arrive
        from reconciler.errors import ExitCode  # noqa: PLC0415

        print("error: interrupted", file=sys.stderr)  # noqa: T201
        code = ExitCode.INTERRUPTED
    for stream in filter(None, (sys.stdout, sys.stderr)):  # `None`: the caller closed it
        try:
            stream.flush()
        except OSError:  # a full disk or a closed pipe; Python's own flush at exit would fail too, and replace the exit code
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    gc.freeze()  # else the collector walks everything once more before Python exits: a quarter of the time of `validate`
    sys.exit(code)


if __name__ == "__main__":
    main()
