"""The way in: the console script `reconcile`, and `python -m reconciler`."""

from __future__ import annotations

import gc
import os

ALLOCATIONS = 500_000
"""Objects between two looks of the cyclic collector. A command makes few cycles and ends soon; at the usual 700 it would
walk all that was loaded again and again, which doubles the time of validating ten thousand manifests."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(ALLOCATIONS)
    # pydantic would look through every installed package for one that has a say in what models accept: here none has,
    # and the looking costs up to five times a bare interpreter.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    from reconciler.cli import main as run  # noqa: PLC0415 - importing it is half the work of `--help`

    try:
        run()
    finally:
        gc.freeze()  # the process ends here: nothing is left that a last look could free


if __name__ == "__main__":
    main()
